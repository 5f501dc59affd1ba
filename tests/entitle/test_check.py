"""Do the names of the document fit together?"""

import json
from collections.abc import Callable
from dataclasses import replace
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

from broker.authenticate.identity import Group, GroupForm
from broker.entitle.resolve import replaced_groups
from broker.errors import ConfigurationError
from broker.record.redaction import looks_secret


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


def test_a_value_that_no_account_has_is_warned_about_where_a_mapping_then_grants_less() -> None:
    found = warnings(mappings=[a_mapping(accounts={"env": ["dev", "tst"], "tags": {"team": ["paymnts"]}})])
    assert "no account has 'tst' as its env" in found
    assert "no account has 'paymnts' as its tags.team" in found


@pytest.mark.parametrize(
    "selector",
    [
        {"env": ["prod", "prd"]},
        {"names": "all", "except": {"env": ["prd"]}},
        {"env": ["prod"], "tags": {"team": ["payments", "prd"]}},
        {"names": "all", "except": {"tags": {"team": ["prd"]}}},
    ],
)
def test_a_slip_that_would_let_too_much_through_is_refused(selector: dict[str, Any]) -> None:
    """The rest of the rule still protects something, so nobody would notice."""
    deny = {**DENY, "accounts": selector}
    assert "no account has 'prd' as its " in whats(denies=[deny])
    assert "no account has 'prd' as its " in whats(guardrails=[{**RAIL, "accounts": selector}])
    if "except" in selector:
        assert "no account has 'prd' as its " in whats(mappings=[a_mapping(accounts=selector)])


@pytest.mark.parametrize(
    ("named", "more"),
    [
        ("Block-{account.tags.tema}", {"roles": "all"}),
        ("Block-{account.tags.tema}-{role}", {}),
        ("Block-{account.tags.team}", {"accounts": ["bare"], "roles": "all"}),
        ("Block-{account.env}_{account.tags.team}", {"accounts": {"env": ["lab"]}, "roles": "all"}),
    ],
)
def test_a_deny_by_a_template_that_reads_no_name_is_refused(named: str, more: dict[str, Any]) -> None:
    accounts = {**sound()["accounts"], "bare": {"id": "999999999998", "env": "lab"}}
    rule = by_template("block", named=named, **{"accounts": "all", **more})
    assert "so it matches no group" in whats(accounts=accounts, denies=[rule])
    assert "so it matches no group" in warnings(accounts=accounts, mappings=[rule])
    sensible = {**rule, "accounts": "all", "groups": {**rule["groups"], "named": named.replace("tema", "team")}}
    assert not warnings(accounts=accounts, denies=[sensible])


PROVIDERS = {"corp-ad": GroupForm.SID, "okta": GroupForm.NAME}


@pytest.mark.parametrize(
    "group_id",
    [
        "S-1-5-21-1-2-3",
        "S-1-5-21-1-2-3-4-5",
        "S-1-5-21-1-2-3-04",
        "S-1-5-21-1-2-3-x",
        "S-1-5-21-1-2-3 -4",
        "S-1-5-32-544",
        "1104",
        "AWS-Blocked",
        "b3a1f9d0-9d2b-4a53-8b1e-6f0c7a0a1b2c",
    ],
)
def test_an_id_that_no_group_of_the_provider_can_have_is_refused(group_id: str) -> None:
    """A deny for it would deny nobody."""
    groups = {"leavers": {"provider": "corp-ad", "dn": LEAVERS.dn, "id": group_id}}
    document = sound(groups=groups, denies=[{**DENY, "groups": ["leavers"]}])
    with pytest.raises(ConfigurationError, match="is its SID, and this is none"):
        document_of(document, providers=PROVIDERS)
    document["tests"] = [{"name": "t", "groups": [groups.pop("leavers")], "deny": ["*/*"]}]
    groups["leavers"] = {"provider": "corp-ad", "id": LEAVERS.id}
    with pytest.raises(ConfigurationError, match="is its SID, and this is none"):
        document_of(document, providers=PROVIDERS)
    document_of({**document, "tests": []}, providers=PROVIDERS)
    document_of({**document, "tests": []}, providers={**PROVIDERS, "corp-ad": GroupForm.ID})


@pytest.mark.parametrize("group_id", [" S-1-5-21-1-2-3-4", "S-1-5-21-1-2-3-4 ", "", "S-1\n", "a\u202eb", "a\x85"])
@pytest.mark.parametrize("key", ["id", "name"])
def test_what_a_group_is_known_by_is_one_clean_line(key: str, group_id: str) -> None:
    found = whats(groups={"leavers": {"provider": "okta", key: group_id}})
    assert {"id": "1-256 ASCII", "name": "with no space at its ends and no control characters"}[key] in found


