"""WHY? Every rule that concerns one role in one account, and the part it plays for somebody in these groups.

Written without the index and the template reader on purpose: it goes through all rules and compares, so that `explain`
and `resolve` are two answers to one question, and the tests hold them together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.authenticate.identity import Group
from broker.entitle.arn import role_arn
from broker.entitle.dn import fold
from broker.entitle.entitlement import Entitlement, Rule
from broker.entitle.index import Giver, GroupTemplate, distinguished
from broker.entitle.snapshot import Snapshot
from broker.entitle.template import account_value
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
    """For people: the groups that would, any one of them."""


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
    denies = tuple(_lines(snapshot, snapshot.denies, mine, (account, role), _deny_part(now)))
    mappings = tuple(_lines(snapshot, snapshot.mappings, mine, (account, role), _mapping_part(now)))
    rails = (rail.rule for rail in snapshot.guardrails if account in rail.accounts and role in rail.roles)
    guards = tuple(Line(rule=rule, part=Part.GUARDS) for rule in (snapshot.built_in, *rails))
    return Trace(
        key=f"{account}/{role}",
        revision=snapshot.revision,
        lines=(*denies, *mappings, *guards),
        entitlement=_outcome(snapshot, account, role, (*denies, *mappings, *guards)),
    )
