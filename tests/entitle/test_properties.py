"""What holds for every document and everybody, whatever they look like."""

import json
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from builders import a_group
from builders_mapping import TODAY, given, in_aws_ou, plain_group, snapshot_of
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from broker.authenticate.identity import Group
from broker.entitle.entitlement import Entitlement
from broker.entitle.resolve import resolve
from broker.entitle.snapshot import Snapshot, load
from broker.entitle.trace import explain
from broker.evaluate import BUILT_IN, CONDITIONS

some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

ACCOUNTS = {
    "pay-prod": {"id": "000000000001", "env": "prod", "tags": {"team": "pay"}},
    "pay-dev": {"id": "000000000002", "env": "dev", "tags": {"team": "pay"}},
    "ops": {"id": "000000000003", "env": "dev", "tags": {"team": "ops"}},
    "bare": {"id": "000000000004"},
}
ROLES = {name: {"iam_role": f"f/{name}", "max_session": "1h"} for name in ("read", "write", "admin")}
PINNED, BY_DN, PLAIN = a_group("Pinned", rid=1), a_group("ByDn", rid=2), plain_group("plain")
GROUPS = {
    "pinned": {"provider": "corp-ad", "dn": PINNED.dn, "id": PINNED.id},
    "by-dn": {"provider": "corp-ad", "dn": BY_DN.dn},
    "plain": {"provider": "okta", "name": "plain"},
}
MINE = [
    PINNED,
    replace(PINNED, id="S-1-9", name="a namesake"),
    replace(PINNED, dn="CN=Moved,OU=Groups,DC=corp,DC=example"),
    replace(PINNED, provider="okta"),
    BY_DN,
    replace(BY_DN, id="S-1-8", dn=BY_DN.dn.upper()),
    replace(BY_DN, provider="okta"),
    PLAIN,
    replace(PLAIN, name="Plain"),
    replace(PLAIN, provider="corp-ad"),
    *(
        in_aws_ou(name, rid)
        for rid, name in enumerate(["X.pay-dev.read", "x.OPS.admin", "X.bare.write", "Env.dev", "T.pay", "T.Ops"])
    ),
    replace(in_aws_ou("X.pay-prod.admin"), provider="okta"),
    a_group("X.pay-prod.write", rid=77, under="OU=Deep,OU=AWS"),
    a_group("X.pay-prod.write", rid=78, under="OU=Elsewhere"),
    plain_group("x.ops.read"),
    plain_group("x.ops.READ"),
    Group(provider="corp-ad", id="S-1-7", name="X.ops.write", dn="not a dn"),
]
groups = st.lists(st.sampled_from(MINE), max_size=8).map(set)

names = st.lists(st.sampled_from(sorted(ACCOUNTS)), max_size=3)
environments = st.lists(st.sampled_from(["prod", "dev"]), max_size=2)
teams = st.fixed_dictionaries({"team": st.lists(st.sampled_from(["pay", "ops"]), max_size=2)})
excepted = names | st.fixed_dictionaries({"env": environments}, optional={"tags": teams})
account_selectors = (
    st.just("all")
    | names
    | st.fixed_dictionaries(
        {"names": st.just("all") | names}, optional={"env": environments, "tags": teams, "except": excepted}
    )
)
role_names = st.lists(st.sampled_from(sorted(ROLES)), max_size=2)
role_selectors = (
    st.just("all")
    | role_names
    | st.fixed_dictionaries({"names": st.just("all") | role_names}, optional={"except": role_names})
)
declared = st.lists(st.sampled_from(sorted(GROUPS)), max_size=2)
EVERY_TEMPLATE = [
    *(
        {"provider": "corp-ad", "under": "OU=AWS,DC=corp,DC=example", "named": named}
        for named in ("X.{account}.{role}", "Env.{account.env}", "T.{account.tags.team}")
    ),
    {"provider": "okta", "named": "x.{account}.{role}"},
]
templates = st.sampled_from(EVERY_TEMPLATE)
conditions = st.sampled_from(
    [
        {"mfa": {"max_age": "8h"}},
        {"mfa": {"methods": ["webauthn"]}},
        {"source_ip": {"in": ["10.0.0.0/8"]}, "tls": {"min": "1.2"}},
    ]
)
expiries = st.sampled_from(["2020-01-01", (TODAY + timedelta(days=1)).isoformat(timespec="seconds")])

