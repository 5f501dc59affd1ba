"""Do the names of the document fit together?"""

from typing import Any

import pytest
from builders_mapping import (
    DOMAIN,
    LEAVERS,
    SRE,
    a_mapping,
    by_template,
    document_of,
    given,
    problems_of,
    snapshot_of,
    sound,
)

from broker.errors import ConfigurationError


def whats(**sections: object) -> str:
    return "\n".join(map(str, problems_of(sound(**sections))))


def warnings(**sections: object) -> str:
    return "\n".join(map(str, document_of(sound(**sections)).warnings))


DENY = {"name": "no", "groups": ["sre"], "accounts": "all", "roles": "all"}
RAIL = {"name": "rail", "conditions": {"mfa": {}}}


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"groups": ["sre", "srr"]}, "there is no 'srr' under `groups`"),
        ({"accounts": ["nowhere"]}, "there is no 'nowhere' under `accounts`"),
        ({"accounts": {"names": ["nowhere"]}}, "there is no 'nowhere' under `accounts`"),
        ({"accounts": {"names": "all", "except": ["nowhere"]}}, "there is no 'nowhere' under `accounts`"),
        ({"accounts": {"env": ["dev"], "except": {"names": ["nowhere"]}}}, "there is no 'nowhere' under `accounts`"),
        ({"roles": ["rot"]}, "there is no 'rot' under `roles`"),
        ({"roles": {"names": "all", "except": ["rot"]}}, "there is no 'rot' under `roles`"),
        ({"accounts": ["Payments-dev"]}, "there is no 'Payments-dev' under `accounts`"),
    ],
)
def test_every_reference_leads_somewhere(entry: dict[str, Any], what: str) -> None:
    assert what in whats(mappings=[a_mapping(**entry)])
    assert what in whats(denies=[{**DENY, **entry}])


@pytest.mark.parametrize("key", ["accounts", "roles"])
def test_what_is_not_said_is_not_all(key: str) -> None:
    assert f"'{key}' is missing; list them, or write `{key}: all`" in whats(
        mappings=[{k: v for k, v in a_mapping().items() if k != key}]
    )
    assert f"'{key}' is missing" in whats(denies=[{k: v for k, v in DENY.items() if k != key}])
    named = "X-{role}" if key == "accounts" else "X-{account}"
    assert f"'{key}' is missing" in whats(mappings=[by_template(named=named)])
    assert "'accounts' is missing" in whats(mappings=[by_template(named="X-{account.tags.team}", roles="all")])


def test_a_guardrail_without_selectors_stands_before_everything() -> None:
    snapshot = snapshot_of(mappings=[a_mapping(roles="all")], guardrails=[RAIL])
    found = given(snapshot, SRE)
    assert len(found) == 9
    assert all([rule.name for rule in entry.guardrails] == ["built-in", "rail"] for entry in found.values())


def test_an_empty_list_grants_nothing_and_is_warned_about() -> None:
    for key in ("groups", "accounts", "roles"):
        mapping = {**a_mapping(), key: []}
        assert "the mapping grants nothing" in warnings(mappings=[mapping])
        assert not given(snapshot_of(mappings=[mapping]), SRE)


@pytest.mark.parametrize(
    ("rule", "section"),
    [
        ({**DENY, "groups": []}, "denies"),
        ({**DENY, "accounts": []}, "denies"),
        ({**DENY, "roles": []}, "denies"),
        ({**DENY, "accounts": {"env": ["prd"]}}, "denies"),
        ({**RAIL, "accounts": {"env": ["prd"]}}, "guardrails"),
        ({**RAIL, "accounts": {"names": "all", "except": {"env": ["prod", "dev"]}}}, "guardrails"),
        ({**RAIL, "roles": []}, "guardrails"),
    ],
)
def test_a_rule_that_protects_must_not_protect_nothing(rule: dict[str, Any], section: str) -> None:
    assert "the rule protects nothing" in whats(**{section: [rule]})


def test_a_value_that_no_account_has_is_warned_about() -> None:
    found = warnings(mappings=[a_mapping(accounts={"env": ["dev", "tst"], "tags": {"team": ["paymnts"]}})])
    assert "no account has 'tst' as its env" in found
    assert "no account has 'paymnts' as its tags.team" in found


def test_a_slip_in_a_mappings_except_would_let_too_much_through_and_is_refused() -> None:
    selector = {"names": "all", "except": {"env": ["prd"]}}
    assert "no account has 'prd' as its env" in whats(mappings=[a_mapping(accounts=selector)])
    assert "no account has 'prd'" in warnings(guardrails=[{**RAIL, "accounts": selector}])


def test_an_account_id_is_declared_once() -> None:
    accounts = {"a": {"id": "012345678901"}, "b": {"id": "012345678901"}}
    assert "'a' has this account id too" in whats(accounts=accounts)


@pytest.mark.parametrize(
    ("length", "fits"), [("15m", True), ("12h", True), ("899s", False), ("721m", False), ("0s", False)]
)
def test_a_session_lasts_15_minutes_to_12_hours(length: str, fits: bool) -> None:  # noqa: FBT001 (a table)
    roles = {"read-only": {"iam_role": "R", "max_session": length}}
    if fits:
        snapshot_of(roles=roles, mappings=[a_mapping()])
    else:
        assert "a session lasts 15m to 12h" in whats(roles=roles)


@pytest.mark.parametrize("section", ["groups", "accounts", "roles"])
def test_all_is_no_name(section: str) -> None:
    own = {
        "groups": {"provider": "okta", "name": "x"},
        "accounts": {"id": "999999999999"},
        "roles": {"iam_role": "R", "max_session": "1h"},
    }
    assert "all is a word of its own" in whats(**{section: {"all": own[section]}})


