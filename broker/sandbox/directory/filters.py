"""Search filters, evaluated as AD does (RFC 4511 section 4.5.1.7).

Two-valued, as measured on Samba: what cannot be compared does not match, and its negation does. AD's matching rules
for bits and for nested membership are here; other rules match nothing.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from broker.sandbox.directory.schema import CATEGORIES, Syntax, syntax_of
from broker.sandbox.directory.tree import Entry, Tree, equal_values
from broker.sandbox.directory.values import InvalidName, decimal, fold, guid_bytes, sid_bytes

BIT_AND, BIT_OR, IN_CHAIN = (f"1.2.840.113556.1.4.{number}" for number in (803, 804, 1941))
"""AD's matching rules (MS-ADTS 3.1.1.3.4.4)."""

_GUID_OCTETS = 16


class Filter(Protocol):
    """A condition on entries."""

    def matches(self, entry: Entry, tree: Tree) -> bool:
        """Whether `entry`, which stands in `tree`, matches."""


class Relation(IntEnum):
    """How a value is compared: the tag of the filter."""

    EQUAL = 0xA3
    AT_LEAST = 0xA5
    AT_MOST = 0xA6
    APPROXIMATE = 0xA8
    """AD takes it for `EQUAL`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """All parts match."""

    parts: tuple[Filter, ...]

    def matches(self, entry: Entry, tree: Tree) -> bool:
        """See `Filter`."""
        return all(part.matches(entry, tree) for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Some:
    """At least one part matches."""

    parts: tuple[Filter, ...]

    def matches(self, entry: Entry, tree: Tree) -> bool:
        """See `Filter`."""
        return any(part.matches(entry, tree) for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The part does not match."""

    part: Filter

    def matches(self, entry: Entry, tree: Tree) -> bool:
        """See `Filter`."""
        return not self.part.matches(entry, tree)


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The attribute has a value."""

    attribute: str

    def matches(self, entry: Entry, tree: Tree) -> bool:  # noqa: ARG002 (the protocol's)
        """See `Filter`."""
        return bool(entry.get(self.attribute))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """A value of the attribute stands in a relation to `value`."""

    relation: Relation
    attribute: str
    value: bytes

    def matches(self, entry: Entry, tree: Tree) -> bool:
        """See `Filter`."""
        syntax = syntax_of(self.attribute)
        values = entry.get(self.attribute)
        if self.relation in (Relation.EQUAL, Relation.APPROXIMATE):
            wanted = _readable(self.attribute, self.value, tree)
            return any(equal_values(syntax, wanted, value) for value in values)
        if self.relation is Relation.AT_LEAST:
            return any(_in_order(syntax, self.value, value) for value in values)
        return any(_in_order(syntax, value, self.value) for value in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Substrings:
    """A value begins, continues and ends like this; all in lower case."""

    attribute: str
    initial: str
    middle: tuple[str, ...]
    final: str

    def matches(self, entry: Entry, tree: Tree) -> bool:  # noqa: ARG002 (the protocol's)
        """See `Filter`."""
        if syntax_of(self.attribute) is not Syntax.TEXT:
            return False
        return any(self._is_in(value.decode(errors="replace").lower()) for value in entry.get(self.attribute))

    def _is_in(self, text: str) -> bool:
        if not text.startswith(self.initial) or not text.endswith(self.final):
            return False
        at, end = len(self.initial), len(text) - len(self.final)
        for piece in self.middle:
            found = text.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return at <= end


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A matching rule by its object id."""

    rule: str
    attribute: str
    value: bytes

    def matches(self, entry: Entry, tree: Tree) -> bool:
        """See `Filter`."""
        if self.rule in (BIT_AND, BIT_OR):
            return self._has_bits(entry)
        return self.rule == IN_CHAIN and self._is_in_chain(entry, tree)

    def _has_bits(self, entry: Entry) -> bool:
        wanted = decimal(self.value)
        if wanted is None or syntax_of(self.attribute) is not Syntax.INTEGER:
            return False
        found = [int(value) & wanted for value in entry.get(self.attribute)]
        return any(bits == wanted if self.rule == BIT_AND else bits != 0 for bits in found)

    def _is_in_chain(self, entry: Entry, tree: Tree) -> bool:
        """Nested membership; through mailing lists too, and without primary groups, as measured."""
        if self.attribute not in ("member", "memberof"):
            return False
        try:
            other = tree.find(self.value.decode(errors="replace"))
        except InvalidName:
            return False
        if other is None:
            return False
        group, member = (entry, other) if self.attribute == "member" else (other, entry)
        return any(found is group for found in tree.closure(tree.groups_of(member)))


def _in_order(syntax: Syntax, smaller: bytes, larger: bytes) -> bool:
    if syntax is not Syntax.INTEGER:
        return fold(smaller.decode(errors="replace")) <= fold(larger.decode(errors="replace"))
    left, right = decimal(smaller), decimal(larger)
    return left is not None and right is not None and left <= right


def _readable(attribute: str, value: bytes, tree: Tree) -> bytes:
    """`value` as entries hold it: AD also takes SIDs and GUIDs as text, `<GUID=…>` for a DN, a class for a category."""
    text = value.decode(errors="replace")
    if attribute == "objectcategory" and text.lower() in CATEGORIES:
        return f"CN={CATEGORIES[text.lower()]},CN=Schema,CN=Configuration,{tree.suffix}".encode()
    try:
        match syntax_of(attribute):
            case Syntax.SID if text[:2].upper() == "S-":
                return sid_bytes(text)
            case Syntax.GUID if len(value) != _GUID_OCTETS:
                return guid_bytes(text)
            case Syntax.DN if text.startswith("<"):
                found = tree.find(text)
                return found.dn.encode() if found else b""
    except InvalidName:
        pass  # compared as it is, it equals nothing
    return value
