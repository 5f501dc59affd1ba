"""Searches and compares, as AD answers them: base, scope, what is computed, pages, limits and referrals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from urllib.parse import quote

from broker.clock import Clock
from broker.sandbox.directory.binds import Accounts
from broker.sandbox.directory.filters import Compare, Relation
from broker.sandbox.directory.limits import Limits
from broker.sandbox.directory.messages import (
    DOMAIN_SCOPE,
    PAGED_RESULTS,
    START_TLS,
    Code,
    Response,
    Result,
    Search,
    paging,
    write_entry,
    write_reference,
    write_result,
)
from broker.sandbox.directory.schema import SPELLING
from broker.sandbox.directory.seed import Domain
from broker.sandbox.directory.tree import Entry, Scope, Tree
from broker.sandbox.directory.values import InvalidName, Key, dn_key, generalized_time

COMPUTED = ("canonicalname", "tokengroups", "msds-user-account-control-computed", "msds-userpasswordexpirytimecomputed")
"""Attributes that are worked out, and only when asked for by name."""

_CAPABILITIES = tuple(f"1.2.840.113556.1.4.{number}" for number in (800, 1670, 1935, 2080))
"""Active Directory, and its versions up to 2008 R2 (MS-ADTS 3.1.1.3.4.3)."""

NOT_BOUND = (
    "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be "
    "completed on the connection., data 0, v4563"
)


class SearchRefused(Exception):
    """The search ends here, with this result and nothing else."""

    def __init__(self, code: Code, text: str = "", *, matched: str = "", referral: str = "") -> None:
        super().__init__(text)
        self.result = Result(code=code, text=text, matched=matched, referrals=(referral,) if referral else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What is left of a paged search."""

    search: Search
    entries: Sequence[Entry]
    total: int


class Pages:
    """One connection's unfinished paged searches; the oldest is forgotten where there are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[bytes, _Page] = {}
        self._numbers = count(1)

    def keep(self, page: _Page) -> bytes:
        """Keep what is left; the cookie to ask for it with."""
        while len(self._open) >= self._most:
            del self._open[next(iter(self._open))]
        cookie = b"%d" % next(self._numbers)
        self._open[cookie] = page
        return cookie

    def take(self, cookie: bytes, search: Search) -> _Page:
        """What is left, once; raises `SearchRefused` for another cookie or another search, as Samba does."""
        page = self._open.pop(cookie, None)
        if page is None:
            raise SearchRefused(Code.UNWILLING_TO_PERFORM, "there is no such paged search")
        if page.search != search:
            raise SearchRefused(Code.UNAVAILABLE_CRITICAL_EXTENSION, "the cookie is of another search")
        return page


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Everything about one search that is not in the search itself."""

    message_id: int
    anonymous: bool
    tls: bool
    page: tuple[int, bytes] | None
    """Size and cookie, where pages were asked for."""
    domain_scope: bool
    """Whether references to other partitions are to be left out."""
    pages: Pages


