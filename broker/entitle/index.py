"""Finds the rules that a person's groups match, at a cost that does not grow with the number of rules.

A declared group is looked up by (provider, id), (provider, DN) or (provider, plain name); a template by (provider,
`under`, the text before its first field). A group of another provider never matches.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from broker.authenticate.identity import Group
from broker.entitle.catalogue import Catalogue, Names
from broker.entitle.dn import DN, parse_dn
from broker.entitle.entitlement import Rule
from broker.entitle.group_id import fold_id
from broker.entitle.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRef:
    """A group that the document declares."""

    name: str
    """In the document."""
    provider: str
    id: str = ""
    """As `fold_id` writes it."""
    dn: str = ""
    """Normalised."""
    plain: str = ""
    """The group's name at a provider whose groups have no distinguished names."""

    def means(self, group: Group) -> bool:
        """Whether `group` is this one. Where an id is given it alone decides."""
        if group.provider != self.provider:  # check: other-provider
            return False
        if self.id:  # check: id-decides
            return fold_id(group.id) == self.id
        if self.dn:
            named = distinguished(group)
            return named is not None and str(named) == self.dn
        return not group.dn and group.name == self.plain

    def replaced_by(self, group: Group) -> bool:
        """Whether `group` has the DN (or plain name) that is written here, under another id than is written here."""
        if group.provider != self.provider or not self.id or fold_id(group.id) == self.id:
            return False
        if self.dn:
            named = distinguished(group)
            return named is not None and str(named) == self.dn
        return bool(self.plain) and not group.dn and group.name == self.plain


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTemplate:
    """Groups by their names."""

    provider: str
    under: DN | None
    """None: the provider's groups have no distinguished names, and their plain names compare exactly."""
    written: Template
    """For people."""
    compared: Template
    """Folded where there is an `under`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Giver:
    """A mapping or a deny: whose groups it is about, and which accounts and roles."""

    rule: Rule
    groups: tuple[GroupRef, ...] = ()
    template: GroupTemplate | None = None
    accounts: Names
    roles: Names
    expires: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """Whether it counts no more."""
        return self.expires is not None and now >= self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One of the person's groups makes a rule count, for these accounts and roles."""

    giver: Giver
    group: Group
    accounts: Names
    roles: Names


def distinguished(group: Group) -> DN | None:
    """The group's DN; None when it has none, or one that cannot be read: then only an id matches."""
    if not group.dn:
        return None
    try:
        return parse_dn(group.dn)
    except ValueError:
        return None


class Index:
    """The rules of one kind, found by group."""

    def __init__(self, givers: Iterable[Giver], catalogue: Catalogue, *, replaced_count: bool) -> None:
        """Take in all `givers`.

        `replaced_count`: a group that has a declared DN under another id counts. So it is for denies: they err on the
        safe side; a mapping grants it nothing.
        """
        by_id: dict[tuple[str, str], dict[str, Giver]] = {}
        by_dn: dict[tuple[str, str], dict[str, Giver]] = {}
        by_plain: dict[tuple[str, str], dict[str, Giver]] = {}
        templates: dict[tuple[str, tuple[str, ...] | None], dict[int, dict[str, list[Giver]]]] = {}
        for giver in givers:
            for ref in giver.groups:
                if ref.id:
                    by_id.setdefault((ref.provider, ref.id), {})[giver.rule.name] = giver
                if ref.dn and (not ref.id or replaced_count):
                    by_dn.setdefault((ref.provider, ref.dn), {})[giver.rule.name] = giver
                if ref.plain and (not ref.id or replaced_count):
                    by_plain.setdefault((ref.provider, ref.plain), {})[giver.rule.name] = giver
            if giver.template:
                place = (giver.template.provider, giver.template.under.rdns if giver.template.under else None)
                prefix = giver.template.compared.texts[0]
                by_length = templates.setdefault(place, {})
                by_length.setdefault(len(prefix), {}).setdefault(prefix, []).append(giver)
        self._by_id, self._by_dn, self._by_plain, self._templates = by_id, by_dn, by_plain, templates
        self._catalogue = catalogue

    def match(self, groups: Iterable[Group]) -> Iterator[Match]:
        """Every rule that one of `groups` makes count; a rule as often as groups do."""
        for group in groups:
            named = distinguished(group)
            found = dict(self._by_id.get((group.provider, fold_id(group.id)), {}))
            if named is not None:
                found |= self._by_dn.get((group.provider, str(named)), {})
            elif not group.dn:
                found |= self._by_plain.get((group.provider, group.name), {})
            for giver in found.values():
                yield Match(giver=giver, group=group, accounts=giver.accounts, roles=giver.roles)
            if self._templates:
                yield from self._by_template(group, named)

    def _by_template(self, group: Group, named: DN | None) -> Iterator[Match]:
        if named is not None:
            suffixes = (named.rdns[start:] for start in range(1, len(named.rdns)))
            for under in suffixes:
                yield from self._under((group.provider, under), named.name, group)
        elif not group.dn:
            yield from self._under((group.provider, None), group.name, group)

    def _under(self, place: tuple[str, tuple[str, ...] | None], name: str, group: Group) -> Iterator[Match]:
        for length, by_prefix in self._templates.get(place, {}).items():
            for giver in by_prefix.get(name[:length], ()):
                yield from self._read(giver, name, group)

    def _read(self, giver: Giver, name: str, group: Group) -> Iterator[Match]:
        reference = giver.template
        if reference is None:
            return
        template = reference.compared
        declared = {field: self._catalogue.by_field(field, exact=reference.under is None) for field in template.fields}
        for values in template.readings(name, declared):
            accounts, roles = giver.accounts, giver.roles
            for field, value in values.items():
                chosen = declared[field][value]
                if field == "role":
                    roles &= chosen
                else:
                    accounts &= chosen
            if accounts and roles:
                yield Match(giver=giver, group=group, accounts=accounts, roles=roles)
