"""WHY? Every rule that concerns one role in one account, and the part it plays for somebody in these groups.

Written without the index and the template reader on purpose: it goes through all rules and compares, so that `explain`
and `resolve` are two answers to one question, and the tests hold them together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.authenticate.identity import Group
from broker.entitle.dn import fold, parse_dn
from broker.entitle.entitlement import Entitlement, Rule
from broker.entitle.index import Giver, GroupTemplate, distinguished
from broker.entitle.resolve import Key
from broker.entitle.snapshot import Snapshot
from broker.entitle.template import MAX_NAME, account_value
from broker.errors import NotFound


class Part(StrEnum):
    """The part that a rule plays."""

    GIVES = "gives"
    """A mapping, by one of the groups."""
    NO_GROUP = "no-group"
    """A mapping that would give it to somebody in other groups."""
    EXPIRED = "expired"
    """A mapping that gave it until it expired."""
    REPLACED = "replaced"
    """A mapping whose group was replaced in the directory by another one of the same name: it gives nothing."""
    DENIES = "denies"
    """A deny, by one of the groups: it wins."""
    DOES_NOT_DENY = "does-not-deny"
    """A deny for somebody in other groups."""
    GUARDS = "guards"
    """A guardrail, or the built-in rule: its conditions join every grant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One rule and its part."""

    rule: Rule
    part: Part
    by: tuple[Group, ...] = ()
    """The groups that make it count."""
    needs: tuple[str, ...] = ()
    """For operators: the groups that would, any one of them."""
    names: tuple[str, ...] = ()
    """The same by their names alone, for people; folded where the document has only a DN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What the document says about one role in one account for somebody."""

    key: str
    """`account/role`"""
    revision: str
    lines: tuple[Line, ...]
    """Denies, mappings, guardrails; each by name, the built-in rule first of its kind."""
    entitlement: Entitlement | None
    """None: not given, or denied."""


def explain(snapshot: Snapshot, groups: Iterable[Group], *, account: str, role: str, now: datetime) -> Trace:
    """The part of every rule that concerns `account`/`role`.

    Raises `NotFound` when the document declares no such account or role.
    """
    if account not in snapshot.catalogue.accounts or role not in snapshot.catalogue.roles:
        message = "The mapping document declares no such account or role."
        raise NotFound(message, remedy="Look at `accounts:` and `roles:` in the mapping document.")
    mine = tuple(sorted(frozenset(groups)))
    key = (account, role)
    denies = tuple(_deny(giver, mine, snapshot, key) for giver in _concerning(snapshot, snapshot.denies, key))
    mappings = tuple(
        _mapping(giver, mine, snapshot, key, now) for giver in _concerning(snapshot, snapshot.mappings, key)
    )
    rails = (rail.rule for rail in snapshot.guardrails if account in rail.accounts and role in rail.roles)
    guards = tuple(Line(rule=rule, part=Part.GUARDS) for rule in (snapshot.built_in, *rails))
    lines = (*denies, *mappings, *guards)
    return Trace(
        key=f"{account}/{role}",
        revision=snapshot.revision,
        lines=lines,
        entitlement=_outcome(snapshot, key, lines),
    )


def _concerning(snapshot: Snapshot, givers: Iterable[Giver], key: Key) -> Iterator[Giver]:
    for giver in givers:
        if key[0] not in giver.accounts or key[1] not in giver.roles:
            continue
        if giver.template is None or all(_values(snapshot, giver.template, key).values()):
            yield giver


def _deny(giver: Giver, mine: tuple[Group, ...], snapshot: Snapshot, key: Key) -> Line:
    by = _by(giver, mine, snapshot, key)
    by += tuple(group for group in _replacing(giver, mine) if group not in by)
    part = Part.DENIES if by else Part.DOES_NOT_DENY
    return Line(rule=giver.rule, part=part, by=by, needs=_needs(giver, snapshot, key))


def _mapping(giver: Giver, mine: tuple[Group, ...], snapshot: Snapshot, key: Key, now: datetime) -> Line:
    by, replacing = _by(giver, mine, snapshot, key), _replacing(giver, mine)
    part = Part.GIVES if by else Part.REPLACED if replacing else Part.NO_GROUP
    return Line(
        rule=giver.rule,
        part=Part.EXPIRED if giver.expired(now) else part,
        by=by or (() if giver.expired(now) else replacing),
        needs=_needs(giver, snapshot, key),
        names=_names(giver, snapshot, key),
    )


def _by(giver: Giver, mine: tuple[Group, ...], snapshot: Snapshot, key: Key) -> tuple[Group, ...]:
    """The groups that make it count for this key."""
    if giver.template is None:
        return tuple(group for group in mine if any(ref.means(group) for ref in giver.groups))
    wanted = _name(snapshot, giver.template, key)
    return tuple(group for group in mine if _stands(giver.template, group, wanted))


def _replacing(giver: Giver, mine: tuple[Group, ...]) -> tuple[Group, ...]:
    return tuple(group for group in mine if any(ref.replaced_by(group) for ref in giver.groups))


def _stands(reference: GroupTemplate, group: Group, wanted: str) -> bool:
    """Whether the group has this name, in the right place."""
    if group.provider != reference.provider or len(wanted) > MAX_NAME:
        return False
    if reference.under is None:
        return not group.dn and group.name == wanted
    named = distinguished(group)
    under = reference.under.rdns
    return (
        named is not None
        and named.name == fold(wanted)
        and under in {named.rdns[at:] for at in range(1, len(named.rdns))}
    )


def _values(snapshot: Snapshot, reference: GroupTemplate, key: Key) -> dict[str, str]:
    account = snapshot.catalogue.accounts[key[0]]
    return {name: key[1] if name == "role" else account_value(account, name) for name in reference.written.fields}


def _name(snapshot: Snapshot, reference: GroupTemplate, key: Key) -> str:
    """The name of the group that gives `key` by this template, as people write it."""
    return reference.written.fill(_values(snapshot, reference, key))


def _needs(giver: Giver, snapshot: Snapshot, key: Key) -> tuple[str, ...]:
    if giver.template is not None:
        name = _name(snapshot, giver.template, key)
        return (f"{name} under {giver.template.under}" if giver.template.under else name,)
    return tuple(ref.dn or ref.plain or ref.id for ref in giver.groups)


def _names(giver: Giver, snapshot: Snapshot, key: Key) -> tuple[str, ...]:
    if giver.template is not None:
        return (_name(snapshot, giver.template, key),)
    return tuple(ref.plain or (parse_dn(ref.dn).name if ref.dn else "") or ref.id for ref in giver.groups)


def _outcome(snapshot: Snapshot, key: Key, lines: tuple[Line, ...]) -> Entitlement | None:
    grants = tuple(line.rule for line in lines if line.part is Part.GIVES)
    if not grants or any(line.part is Part.DENIES for line in lines):
        return None
    account, role = snapshot.catalogue.accounts[key[0]], snapshot.catalogue.roles[key[1]]
    return Entitlement(
        account=account,
        role=role,
        role_arn=snapshot.catalogue.role_arn(*key),
        grants=grants,
        guardrails=tuple(line.rule for line in lines if line.part is Part.GUARDS),
        revision=snapshot.revision,
    )