mappings = st.fixed_dictionaries(
    {"groups": declared | templates, "accounts": account_selectors, "roles": role_selectors},
    optional={"conditions": conditions, "expires": expiries},
)
denies = st.fixed_dictionaries(
    {
        "groups": st.lists(st.sampled_from(sorted(GROUPS)), min_size=1, max_size=2) | templates,
        "accounts": st.just("all") | st.sampled_from(sorted(ACCOUNTS)).map(lambda name: [name]),
        "roles": st.just("all") | st.sampled_from(sorted(ROLES)).map(lambda name: [name]),
    }
).filter(lambda deny: deny["accounts"] != ["bare"] or ".{account." not in str(deny["groups"]))  # it would match nobody
guardrails = st.fixed_dictionaries(
    {"conditions": conditions},
    optional={"accounts": st.just({"env": ["prod"]}), "roles": st.sampled_from(sorted(ROLES)).map(lambda name: [name])},
)


def named(prefix: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": f"{prefix}-{index}", **entry} for index, entry in enumerate(entries)]


documents = st.builds(
    lambda m, d, g: {
        "version": 1,
        "groups": GROUPS,
        "accounts": ACCOUNTS,
        "roles": ROLES,
        "mappings": named("m", m),
        "denies": named("d", d),
        "guardrails": named("g", g),
    },
    st.lists(mappings, max_size=5),
    st.lists(denies, max_size=1),
    st.lists(guardrails, max_size=2),
)


def compiled(document: dict[str, Any]) -> Snapshot:
    """In one line, so that what is added moves no line numbers."""
    return snapshot_of(json.dumps(document))


def plus(document: dict[str, Any], section: str, entry: dict[str, Any]) -> Snapshot:
    return compiled({**document, section: [*document[section], {"name": "another", **entry}]})


@some
@for_all(documents, groups)
def test_the_trace_always_has_the_outcome_of_resolve(document: dict[str, Any], mine: set[Group]) -> None:
    snapshot = compiled(document)
    found = given(snapshot, *mine)
    for account in ACCOUNTS:
        for role in ROLES:
            trace = explain(snapshot, mine, account=account, role=role, now=TODAY)
            assert trace.entitlement == found.get(f"{account}/{role}")
            assert resolve(snapshot, mine, now=TODAY, only=trace.key) == (
                (trace.entitlement,) if trace.entitlement else ()
            )


@pytest.mark.parametrize("groups", [["pinned"], ["by-dn"], ["plain"], *EVERY_TEMPLATE], ids=str)
def test_the_trace_has_the_outcome_of_resolve_for_each_group_alone(groups: object) -> None:
    rule = {"groups": groups, "accounts": "all", "roles": "all"}
    base = {"version": 1, "groups": GROUPS, "accounts": ACCOUNTS, "roles": ROLES}
    gives = compiled({**base, "mappings": [{"name": "m", **rule}]})
    open_to_all = {"groups": {"provider": "all", "named": "{role}"}, "accounts": "all"}
    denies = compiled({**base, "mappings": [{"name": "m", **open_to_all}], "denies": [{"name": "d", **rule}]})
    everything = {plain_group(role, provider="all") for role in ROLES}
    counted = 0
    for group in MINE:
        for snapshot, mine in ((gives, {group}), (denies, {group, *everything})):
            found = given(snapshot, *mine)
            counted += len(found)
            for key in snapshot.keys("*/*"):
                account, _, role = key.partition("/")
                assert explain(snapshot, mine, account=account, role=role, now=TODAY).entitlement == found.get(key)
    assert counted


@some
@for_all(documents)
def test_who_is_in_no_group_gets_nothing(document: dict[str, Any]) -> None:
    assert not given(compiled(document))


@some
@for_all(documents, groups, denies)
def test_a_deny_never_gives_and_wins_where_it_counts(
    document: dict[str, Any], mine: set[Group], deny: dict[str, Any]
) -> None:
    before, after = given(compiled(document), *mine), given(plus(document, "denies", deny), *mine)
    assert all(before.get(key) == replace(left, revision=before[key].revision) for key, left in after.items())
    everything = {"groups": ["pinned", "by-dn", "plain"], "accounts": "all", "roles": "all"}
    if mine & {PINNED, BY_DN, PLAIN}:
        assert not given(plus(document, "denies", everything), *mine)


@some
@for_all(documents, groups, mappings)
def test_a_mapping_never_takes_and_never_softens_a_guardrail(
    document: dict[str, Any], mine: set[Group], mapping: dict[str, Any]
) -> None:
    before, after = given(compiled(document), *mine), given(plus(document, "mappings", mapping), *mine)
    for key, entitlement in before.items():
        assert after[key].guardrails == entitlement.guardrails
        conditions_of = {rule.name: rule.conditions for rule in after[key].grants}
        assert all(conditions_of[rule.name] == rule.conditions for rule in entitlement.grants)
        assert set(conditions_of) - {rule.name for rule in entitlement.grants} <= {"another"}


@some
@for_all(documents, groups, guardrails)
def test_a_guardrail_gives_nothing_takes_nothing_and_always_stays(
    document: dict[str, Any], mine: set[Group], guardrail: dict[str, Any]
) -> None:
    before, after = given(compiled(document), *mine), given(plus(document, "guardrails", guardrail), *mine)
    assert before.keys() == after.keys()
    for key, entitlement in after.items():
        assert entitlement.grants == before[key].grants
        assert set(entitlement.guardrails) >= set(before[key].guardrails)
        assert entitlement.guardrails[0].conditions == BUILT_IN


@some
@for_all(documents, groups, groups)
def test_more_groups_never_take_except_by_a_deny(document: dict[str, Any], mine: set[Group], more: set[Group]) -> None:
    snapshot = compiled({**document, "denies": []})
    assert given(snapshot, *mine).keys() <= given(snapshot, *mine, *more).keys()


@some
@for_all(documents, groups, st.randoms(use_true_random=False))
def test_order_never_matters(document: dict[str, Any], mine: set[Group], order: Random) -> None:
    turned = json.loads(json.dumps(document))
    for section in ("mappings", "denies", "guardrails"):
        order.shuffle(turned[section])
    for section in ("groups", "accounts", "roles"):
        turned[section] = dict(reversed(turned[section].items()))
    shuffled = sorted(mine)
    order.shuffle(shuffled)
    one, other = compiled(document), compiled(turned)
    assert one.revision == other.revision
    left = resolve(one, mine, now=TODAY)
    right = resolve(other, shuffled, now=TODAY)
    assert [_facts(entitlement) for entitlement in left] == [_facts(entitlement) for entitlement in right]


def _facts(entitlement: Entitlement) -> tuple[Any, ...]:
    """All but the lines of the file."""
    rules = [[(rule.name, rule.conditions) for rule in rules] for rules in (entitlement.grants, entitlement.guardrails)]
    return entitlement.key, entitlement.role_arn, rules


@some
@for_all(documents, groups)
def test_a_loaded_snapshot_gives_the_same(document: dict[str, Any], mine: set[Group]) -> None:
    snapshot = compiled(document)
    assert given(load(snapshot.dump(), CONDITIONS, built_in=BUILT_IN), *mine) == given(snapshot, *mine)
