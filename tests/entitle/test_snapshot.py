"""What a snapshot promises: one revision for one meaning, and a dump that says the same."""

import random
import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from builders_mapping import (
    LEAVERS,
    SRE,
    TODAY,
    a_mapping,
    by_template,
    document_of,
    given,
    in_aws_ou,
    plain_group,
    snapshot_of,
    sound,
    text_of,
)

from broker.authenticate.identity import Group
from broker.challenge.proof import Method
from broker.entitle.document import read_document
from broker.entitle.snapshot import Snapshot, compile_document, load
from broker.errors import ConfigurationError
from broker.evaluate import BUILT_IN, CONDITIONS
from broker.evaluate.mfa import Mfa

FULL = sound(
    guardrails=[
        {"name": "prod-needs-mfa", "accounts": {"env": ["prod"]}, "conditions": {"mfa": {"max_age": "8h"}}},
        {
            "name": "admin-by-key",
            "roles": ["admin"],
            "conditions": {"mfa": {"methods": ["webauthn", "hardware_token"]}},
        },
    ],
    mappings=[
        a_mapping(),
        by_template(),
        a_mapping(
            "office",
            groups=["contractors", "sre"],
            accounts={"env": ["prod", "dev"], "tags": {"team": ["payments"]}, "except": {"names": ["payments-dev"]}},
            roles={"names": "all", "except": ["admin"]},
            conditions={"source_ip": {"in": ["10.0.0.0/8", "192.0.2.0/24"]}, "tls": {"min": "1.2"}},
            owner="leads@corp.example",
            expires="2027-06-30",
        ),
    ],
    denies=[{"name": "leavers", "groups": ["leavers"], "accounts": "all", "roles": "all"}],
    tests=[{"name": "t", "groups": ["sre"], "allow": ["payments-dev/read-only"], "deny": ["*/admin"]}],
)


def shuffled(value: Any, seed: random.Random) -> Any:  # noqa: ANN401 (JSON)
    """The same in another order, everywhere."""
    if isinstance(value, dict):
        items = [(key, shuffled(own, seed)) for key, own in value.items()]
        seed.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        found = [shuffled(own, seed) for own in value]
        seed.shuffle(found)
        return found
    return value


@pytest.mark.parametrize("seed", range(8))
def test_order_makes_no_difference_to_the_revision(seed: int) -> None:
    assert snapshot_of(shuffled(FULL, random.Random(seed))).revision == snapshot_of(FULL).revision  # noqa: S311 (a shuffle)


@pytest.mark.parametrize(
    ("pattern", "other"),
    [
        (r"^\{", "# a comment\n{"),
        (r'"prod"', "prod"),
        (r'"8h"', '"480m"'),
        (re.escape(SRE.dn), SRE.dn.replace("CN=SRE", "cn = sre").replace(",", ", ")),
        (r'"2027-06-30"', "2027-06-30T02:00:00+02:00"),
        (r'\[\s*"sre"\s*\]', '["sre", "sre"]'),
        (r'"accounts": "all"', '"accounts": {"names": "all"}'),
        (r'"except": \{\s*"names": \[\s*"payments-dev"\s*\]\s*\}', '"except": ["payments-dev"]'),
    ],
)
def test_spelling_makes_no_difference_to_the_revision(pattern: str, other: str) -> None:
    text = text_of(FULL)
    spelled = re.sub(pattern, lambda _: other, text)
    assert spelled != text
    assert snapshot_of(spelled).revision == snapshot_of(text).revision


def test_the_spread_over_files_makes_no_difference_to_the_revision() -> None:
    parts = {f"{key}.yaml": text_of({"version": 1, key: own}) for key, own in FULL.items() if key != "version"}
    apart = compile_document(read_document(parts, CONDITIONS), built_in=BUILT_IN)
    assert apart.revision == snapshot_of(FULL).revision


def test_a_change_of_meaning_changes_the_revision() -> None:
    revisions = {
        snapshot_of(sound(mappings=mappings)).revision
        for mappings in (
            [],
            [a_mapping()],
            [a_mapping(roles="all")],
            [a_mapping(roles=["admin"])],
            [a_mapping(groups=["leavers"])],
            [a_mapping(conditions={"mfa": {}})],
            [a_mapping(conditions={"mfa": {"max_age": "8h"}})],
            [a_mapping(expires="2027-06-30")],
            [a_mapping(expires="2027-07-01")],
            [a_mapping("renamed")],
            [a_mapping(owner="leads@corp.example")],
        )
    }
    assert len(revisions) == 11


def same(one: Snapshot, other: Snapshot) -> bool:
    """Everything but the indexes and what was remembered."""
    skip = {"catalogue", "mapping_index", "deny_index", "warnings"}
    return all(getattr(one, f.name) == getattr(other, f.name) for f in fields(Snapshot) if f.name not in skip)


def test_a_dump_loads_as_the_same_snapshot() -> None:
    compiled = snapshot_of(FULL)
    loaded = load(compiled.dump(), CONDITIONS, built_in=BUILT_IN)
    assert same(compiled, loaded)
    assert loaded.dump() == compiled.dump()
    for groups in ([], [SRE], [SRE, LEAVERS], [in_aws_ou("aws-payments-dev-admin")], [plain_group("aws-contractors")]):
        assert given(loaded, *groups) == given(compiled, *groups)
    assert loaded.catalogue.accounts == compiled.catalogue.accounts


def test_conditions_survive_a_dump_with_their_types() -> None:
    loaded = load(snapshot_of(FULL).dump(), CONDITIONS, built_in=BUILT_IN)
    rails = {rail.rule.name: rail.rule.conditions for rail in loaded.guardrails}
    assert rails["prod-needs-mfa"] == (Mfa(max_age=timedelta(hours=8)),)
    assert len({giver.rule.name: giver.rule.conditions for giver in loaded.mappings}["office"]) == 2