FOREIGN = "\u0440\u0441\u0456"
"""Cyrillic, and to the eye `pci`."""


@pytest.mark.parametrize(
    "change",
    [
        lambda text: {"accounts": {"new": {"id": "222222222222", "env": text}}},
        lambda text: {"accounts": {"new": {"id": "222222222222", "tags": {"scope": text}}}},
        lambda text: {"accounts": {"new": {"id": "222222222222", "tags": {f"s{text}": "pci"}}}},
        lambda text: {"accounts": {text: {"id": "222222222222"}}},
        lambda text: {"roles": {text: {"iam_role": "Admin", "max_session": "1h"}}},
        lambda text: {"roles": {"new": {"iam_role": text, "max_session": "1h"}}},
        lambda text: {"groups": {text: {"provider": "okta", "name": "x"}}},
        lambda text: {"groups": {"new": {"provider": "okta", "id": text}}},
        lambda text: {"guardrails": [{**RAIL, "accounts": {"env": [text]}}]},
        lambda text: {"guardrails": [{**RAIL, "accounts": {"tags": {"scope": [text]}}}]},
        lambda text: {"guardrails": [{**RAIL, "accounts": {"tags": {f"s{text}": ["pci"]}}}]},
        lambda text: {"guardrails": [{**RAIL, "accounts": {"names": "all", "except": {"env": [text]}}}]},
        lambda text: {"guardrails": [{**RAIL, "accounts": [text]}]},
        lambda text: {"guardrails": [{**RAIL, "name": text}]},
        lambda text: {"denies": [{**DENY, "roles": [text]}]},
        lambda text: {"denies": [{**DENY, "groups": {"provider": "okta", "named": f"{text}-{{account}}"}}]},
    ],
)
@pytest.mark.parametrize("text", [FOREIGN, "pr\u0585d", "eu\u2011prod", "pci\u0307", "\uff50ci"], ids=ascii)
def test_what_selects_is_ascii_even_as_an_escape(change: Callable[[str], dict[str, Any]], text: str) -> None:
    """What looks like `pci` and is not would leave the account out of the guardrail for `pci`."""
    written = json.dumps(change(text))
    assert text not in written
    found = whats(**change(text))
    assert any(word in found for word in ("ASCII", "letters, digits")), found


def test_texts_and_names_in_directories_are_in_any_language() -> None:
    document = sound(mappings=[{**a_mapping(), "owner": "J\u00fcrgen \u26a0\ufe0f"}])
    document["groups"]["new"] = {"provider": "okta", "name": "\u041e\u0442\u0434\u0435\u043b"}
    document["groups"]["dn"] = {"provider": "corp-ad", "dn": "CN=Gr\u00f6\u00dfe,DC=x", "id": "S-1-5-21-1-2-3-4"}
    document["roles"]["new"] = {
        "iam_role": "x",
        "max_session": "1h",
        "description": "\u043b\u0435\u0441 \u2013 \u26a0\ufe0f",
    }
    document_of(document)


def test_a_digest_behind_a_name_makes_it_no_secret() -> None:
    """So AWS names the roles of its Identity Center."""
    roles = sound()["roles"]
    for permission in ("ReadOnlyAccess", "AdministratorAccess", "PowerUserAccess"):
        roles[f"AWSReservedSSO_{permission}_0a1b2c3d4e5f6a7b"] = {"iam_role": "x", "max_session": "1h"}
    document_of(sound(roles=roles), is_secret=looks_secret)
    for secret in ("wJalrXUtnFEMI-K7MDENG-bPxRfiCYzEXAMPLEKEYz", "wJalrXUtnFEMI_K7MDENG_bPxRfiCYzEXAMPLEKEYz_0a1b2c3d"):
        with pytest.raises(ConfigurationError, match="looks like a key, token or password hash"):
            document_of(sound(roles={**roles, secret: {"iam_role": "x", "max_session": "1h"}}), is_secret=looks_secret)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (LEAVERS.id.lower(), LEAVERS.id),
        (LEAVERS.id, LEAVERS.id.lower()),
        ("B3A1F9D0-9D2B-4A53-8B1E-6F0C7A0A1B2C", "b3a1f9d0-9d2b-4a53-8b1e-6f0c7a0a1b2c"),
        ("b3a1f9d0-9d2b-4a53-8b1e-6f0c7a0a1b2c", "B3A1F9D0-9D2B-4A53-8B1E-6F0C7A0A1B2C"),
        ("00g1AbC", "00g1AbC"),
    ],
)
def test_an_id_matches_in_each_case_in_which_its_kind_is_written(written: str, read: str) -> None:
    groups = {"sre": {"provider": "corp-ad", "id": written, "dn": SRE.dn}}
    snapshot = snapshot_of(groups=groups, mappings=[a_mapping()])
    member = replace(SRE, id=read)
    assert len(given(snapshot, member)) == 3
    assert snapshot.groups[0].means(member)
    assert not replaced_groups(snapshot, {member})
    denied = snapshot_of(groups=groups, mappings=[a_mapping()], denies=[DENY])
    assert not given(denied, replace(member, dn="CN=Renamed,DC=corp,DC=example"))


