"""Policies by themselves: the grammar, the operators, and that what cannot be decided never grants."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.sandbox.sts.conditions import MalformedPolicy, like
from broker.sandbox.sts.policy import Decision, Kind, Request, decide, parse

ROLE = "arn:aws:iam::222222222222:role/R"
CONTEXT = {
    "sts:externalid": ("right-one",),
    "aws:username": ("jane",),
    "aws:tagkeys": ("team", "cost"),
    "aws:requesttag/team": ("red",),
    "aws:principalarn": ("arn:aws:iam::111111111111:role/path/Hub",),
    "aws:sourceip": ("192.0.2.7",),
    "aws:currenttime": ("2030-01-01T00:00:00Z",),
    "aws:epochtime": ("1893456000",),
    "aws:securetransport": ("false",),
}


def decision(condition: object, effect: str = "Allow", *, version: str = "2012-10-17") -> Decision:
    statement = {"Effect": effect, "Action": "sts:*", "Resource": "*", "Condition": condition}
    policy = parse(json.dumps({"Version": version, "Statement": statement}), Kind.IDENTITY)
    return decide([policy], Request(action="sts:AssumeRole", resource=ROLE, context=CONTEXT, names=frozenset()))


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"sts:ExternalId": ["wrong-one", "right-one"]}},
        {"StringEquals": {"STS:externalID": "right-one"}},
        {"StringNotEquals": {"sts:ExternalId": "wrong-one"}},
        {"StringNotEquals": {"sts:SourceIdentity": "absent"}},
        {"StringEqualsIgnoreCase": {"sts:ExternalId": "RIGHT-one"}},
        {"StringNotEqualsIgnoreCase": {"sts:ExternalId": "WRONG-one"}},
        {"StringLike": {"sts:ExternalId": "r*-?ne"}},
        {"StringNotLike": {"sts:ExternalId": "w*"}},
        {"StringEqualsIfExists": {"sts:SourceIdentity": "absent"}},
        {"Null": {"sts:SourceIdentity": "true", "sts:ExternalId": "false"}},
        {"Bool": {"aws:SecureTransport": False}},
        {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}},
        {"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost", "more"]}},
        {"ForAllValues:StringEquals": {"sts:TransitiveTagKeys": ["team"]}},
        {"ForAnyValue:StringEquals": {"aws:TagKeys": ["team", "other"]}},
        {"ForAllValues:StringNotEquals": {"aws:TagKeys": "other"}},
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/path/*"}},
        {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/path/Hub"}},
        {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::222222222222:*"}},
        {"IpAddress": {"aws:SourceIp": ["198.51.100.0/24", "192.0.2.0/24"]}},
        {"NotIpAddress": {"aws:SourceIp": "198.51.100.0/24"}},
        {"DateLessThan": {"aws:CurrentTime": "2031-01-01T00:00:00Z"}},
        {"DateGreaterThanEquals": {"aws:CurrentTime": "2030-01-01"}},
        {"NumericLessThanEquals": {"aws:EpochTime": 1893456000}},
        {"NumericGreaterThan": {"aws:EpochTime": "1893455999.5"}},
        {"StringEquals": {"aws:username": "${aws:username}"}},
        {"StringEquals": {"aws:RequestTag/Team": "red"}, "StringLike": {"aws:username": "j*"}},
    ],
)
def test_a_condition_that_holds_grants(condition: object) -> None:
    assert decision(condition) is Decision.ALLOW


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"sts:ExternalId": "right-on"}},
        {"StringEquals": {"sts:ExternalId": "Right-one"}},
        {"StringEquals": {"sts:SourceIdentity": "absent"}},
        {"StringLike": {"sts:SourceIdentity": "*"}},
        {"StringLike": {"sts:ExternalId": "right"}},
        {"StringNotEquals": {"sts:ExternalId": ["other", "right-one"]}},
        {"Null": {"sts:ExternalId": "true"}},
        {"Null": {"sts:SourceIdentity": "false"}},
        {"Bool": {"aws:SecureTransport": "true"}},
        {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        {"Bool": {"aws:MultiFactorAuthPresent": "false"}},
        {"ForAllValues:StringEquals": {"aws:TagKeys": "team"}},
        {"ForAnyValue:StringEquals": {"aws:TagKeys": "other"}},
        {"ForAnyValue:StringEquals": {"sts:TransitiveTagKeys": "team"}},
        {"ForAnyValue:StringNotEquals": {"sts:TransitiveTagKeys": "team"}},
        {"ForAllValues:StringNotEquals": {"aws:TagKeys": "cost"}},
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*"}},
        {"ArnLike": {"aws:PrincipalArn": "*"}},
        {"IpAddress": {"aws:SourceIp": "2001:db8::/32"}},
        {"DateLessThan": {"aws:CurrentTime": "2029-01-01T00:00:00Z"}},
        {"NumericEquals": {"aws:EpochTime": 1}},
        {"StringEquals": {"sts:ExternalId": "right-one", "aws:username": "mallory"}},
    ],
)
def test_a_condition_that_does_not_hold_grants_nothing_and_denies_nothing(condition: object) -> None:
    assert decision(condition) is Decision.NONE
    assert decision(condition, "Deny") is Decision.NONE


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
        {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}},
        {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}},
        {"Null": {"aws:SourceVpc": "true"}},
        {"StringEquals": {"aws:TagKeys": "team"}},
        {"StringEquals": {"aws:username": "${aws:PrincipalTag/absent}"}},
        {"NumericEquals": {"sts:ExternalId": 1}},
        {"NumericEquals": {"aws:EpochTime": "nan"}},
        {"DateLessThan": {"aws:CurrentTime": "tomorrow"}},
        {"IpAddress": {"aws:SourceIp": "everywhere"}},
    ],
)
def test_a_condition_that_cannot_be_decided_grants_nothing_and_denies(condition: object) -> None:
    assert decision(condition) is Decision.NONE
    assert decision(condition, "Deny") is Decision.DENY


def test_the_older_language_has_no_variables() -> None:
    assert decision({"StringEquals": {"aws:username": "${aws:username}"}}, version="2008-10-17") is Decision.NONE


@pytest.mark.parametrize(
    "condition",
    [
        {"StringMatches": {"sts:ExternalId": "x"}},
        {"ForSomeValues:StringEquals": {"aws:TagKeys": "x"}},
        {"NullIfExists": {"sts:ExternalId": "true"}},
        {"stringequals": {"sts:ExternalId": "x"}},
        {"StringEquals": {}},
        {"StringEquals": {"sts:ExternalId": []}},
        {"StringEquals": {"sts:ExternalId": {"a": "b"}}},
        {"StringEquals": "x"},
        [],
    ],
)
def test_a_condition_out_of_grammar_is_refused(condition: object) -> None:
    with pytest.raises(MalformedPolicy):
        decision(condition)


TRUST = {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "sts:AssumeRole"}
IDENTITY = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (Kind.TRUST, {"Resource": "*"}),
        (Kind.TRUST, {"Action": "s3:GetObject"}),
        (Kind.TRUST, {"Action": "*"}),
        (Kind.TRUST, {"Principal": {"AWS": "arn:aws:iam::111111111111:user/*"}}),
        (Kind.TRUST, {"Principal": {"AWS": "somebody"}}),
        (Kind.TRUST, {"Principal": {"Somebody": "x"}}),
        (Kind.TRUST, {"Principal": {}}),
        (Kind.TRUST, {"Principal": None}),
        (Kind.TRUST, {"NotPrincipal": {"AWS": "111111111111"}}),
        (Kind.IDENTITY, {"Principal": "*"}),
        (Kind.IDENTITY, {"Resource": "bucket"}),
        (Kind.IDENTITY, {"Resource": []}),
        (Kind.IDENTITY, {"NotResource": "*"}),
        (Kind.IDENTITY, {"Action": "AssumeRole"}),
        (Kind.IDENTITY, {"NotAction": "sts:*"}),
        (Kind.IDENTITY, {"Effect": "allow"}),
        (Kind.IDENTITY, {"Extra": 1}),
    ],
)
def test_a_statement_out_of_grammar_is_refused(kind: Kind, change: dict[str, object]) -> None:
    good = TRUST if kind is Kind.TRUST else IDENTITY
    assert parse(json.dumps({"Version": "2012-10-17", "Statement": [good]}), kind)
    with pytest.raises(MalformedPolicy):
        parse(json.dumps({"Version": "2012-10-17", "Statement": [{**good, **change}]}), kind)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 5000,
        '{"Version":"2012-10-17"}',
        '{"Version":"2012-10-17","Statement":[]}',
        json.dumps({"Version": "2030-01-01", "Statement": IDENTITY}),
        json.dumps({"Version": "2012-10-17", "Statement": IDENTITY, "Extra": 1}),
        json.dumps(IDENTITY).join(('{"Statement":', ',"Statement":{}}')),
    ],
)
def test_a_document_out_of_grammar_is_refused(text: str) -> None:
    with pytest.raises(MalformedPolicy):
        parse(text, Kind.IDENTITY)


@pytest.mark.parametrize(
    ("principal", "names", "expected"),
    [
        ("*", {"*"}, Decision.ALLOW),
        ({"AWS": "*"}, {"*"}, Decision.ALLOW),
        ({"AWS": "arn:aws:iam::111111111111:root"}, {"111111111111"}, Decision.ALLOW),
        ({"AWS": ["222222222222", "111111111111"]}, {"111111111111"}, Decision.ALLOW),
        ({"AWS": "222222222222"}, {"111111111111"}, Decision.NONE),
        ({"Service": "ec2.amazonaws.com"}, {"ec2.amazonaws.com", "*"}, Decision.NONE),
        ({"AWS": "arn:aws:iam::111111111111:user/Jane"}, {"arn:aws:iam::111111111111:user/jane"}, Decision.NONE),
    ],
)
def test_a_trust_policy_speaks_of_its_principals_only(principal: object, names: set[str], expected: Decision) -> None:
    policy = parse(json.dumps({"Statement": {**TRUST, "Principal": principal}}), Kind.TRUST)
    request = Request(action="sts:AssumeRole", resource=ROLE, context={}, names=frozenset(names))
    assert decide([policy], request) is expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Action": "STS:assume*"}, Decision.ALLOW),
        ({"Action": "*"}, Decision.ALLOW),
        ({"Action": "sts:TagSession"}, Decision.NONE),
        ({"Resource": "arn:aws:iam::222222222222:role/*"}, Decision.ALLOW),
        ({"Resource": "arn:aws:iam::333333333333:role/*"}, Decision.NONE),
        ({"Resource": "arn:aws:iam::222222222222:role/${aws:username}"}, Decision.NONE),
    ],
)
def test_a_statement_speaks_of_its_actions_and_resources_only(change: dict[str, str], expected: Decision) -> None:
    policy = parse(json.dumps({"Version": "2012-10-17", "Statement": {**IDENTITY, **change}}), Kind.IDENTITY)
    request = Request(action="sts:AssumeRole", resource=ROLE, context=CONTEXT, names=frozenset())
    assert decide([policy], request) is expected


def test_not_action_and_not_resource_speak_of_the_rest() -> None:
    rest = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:iam::333333333333:*"}
    policy = parse(json.dumps({"Statement": rest}), Kind.IDENTITY)
    for action, resource, expected in (
        ("sts:AssumeRole", ROLE, Decision.ALLOW),
        ("iam:GetRole", ROLE, Decision.NONE),
        ("sts:AssumeRole", ROLE.replace("222222222222", "333333333333"), Decision.NONE),
    ):
        request = Request(action=action, resource=resource, context={}, names=frozenset())
        assert decide([policy], request) is expected


@settings(deadline=None)  # no test depends on speed
@given(st.text("ab", max_size=8), st.text("ab*?", max_size=8))
def test_patterns_fit_as_the_slow_definition_says(value: str, pattern: str) -> None:
    def slow(text: str, rest: str) -> bool:
        if not rest:
            return not text
        if rest[0] == "*":
            return slow(text, rest[1:]) or (bool(text) and slow(text[1:], rest))
        return bool(text) and rest[0] in ("?", text[0]) and slow(text[1:], rest[1:])

    assert like(value, pattern) == slow(value, pattern)


def test_a_hostile_pattern_costs_little() -> None:
    assert not like("a" * 2000, "*a" * 1000 + "b")