@pytest.mark.parametrize("part", [b'"admin"', b'"all"', b"012345678901", b'"sre"'])
def test_a_damaged_dump_is_refused(part: bytes) -> None:
    dumped = snapshot_of(FULL).dump()
    head, _, content = dumped.partition(b"\n")
    damaged = head + b"\n" + content.replace(part, part[:-2] + b"x" + part[-1:], 1)
    assert damaged != dumped
    with pytest.raises(ConfigurationError, match="it is damaged; compile the document anew"):
        load(damaged, CONDITIONS, built_in=BUILT_IN)


@pytest.mark.parametrize(
    "dumped", [b"", b"\n", b"{}\n{}", b"[]\n[]", b"\x80\x04}q\x00.", b"null\nnull", b'{"format": 1}\n{}']
)
def test_anything_else_is_refused(dumped: bytes) -> None:
    with pytest.raises(ConfigurationError, match="compile the document anew"):
        load(dumped, CONDITIONS, built_in=BUILT_IN)


def test_the_dump_of_another_format_is_refused() -> None:
    dumped = snapshot_of(FULL).dump().replace(b'"format": 2', b'"format": 3', 1)
    with pytest.raises(ConfigurationError, match="written by another version of the broker"):
        load(dumped, CONDITIONS, built_in=BUILT_IN)


def test_a_dump_with_a_condition_that_is_no_longer_enforced_is_refused() -> None:
    dumped = snapshot_of(FULL).dump()
    fewer = {name: kind for name, kind in CONDITIONS.items() if name != "tls"}
    with pytest.raises(ConfigurationError, match="not readable by this version"):
        load(dumped, fewer, built_in=BUILT_IN)


def test_without_a_built_in_condition_nothing_is_compiled_or_loaded() -> None:
    with pytest.raises(ConfigurationError, match="there is no built-in condition"):
        compile_document(document_of(FULL), built_in=())
    with pytest.raises(ConfigurationError, match="there is no built-in condition"):
        load(snapshot_of(FULL).dump(), CONDITIONS, built_in=())


def test_built_in_conditions_are_those_of_today_and_not_of_the_dump() -> None:
    strict = (Mfa(max_age=timedelta(minutes=15)),)
    loaded = load(snapshot_of(FULL).dump(), CONDITIONS, built_in=strict)
    assert given(loaded, SRE)["payments-dev/read-only"].guardrails[0].conditions == strict


def test_warnings_are_not_lost_in_a_dump() -> None:
    compiled = snapshot_of(sound(mappings=[a_mapping(groups=[])]))
    assert len(compiled.warnings) == 1
    assert load(compiled.dump(), CONDITIONS, built_in=BUILT_IN).warnings == compiled.warnings


def test_a_target_stands_for_declared_keys() -> None:
    snapshot = snapshot_of(FULL)
    assert list(snapshot.keys("payments-dev/admin")) == ["payments-dev/admin"]
    assert list(snapshot.keys("payments-dev/*")) == [f"payments-dev/{r}" for r in ("admin", "power-user", "read-only")]
    assert len(list(snapshot.keys("*/*"))) == 9


def test_a_documents_own_tests_are_typed() -> None:
    tests = [
        {
            "name": "full",
            "groups": [
                "contractors",
                {"provider": "corp-ad", "dn": SRE.dn.lower()},
                {"provider": "corp-ad", "dn": "CN=Team-payments,OU=Teams,DC=corp,DC=example", "id": "S-1-9"},
                {"provider": "okta", "name": "others"},
            ],
            "at": "2026-12-01T10:00:00+01:00",
            "from": "10.1.2.3",
            "mfa": {"methods": ["totp", "webauthn"], "age": "5m"},
            "tls": "1.2",
            "allow": ["payments-dev/power-user"],
            "deny": ["payments-prod/*"],
        },
        {"name": "little", "groups": ["sre"], "deny": ["*/*"]},
    ]
    full, little = snapshot_of(sound(tests=tests)).tests
    assert full.at == datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert full.address == ip_address("10.1.2.3")
    assert full.methods == {Method.TOTP, Method.WEBAUTHN}
    assert full.mfa_age == timedelta(minutes=5)
    assert full.tls_version == "1.2"
    assert (full.allow, full.deny) == (("payments-dev/power-user",), ("payments-prod/*",))
    dn = "cn=team-payments,ou=teams,dc=corp,dc=example"
    assert {(group.provider, group.id, group.name, group.dn) for group in full.groups} == {
        ("okta", "", "aws-contractors", ""),
        ("corp-ad", SRE.id, "sre", SRE.dn.lower()),
        ("corp-ad", "S-1-9", "team-payments", dn),
        ("okta", "", "others", ""),
    }
    assert re.fullmatch(r"mappings\.yaml:\d+", little.where)
    assert (little.at, little.address, little.methods, little.tls_version) == (None, None, frozenset(), "1.3")


def test_a_test_that_names_a_group_by_dn_alone_means_the_group_that_is_declared() -> None:
    tests = [{"name": "t", "groups": [{"provider": "corp-ad", "dn": SRE.dn}], "allow": ["payments-dev/read-only"]}]
    snapshot = snapshot_of(sound(mappings=[a_mapping()], tests=tests))
    assert "payments-dev/read-only" in given(snapshot, *snapshot.tests[0].groups, now=TODAY)


def test_a_group_without_an_id_matches_no_group_that_has_none() -> None:
    snapshot = snapshot_of(sound(mappings=[a_mapping(groups=["leavers"])]))
    assert not given(snapshot, Group(provider="corp-ad", id="", name="x", dn=""))
