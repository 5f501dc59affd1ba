r"""The security groups of an AD account, by SID.

`token-groups` reads what AD itself computes for a logon: nested and primary groups, no mailing lists, in one search.
`in-chain` asks AD to walk `member` upwards, and adds the primary group, which that walk cannot see. It also climbs
through mailing lists (measured), so what it found is climbed again here, through security groups alone.

Left out on purpose: SIDs that are not of a domain (`S-1-1-0` Everyone, `S-1-5-32-545` Builtin\Users, …): they are
the same in every domain and say nothing about a person. A SID of another domain (a trust) is kept by its number alone.
A SID of the own domain that cannot be found is an error: a rule might name that group, and deny.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from broker.authenticate.identity import Group
from broker.authenticate.ldap.account import Account
from broker.authenticate.ldap.answer import Entry, Unusable
from broker.authenticate.ldap.controllers import Session
from broker.authenticate.ldap.values import in_filter, sid_octets, sid_text
from broker.authenticate.ldap.wire import escape

_ATTRIBUTES = ("objectSid", "cn", "groupType")
_SECURITY = 0x80000000
_IN_CHAIN = "1.2.840.113556.1.4.1941"
_OF_A_DOMAIN = "S-1-5-21-"
_AT_ONCE = 50
"""SIDs in one search filter."""


class SidCache:
    """Which group a SID is; None: not a security group. Bounded, and nothing in it is older than `seconds`."""

    def __init__(self, monotonic: Callable[[], float], *, seconds: float, size: int = 50_000) -> None:
        self._monotonic, self._seconds, self._size = monotonic, seconds, size
        self._lock = Lock()
        self._known: OrderedDict[str, tuple[float, Group | None]] = OrderedDict()

    def known(self, sids: Iterable[str]) -> dict[str, Group | None]:
        """What is known about these."""
        now = self._monotonic()
        with self._lock:
            found = {sid: self._known[sid] for sid in sids if sid in self._known}
        return {sid: group for sid, (since, group) in found.items() if now - since < self._seconds}

    def learn(self, groups: dict[str, Group | None]) -> None:
        """Remember these; the ones learnt first are forgotten first."""
        now = self._monotonic()
        with self._lock:
            for sid, group in groups.items():
                self._known[sid] = (now, group)
                self._known.move_to_end(sid)
            while len(self._known) > self._size:
                self._known.popitem(last=False)


class SecurityGroups:
    """Resolves an account's security groups, by the one or the other method."""

    def __init__(self, provider: str, cache: SidCache, *, in_chain: bool, base: str) -> None:
        """`base`: where groups are looked for; empty: the whole domain."""
        self._provider, self._cache, self._base = provider, cache, base
        self._in_chain = in_chain

    @property
    def method(self) -> str:
        """Its name in `broker.yaml`."""
        return "in-chain" if self._in_chain else "token-groups"

    def of(self, session: Session, account: Account) -> frozenset[Group]:
        """All of them. Raises `Away` and `Unusable`."""
        domain = account.entry.decoded("objectSid", sid_text).rpartition("-")[0]
        if self._in_chain:
            return self._by_chain(session, account, domain)
        token = session.link.read(account.dn, ["tokenGroups"])
        sids = [_decode(octets) for octets in token.all("tokenGroups")] if token else []
        if not sids:  # check: token-groups-absent
            message = "the server sent no tokenGroups; a global catalog may be away"
            raise Unusable(message)
        return self._groups(session, sids, domain)

    def at(self, session: Session, dn: str) -> Group | None:
        """The security group with this DN; None where there is none. Raises `Away` and `Unusable`."""
        entry = session.link.read(dn, _ATTRIBUTES, "(objectClass=group)")
        return self._group(entry) if entry else None

    def _groups(self, session: Session, sids: Sequence[str], domain: str) -> frozenset[Group]:
        """The groups of these SIDs."""
        wanted = [sid for sid in sids if sid.startswith(_OF_A_DOMAIN)]
        resolved = self._cache.known(wanted)
        unknown = [sid for sid in wanted if sid not in resolved]
        for start in range(0, len(unknown), _AT_ONCE):
            asked = unknown[start : start + _AT_ONCE]
            found = self._look_up(session, asked)
            self._cache.learn(found)
            resolved |= found
        missing = [sid for sid in wanted if sid not in resolved]
        if any(sid.rpartition("-")[0] == domain for sid in missing):  # check: group-hidden
            message = f"the service account cannot read the groups {', '.join(missing)} of this domain"
            raise Unusable(message)
        foreign = {Group(provider=self._provider, id=sid, name=sid) for sid in missing}
        return frozenset(group for group in resolved.values() if group is not None) | foreign

    def _look_up(self, session: Session, sids: Sequence[str]) -> dict[str, Group | None]:
        terms = "".join(f"(objectSid={in_filter(sid_octets(sid))})" for sid in sids)
        entries = self._search(session, f"(&(objectClass=group)(|{terms}))")
        return {entry.decoded("objectSid", sid_text): self._group(entry) for entry in entries}

    def _by_chain(self, session: Session, account: Account, domain: str) -> frozenset[Group]:
        primary = self._groups(session, [f"{domain}-{account.entry.number('primaryGroupID')}"], domain)
        start = [account.dn, *(group.dn for group in primary)]
        terms = "".join(f"(member:{_IN_CHAIN}:={escape(dn)})" for dn in start)
        entries = self._search(session, f"(&(objectClass=group)(|{terms}))", "memberOf")
        groups = {entry.dn: group for entry in entries if (group := self._group(entry)) is not None}
        above = {entry.dn: _parents(entry) for entry in entries if entry.dn in groups}
        above |= {dn: _parents(entry) for dn in start if (entry := session.link.read(dn, ["memberOf"])) is not None}
        reached: set[str] = set()
        frontier = set(start)
        while frontier:
            frontier = {dn for below in frontier for dn in above.get(below, ()) if dn in groups} - reached
            reached |= frontier
        return primary | {groups[dn] for dn in reached if groups[dn].id.startswith(_OF_A_DOMAIN)}

    def _search(self, session: Session, where: str, *more: str) -> list[Entry]:
        # A search of the whole domain always points to its other partitions, where no groups are.
        base = self._base or session.facts.naming_context
        return session.link.search(base, where, [*_ATTRIBUTES, *more], whole=False)

    def _group(self, entry: Entry) -> Group | None:
        """The group, or None for a mailing list: anybody may be put on one, and it must not grant."""
        if not entry.number("groupType") & _SECURITY:  # check: security-groups-only
            return None
        sid = entry.decoded("objectSid", sid_text)
        return Group(provider=self._provider, id=sid, name=entry.text("cn"), dn=entry.dn)


def _parents(entry: Entry) -> set[str]:
    return {octets.decode(errors="replace") for octets in entry.all("memberOf")}


def _decode(octets: bytes) -> str:
    try:
        return sid_text(octets)
    except ValueError as error:
        message = "tokenGroups has a value that cannot be read"
        raise Unusable(message) from error