def test_no_rule_may_pose_as_the_brokers_own() -> None:
    assert "built-in is the broker's own rule" in whats(guardrails=[{**RAIL, "name": "built-in"}])


def test_under_is_mandatory_where_groups_have_distinguished_names() -> None:
    template = {"provider": "corp-ad", "named": "AWS-{account}-{role}"}
    assert "`under` is missing" in whats(mappings=[{"name": "x", "groups": template}])
    assert "`under` is missing" in whats(denies=[{"name": "x", "groups": template}])
    document_of(sound(mappings=[{"name": "x", "groups": {**template, "provider": "okta"}}]))


def test_another_template_with_under_shows_that_a_provider_has_distinguished_names() -> None:
    bare = {"name": "x", "groups": {"provider": "corp-ad", "named": "B-{account}-{role}"}}
    assert "`under` is missing" in whats(groups={}, mappings=[by_template(), bare])


def test_a_plain_name_is_refused_where_groups_have_distinguished_names() -> None:
    groups = {"sre": {"provider": "corp-ad", "dn": SRE.dn}, "other": {"provider": "corp-ad", "name": "SRE"}}
    assert "a name alone may be anybody's" in whats(groups=groups)


def test_providers_are_those_of_the_brokers_configuration() -> None:
    document = sound(mappings=[a_mapping(), by_template()])
    document_of(document, providers={"corp-ad": True, "okta": False})
    for providers, what in [
        ({"corp-ad": True}, "there is no provider 'okta' in broker.yaml"),
        ({"corp-ad": False, "okta": False}, "groups of 'corp-ad' have no distinguished names"),
        ({"corp-ad": True, "okta": True}, "a name alone may be anybody's"),
    ]:
        with pytest.raises(ConfigurationError, match=what):
            document_of(document, providers=providers)


def test_a_group_name_with_two_readings_is_refused_and_both_are_named() -> None:
    accounts = {"pay": {"id": "012345678901"}, "pay-dev": {"id": "210987654321"}}
    roles = {name: {"iam_role": "R", "max_session": "1h"} for name in ("dev-admin", "admin")}
    found = whats(accounts=accounts, roles=roles, mappings=[by_template()])
    assert "the group name 'AWS-pay-dev-admin' can be read as account pay" in found
    assert "role dev-admin and as account pay-dev, role admin" in found
    snapshot_of(accounts=accounts, roles=roles, mappings=[by_template(named="AWS-{account}_{role}")])


def test_narrowing_does_not_make_a_name_clear() -> None:
    accounts = {"pay": {"id": "012345678901"}, "pay-dev": {"id": "210987654321"}}
    roles = {name: {"iam_role": "R", "max_session": "1h"} for name in ("dev-admin", "admin")}
    assert "can be read as" in whats(accounts=accounts, roles=roles, mappings=[by_template(roles=["admin"])])


def test_every_role_has_an_arn_in_every_account_that_a_mapping_can_reach() -> None:
    accounts = {"a": {"id": "012345678901", "env": "dev"}, "b": {"id": "210987654321"}}
    roles = {"r": {"iam_role": "{account.env}/Admin", "max_session": "1h"}}
    for mapping in (
        a_mapping(roles="all"),
        a_mapping(roles=["r"], accounts=["b"]),
        by_template(named="X-{account}-{role}"),
        by_template(named="X-{account}", roles=["r"]),
    ):
        assert "account b has no usable {account.env}" in whats(accounts=accounts, roles=roles, mappings=[mapping])
    for mapping in (
        a_mapping(roles=["r"], accounts=["a"]),
        a_mapping(roles=[]),
        by_template(named="X-{account.env}-{account}", roles=["r"]),
    ):
        snapshot_of(accounts=accounts, roles=roles, mappings=[mapping])


def test_a_deny_by_dn_alone_is_warned_about() -> None:
    assert "stops when 'leavers' is moved or renamed" in warnings(denies=[{**DENY, "groups": ["leavers"]}])
    assert not warnings(denies=[DENY])
    assert LEAVERS.dn.endswith(DOMAIN)


@pytest.mark.parametrize(
    ("test", "what"),
    [
        ({"groups": ["nobody"], "deny": ["*/*"]}, "there is no 'nobody' under `groups`"),
        ({"groups": [], "deny": ["nowhere/*"]}, "there is no 'nowhere' under `accounts`"),
        ({"groups": [], "allow": ["*/nothing"]}, "there is no 'nothing' under `roles`"),
        ({"groups": [], "allow": ["payments-dev"]}, "account/role, with *"),
        ({"groups": []}, "this test expects nothing"),
        ({"groups": [], "allow": [], "deny": []}, "this test expects nothing"),
        ({"groups": [], "deny": ["*/*"], "from": "10.1.2"}, "10.1.2"),
        ({"groups": [], "deny": ["*/*"], "at": "2026-12-01T10:00:00"}, "a day like"),
        ({"groups": [], "deny": ["*/*"], "mfa": {"methods": ["sms"], "age": "1m"}}, "this word is not known here"),
        ({"groups": [], "deny": ["*/*"], "mfa": {"methods": [], "age": "1m"}}, "empty"),
        ({"groups": [], "deny": ["*/*"], "mfa": {"methods": ["totp"]}}, "'age' is missing"),
        ({"groups": [], "deny": ["*/*"], "tls": 1.2}, "this word is not known here"),
        ({"groups": [], "deny": ["*/*"], "user": "ada"}, "unknown key 'user'"),
        ({"groups": [{"provider": "corp-ad", "name": "SRE"}], "deny": ["*/*"]}, "a name alone may be anybody's"),
    ],
)
def test_a_test_that_tests_nothing_is_refused(test: dict[str, Any], what: str) -> None:
    assert what in whats(tests=[{"name": "t", **test}])
