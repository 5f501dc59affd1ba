"""`Snapshot`: the compiled document, immutable, from which everything is decided until the next one.

It is built from the canonical form alone, whether that was just read from files or comes from an earlier `dump()`:
there is one way into it. JSON, never pickle: a snapshot can say only what a document can say.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NoReturn

from pydantic import ValidationError

from broker.authenticate.identity import Group
from broker.challenge.proof import Method
from broker.entitle import canonical
from broker.entitle.catalogue import Catalogue, Names
from broker.entitle.conditions import ConditionReader, UnknownCondition, Vocabulary
from broker.entitle.dn import parse_dn
from broker.entitle.document import Document
from broker.entitle.entitlement import BUILT_IN, Condition, Rule
from broker.entitle.index import Giver, GroupRef, GroupTemplate, Index
from broker.entitle.template import parse_template
from broker.errors import ConfigurationError, Problem

FORMAT = 2
"""Of a dump; another one is refused and the document compiled anew."""
_DOMAIN = b"broker role mapping 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """Conditions for every grant in these accounts and roles."""

    rule: Rule
    accounts: Names
    roles: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentTest:
    """An expectation that stands in the document itself."""

    name: str
    where: str
    """`file:line`."""
    groups: frozenset[Group]
    at: datetime | None
    """None: the moment of checking."""
    address: IPv4Address | IPv6Address | None
    """None: not known, and every `source_ip` objects."""
    methods: frozenset[Method]
    """The factors shown; none: nothing was shown."""
    mfa_age: timedelta
    """How long before `at`."""
    tls_version: str
    """The newest one unless the test says otherwise."""
    allow: tuple[str, ...]
    """`account/role`, `account/*`, `*/role`: each of them must be allowed."""
    deny: tuple[str, ...]
    """None of these may be allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One compiled role-mapping document."""

    revision: str
    """SHA-256 of the document's meaning; comments, order, quoting and files make no difference."""
    document: bytes = field(repr=False)
    """The canonical form."""
    where: Mapping[str, str] = field(repr=False)
    catalogue: Catalogue = field(repr=False)
    """Accounts and roles."""
    groups: tuple[GroupRef, ...] = field(repr=False)
    mappings: tuple[Giver, ...] = field(repr=False)
    denies: tuple[Giver, ...] = field(repr=False)
    guardrails: tuple[Guardrail, ...] = field(repr=False)
    """In the order of their names; the built-in one is not among them."""
    built_in: Rule = field(repr=False)
    """What every entitlement asks, whatever the document says."""
    tests: tuple[DocumentTest, ...] = field(repr=False)
    mapping_index: Index = field(repr=False)
    deny_index: Index = field(repr=False)
    warnings: tuple[Problem, ...] = field(default=(), repr=False)
    """What is allowed and probably not meant."""

    def dump(self) -> bytes:
        """The compiled form for `load`."""
        warnings = [[warning.where, warning.what, warning.remedy] for warning in self.warnings]
        head = {"format": FORMAT, "revision": self.revision, "where": self.where, "warnings": warnings}
        return json.dumps(head, sort_keys=True).encode() + b"\n" + self.document

    def keys(self, target: str) -> Iterator[str]:
        """Every declared `account/role` that `target` (with `*` for any) stands for."""
        account, _, role = target.partition("/")
        for name in sorted(self.catalogue.accounts) if account == "*" else [account]:
            for role_name in sorted(self.catalogue.roles) if role == "*" else [role]:
                yield f"{name}/{role_name}"


def compile_document(document: Document, *, built_in: tuple[Condition, ...]) -> Snapshot:
    """Compile a document that was read without problems.

    `built_in` joins every entitlement, whatever the document says. Raises `ConfigurationError` when it is empty.
    """
    content = canonical.to_bytes(document.plain)
    builder = _Builder(document.plain, document.where, document.catalogue, document.reader)
    return builder.build(content, built_in, document.warnings)


def load(dumped: bytes, vocabulary: Vocabulary, *, built_in: tuple[Condition, ...]) -> Snapshot:
    """The snapshot of an earlier `dump`, with today's vocabulary and built-in conditions.

    Promises that the content is the one that its revision names; not that the content can be trusted: who can write
    the bytes can write the revision. Raises `ConfigurationError` when the format is another, the revision does not
    fit, a condition is no longer known, or `built_in` is empty: compile the document anew.
    """
    head_line, _, content = dumped.partition(b"\n")
    try:
        head = json.loads(head_line)
        if head["format"] != FORMAT:  # check: snapshot-format
            _refuse("written by another version of the broker")
        if head["revision"] != _revision(content):  # check: snapshot-revision
            _refuse("damaged")
        plain = json.loads(content)
        builder = _Builder(plain, head["where"], Catalogue(plain), ConditionReader(vocabulary))
        warnings = (Problem(where=where, what=what, remedy=remedy) for where, what, remedy in head["warnings"])
        return builder.build(content, built_in, tuple(warnings))
    except (ValueError, LookupError, TypeError, UnknownCondition, ValidationError):
        _refuse("not readable by this version of the broker")


