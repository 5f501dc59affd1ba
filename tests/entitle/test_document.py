"""The shape of the document: every problem at once, where it stands, with what to do about it."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders_mapping import a_mapping, by_template, document_of, given, problems_of, snapshot_of, sound, text_of

from broker.entitle.document import read_document
from broker.errors import ConfigurationError
from broker.evaluate import CONDITIONS

EXAMPLE = Path(__file__).parents[2] / "config" / "mappings.yaml"


def whats(document: dict[str, Any] | str | None = None, **sections: object) -> str:
    return "\n".join(map(str, problems_of(sound(**sections) if document is None else document)))


def test_the_annotated_example_is_sound_and_without_warnings() -> None:
    document = document_of(EXAMPLE.read_text(encoding="utf-8"))
    assert not document.warnings
    assert len(snapshot_of(EXAMPLE.read_text(encoding="utf-8")).tests) == 5


def test_every_problem_is_reported_at_once_by_line_and_column() -> None:
    text = """\
version: 1
grops: {}
accounts:
  dev: {id: 210987654321, env: dev}
  prod: {id: 012345678901, env: prod, colour: red}
roles:
  look: {iam_role: /Look, max_session: 8}
mappings:
  - name: one
    groups: [nobody]
    accounts: everything
    roles: [look, lok]
    condition: {mfa: {}}
  - name: two
    groups: {provider: ad, named: "AWS-{user}"}
    accounts: [dev]
    roles: look
    conditions: {mfa: {max_age: 8h, maxage: 9h}, moon: full}
