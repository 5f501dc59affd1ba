import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from builders import HOUR, MINUTE, NOW, a_permit, a_proof, a_role, an_account, an_entitlement, an_identity, shown
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.challenge.proof import Method
from broker.evaluate.verdict import Permit
from broker.issue import session
from broker.issue.issuer import IssueRefused
from broker.issue.session import SessionRequest, session_request

MODEL = botocore.session.get_session().get_service_model("sts")
SHAPE: Any = MODEL.operation_model("AssumeRole").input_shape


def request(
    permit: Permit | None = None,
    *,
    asked: timedelta | None = None,
    chained: bool = False,
    lease: str = "0197f0a1-7e57-7000-8000-000000000001",
    tag_prefix: str = "broker:",
) -> SessionRequest:
    return session_request(permit or a_permit(), lease=lease, asked=asked, chained=chained, tag_prefix=tag_prefix)


def permit_of(**entitlement: Any) -> Permit:  # noqa: ANN401 (what the builder takes)
    return a_permit(entitlement=an_entitlement(**entitlement))


def permit_named(session_name: str) -> Permit:
    return a_permit(proof=a_proof(session_name=session_name))


def test_the_request_is_made_from_what_the_broker_knows() -> None:
    assert request(permit_of(account=an_account(external_id="b7c1-4711"))).parameters() == {
        "RoleArn": "arn:aws:iam::210987654321:role/federated/ReadOnly",
        "RoleSessionName": "ada",
        "SourceIdentity": "ada",
        "DurationSeconds": 8 * 3600,
        "ExternalId": "b7c1-4711",
        "Tags": [
            {"Key": "broker:lease", "Value": "0197f0a1-7e57-7000-8000-000000000001"},
            {"Key": "broker:person", "Value": "p-ada"},
            {"Key": "broker:provider", "Value": "corp-ad"},
            {"Key": "broker:mapping", "Value": "3b1f0c9d2e4a5f60"},
            {"Key": "broker:mfa", "Value": "totp"},
            {"Key": "broker:mfa-at", "Value": "2026-11-23T10:56:00Z"},
        ],
    }


def test_without_an_external_id_none_is_sent() -> None:
    assert "ExternalId" not in request().parameters()


def test_the_external_id_is_in_no_repr() -> None:
    assert "b7c1-4711" not in repr(request(permit_of(account=an_account(external_id="b7c1-4711"))))


def test_no_tag_is_transitive_and_no_policy_is_sent() -> None:
    assert not {"TransitiveTagKeys", "Policy", "PolicyArns"} & set(request().parameters())


def test_the_factor_of_the_tags_is_the_latest_shown() -> None:
    proof = a_proof(shown(Method.TOTP, at=NOW - HOUR), shown(Method.WEBAUTHN, at=NOW - MINUTE))
    tags = dict(request(a_permit(proof=proof)).tags)
    assert (tags["broker:mfa"], tags["broker:mfa-at"]) == ("webauthn", "2026-11-23T10:59:00Z")


def test_the_time_in_the_tag_is_utc() -> None:
    at = datetime.fromisoformat("2026-11-23T11:59:00+01:00")
    assert dict(request(a_permit(proof=a_proof(shown(at=at)))).tags)["broker:mfa-at"] == "2026-11-23T10:59:00Z"
    assert at.astimezone(UTC).hour == 10


# the role


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::210987654321:role/Admin",
        "arn:aws:iam::210987654321:role/a/b/c/Admin_+=,.@-1",
        "arn:aws:iam::210987654321:role/" + "x" * 64,
    ],
)
def test_the_arn_of_a_role_is_taken_and_the_session_s_arn_lacks_the_path(arn: str) -> None:
    name = arn.rpartition("/")[2]
    assert request(permit_of(role_arn=arn)).assumed_role_arn == f"arn:aws:sts::210987654321:assumed-role/{name}/ada"


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::21098765432:role/Admin",
        "arn:aws:iam::210987654321:user/Admin",
        "arn:aws:iam::210987654321:role/",
        "arn:aws:iam::210987654321:role/with blank",
        "arn:aws:iam::210987654321:role/Ädmin",
        "arn:aws:iam::210987654321:role/Admin\n",
        "arn:aws:iam::210987654321:role//../Admin x",
        "arn:aws:iam::２１０987654321:role/Admin",  # noqa: RUF001 (full-width digits, on purpose)
        "arn:aws:iam::210987654321:role/" + "x" * 65,
        "arn:aws:iam::210987654321:role/" + "p/" * 256 + "Admin",
        "",
    ],
)
def test_what_is_not_a_role_s_arn_is_refused(arn: str) -> None:
    permit = permit_of()
    object.__setattr__(permit.entitlement, "role_arn", arn)
    with pytest.raises(IssueRefused, match="not one that AWS knows"):
        request(permit)


@pytest.mark.parametrize(
    "arn", ["arn:aws:iam::999999999999:role/federated/ReadOnly", "arn:aws-cn:iam::210987654321:role/federated/ReadOnly"]
)
def test_a_role_outside_of_the_entitlement_s_account_is_refused(arn: str) -> None:
    with pytest.raises(IssueRefused, match="not in the account"):
        request(permit_of(role_arn=arn))


# the name


@pytest.mark.parametrize("name", ["ada", "ab", "x" * 64, "ada.lovelace@corp.example", "a_b+c=d,e.f@g-h"])
def test_session_names_that_aws_takes(name: str) -> None:
    made = request(permit_named(name))
    assert (made.session_name, made.parameters()["SourceIdentity"]) == (name, name)