def _refuse(why: str) -> NoReturn:
    problem = Problem(where="compiled mapping", what=f"it is {why}", remedy="compile the document anew")
    raise ConfigurationError([problem])


def _revision(content: bytes) -> str:
    return hashlib.sha256(_DOMAIN + content).hexdigest()


class _Builder:
    def __init__(
        self, plain: Mapping[str, Any], where: Mapping[str, str], catalogue: Catalogue, reader: ConditionReader
    ) -> None:
        self._plain = plain
        self._where = where
        self._catalogue = catalogue
        self._reader = reader
        self._groups = {
            name: GroupRef(
                name=name,
                provider=own["provider"],
                id=own.get("id", ""),
                dn=own.get("dn", ""),
                plain=own.get("name", ""),
            )
            for name, own in plain["groups"].items()
        }

    def build(self, content: bytes, built_in: tuple[Condition, ...], warnings: tuple[Problem, ...]) -> Snapshot:
        if not built_in:  # check: built-in-required
            what = "there is no built-in condition, so nothing would ask for a second factor"
            raise ConfigurationError([Problem(where="built-in conditions", what=what)])
        mappings = self._givers("mappings")
        denies = self._givers("denies")
        return Snapshot(
            revision=_revision(content),
            document=content,
            where=self._where,
            catalogue=self._catalogue,
            groups=tuple(self._groups[name] for name in sorted(self._groups)),
            mappings=mappings,
            denies=denies,
            guardrails=tuple(self._guardrail(*item) for item in sorted(self._plain["guardrails"].items())),
            built_in=Rule(name=BUILT_IN, where=BUILT_IN, conditions=built_in),
            tests=tuple(self._test(*item) for item in sorted(self._plain["tests"].items())),
            mapping_index=Index(mappings, self._catalogue, replaced_count=False),
            deny_index=Index(denies, self._catalogue, replaced_count=True),
            warnings=warnings,
        )

    def _rule(self, name: str, own: Mapping[str, Any]) -> Rule:
        conditions = self._reader.read(own.get("conditions", {}))
        return Rule(name=name, where=self._where.get(name, ""), conditions=conditions, owner=own.get("owner", ""))

    def _guardrail(self, name: str, own: Mapping[str, Any]) -> Guardrail:
        accounts = self._catalogue.select_accounts(own["accounts"])
        return Guardrail(
            rule=self._rule(name, own), accounts=accounts, roles=self._catalogue.select_roles(own["roles"])
        )

    def _givers(self, section: str) -> tuple[Giver, ...]:
        return tuple(self._giver(name, own) for name, own in sorted(self._plain[section].items()))

    def _giver(self, name: str, own: Mapping[str, Any]) -> Giver:
        groups, catalogue = own["groups"], self._catalogue
        named = isinstance(groups, list)
        return Giver(
            rule=self._rule(name, own),
            groups=tuple(self._groups[group] for group in groups) if named else (),
            template=None if named else _template(groups),
            accounts=catalogue.select_accounts(own.get("accounts", "all")),
            roles=catalogue.select_roles(own.get("roles", "all")),
            expires=datetime.fromisoformat(own["expires"]) if "expires" in own else None,
        )

    def _test(self, name: str, own: Mapping[str, Any]) -> DocumentTest:
        return DocumentTest(
            name=name,
            where=self._where.get(f"tests/{name}", ""),
            groups=frozenset(self._test_group(group) for group in own["groups"]),
            at=datetime.fromisoformat(own["at"]) if "at" in own else None,
            address=ip_address(own["address"]) if "address" in own else None,
            methods=frozenset(map(Method, own.get("methods", ()))),
            mfa_age=timedelta(seconds=own.get("mfa_age", 0)),
            tls_version=own.get("tls", "1.3"),
            allow=tuple(own["allow"]),
            deny=tuple(own["deny"]),
        )

    def _test_group(self, own: Any) -> Group:  # noqa: ANN401 (the name of a declared group, or one described)
        if isinstance(own, str):
            ref = self._groups[own]
            return Group(provider=ref.provider, id=ref.id, name=ref.plain or ref.name, dn=ref.dn)
        dn, plain = own.get("dn", ""), own.get("name", "")
        ids = (ref.id for ref in self._groups.values() if ref.provider == own["provider"] and ref.dn == dn)
        known = next(ids, "") if dn else ""
        name = plain or (parse_dn(dn).name if dn else "")
        return Group(provider=own["provider"], id=own.get("id", known), name=name, dn=dn)


def _template(own: Mapping[str, str]) -> GroupTemplate:
    template, under = parse_template(own["named"]), own.get("under")
    return GroupTemplate(
        provider=own["provider"],
        under=parse_dn(under) if under else None,
        written=template,
        compared=template.folded() if under else template,
    )
