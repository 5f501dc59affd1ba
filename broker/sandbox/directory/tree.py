"""The directory's entries, and how they hang together: by name, by scope, by group membership.

An entry's attributes are the only record of its state, as in a real directory; `member` and `memberOf` are kept as
each other's mirror here and nowhere else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from broker.sandbox.directory.schema import SPELLING, Syntax, syntax_of
from broker.sandbox.directory.values import InvalidName, Key, decimal, dn_key, fold, guid_bytes, sid_bytes

SECURITY_GROUP = 0x80000000
"""The bit of groupType that tells a security group from a mailing list."""


class Scope(IntEnum):
    """How far a search goes (RFC 4511 section 4.5.1.2)."""

    BASE = 0
    ONE = 1
    SUBTREE = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One object; its name is fixed, its attributes change."""

    dn: str
    key: Key
    attributes: dict[str, list[bytes]] = field(default_factory=dict)
    """By lower-case name."""

    def get(self, name: str) -> list[bytes]:
        """The values of an attribute in any spelling; empty where it has none."""
        return self.attributes.get(name.lower(), [])

    def set(self, name: str, *values: bytes | str | int) -> None:
        """Replace the values of an attribute that the schema knows; without a value it goes."""
        if name.lower() not in SPELLING:
            raise KeyError(name)
        encoded = [value if isinstance(value, bytes) else str(value).encode() for value in values]
        if encoded:
            self.attributes[name.lower()] = encoded
        else:
            self.attributes.pop(name.lower(), None)

    def number(self, name: str) -> int:
        """The value of a whole-number attribute; 0 where it has none."""
        return int(self.get(name)[0]) if self.get(name) else 0

    def is_a(self, object_class: str) -> bool:
        """Whether it is of this class."""
        return object_class.encode() in self.get("objectClass")

    def is_security_group(self) -> bool:
        """Whether it is a group that grants rights, not a mailing list."""
        return self.is_a("group") and bool(self.number("groupType") & SECURITY_GROUP)


class Tree:
    """All entries below one suffix. Not thread-safe: its owner holds the lock."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix
        self._suffix_key = dn_key(suffix)
        self._entries: dict[Key, Entry] = {}

    def add(self, dn: str, **attributes: bytes | str | int) -> Entry:
        """A new entry with single-valued attributes."""
        entry = Entry(dn=dn, key=dn_key(dn))
        entry.set("distinguishedName", dn)
        for name, value in attributes.items():
            entry.set(name, value)
        self._entries[entry.key] = entry
        return entry

    def remove(self, entry: Entry) -> None:
        """Take an entry away, and out of every group."""
        for group in self.groups_of(entry):
            self.unlink(group, entry)
        for member in [self._entries[dn_key(dn.decode())] for dn in entry.get("member")]:
            self.unlink(entry, member)
        del self._entries[entry.key]

    def link(self, group: Entry, member: Entry) -> None:
        """Put `member` directly into `group`; nothing happens where it is in it already."""
        if member.dn.encode() not in group.get("member"):
            group.set("member", *group.get("member"), member.dn)
            member.set("memberOf", *member.get("memberOf"), group.dn)

    def unlink(self, group: Entry, member: Entry) -> None:
        """Take `member` out of `group`."""
        group.set("member", *(dn for dn in group.get("member") if dn != member.dn.encode()))
        member.set("memberOf", *(dn for dn in member.get("memberOf") if dn != group.dn.encode()))

    def groups_of(self, entry: Entry) -> list[Entry]:
        """The groups that `entry` is directly in; not its primary group."""
        return [self._entries[dn_key(dn.decode())] for dn in entry.get("memberOf")]

    def closure(self, start: list[Entry], through: Callable[[Entry], bool] = lambda _: True) -> list[Entry]:
        """`start` and all that they are nested in, each once, so that a cycle ends; only where `through` allows."""
        found: dict[Key, Entry] = {}
        waiting = [group for group in start if through(group)]
        while waiting:
            group = waiting.pop(0)
            if group.key not in found:
                found[group.key] = group
                waiting.extend(parent for parent in self.groups_of(group) if through(parent))
        return list(found.values())

    def find(self, name: str) -> Entry | None:
        """The entry that a DN, `<GUID=…>` or `<SID=…>` names; raises `InvalidName` where it is none of them."""
        stripped = name.partition("\0")[0].strip(" ")
        if not stripped.startswith("<"):
            return self._entries.get(dn_key(name))
        kind, _, value = stripped.removeprefix("<").removesuffix(">").partition("=")
        if not stripped.endswith(">") or kind.upper() not in {"GUID", "SID"}:
            raise InvalidName
        if kind.upper() == "GUID":
            return self.only("objectGUID", guid_bytes(value))
        return self.only("objectSid", sid_bytes(value) if value[:2].upper() == "S-" else _from_hex(value))

    def only(self, attribute: str, value: bytes) -> Entry | None:
        """The one entry with this value; None where there is none, or more than one."""
        found = [entry for entry in self if _is_among(entry, attribute, value)]
        return found[0] if len(found) == 1 else None

    def holds(self, key: Key) -> bool:
        """Whether `key` is the suffix or below it, whether or not there is such an entry."""
        return key[-len(self._suffix_key) :] == self._suffix_key

    def nearest(self, key: Key) -> Entry | None:
        """The entry itself or its nearest ancestor."""
        candidates = (self._entries.get(key[at:]) for at in range(len(key)))
        return next((entry for entry in candidates if entry is not None), None)

    def is_suffix(self, entry: Entry) -> bool:
        """Whether it is the root of the domain."""
        return entry.key == self._suffix_key

    def within(self, base: Entry, scope: Scope) -> Iterator[Entry]:
        """The entries that a search from `base` looks at."""
        for entry in self:
            below = len(entry.key) - len(base.key)
            if entry.key[max(below, 0) :] != base.key:
                continue
            if scope is Scope.SUBTREE or below == int(scope):
                yield entry

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise InvalidName from error


def _is_among(entry: Entry, attribute: str, value: bytes) -> bool:
    return any(
        equal_values(syntax_of(attribute.lower()), value, found)
        for found in entry.attributes.get(attribute.lower(), ())
    )


def equal_values(syntax: Syntax, left: bytes, right: bytes) -> bool:
    """Whether two values of this syntax are the same to AD; what cannot be read equals nothing. SIDs, GUIDs: octets."""
    match syntax:
        case Syntax.TEXT:
            return fold(left.decode(errors="replace")) == fold(right.decode(errors="replace"))
        case Syntax.INTEGER:
            return decimal(left) is not None and decimal(left) == decimal(right)
        case Syntax.DN:
            try:
                return dn_key(left.decode(errors="replace")) == dn_key(right.decode(errors="replace"))
            except InvalidName:
                return False
        case _:
            return left == right