@pytest.mark.parametrize(
    "name",
    ["", "a", "x" * 65, "ada lovelace", "ada/admin", "adä", "ada\n", "ada:x", "ａｄａ", "aws:ada"],  # noqa: RUF001 (on purpose)
)
def test_session_names_that_aws_does_not_take_are_refused(name: str) -> None:
    with pytest.raises(IssueRefused, match="session name"):
        request(permit_named(name))


@settings(max_examples=200)
@given(one=st.from_regex(session.SESSION_NAME, fullmatch=True), two=st.from_regex(session.SESSION_NAME, fullmatch=True))
def test_two_people_never_share_a_name_in_aws(one: str, two: str) -> None:
    first, second = request(permit_named(one)), request(permit_named(two))
    assert (first.session_name == second.session_name) is (one == two)
    assert (first.assumed_role_arn == second.assumed_role_arn) is (one == two)


# the external id and the tags


@pytest.mark.parametrize("external_id", ["a", "x" * 1225, "with blank", "é1", "ab\n"])
def test_an_external_id_that_aws_does_not_take_is_refused(external_id: str) -> None:
    with pytest.raises(IssueRefused, match="external id"):
        request(permit_of(account=an_account(external_id=external_id)))


@pytest.mark.parametrize(
    "change",
    [
        {"lease": "x" * 257},
        {"lease": "lease;drop"},
        {"lease": "lease\n"},
        {"lease": "läse"},
        {"tag_prefix": "aws:"},
        {"tag_prefix": "AWS:"},
        {"tag_prefix": "x" * 128},
        {"tag_prefix": "bröker:"},
    ],
)
def test_a_tag_that_aws_does_not_take_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(IssueRefused, match="tags"):
        request(**change)


def test_a_provider_whose_name_is_no_tag_is_refused() -> None:
    proof = a_proof(identity=an_identity(provider="corp*ad"))
    with pytest.raises(IssueRefused, match="tags"):
        request(a_permit(proof=proof))


def test_a_permit_without_a_factor_gives_nothing() -> None:
    permit = a_permit()
    object.__setattr__(permit, "proof", replace(permit.proof, shown=()))
    with pytest.raises(IssueRefused, match="No second factor"):
        request(permit)


# the duration


@pytest.mark.parametrize(
    ("asked", "longest", "chained", "seconds"),
    [
        (None, 8 * HOUR, False, 28800),
        (HOUR, 8 * HOUR, False, 3600),
        (12 * HOUR, 8 * HOUR, False, 28800),
        (None, 8 * HOUR, True, 3600),
        (2 * HOUR, 8 * HOUR, True, 3600),
        (20 * MINUTE, 8 * HOUR, True, 1200),
        (15 * MINUTE, HOUR, False, 900),
        (timedelta(seconds=900.9), HOUR, False, 900),
        (None, 48 * HOUR, False, 43200),
        (timedelta.max, 48 * HOUR, False, 43200),
        (None, 15 * MINUTE, True, 900),
    ],
)
def test_a_session_lasts_the_least_of_asked_role_chaining_and_aws(
    asked: timedelta | None, longest: timedelta, *, chained: bool, seconds: int
) -> None:
    permit = permit_of(role=a_role(max_session=longest))
    assert request(permit, asked=asked, chained=chained).seconds == seconds


@pytest.mark.parametrize(
    "asked", [timedelta(), timedelta(seconds=1), timedelta(seconds=899.999), timedelta(hours=-1), timedelta.min]
)
def test_less_than_a_quarter_of_an_hour_is_refused_and_says_so(asked: timedelta) -> None:
    with pytest.raises(IssueRefused, match="15 minutes") as caught:
        request(asked=asked)
    assert caught.value.remedy == "Ask for 15 minutes or more."


def test_a_role_whose_sessions_are_too_short_for_aws_is_refused() -> None:
    with pytest.raises(IssueRefused, match="of this role"):
        request(permit_of(role=a_role(max_session=14 * MINUTE)))


# our limits are AWS's


@pytest.mark.parametrize(
    ("member", "pattern"),
    [
        ("RoleSessionName", session.SESSION_NAME),
        ("SourceIdentity", session.SESSION_NAME),
        ("ExternalId", session.EXTERNAL_ID),
    ],
)
def test_our_patterns_are_those_of_the_service_model(member: str, pattern: re.Pattern[str]) -> None:
    limits = SHAPE.members[member].metadata
    least, most = limits["min"], limits["max"]
    theirs = re.compile(limits["pattern"], re.ASCII)
    for code in range(128):
        text = "a" * (least - 1) + chr(code)
        assert bool(pattern.fullmatch(text)) is bool(theirs.fullmatch(text)), repr(text)
    assert pattern.fullmatch("a" * most)
    assert not pattern.fullmatch("a" * (most + 1))
    assert not pattern.fullmatch("a" * (least - 1))


def test_our_durations_and_tags_are_those_of_the_service_model() -> None:
    duration, tags = SHAPE.members["DurationSeconds"].metadata, SHAPE.members["Tags"]
    assert (
        timedelta(seconds=duration["min"]),
        timedelta(seconds=duration["max"]),
    ) == (session.SHORTEST, session.LONGEST)
    assert len(request().tags) <= tags.metadata["max"]
    for name, pattern in (("Key", session.TAG_KEY), ("Value", session.TAG_VALUE)):
        limits = tags.member.members[name].metadata
        assert pattern.pattern.endswith(f"{{{limits['min']},{limits['max']}}}")


def test_the_tags_are_frugal() -> None:
    """What AWS packs is not published; a few short tags leave the room to session policies."""
    tags = request().tags
    assert len(tags) == 6
    assert sum(len(key) + len(value) for key, value in tags) < 256
