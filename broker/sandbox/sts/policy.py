"""IAM policy documents: read as strictly as IAM reads them, and evaluated with default deny.

Source: IAM User Guide, "IAM JSON policy element reference" (grammar) and "Policy evaluation logic". An explicit Deny
wins over any Allow. A statement whose condition cannot be decided never grants; if it denies, it does.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from broker.sandbox.sts.conditions import Clause, Context, MalformedPolicy, Undecidable, clauses, like, substitute

_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_ROOT_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):root")
_PRINCIPAL = re.compile(r"\*|\d{12}|arn:aws[a-z-]*:(?:iam|sts)::\d{12}:[a-z-]+(?:/[!-)+->@-~]+)?")
_VERSIONS = ("2012-10-17", "2008-10-17")
_FIELDS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
_PRINCIPAL_TYPES = {"AWS", "Service", "Federated", "CanonicalUser"}


class Kind(StrEnum):
    """Where a policy stands."""

    TRUST = "trust"
    """On a role: who may assume it. Has principals and no resources."""
    IDENTITY = "identity"
    """On a user, a role or a session: what it may do. Has resources and no principals."""


class Decision(StrEnum):
    """What policies say about one request."""

    ALLOW = "allow"
    DENY = "explicit-deny"
    NONE = "implicit-deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to the policies. `names` are the principal names (see `Statement`) that fit the caller."""

    action: str
    resource: str
    context: Context
    names: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. In `principals` an account stands as its 12 digits, anybody as `*`, everyone else as an ARN."""

    allow: bool
    principals: frozenset[str]
    actions: tuple[str, ...]
    but_actions: bool
    resources: tuple[str, ...]
    but_resources: bool
    conditions: tuple[Clause, ...]
    variables: bool

    def applies(self, request: Request, kind: Kind) -> bool:
        """Whether the statement speaks of this request; undecidable counts as no for an Allow, as yes for a Deny."""
        action = request.action.lower()
        if any(like(action, pattern.lower()) for pattern in self.actions) == self.but_actions:
            return False
        if kind is Kind.TRUST and not self.principals & request.names:  # check: sts-trust-principal
            return False
        try:
            if kind is Kind.IDENTITY and not self._covers(request):  # check: sts-identity-resource
                return False
            return all(clause.holds(request.context, variables=self.variables) for clause in self.conditions)
        except Undecidable:
            return not self.allow

    def _covers(self, request: Request) -> bool:
        names = [substitute(name, request.context) if self.variables else name for name in self.resources]
        return any(like(request.resource, name) for name in names) != self.but_resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A whole document."""

    kind: Kind
    statements: tuple[Statement, ...]


def decide(policies: Iterable[Policy], request: Request) -> Decision:
    """Default deny; an explicit Deny wins over any Allow."""
    applying = [s for policy in policies for s in policy.statements if s.applies(request, policy.kind)]
    if any(not statement.allow for statement in applying):  # check: sts-explicit-deny
        return Decision.DENY
    return Decision.ALLOW if any(statement.allow for statement in applying) else Decision.NONE


@lru_cache(maxsize=4096)
def parse(text: str, kind: Kind) -> Policy:
    """Read a policy; raises `MalformedPolicy` with IAM's words where it has some."""
    try:
        document = json.loads(text, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        message = "This policy contains invalid Json"
        raise MalformedPolicy(message) from error
    _demand(isinstance(document, dict) and set(document) <= {"Version", "Id", "Statement"})
    version = document.get("Version", _VERSIONS[1])
    _demand(version in _VERSIONS, "The policy must contain a valid version string")
    found = document.get("Statement")
    statements = found if isinstance(found, list) else [found]
    _demand(bool(statements))
    return Policy(
        kind=kind, statements=tuple(_statement(s, kind, variables=version == _VERSIONS[0]) for s in statements)
    )


def _statement(given: object, kind: Kind, *, variables: bool) -> Statement:
    if not isinstance(given, dict) or not set(given) <= _FIELDS or given.get("Effect") not in ("Allow", "Deny"):
        message = "Syntax errors in policy."
        raise MalformedPolicy(message)
    _demand(("Action" in given) != ("NotAction" in given), "Policy statement must contain actions.")
    actions = _strings(given.get("Action", given.get("NotAction")))
    _demand(
        all(map(_ACTION.fullmatch, actions)),
        "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
    )
    principals: frozenset[str] = frozenset()
    resources: tuple[str, ...] = ()
    if kind is Kind.TRUST:
        _demand(not {"Resource", "NotResource"} & set(given), "Has prohibited field Resource")
        only_sts = "Action" in given and all(action.startswith("sts:") for action in actions)
        _demand(only_sts, "AssumeRole policy may only specify STS AssumeRole actions.")
        principals = _principals(given.get("Principal"))
    else:
        _demand("Principal" not in given, "Policy document should not specify a principal.")
        _demand(("Resource" in given) != ("NotResource" in given), "Policy statement must contain resources.")
        resources = _strings(given.get("Resource", given.get("NotResource")))
        in_form = all(resource == "*" or resource.startswith("arn:") for resource in resources)
        _demand(in_form, 'Resource must be in ARN format or "*".')
    return Statement(
        allow=given["Effect"] == "Allow",
        principals=principals,
        actions=actions,
        but_actions="NotAction" in given,
        resources=resources,
        but_resources="NotResource" in given,
        conditions=clauses(given.get("Condition", {})),
        variables=variables,
    )


def _principals(given: object) -> frozenset[str]:
    """The AWS principals of a trust statement; services and identity providers never call here and are left out."""
    if given == "*":
        return frozenset({"*"})
    if not isinstance(given, dict) or not given or not set(given) <= _PRINCIPAL_TYPES:
        message = "Invalid principal in policy"
        raise MalformedPolicy(message)
    names = [name for kind, value in given.items() for name in _strings(value) if kind == "AWS"]
    _demand(all(map(_PRINCIPAL.fullmatch, names)), "Invalid principal in policy")
    return frozenset(_ROOT_ARN.sub(r"\1", name) for name in names)


def _strings(given: object) -> tuple[str, ...]:
    values = given if isinstance(given, list) else [given]
    _demand(bool(values) and all(isinstance(value, str) and value for value in values))
    return tuple(values)


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    _demand(len(found) == len(pairs), "This policy contains a duplicate key")
    return found


def _demand(holds: bool, message: str = "Syntax errors in policy.") -> None:  # noqa: FBT001 (reads as a sentence)
    if not holds:
        raise MalformedPolicy(message)