def test_other_ids_match_as_they_are_written() -> None:
    """Two groups of a provider may differ by case alone."""
    snapshot = snapshot_of(groups={"sre": {"provider": "okta", "id": "00g1AbC"}}, mappings=[a_mapping()])
    assert given(snapshot, Group(provider="okta", id="00g1AbC", name="x"))
    assert not given(snapshot, Group(provider="okta", id="00G1ABC", name="x"))


def test_a_deny_names_its_groups_by_id_where_there_are_ids() -> None:
    """Who may rename a group, or make it anew, would end the deny."""
    document = sound(denies=[{**DENY, "groups": ["leavers"]}])
    for form in (GroupForm.SID, GroupForm.ID):
        with pytest.raises(ConfigurationError, match="mappings pin") as caught:
            document_of(document, providers={**PROVIDERS, "corp-ad": form})
        (problem,) = caught.value.problems
        assert "this deny stops when 'leavers' is moved or renamed" in problem.what
    document["groups"]["leavers"]["id"] = LEAVERS.id
    assert not document_of(document, providers=PROVIDERS).warnings
    mapping_only = sound(mappings=[a_mapping(groups=["leavers"])])
    assert not document_of(mapping_only, providers=PROVIDERS).warnings


def test_an_id_is_refused_where_groups_have_none() -> None:
    providers = {**PROVIDERS, "corp-ad": GroupForm.DN}
    with pytest.raises(ConfigurationError, match="have no ids, so this one matches nobody"):
        document_of(sound(), providers=providers)
    groups = {"leavers": {"provider": "corp-ad", "dn": LEAVERS.dn}}
    document = sound(groups=groups, denies=[{**DENY, "groups": ["leavers"]}])
    (warning,) = document_of(document, providers=providers).warnings
    assert "group_id_attribute" in warning.remedy


@pytest.mark.parametrize("section", ["groups", "accounts", "roles", "guardrails", "mappings", "denies", "tests"])
def test_no_name_is_a_secret(section: str) -> None:
    document = sound(
        guardrails=[RAIL], mappings=[a_mapping()], denies=[DENY], tests=[{"name": "t", "groups": [], "deny": ["*/*"]}]
    )
    own = document[section]
    if isinstance(own, dict):
        own["wJalrXUtnFEMI7MDENG"] = own.pop(list(own)[-1])
    else:
        own[0] = {**own[0], "name": "wJalrXUtnFEMI7MDENG"}
    document_of(document, is_secret=lambda name: name == "something else")
    with pytest.raises(ConfigurationError, match="looks like a key, token or password hash") as caught:
        document_of(document, is_secret=lambda name: name.startswith("wJal"))
    (problem,) = caught.value.problems
    assert problem.where.startswith("mappings.yaml:")
    assert "wJal" not in str(problem)


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
    document_of(document, providers={"corp-ad": GroupForm.SID, "okta": GroupForm.NAME})
    for providers, what in [
        ({"corp-ad": GroupForm.SID}, "there is no provider 'okta' in broker.yaml"),
        ({"corp-ad": GroupForm.NAME, "okta": GroupForm.NAME}, "groups of 'corp-ad' have no distinguished names"),
        ({"corp-ad": GroupForm.SID, "okta": GroupForm.ID}, "a name alone may be anybody's"),
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
        ({"groups": [], "deny": ["*/*"], "at": "0001-01-01"}, "between 2000-01-01 and 2999-12-31"),
        ({"groups": [], "deny": ["*/*"], "at": "9999-12-31"}, "between 2000-01-01 and 2999-12-31"),
        ({"groups": [], "deny": ["*/*"], "at": "0001-01-01T00:00:00+14:00"}, "a day like"),
        ({"groups": [], "deny": ["*/*"], "mfa": {"methods": ["totp"], "age": "999999d"}}, "at most 3660d"),
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
