"""IAM's condition operators, as far as a trust, identity or session policy around `sts` uses them.

Fails closed: an operator that IAM does not have is a broken policy (`MalformedPolicy`); a condition that cannot be
decided here (a key that the sandbox does not know, a value of the wrong type) raises `Undecidable`, upon which an Allow
statement grants nothing and a Deny statement denies. Source: IAM User Guide, "IAM JSON policy elements: Condition
operators", "... Conditions with multiple context keys or values" and "... Policy variables and tags".
"""

import ipaddress
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Context = Mapping[str, tuple[str, ...]]
"""The request context: key in lower case, its values. A key that is absent here is absent in the request."""

MULTIVALUED = frozenset({"aws:tagkeys", "sts:transitivetagkeys"})
KNOWN = MULTIVALUED | {
    "sts:externalid", "sts:rolesessionname", "sts:sourceidentity", "aws:principalarn", "aws:principalaccount",
    "aws:principaltype", "aws:userid", "aws:username", "aws:sourceidentity", "aws:sourceip", "aws:securetransport",
    "aws:currenttime", "aws:epochtime", "aws:tokenissuetime", "aws:multifactorauthpresent", "aws:requestedregion",
}  # fmt: skip
KNOWN_PREFIXES = ("aws:requesttag/", "aws:principaltag/")

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_OPERATOR = re.compile(r"(?:(?P<set>ForAllValues|ForAnyValue):)?(?P<base>[A-Za-z]+?)(?P<optional>IfExists)?")


class MalformedPolicy(ValueError):
    """IAM would not have accepted this policy."""


class Undecidable(Exception):
    """This condition cannot be decided: neither granted nor ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One line of a Condition block: `operator` over `key`, true when one of `values` fits."""

    quantifier: str
    operator: str
    optional: bool
    key: str
    values: tuple[str, ...]

    def holds(self, context: Context, *, variables: bool) -> bool:
        """Whether the clause is true of `context`; raises `Undecidable`."""
        if self.key not in KNOWN and not self.key.startswith(KNOWN_PREFIXES):  # check: sts-condition-unknown-key
            raise Undecidable(self.key)
        found = context.get(self.key)
        if self.operator == "Null":
            return any((value.lower() == "true") == (found is None) for value in self.values)
        if self.quantifier == "" and self.key in MULTIVALUED:  # check: sts-condition-multivalued
            raise Undecidable(self.key)
        compare, negated = _operator(self.operator)
        if found is None:
            return self.quantifier == "ForAllValues" or self.optional or (negated and self.quantifier == "")
        wanted = [substitute(value, context) if variables else value for value in self.values]
        fits = [any(compare(value, want) for want in wanted) != negated for value in found]
        return any(fits) if self.quantifier == "ForAnyValue" else all(fits)


def clauses(block: object) -> tuple[Clause, ...]:
    """The clauses of a Condition block; raises `MalformedPolicy`."""
    if not isinstance(block, dict):
        message = "Syntax errors in policy."
        raise MalformedPolicy(message)
    found: list[Clause] = []
    for name, tests in block.items():
        parts = _OPERATOR.fullmatch(name)
        if parts is None or not (_known_operator(parts["base"]) or name == "Null"):  # check: sts-condition-operator
            message = f"Invalid Condition type : {name}"
            raise MalformedPolicy(message)
        if not isinstance(tests, dict) or not tests:
            message = "Syntax errors in policy."
            raise MalformedPolicy(message)
        found += [
            Clause(
                quantifier=parts["set"] or "",
                operator=parts["base"],
                optional=parts["optional"] is not None,
                key=key.lower(),
                values=_values(value),
            )
            for key, value in tests.items()
        ]
    return tuple(found)


def substitute(text: str, context: Context) -> str:
    """Replace `${key}` by the request's single value; raises `Undecidable` for any other variable."""

    def value(found: re.Match[str]) -> str:
        values = context.get(found[1].strip().lower(), ())
        if len(values) != 1:
            raise Undecidable(found[1])
        return values[0]

    return _VARIABLE.sub(value, text)


def like(value: str, pattern: str) -> bool:
    """Whether `value` fits `pattern`, where `*` is any text and `?` any one character; in at most len x len steps."""
    at = star = 0
    mark, position = -1, 0
    while position < len(value):
        if at < len(pattern) and pattern[at] == "*":
            star, mark, at = at + 1, position, at + 1
        elif at < len(pattern) and pattern[at] in ("?", value[position]):
            at, position = at + 1, position + 1
        elif mark >= 0:
            mark, at = mark + 1, star
            position = mark
        else:
            return False
    return not pattern[at:].strip("*")


def _values(given: object) -> tuple[str, ...]:
    values: Sequence[object] = given if isinstance(given, list) else [given]
    if not values or not all(isinstance(value, str | int | float) for value in values):
        message = "Syntax errors in policy."
        raise MalformedPolicy(message)
    return tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in values)


def _arn_like(value: str, pattern: str) -> bool:
    parts, wanted = value.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(wanted) == 6 and all(map(like, parts, wanted))  # noqa: PLR2004 (the fields of an ARN)


def _number(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise Undecidable(text) from error
    if not found.is_finite():
        raise Undecidable(text)
    return found


def _instant(text: str) -> datetime:
    try:
        if text.isascii() and text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise Undecidable(text) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _in_network(value: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)
    except ValueError as error:
        raise Undecidable(network) from error


Compare = Callable[[str, str], bool]


def _ordered(read: Callable[[str], Any], kind: str) -> dict[str, Compare]:
    """The operators of a kind that has an order."""
    return {
        f"{kind}Equals": lambda value, want: bool(read(value) == read(want)),
        f"{kind}LessThan": lambda value, want: bool(read(value) < read(want)),
        f"{kind}LessThanEquals": lambda value, want: bool(read(value) <= read(want)),
        f"{kind}GreaterThan": lambda value, want: bool(read(value) > read(want)),
        f"{kind}GreaterThanEquals": lambda value, want: bool(read(value) >= read(want)),
    }


_POSITIVE: dict[str, Compare] = {
    "StringEquals": operator.eq,
    "StringEqualsIgnoreCase": lambda value, want: value.casefold() == want.casefold(),
    "StringLike": like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda value, want: value.lower() == want.lower(),
    "IpAddress": _in_network,
    **_ordered(_number, "Numeric"),
    **_ordered(_instant, "Date"),
}
_NEGATIVE = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}


def _known_operator(name: str) -> bool:
    return name in _POSITIVE or name in _NEGATIVE


def _operator(name: str) -> tuple[Compare, bool]:
    """The comparison behind an operator's name, and whether the operator is its negation."""
    return _POSITIVE[_NEGATIVE.get(name, name)], name in _NEGATIVE
