"""`why` tells a person what they may know: the corridor's verdict, their own groups, and nothing of anybody else's."""

from dataclasses import replace

import pytest
from builders import MINUTE, NOW
from corridor import MAPPING, Corridor

from broker.entitle.entitlement import Rule
from broker.entitle.trace import Line, Part
from broker.evaluate.verdict import Refusal, StepUp
from broker.flow import lease
from broker.flow.mapping import read_mapping
from broker.flow.why import Standing, Why, key_of, why
from broker.issue.issuer import Lease

SNAPSHOT = read_mapping({"mappings.yaml": MAPPING}, providers=None, now=NOW)
ROLES = ("read-only", "power-user", "fresh", "by-key", "critical")
KEYS = [f"{account}/{role}" for account in ("payments-prod", "payments-dev", "untrusting") for role in ROLES]


def asked(corridor: Corridor, kind: str, role: str, **moment: str) -> Why:
    session = corridor.session(corridor.person(kind, enrolled=True))
    return why(corridor.parts, session, role=role, circumstances=corridor.moment(**moment))


@pytest.mark.parametrize("kind", ["developer", "sre", "leaver", "stranger"])
def test_why_says_what_lease_does(corridor: Corridor, kind: str) -> None:
    session = corridor.session(corridor.person(kind, enrolled=True))
    corridor.clock.advance(6 * MINUTE)
    for key in [role for role in KEYS if role != "untrusting/read-only"]:
        moment = corridor.moment()
        told = why(corridor.parts, session, role=key, circumstances=moment)
        got = lease(corridor.parts, session, role=key, asked=None, circumstances=moment)
        assert (told.standing is Standing.READY) is isinstance(got, Lease), key
        assert (told.standing is Standing.STEP_UP) is isinstance(got, StepUp), key
        assert told.given is (key in told.mine), key
        if told.standing in {Standing.LOCKED, Standing.STEP_UP}:
            assert told.objection == got


def test_looking_is_not_recorded(corridor: Corridor) -> None:
    session, moment = corridor.session(corridor.person("sre", enrolled=True)), corridor.moment()
    why(corridor.parts, session, role="payments-prod/power-user", circumstances=moment)
    assert corridor.tags(moment) == []


def test_which_of_my_groups_count(corridor: Corridor) -> None:
    told = asked(corridor, "sre", "payments-dev/by-key")
    assert told.standing is Standing.STEP_UP
    assert not told.can_prove, "nobody has a key here"
    gives = [line for line in told.rules if line.part is Part.GIVES]
    assert [(line.rule.name, [group.name for group in line.by]) for line in gives] == [("sre-dev", ["SRE"])]
    assert [one.rule for one in told.answers if one.objection] == ["by-key-only"]


def test_a_locked_role_names_the_condition(corridor: Corridor) -> None:
    corridor.until_office_hours()
    told = asked(corridor, "sre", "payments-prod/power-user", address="192.0.2.1")
    assert told.standing is Standing.LOCKED
    assert isinstance(told.objection, Refusal)
    assert told.objection.condition == "source_ip"
    assert {one.condition for one in told.answers} == {"mfa", "source_ip", "time_of_day", "tls"}


def test_of_several_mappings_the_one_that_passes_is_enough(corridor: Corridor) -> None:
    told = asked(corridor, "sre", "payments-dev/read-only")
    assert told.standing is Standing.READY
    assert {one.rule for one in told.answers} == {"built-in"}


def test_a_role_in_an_account_where_one_works_names_the_groups_that_would_give_it(corridor: Corridor) -> None:
    told = asked(corridor, "developer", "payments-dev/read-only")
    assert told.standing is Standing.NOT_GIVEN
    assert [(line.part, line.rule.name, line.names) for line in told.rules] == [
        (Part.NO_GROUP, "sre-reads", ("sre",)),
    ]
    assert told.answers == ()


def test_a_deny_is_told_to_whom_it_keeps_out_of_what_they_would_have(corridor: Corridor) -> None:
    told = asked(corridor, "leaver", "payments-prod/read-only")
    assert told.standing is Standing.DENIED
    assert {line.part for line in told.rules} == {Part.DENIES, Part.GIVES}
    assert not told.given


@pytest.mark.parametrize(
    "role",
    [
        "payments-prod/read-only",
        "payments-prod/power-user",
        "payments-prod/nothing",
        "untrusting/read-only",
        "untrusting",
        "012345678901/read-only",
        "arn:aws:iam::012345678901:role/federated/ReadOnly",
        "nowhere/read-only",
        "payments-dev",
        "",
    ],
)
def test_what_one_has_no_part_in_reads_the_same_as_what_is_not_there(corridor: Corridor, role: str) -> None:
    """A developer has payments-dev alone. Accounts, roles and groups of others cannot be listed by asking."""
    session = corridor.session(corridor.person(enrolled=True))
    moment = corridor.moment()
    never = why(corridor.parts, session, role="never/heard-of", circumstances=moment)
    told = why(corridor.parts, session, role=role, circumstances=moment)
    if role == "payments-dev":
        assert told.standing is Standing.NOT_GIVEN
        return
    assert told == replace(never, role=role)
    assert told.standing is Standing.UNKNOWN


def test_a_deny_is_no_way_to_list_accounts(corridor: Corridor) -> None:
    """Their deny matches every declared role. Of one that nothing gives them it must not be told."""
    told = asked(corridor, "leaver", "payments-dev/power-user")
    assert told.standing is Standing.UNKNOWN
    assert told.rules == ()


def test_in_ones_own_account_a_role_that_is_not_declared_reads_as_one_that_nobody_gets(corridor: Corridor) -> None:
    declared, made_up = (
        asked(corridor, "sre", "payments-prod/critical"),
        asked(corridor, "sre", "payments-prod/made-up"),
    )
    assert (declared.standing, declared.rules) == (made_up.standing, made_up.rules) == (Standing.NOT_GIVEN, ())


@pytest.mark.parametrize(
    ("asked_for", "key"),
    [
        ("payments-dev/power-user", "payments-dev/power-user"),
        ("210987654321/power-user", "payments-dev/power-user"),
        ("210987654321:power-user", "payments-dev/power-user"),
        ("arn:aws:iam::210987654321:role/federated/PowerUser", "payments-dev/power-user"),
        ("arn:aws:iam::210987654321:role/PowerUser", "arn:aws:iam::210987654321:role/PowerUser"),
        ("arn:", "arn:"),
        ("999999999999/power-user", "999999999999/power-user"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_role_can_be_named_in_three_ways(asked_for: str, key: str) -> None:
    assert key_of(SNAPSHOT, asked_for) == key


def test_whom_to_ask_are_the_owners_of_what_stands_in_the_way_first() -> None:
    gives = Line(rule=Rule(name="a", where="", conditions=(), owner="a@x"), part=Part.GIVES)
    denies = Line(rule=Rule(name="b", where="", conditions=(), owner="b@x"), part=Part.DENIES)
    nobody = Line(rule=Rule(name="c", where="", conditions=()), part=Part.GIVES)
    told = Why(
        role="x/y",
        standing=Standing.DENIED,
        objection=None,
        rules=(gives, nobody, denies, gives),
        answers=(),
        groups=(),
        provider="corp-ad",
        read_at=NOW,
        mine=(),
    )
    assert told.owners == ("b@x", "a@x")
