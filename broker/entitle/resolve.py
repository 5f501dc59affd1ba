"""WHICH ROLES? From groups to entitlements: pure, default deny, explicit deny wins, order never matters.

`Snapshot` + groups + instant -> the entitlements. No clock, no directory, no condition is judged here.
"""

from collections.abc import Iterable
from datetime import datetime

from broker.authenticate.identity import Group
from broker.entitle.entitlement import Entitlement, Rule
from broker.entitle.index import distinguished
from broker.entitle.snapshot import Snapshot

Key = tuple[str, str]
"""Account and role, by name."""


def resolve(
    snapshot: Snapshot, groups: Iterable[Group], *, now: datetime, only: str | None = None
) -> tuple[Entitlement, ...]:
    """Everything that the document gives to somebody in `groups`, in the order of `account/role`.

    `only`: of that, the one `account/role` (cheaper than all of them). Nothing matches, nothing is given. Each
    entitlement lists every mapping that gives it (any one must pass) and every guardrail that stands before it, the
    built-in one first (all must pass). An entitlement is not a permission.
    """
    groups = frozenset(groups)
    account_asked, _, role_asked = only.partition("/") if only is not None else ("", "", "")
    given: dict[Key, dict[str, Rule]] = {}
    for match in snapshot.mapping_index.match(groups):
        if match.giver.expired(now):  # check: mapping-expired
            continue
        for account in match.accounts if only is None else match.accounts & {account_asked}:
            for role in match.roles if only is None else match.roles & {role_asked}:
                given.setdefault((account, role), {})[match.giver.rule.name] = match.giver.rule
    if not given:
        return ()
    for deny in snapshot.deny_index.match(groups):
        if denied := [key for key in given if key[0] in deny.accounts and key[1] in deny.roles]:  # check: deny-wins
            for key in denied:
                del given[key]
    return tuple(_entitlement(snapshot, key, given[key]) for key in sorted(given))


def find(entitlements: Iterable[Entitlement], key: str) -> Entitlement | None:
    """The one whose `key` (`account/role`) this is."""
    return next((entitlement for entitlement in entitlements if entitlement.key == key), None)


def replaced_groups(snapshot: Snapshot, groups: Iterable[Group]) -> tuple[tuple[str, Group], ...]:
    """Declared groups whose DN (or plain name) now carries another id than the document says: to be reported.

    (name in the document, the group that has its DN now). It grants nothing; a deny counts all the same.
    """
    named: dict[str, list[Group]] = {}
    for group in sorted(frozenset(groups)):
        dn = distinguished(group)
        named.setdefault(str(dn) if dn else group.name, []).append(group)
    pinned = ((ref, named.get(ref.dn or ref.plain, ())) for ref in snapshot.groups if ref.id)
    return tuple((ref.name, group) for ref, there in pinned for group in there if ref.replaced_by(group))


def _entitlement(snapshot: Snapshot, key: Key, grants: dict[str, Rule]) -> Entitlement:
    account, role = snapshot.catalogue.accounts[key[0]], snapshot.catalogue.roles[key[1]]
    guardrails = (rail.rule for rail in snapshot.guardrails if key[0] in rail.accounts and key[1] in rail.roles)
    return Entitlement(
        account=account,
        role=role,
        role_arn=snapshot.catalogue.role_arn(*key),
        grants=tuple(grants[name] for name in sorted(grants)),
        guardrails=(snapshot.built_in, *guardrails),
        revision=snapshot.revision,
    )