"""
    found = {problem.where: str(problem) for problem in problems_of(text)}
    assert list(found) == [
        f"mappings.yaml:{place}"
        for place in ("2:1", "4:9", "5:14", "5:39", "7:10", "7:27", "11:5", "13:5", "15:28", "17:5")
    ]
    assert "unknown key 'grops'; did you mean 'groups'?" in found["mappings.yaml:2:1"]
    assert "text is wanted here; put it in quotes" in found["mappings.yaml:4:9"]
    assert "leading zero" in found["mappings.yaml:5:14"]
    assert "did you mean 'conditions'?" in found["mappings.yaml:13:5"]


def test_an_entry_that_cannot_be_used_still_counts_as_declared() -> None:
    document = sound(mappings=[a_mapping()])
    document["groups"]["sre"] = {"provider": "corp-ad", "dn": "SRE"}
    (problem,) = problems_of(document)
    assert "a distinguished name is" in problem.what


def test_what_fits_together_is_checked_even_where_a_shape_is_wrong() -> None:
    found = whats(mappings=[a_mapping(roles=["nothing"]), a_mapping("other", wrong=1)])
    assert "there is no 'nothing' under `roles`" in found
    assert "unknown key 'wrong'" in found


@pytest.mark.parametrize(
    ("conditions", "what"),
    [
        ({}, "empty"),
        ({"moon": "full"}, "unknown condition 'moon'; there are: mfa, source_ip, time_of_day, tls"),
        ({"approval": {"by": "x"}}, "unknown condition 'approval'"),
        ({"mfa": {"max_age": "8h", "unless": "x"}}, "unknown key 'unless'"),
        ({"mfa": {"max_age": 8}}, "a whole number and its unit"),
        ({"mfa": {"methods": []}}, "write at least one"),
        ({"mfa": []}, "keys and values are wanted"),
        ({"tls": {"min": 1.2}}, 'write "1.2"'),
        ([], "keys and values are wanted"),
    ],
)
def test_a_condition_that_is_not_enforced_is_refused(conditions: object, what: str) -> None:
    assert what in whats(mappings=[a_mapping(conditions=conditions)])
    assert what in whats(guardrails=[{"name": "rail", "conditions": conditions}], mappings=[a_mapping()])


def test_a_condition_outside_the_vocabulary_is_refused_whatever_it_is() -> None:
    document = text_of(sound(mappings=[a_mapping(conditions={"tls": {"min": "1.2"}})]))
    read_document({"f": document}, CONDITIONS)
    fewer = {name: kind for name, kind in CONDITIONS.items() if name != "tls"}
    with pytest.raises(ConfigurationError, match="unknown condition 'tls'"):
        read_document({"f": document}, fewer)


def test_an_empty_key_is_refused_and_never_means_all_or_none() -> None:
    text = json.dumps(sound(guardrails=[{"name": "rail", "conditions": {"mfa": {}}}], mappings=[a_mapping()]))
    for key in ("conditions", "accounts", "roles", "groups", "expires"):
        broken = text.replace('"name": "sre-reads"', f'"name": "sre-reads", "{key}": ', 1)
        with pytest.raises(ConfigurationError):
            document_of(broken)
    with pytest.raises(ConfigurationError, match="an empty value"):
        document_of(f"{text[:-1]}, 'denies': }}")


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"accounts": "every"}, "write 'all'"),
        ({"accounts": {}}, "only the word all means all"),
        ({"accounts": {"tags": {}}}, "empty"),
        ({"accounts": {"except": ["payments-dev"]}}, "only the word all means all"),
        ({"accounts": {"names": "all", "except": {}}}, "only the word all means all"),
        ({"accounts": {"names": "all", "except": {"tags": {}}}}, "empty"),
        ({"accounts": {"names": "all", "except": "all"}}, "write a list of names or fields"),
        ({"accounts": {"env": "prod"}}, "write it as a list"),
        ({"accounts": {"env": [True]}}, "put it in quotes"),
        ({"roles": {"env": ["prod"]}}, "unknown key 'env'"),
        ({"roles": {"except": ["admin"]}}, "'names' is missing"),
        ({"roles": 7}, "this word is not known here"),
        ({"groups": "sre"}, "write a list of names or fields"),
        ({"groups": {"named": "AWS-{account}"}}, "'provider' is missing"),
        ({"groups": {"provider": "okta", "named": "AWS"}}, "a template without any field"),
        ({"groups": {"provider": "okta", "named": "{role}", "regex": "x"}}, "unknown key 'regex'"),
        ({"groups": {"provider": "corp-ad", "named": "{role}-{account}", "under": "AWS"}}, "a distinguished name is"),
        ({"people": ["ada"]}, "unknown key 'people'"),
        ({"expires": "soon"}, "a day like"),
        ({"expires": "2027-06-30T10:00:00"}, "a day like"),
        ({"name": "a name"}, "a name is 1-64"),
    ],
)
def test_an_entry_that_could_be_misread_is_refused(entry: dict[str, Any], what: str) -> None:
    assert what in whats(mappings=[a_mapping(**entry)])


@pytest.mark.parametrize(
    ("account", "what"),
    [
        ({"id": 210987654321}, "put it in quotes"),
        ({"id": "21098765432"}, "an account id is 12 digits"),
        ({"id": "٣10987654321"}, "an account id is 12 digits"),
        ({"id": "210987654321\n"}, "an account id is 12 digits"),
        ({"id": "210987654321", "partition": "azure"}, "a partition is"),
        ({"id": "210987654321", "partition": "aws:x"}, "a partition is"),
        ({"id": "210987654321", "external_id": "a b"}, "an external id is"),
        ({"id": "210987654321", "tags": {"team": 1}}, "put it in quotes"),
        ({"id": "210987654321", "tags": {"a b": "x"}}, "a tag's key"),
        ({"id": "210987654321", "tags": {"a": ""}}, "what selects is 1-256 ASCII"),
    ],
)
def test_an_account_that_is_not_one_is_refused(account: dict[str, Any], what: str) -> None:
    assert what in whats(accounts={"dev": account})


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-f"])
def test_every_partition_of_aws_is_known(partition: str) -> None:
    accounts = {"dev": {"id": "210987654321", "partition": partition}}
    snapshot = snapshot_of(accounts=accounts, mappings=[a_mapping()])
    assert snapshot.catalogue.accounts["dev"].partition == partition


@pytest.mark.parametrize(
    ("group", "what"),
    [
        ({"id": "S-1-5-21-1"}, "'provider' is missing"),
        ({"provider": "corp-ad"}, "known by its id, its dn or its name"),
        ({"provider": "corp-ad", "dn": "CN=a,DC=x", "name": "a"}, "known by its id, its dn or its name"),
        ({"provider": "corp-ad", "dn": "CN=a;DC=x"}, "needs a backslash"),
        ({"provider": "corp-ad", "dn": "CN=a,DC=x\n"}, "a control character in a distinguished name"),
        ({"provider": "corp-ad", "dn": "CN=a\\0a,DC=x"}, "a control character in a distinguished name"),
        ({"provider": "corp-ad", "dn": "CN=a\u202e,DC=x"}, "a control character in a distinguished name"),
        ({"provider": "corp-ad", "dn": "CN=a\\E2\\80\\AE,DC=x"}, "a control character in a distinguished name"),
        ({"provider": "corp-ad", "dn": "CN=a,DC=x", "sid": "S-1"}, "unknown key 'sid'"),
    ],
)
def test_a_group_that_is_not_known_by_anything_is_refused(group: dict[str, Any], what: str) -> None:
    assert what in whats(groups={"sre": group})


@pytest.mark.parametrize("version", [None, 2, "1", True, 1.0])
def test_another_version_is_refused(version: object) -> None:
    document = {**sound(), "version": version}
    if version is None:
        del document["version"]
    assert "the version is missing or not 1" in whats(json.dumps(document))


@pytest.mark.parametrize("text", ["[]", "text", "- version: 1"])
def test_a_file_that_is_something_else_is_refused(text: str) -> None:
    assert "this is not a role-mapping document" in whats(text)


@pytest.mark.parametrize(("section", "value"), [("groups", "[]"), ("mappings", "{}"), ("roles", "x"), ("tests", "x")])
def test_a_section_of_another_kind_is_refused(section: str, value: str) -> None:
    assert "wanted here" in whats(f"version: 1\n{section}: {value}\n")


def test_several_files_are_one_document() -> None:
    base, more = sound(), {"version": 1, "mappings": [a_mapping()]}
    document = read_document({"a.yaml": text_of(base), "b.yaml": text_of(more)}, CONDITIONS)
    assert document.plain["mappings"]
    assert document.where == {"sre-reads": "b.yaml:4"}


@pytest.mark.parametrize(
    ("section", "entry"),
    [
        ("groups", {"sre": {"provider": "okta", "name": "sre"}}),
        ("accounts", {"Payments-Dev": {"id": "999999999999"}}),
        ("roles", {"ADMIN": {"iam_role": "A", "max_session": "1h"}}),
        ("mappings", [a_mapping("Sre-Reads")]),
        ("denies", [a_mapping("sre-reads")]),
        ("guardrails", [{"name": "sre-reads", "conditions": {"mfa": {}}}]),
    ],
)
def test_a_name_is_declared_once_over_all_files_whatever_its_case(section: str, entry: object) -> None:
    base = text_of(sound(mappings=[a_mapping()]))
    more = text_of({"version": 1, section: entry})
    with pytest.raises(ConfigurationError, match="is declared twice, first at") as caught:
        read_document({"a.yaml": base, "b.yaml": more}, CONDITIONS)
    places = {problem.where.partition(":")[0] for problem in caught.value.problems if "twice" in problem.what}
    assert len(places) == 1


def test_a_mapping_may_be_written_in_each_of_the_ways_that_the_example_shows() -> None:
    snapshot = snapshot_of(EXAMPLE.read_text(encoding="utf-8"))
    assert {giver.rule.name for giver in snapshot.mappings} == {
        "sre-reads-everything",
        "by-convention",
        "teams-own-their-dev",
        "sre-mends-prod-in-office-hours",
    }
    assert given(snapshot) == {}


def test_a_rule_knows_its_line_and_owner() -> None:
    text = "version: 1\nmappings:\n- {name: x, groups: [], accounts: all, roles: all, owner: leads@corp.example}\n"
    (giver,) = snapshot_of(text).mappings
    assert (giver.rule.where, giver.rule.owner) == ("mappings.yaml:3", "leads@corp.example")


def test_a_template_may_be_narrowed_and_needs_no_selectors_of_its_own() -> None:
    document_of(sound(mappings=[by_template(), by_template("narrow", accounts=["payments-dev"], roles=["read-only"])]))