class Searcher:
    """Answers searches over one tree. Not thread-safe: its owner holds the lock."""

    def __init__(self, tree: Tree, accounts: Accounts, domain: Domain, clock: Clock, limits: Limits) -> None:
        self._tree = tree
        self._accounts = accounts
        self._domain = domain
        self._clock = clock
        self._limits = limits

    def run(self, search: Search, asked: Asked) -> list[bytes]:
        """All messages of the answer."""
        try:
            found = self._found(search, asked)
            entries, result = self._cut(search, asked, found)
            answer = [self._write(search, asked, entry) for entry in entries]
        except SearchRefused as refused:
            return [write_result(asked.message_id, Response.SEARCH_DONE, refused.result)]
        if result.code is Code.SUCCESS and not asked.domain_scope:
            answer.extend(write_reference(asked.message_id, uri) for uri in self._references(search, asked))
        return [*answer, write_result(asked.message_id, Response.SEARCH_DONE, result)]

    def compare(self, name: str, attribute: str, value: bytes) -> Result:
        """Whether the entry has the value."""
        try:
            entry = self._base(name, tls=True)
        except SearchRefused as refused:
            return refused.result
        equal = Compare(relation=Relation.EQUAL, attribute=attribute, value=value).matches(entry, self._tree)
        return Result(code=Code.COMPARE_TRUE if equal else Code.COMPARE_FALSE)

    def _found(self, search: Search, asked: Asked) -> Sequence[Entry]:
        if search.base == "" and search.scope is Scope.BASE:
            root = self._root_dse()
            return [root] if search.condition.matches(root, self._tree) else []
        if asked.anonymous:  # check: sandbox-ldap-anonymous-search
            raise SearchRefused(Code.OPERATIONS_ERROR, NOT_BOUND)
        base = self._base(search.base, tls=asked.tls)
        found = [e for e in self._tree.within(base, search.scope) if search.condition.matches(e, self._tree)]
        if found and "tokengroups" in search.attributes and search.scope is not Scope.BASE:
            raise SearchRefused(Code.OPERATIONS_ERROR, "00002020: tokenGroups can be read in a BASE search only")
        return found

    def _base(self, name: str, *, tls: bool) -> Entry:
        """The entry to search from; raises `SearchRefused` with AD's answer where there is none."""
        try:
            found = self._tree.find(name) if name else None
            key = () if not name or name.strip(" ").startswith("<") else dn_key(name)
        except InvalidName as error:
            raise SearchRefused(
                Code.INVALID_DN_SYNTAX, "0000208F: NameErr: DSID-03100225, problem 2006 (BAD_NAME), data 8350"
            ) from error
        if found is not None:
            return found
        if key and not self._tree.holds(key) and _host(key):
            raise SearchRefused(
                Code.REFERRAL,
                f"0000202B: RefErr: DSID-0310084A, data 0, 1 access points\n\tref 1: '{_host(key)}'\n",
                referral=f"{_scheme(tls=tls)}://{_host(key)}/{quote(name, safe='=,')}",
            )
        nearest = self._tree.nearest(key)
        matched = nearest.dn if nearest else ""
        raise SearchRefused(
            Code.NO_SUCH_OBJECT,
            f"0000208D: NameErr: DSID-0310028B, problem 2001 (NO_OBJECT), data 0, best match of:\n\t'{matched}'\n",
            matched=matched,
        )

    def _cut(self, search: Search, asked: Asked, found: Sequence[Entry]) -> tuple[Sequence[Entry], Result]:
        """What of it goes into this answer, and how the answer ends."""
        if asked.page is None:
            most = min(search.size_limit or self._limits.page_entries, self._limits.page_entries)
            exceeded = len(found) > most
            return found[:most], Result(code=Code.SIZE_LIMIT_EXCEEDED if exceeded else Code.SUCCESS)
        size, cookie = asked.page
        page = asked.pages.take(cookie, search) if cookie else _Page(search=search, entries=found, total=len(found))
        size = min(max(size, 0), self._limits.page_entries)
        now, later = page.entries[:size], page.entries[size:]
        rest = asked.pages.keep(_Page(search=search, entries=later, total=page.total)) if later and size else b""
        return now, Result(code=Code.SUCCESS, controls=(paging(page.total, rest),))

    def _write(self, search: Search, asked: Asked, entry: Entry) -> bytes:
        attributes = ((name, [] if search.types_only else values) for name, values in self._selected(search, entry))
        return write_entry(asked.message_id, entry.dn, attributes)

    def _selected(self, search: Search, entry: Entry) -> Iterator[tuple[str, list[bytes]]]:
        wanted = frozenset(search.attributes)
        everything = not wanted or "*" in wanted
        for name, values in entry.attributes.items():
            if everything or name in wanted:
                yield SPELLING[name], values
        for name in COMPUTED:
            values = self._accounts.computed(entry, name) if name in wanted and entry.key else []
            if values:
                yield SPELLING[name], values

    def _references(self, search: Search, asked: Asked) -> Iterator[str]:
        """AD tells of the forest's other partitions at the end of every search that starts at the domain's root."""
        if not search.base or search.scope is Scope.BASE or (asked.page is not None and asked.page[1]):
            return
        if not self._tree.is_suffix(self._base(search.base, tls=asked.tls)):
            return
        dns, suffix, extra = self._domain.dns_name, self._tree.suffix, "??base" if search.scope is Scope.ONE else ""
        for host, partition in (
            (f"ForestDnsZones.{dns}", "DC=ForestDnsZones"),
            (f"DomainDnsZones.{dns}", "DC=DomainDnsZones"),
            (dns, "CN=Configuration"),
        ):
            yield f"{_scheme(tls=asked.tls)}://{host}/{partition},{suffix}{extra}"

    def _root_dse(self) -> Entry:
        """What a controller tells anybody about itself (MS-ADTS 3.1.1.3.2)."""
        suffix, host = self._tree.suffix, f"{self._domain.controller}.{self._domain.dns_name}"
        name = self._domain.controller.upper()
        site = f"CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration,{suffix}"
        entry = Entry(dn="", key=())
        entry.set("objectClass", "top")
        entry.set("currentTime", generalized_time(self._clock()))
        entry.set("defaultNamingContext", suffix)
        entry.set("rootDomainNamingContext", suffix)
        entry.set("configurationNamingContext", f"CN=Configuration,{suffix}")
        entry.set("namingContexts", suffix)
        entry.set("dnsHostName", host)
        entry.set("ldapServiceName", f"{self._domain.dns_name}:{name.lower()}$@{self._domain.dns_name.upper()}")
        entry.set("serverName", f"CN={name},{site}")
        entry.set("supportedCapabilities", *_CAPABILITIES)
        entry.set("supportedControl", PAGED_RESULTS, DOMAIN_SCOPE)
        entry.set("supportedExtension", START_TLS)
        entry.set("supportedLDAPVersion", 3)
        entry.set("isSynchronized", "TRUE")
        entry.set("isGlobalCatalogReady", "TRUE")
        for level in ("domainFunctionality", "forestFunctionality", "domainControllerFunctionality"):
            entry.set(level, 4)
        return entry


def _scheme(*, tls: bool) -> str:
    return "ldaps" if tls else "ldap"


def _host(key: Key) -> str:
    """The DNS name that the DC parts of a distinguished name spell."""
    return ".".join(value for attribute, value in key if attribute == "dc")
