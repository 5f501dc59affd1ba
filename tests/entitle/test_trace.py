from dataclasses import replace
from datetime import UTC, datetime

import pytest
from builders_mapping import LEAVERS, SRE, TODAY, a_mapping, by_template, in_aws_ou, plain_group, snapshot_of, sound

from broker.entitle.trace import Part, explain
from broker.errors import NotFound

SNAPSHOT = {
    "guardrails": [
        {"name": "prod", "accounts": {"env": ["prod"]}, "conditions": {"mfa": {"max_age": "8h"}}},
        {"name": "admins", "roles": ["admin"], "conditions": {"mfa": {}}},
    ],
    "mappings": [
        a_mapping("sre-all", roles="all"),
        a_mapping("old", groups=["contractors"], roles="all", expires="2026-01-01"),
        a_mapping("dev-only", accounts={"env": ["dev"]}, roles=["admin"]),
        by_template(),
        by_template("team", named="Team-{account.tags.team}", accounts="all", roles=["admin"]),
        {"name": "plain", "groups": {"provider": "okta", "named": "{account}_{role}"}},
    ],
    "denies": [{"name": "leavers", "groups": ["leavers"], "accounts": "all", "roles": "all"}],
}


def test_every_rule_that_concerns_the_role_is_listed_with_its_part() -> None:
    trace = explain(snapshot_of(sound(**SNAPSHOT)), [SRE], account="payments-prod", role="admin", now=TODAY)
    assert [(line.rule.name, line.part) for line in trace.lines] == [
        ("leavers", Part.DOES_NOT_DENY),
        ("by-convention", Part.NO_GROUP),
        ("old", Part.EXPIRED),
        ("plain", Part.NO_GROUP),
        ("sre-all", Part.GIVES),
        ("team", Part.NO_GROUP),
        ("built-in", Part.GUARDS),
        ("admins", Part.GUARDS),
        ("prod", Part.GUARDS),
    ]
    assert trace.entitlement is not None
    assert trace.key == trace.entitlement.key == "payments-prod/admin"


def test_a_missing_group_is_named() -> None:
    trace = explain(snapshot_of(sound(**SNAPSHOT)), [], account="payments-dev", role="admin", now=TODAY)
    needs = {line.rule.name: line.needs for line in trace.lines if line.part is Part.NO_GROUP}
    assert needs == {
        "by-convention": ("AWS-payments-dev-admin under ou=aws,dc=corp,dc=example",),
        "dev-only": (SRE.dn.lower(),),
        "plain": ("payments-dev_admin",),
        "sre-all": (SRE.dn.lower(),),
        "team": ("Team-payments under ou=aws,dc=corp,dc=example",),
    }
    names = {line.rule.name: line.names for line in trace.lines if line.part is Part.NO_GROUP}
    assert names == {
        "by-convention": ("AWS-payments-dev-admin",),
        "dev-only": ("sre",),
        "plain": ("payments-dev_admin",),
        "sre-all": ("sre",),
        "team": ("Team-payments",),
    }
    assert trace.entitlement is None


def test_the_groups_that_make_a_rule_count_are_named() -> None:
    mine = [in_aws_ou("aws-payments-dev-admin"), plain_group("payments-dev_admin"), LEAVERS]
    trace = explain(snapshot_of(sound(**SNAPSHOT)), mine, account="payments-dev", role="admin", now=TODAY)
    by = {line.rule.name: line.by for line in trace.lines if line.by}
    assert by == {"by-convention": (mine[0],), "plain": (mine[1],), "leavers": (LEAVERS,)}
    assert trace.entitlement is None


def test_a_group_that_was_replaced_is_told_apart_from_a_missing_one() -> None:
    taken = replace(SRE, id=SRE.id + "9")
    trace = explain(
        snapshot_of(sound(mappings=[a_mapping()])), [taken], account="payments-dev", role="read-only", now=TODAY
    )
    assert next((line.part, line.by) for line in trace.lines) == (Part.REPLACED, (taken,))
    assert trace.entitlement is None


def test_an_expired_mapping_says_so() -> None:
    now = datetime(2025, 1, 1, tzinfo=UTC)
    for moment, part in ((now, Part.GIVES), (TODAY, Part.EXPIRED)):
        trace = explain(
            snapshot_of(sound(**SNAPSHOT)),
            [plain_group("aws-contractors")],
            account="payments-dev",
            role="read-only",
            now=moment,
        )
        assert {line.rule.name: line.part for line in trace.lines}["old"] is part


@pytest.mark.parametrize(("account", "role"), [("nowhere", "admin"), ("payments-dev", "nothing"), ("", "")])
def test_what_is_not_declared_cannot_be_explained(account: str, role: str) -> None:
    with pytest.raises(NotFound):
        explain(snapshot_of(sound()), [SRE], account=account, role=role, now=TODAY)
