"""From groups to entitlements, example by example."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from builders import a_group
from builders_mapping import (
    LEAVERS,
    SRE,
    TODAY,
    a_mapping,
    by_template,
    given,
    in_aws_ou,
    plain_group,
    snapshot_of,
    sound,
)

from broker.authenticate.identity import Group
from broker.entitle.resolve import find, replaced_groups, resolve
from broker.evaluate import BUILT_IN

DENY = {"name": "no", "groups": ["leavers"], "accounts": "all", "roles": "all"}


def keys(*groups: Group, now: datetime = TODAY, **sections: object) -> set[str]:
    return set(given(snapshot_of(sound(**sections)), *groups, now=now))


def test_nothing_matches_nothing_granted() -> None:
    assert not keys()
    assert not keys(SRE)
    assert not keys(mappings=[a_mapping()])
    assert not keys(LEAVERS, mappings=[a_mapping()])


def test_a_group_gives_its_roles_in_its_accounts_and_no_more() -> None:
    mapping = a_mapping(accounts=["payments-dev"], roles=["read-only", "admin"])
    assert keys(SRE, mappings=[mapping]) == {"payments-dev/read-only", "payments-dev/admin"}


def test_all_accounts_are_also_those_that_are_added_later() -> None:
    accounts = {**sound()["accounts"], "new": {"id": "999999999999"}}
    assert "new/read-only" in keys(SRE, accounts=accounts, mappings=[a_mapping()])


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"env": ["dev"]}, {"payments-dev", "platform-dev"}),
        ({"env": ["dev", "prod"]}, {"payments-dev", "platform-dev", "payments-prod"}),
        ({"env": ["dev"], "tags": {"team": ["payments"]}}, {"payments-dev"}),
        ({"tags": {"team": ["payments"], "cost": ["1"]}}, set()),
        ({"names": ["payments-dev", "payments-prod"], "env": ["prod"]}, {"payments-prod"}),
        ({"names": "all", "except": ["payments-prod"]}, {"payments-dev", "platform-dev"}),
        (
            {"names": "all", "except": {"env": ["dev"], "tags": {"team": ["payments"]}}},
            {"platform-dev", "payments-prod"},
        ),
        ({"env": ["dev"], "except": {"names": ["platform-dev"]}}, {"payments-dev"}),
        ({"env": []}, set()),
        ({"tags": {"team": []}}, set()),
    ],
)
def test_all_fields_of_a_selector_must_hold(selector: object, expected: set[str]) -> None:
    found = keys(SRE, mappings=[a_mapping(accounts=selector)])
    assert found == {f"{account}/read-only" for account in expected}


def test_roles_are_selected_by_name_with_exceptions() -> None:
    mapping = a_mapping(accounts=["payments-dev"], roles={"names": "all", "except": ["admin"]})
    assert keys(SRE, mappings=[mapping]) == {"payments-dev/read-only", "payments-dev/power-user"}


def test_where_an_id_is_given_it_decides() -> None:
    moved = replace(SRE, dn="CN=SRE,OU=Elsewhere,DC=corp,DC=example", name="renamed")
    taken = replace(SRE, id=SRE.id + "9")
    assert keys(moved, mappings=[a_mapping()])
    assert not keys(taken, mappings=[a_mapping()])


def test_a_replaced_group_is_reported() -> None:
    taken = replace(SRE, id=SRE.id + "9")
    snapshot = snapshot_of(sound(mappings=[a_mapping()]))
    assert replaced_groups(snapshot, [taken, LEAVERS]) == (("sre", taken),)
    assert replaced_groups(snapshot, [SRE, LEAVERS]) == ()
    assert replaced_groups(snapshot, [replace(taken, provider="other-ad")]) == ()


def test_a_replaced_group_is_still_denied() -> None:
    deny = {**DENY, "groups": ["sre"]}
    mapping = a_mapping(groups=["contractors"])
    taken = replace(SRE, id=SRE.id + "9")
    contractor = plain_group("aws-contractors")
    assert keys(contractor, mappings=[mapping], denies=[deny])
    assert not keys(contractor, SRE, mappings=[mapping], denies=[deny])
    assert not keys(contractor, taken, mappings=[mapping], denies=[deny])


def test_a_replaced_plain_group_gives_nothing_and_is_still_denied() -> None:
    groups = {**sound()["groups"], "pinned": {"provider": "okta", "name": "ops", "id": "00g1"}}
    taken = replace(plain_group("ops"), id="00g2")
    mapping = a_mapping(groups=["pinned"])
    assert keys(replace(taken, id="00g1"), groups=groups, mappings=[mapping])
    assert not keys(taken, groups=groups, mappings=[mapping])
    deny = {**DENY, "groups": ["pinned"]}
    assert not keys(taken, SRE, groups=groups, mappings=[a_mapping()], denies=[deny])


@pytest.mark.parametrize(
    "dn",
    [
        "cn=aws-blocked,ou=groups,dc=corp,dc=example",
        "CN=AWS-Blocked, OU=Groups, DC=corp, DC=example",
        "CN=\\41WS-Blocked,OU=Groups,DC=corp,DC=example",
    ],
)
def test_a_dn_counts_however_it_is_spelled(dn: str) -> None:
    assert keys(replace(LEAVERS, dn=dn), mappings=[a_mapping(groups=["leavers"])])


@pytest.mark.parametrize(
    "dn",
    [
        "CN=AWS-Blocked,OU=Groups,OU=Evil,DC=corp,DC=example",
        "CN=AWS-Blocked,OU=Groups,DC=corp,DC=example,DC=evil",
        "CN=AWS-Blocked\\,OU=Groups,DC=corp,DC=example",
        "OU=AWS-Blocked,OU=Groups,DC=corp,DC=example",
        "CN=AWS-Blocked;OU=Groups,DC=corp,DC=example",
        "",
    ],
)
def test_another_dn_does_not(dn: str) -> None:
    assert not keys(replace(LEAVERS, dn=dn), mappings=[a_mapping(groups=["leavers"])])


def test_a_group_of_another_provider_never_matches() -> None:
    mappings = [
        a_mapping(),
        a_mapping("by-dn", groups=["leavers"]),
        a_mapping("by-name", groups=["contractors"]),
        by_template(),
        {"name": "plain", "groups": {"provider": "okta", "named": "{account}_{role}"}},
    ]
    mine = [
        SRE,
        LEAVERS,
        plain_group("aws-contractors"),
        in_aws_ou("AWS-payments-dev-admin"),
        plain_group("payments-dev_admin"),
    ]
    for group in mine:
        assert keys(group, mappings=mappings)
        assert not keys(replace(group, provider="other"), mappings=mappings)


def test_a_plain_name_is_exact_and_never_a_dns_name() -> None:
    mapping = a_mapping(groups=["contractors"])
    assert keys(plain_group("aws-contractors"), mappings=[mapping])
    assert not keys(plain_group("AWS-Contractors"), mappings=[mapping])
    with_dn = Group(provider="okta", id="1", name="aws-contractors", dn="CN=aws-contractors,OU=Mine,DC=x")
    assert not keys(with_dn, mappings=[mapping])
    unreadable = replace(with_dn, dn="aws-contractors")
    assert not keys(unreadable, mappings=[mapping])


def test_a_template_gives_what_the_name_says() -> None:
    assert keys(in_aws_ou("AWS-payments-dev-power-user"), mappings=[by_template()]) == {"payments-dev/power-user"}
    assert keys(in_aws_ou("aws-PAYMENTS-dev-power-user"), mappings=[by_template()]) == {"payments-dev/power-user"}


@pytest.mark.parametrize(
    "group",
    [
        in_aws_ou("AWS-payments-dev-root"),
        in_aws_ou("AWS-payments-dev-power-user-x"),
        in_aws_ou("xAWS-payments-dev-power-user"),
        in_aws_ou("AWS-.*-power-user"),
        in_aws_ou("AWS-payments-dev-power-user\\0ACNF:6f9619ff"),
        a_group("AWS-payments-dev-power-user", under="OU=Groups"),
        a_group("AWS-payments-dev-power-user", under="OU=AWS,OU=Groups"),
        a_group("AWS-payments-dev-power-user", under="OU=XAWS"),
        a_group("AWS-payments-dev-power-user", under="CN=x\\,OU=AWS"),
        a_group("AWS-payments-dev-power-user", under="OU=AWS+CN=x"),
        a_group("AWS-payments-dev-power-user+CN=x", under="OU=AWS"),
        Group(provider="corp-ad", id="1", name="AWS-payments-dev-power-user"),
        Group(provider="corp-ad", id="1", name="AWS-payments-dev-power-user", dn="CN=other,OU=AWS,DC=corp,DC=example"),
        Group(provider="corp-ad", id="1", name="AWS-payments-dev-power-user", dn="OU=AWS,DC=corp,DC=example"),
    ],
)
def test_a_name_that_is_not_just_that_in_the_right_place_gives_nothing(group: Group) -> None:
    assert not keys(group, mappings=[by_template()])


def test_under_is_a_suffix_of_whole_parts_and_reaches_below() -> None:
    assert keys(a_group("AWS-payments-dev-admin", under="OU=Payments,OU=AWS"), mappings=[by_template()])


def test_a_template_by_tag_selects_every_account_that_has_it() -> None:
    mapping = by_template(named="Team-{account.tags.team}", accounts={"env": ["dev"]}, roles=["power-user"])
    assert keys(in_aws_ou("Team-payments"), mappings=[mapping]) == {"payments-dev/power-user"}
    assert keys(in_aws_ou("Team-platform"), mappings=[mapping]) == {"platform-dev/power-user"}
    assert not keys(in_aws_ou("Team-unknown"), mappings=[mapping])
    everywhere = {**mapping, "accounts": "all"}
    assert keys(in_aws_ou("Team-payments"), mappings=[everywhere]) == {
        "payments-dev/power-user",
        "payments-prod/power-user",
    }


def test_all_fields_of_a_template_must_be_of_one_account() -> None:
    mapping = by_template(named="{account.env}_{account.tags.team}", accounts="all", roles=["admin"])
    assert keys(in_aws_ou("dev_platform"), mappings=[mapping]) == {"platform-dev/admin"}
    assert not keys(in_aws_ou("prod_platform"), mappings=[mapping])


def test_selectors_narrow_a_template() -> None:
    mapping = by_template(accounts={"env": ["dev"]}, roles={"names": "all", "except": ["admin"]})
    assert keys(in_aws_ou("AWS-payments-dev-power-user"), mappings=[mapping])
    assert not keys(in_aws_ou("AWS-payments-dev-admin"), mappings=[mapping])
    assert not keys(in_aws_ou("AWS-payments-prod-power-user"), mappings=[mapping])


def test_a_template_of_plain_names_compares_them_exactly() -> None:
    mapping = {"name": "x", "groups": {"provider": "okta", "named": "aws:{account}:{role}"}}
    assert keys(plain_group("aws:payments-dev:admin"), mappings=[mapping]) == {"payments-dev/admin"}
    assert not keys(plain_group("AWS:payments-dev:admin"), mappings=[mapping])
    assert not keys(plain_group("aws:payments-dev:ADMIN"), mappings=[mapping])


def test_a_deny_wins_over_everything() -> None:
    mappings = [a_mapping(roles="all"), by_template()]
    assert len(keys(SRE, mappings=mappings, denies=[DENY])) == 9
    assert not keys(SRE, LEAVERS, in_aws_ou("AWS-payments-dev-admin"), mappings=mappings, denies=[DENY])


def test_a_deny_takes_what_it_names_and_leaves_the_rest() -> None:
    deny = {**DENY, "accounts": {"env": ["prod"]}, "roles": ["admin"]}
    found = keys(SRE, LEAVERS, mappings=[a_mapping(roles="all")], denies=[deny])
    assert len(found) == 8
    assert "payments-prod/admin" not in found


def test_a_deny_may_be_by_template() -> None:
    deny = {"name": "no", "groups": by_template(named="NOT-{account}")["groups"], "roles": "all"}
    found = keys(SRE, in_aws_ou("not-payments-dev"), mappings=[a_mapping()], denies=[deny])
    assert found == {"payments-prod/read-only", "platform-dev/read-only"}


def test_an_expired_mapping_grants_nothing_from_that_moment_on() -> None:
    mapping = a_mapping(expires="2027-06-30")
    moment = datetime(2027, 6, 30, tzinfo=UTC)
    assert keys(SRE, now=moment - timedelta(microseconds=1), mappings=[mapping])
    assert not keys(SRE, now=moment, mappings=[mapping])


def test_mappings_that_give_the_same_are_alternatives_with_their_own_conditions() -> None:
    strict = a_mapping("strict", conditions={"mfa": {"max_age": "5m"}})
    snapshot = snapshot_of(sound(mappings=[a_mapping("lax"), strict]))
    grants = given(snapshot, SRE)["payments-dev/read-only"].grants
    assert [(rule.name, [c.name for c in rule.conditions]) for rule in grants] == [("lax", []), ("strict", ["mfa"])]


def test_a_mapping_by_two_groups_is_one_grant() -> None:
    one = a_group("AWS-payments-dev-admin", rid=1, under="OU=A,OU=AWS")
    other = a_group("AWS-payments-dev-admin", rid=2, under="OU=B,OU=AWS")
    found = given(snapshot_of(sound(mappings=[by_template()])), one, other)
    assert len(found["payments-dev/admin"].grants) == 1


def test_guardrails_stand_before_every_grant_that_they_match_the_built_in_one_first() -> None:
    rails = [
        {"name": "z-prod", "accounts": {"env": ["prod"]}, "conditions": {"mfa": {"max_age": "8h"}}},
        {"name": "a-admin", "roles": ["admin"], "conditions": {"mfa": {"methods": ["webauthn"]}}},
    ]
    found = given(snapshot_of(sound(mappings=[a_mapping(roles="all")], guardrails=rails)), SRE)
    assert [rule.name for rule in found["payments-prod/admin"].guardrails] == ["built-in", "a-admin", "z-prod"]
    assert [rule.name for rule in found["payments-dev/admin"].guardrails] == ["built-in", "a-admin"]
    assert [rule.name for rule in found["payments-dev/read-only"].guardrails] == ["built-in"]
    assert found["payments-dev/read-only"].guardrails[0].conditions == BUILT_IN


def test_the_answer_is_in_order_and_carries_arn_and_revision() -> None:
    snapshot = snapshot_of(sound(mappings=[a_mapping(roles="all")]))
    found = resolve(snapshot, [SRE], now=TODAY)
    assert [entitlement.key for entitlement in found] == sorted(entitlement.key for entitlement in found)
    assert {entitlement.revision for entitlement in found} == {snapshot.revision}
    assert found[0].role_arn == "arn:aws:iam::210987654321:role/federated/Admin"


def test_one_alone_is_the_same_as_among_all() -> None:
    snapshot = snapshot_of(sound(mappings=[a_mapping(roles="all"), by_template()], denies=[DENY]))
    every = resolve(snapshot, [SRE], now=TODAY)
    for entitlement in every:
        assert resolve(snapshot, [SRE], now=TODAY, only=entitlement.key) == (entitlement,)
        assert find(every, entitlement.key) == entitlement
    for nonsense in ("payments-dev", "payments-dev/", "/admin", "*/*", "", "payments-dev/admin/x"):
        assert resolve(snapshot, [SRE], now=TODAY, only=nonsense) == ()
        assert find(every, nonsense) is None
