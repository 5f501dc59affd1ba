"""The eleven checks of a signature, each against a request that is right but for one thing."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from contracts.sts import AWAY, HOME, Caller, fetch, refused, session_of, signed_query, sts_client
from contracts.sts_wire import WHO, Raw, identity_of, send, signed

from broker.sandbox.sts import AccessKey, DemoRole, Role, SandboxSts, User, World, broker_trust, demo_world

NOW = datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC)
ARN = f"arn:aws:iam::{HOME}:user/broker"
ROLE = f"arn:aws:iam::{AWAY}:role/team/Deploy"
KEY = AccessKey(id="AKIAABCDEFGHIJKLMNOP", secret="s" * 40)
BROKER = Caller(arn=ARN, key=KEY.id, secret=KEY.secret)


class Watch:
    """A clock that is set by hand. botocore signs with the machine's, so `live` follows that."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch(NOW)


@pytest.fixture
def sts(watch: Watch) -> Iterator[SandboxSts]:
    world = demo_world([DemoRole(account=AWAY, name="team/Deploy")], broker_user_arn=ARN, key=KEY)
    with SandboxSts(world, clock=watch) as running:
        yield running


def test_a_right_signature_is_taken(sts: SandboxSts) -> None:
    assert identity_of(send(sts, signed(sts, BROKER, NOW))) == ARN


def test_a_right_get_is_taken(sts: SandboxSts) -> None:
    assert identity_of(send(sts, signed(sts, BROKER, NOW, method="GET"))) == ARN


def test_the_vector_that_botocore_makes_is_taken(sts: SandboxSts, watch: Watch) -> None:
    """Our signer in these tests is our own, so the verification is held against botocore's too."""
    watch.now = datetime.now(UTC)
    assert sts_client(sts.url, BROKER).get_caller_identity()["Arn"] == ARN
    assert fetch(signed_query(sts.url, BROKER, WHO)) == (200, "")


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_signature_within_fifteen_minutes_is_taken(sts: SandboxSts, minutes: int) -> None:
    assert identity_of(send(sts, signed(sts, BROKER, NOW + timedelta(minutes=minutes)))) == ARN


@pytest.mark.parametrize(("minutes", "text"), [(-16, "Signature expired"), (16, "Signature not yet current")])
def test_a_signature_from_another_time_is_refused(sts: SandboxSts, minutes: int, text: str) -> None:
    status, code, message = send(sts, signed(sts, BROKER, NOW + timedelta(minutes=minutes)))
    assert (status, code) == (403, "SignatureDoesNotMatch")
    assert message.startswith(text)


def test_a_presigned_query_dies_after_fifteen_minutes_whatever_it_says(sts: SandboxSts, watch: Watch) -> None:
    watch.now = datetime.now(UTC)
    url = signed_query(sts.url, BROKER, WHO)
    assert "X-Amz-Expires=3600" in url
    assert fetch(url)[0] == 200
    watch.now += timedelta(minutes=16)
    assert fetch(url) == (403, "SignatureDoesNotMatch")


def test_the_scope_has_the_day_of_the_date(sts: SandboxSts) -> None:
    status, code, message = send(sts, signed(sts, BROKER, NOW, day="20300505"))
    assert (status, code) == (403, "SignatureDoesNotMatch")
    assert "Date in Credential scope does not match" in message


def test_the_scope_is_for_sts(sts: SandboxSts) -> None:
    status, code, message = send(sts, signed(sts, BROKER, NOW, service="s3"))
    assert (status, code) == (403, "SignatureDoesNotMatch")
    assert "correct service: 'sts'" in message


@pytest.mark.parametrize("region", ["", "moon", "us-east-1x", "US-EAST-1"])
def test_the_scope_has_a_region(sts: SandboxSts, region: str) -> None:
    status, code, message = send(sts, signed(sts, BROKER, NOW, region=region))
    assert (status, code) == (403, "SignatureDoesNotMatch")
    assert "valid region" in message


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "xx-nowhere-1"])
def test_a_key_is_unknown_in_another_partition(sts: SandboxSts, region: str) -> None:
    assert send(sts, signed(sts, BROKER, NOW, region=region))[:2] == (403, "InvalidClientTokenId")


def test_a_role_of_another_partition_is_no_role(sts: SandboxSts, watch: Watch) -> None:
    china = Role(arn=f"arn:aws-cn:iam::{AWAY}:role/R", trust=broker_trust(["*"]))
    everywhere = replace(sts.world.users[0], policy=sts.world.users[0].policy.replace(ROLE, "*"))
    sts.world = replace(sts.world, users=(everywhere,), roles=(china,))
    watch.now = datetime.now(UTC)
    client = sts_client(sts.url, BROKER)
    given = {"RoleArn": china.arn, "RoleSessionName": "jane", "SourceIdentity": "jane"}
    refused(client.assume_role, "ValidationError", status=400, **given)


@pytest.mark.parametrize(
    ("change", "by"),
    [
        ("body", lambda raw: replace(raw, body=raw.body + b"&DurationSeconds=900")),
        ("query", lambda raw: replace(raw, target="/?Extra=1")),
        ("method", lambda raw: replace(raw, method="GET", target=f"/?{WHO}", body=b"")),
        ("host", lambda raw: raw.with_header("host", "sts.amazonaws.com")),
        ("signed header", lambda raw: raw.with_header("x-amz-note", "two")),
    ],
)
def test_what_was_signed_cannot_be_changed(sts: SandboxSts, change: str, by) -> None:  # noqa: ANN001 (a function)
    raw = signed(sts, BROKER, NOW, headers={"x-amz-note": "one"})
    assert identity_of(send(sts, raw)) == ARN, change
    assert send(sts, by(raw))[:2] == (403, "SignatureDoesNotMatch"), change


def test_a_wrong_signature_of_any_length_is_refused(sts: SandboxSts) -> None:
    for wrong in ("", "0", "0" * 64, "\N{SNOWMAN}"):
        raw = signed(sts, BROKER, NOW, signature=wrong)
        assert send(sts, raw)[1] in ("SignatureDoesNotMatch", "IncompleteSignature"), wrong


def test_the_host_is_signed(sts: SandboxSts) -> None:
    status, code, message = send(sts, signed(sts, BROKER, NOW, unsigned=("host",)))
    assert (status, code) == (403, "SignatureDoesNotMatch")
    assert "'Host'" in message


def test_every_amz_header_is_signed(sts: SandboxSts) -> None:
    raw = signed(sts, BROKER, NOW).with_header("x-amz-note", "added on the way")
    assert send(sts, raw)[:2] == (403, "SignatureDoesNotMatch")
    assert identity_of(send(sts, signed(sts, BROKER, NOW).with_header("x-note", "not AWS's"))) == ARN


def test_a_header_that_is_said_to_be_signed_is_there(sts: SandboxSts) -> None:
    raw = signed(sts, BROKER, NOW, headers={"x-amz-note": "one"})
    assert send(sts, replace(raw, headers=tuple(h for h in raw.headers if h[0] != "x-amz-note")))[0] == 400


def test_an_unsigned_request_is_refused(sts: SandboxSts) -> None:
    raw = signed(sts, BROKER, NOW)
    bare = replace(raw, headers=tuple(h for h in raw.headers if h[0] != "authorization"))
    assert send(sts, bare)[:2] == (403, "MissingAuthenticationToken")


def test_two_signatures_are_refused(sts: SandboxSts) -> None:
    raw = signed(sts, BROKER, NOW)
    twice = replace(raw, headers=(*raw.headers, *(h for h in raw.headers if h[0] == "authorization")))
    assert send(sts, twice)[:2] == (400, "IncompleteSignature")
    assert send(sts, replace(raw, target="/?X-Amz-Signature=1"))[:2] == (400, "IncompleteSignature")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        ("AWS4-HMAC-SHA256", "Basic"),
        ("SignedHeaders=", "Signed="),
        ("Signature=", "Sign="),
        ("Credential=", "Creds="),
        ("/aws4_request", ""),
        ("/aws4_request", "/aws3_request"),
        ("Signature=", "Signature=0, Signature="),
        (", ", " "),
        (", SignedHeaders", ", Loose, SignedHeaders"),
    ],
)
def test_an_authorization_out_of_form_is_incomplete(sts: SandboxSts, old: str, new: str) -> None:
    raw = signed(sts, BROKER, NOW)
    value = dict(raw.headers)["authorization"].replace(old, new, 1)
    assert send(sts, raw.with_header("authorization", value))[:2] == (400, "IncompleteSignature")


@pytest.mark.parametrize("stamp", ["", "20300506", "20300506T070809", "20301306T070809Z", "2030-05-06T07:08:09Z"])
def test_a_date_out_of_form_is_incomplete(sts: SandboxSts, stamp: str) -> None:
    raw = signed(sts, BROKER, NOW, stamp=stamp, day=stamp[:8])
    assert send(sts, raw)[:2] == (400, "IncompleteSignature")


@pytest.mark.parametrize("element", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"])
def test_a_presigned_query_has_all_its_elements_once(sts: SandboxSts, watch: Watch, element: str) -> None:
    watch.now = datetime.now(UTC)
    url = signed_query(sts.url, BROKER, WHO)
    assert fetch(url)[0] == 200
    lost = url.replace(f"X-Amz-{element}=", f"X-{element}=")
    expected = "MissingAuthenticationToken" if element == "Signature" else "IncompleteSignature"
    assert fetch(lost)[1] == expected
    assert fetch(f"{url}&X-Amz-{element}=1")[1] == "IncompleteSignature"


def test_a_presigned_query_has_our_algorithm(sts: SandboxSts, watch: Watch) -> None:
    watch.now = datetime.now(UTC)
    url = signed_query(sts.url, BROKER, WHO).replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1")
    assert fetch(url) == (400, "IncompleteSignature")


def test_an_inactive_key_is_unknown(sts: SandboxSts) -> None:
    user = replace(sts.world.users[0], keys=(replace(KEY, active=False),))
    sts.world = replace(sts.world, users=(user,))
    assert send(sts, signed(sts, BROKER, NOW))[:2] == (403, "InvalidClientTokenId")


def test_a_long_term_key_has_no_token(sts: SandboxSts) -> None:
    with_token = replace(BROKER, token="x" * 1024)
    assert send(sts, signed(sts, with_token, NOW))[:2] == (403, "InvalidClientTokenId")


def test_a_session_dies_at_its_expiration(sts: SandboxSts, watch: Watch) -> None:
    watch.now = datetime.now(UTC)
    start = watch.now
    given = {"RoleArn": ROLE, "RoleSessionName": "jane", "SourceIdentity": "jane", "DurationSeconds": 900}
    answer = sts_client(sts.url, BROKER).assume_role(**given)
    session = session_of(answer)
    assert answer["Credentials"]["Expiration"] == start.replace(microsecond=0) + timedelta(seconds=900)
    watch.now = start + timedelta(seconds=898)
    assert identity_of(send(sts, signed(sts, session, watch.now))) == session.arn
    watch.now = start + timedelta(seconds=900)
    assert send(sts, signed(sts, session, watch.now))[:2] == (403, "ExpiredToken")
    forged = replace(session, secret="x" * 40)
    assert send(sts, signed(sts, forged, watch.now))[:2] == (403, "SignatureDoesNotMatch")


def test_a_session_dies_with_its_role_and_a_key_with_its_user(sts: SandboxSts) -> None:
    made = sts.session_for(ROLE, "i-0123456789")
    session = Caller(arn="", key=made.access_key_id, secret=made.secret_access_key, token=made.session_token)
    assert identity_of(send(sts, signed(sts, session, NOW))).endswith("assumed-role/Deploy/i-0123456789")
    sts.world = World()
    assert send(sts, signed(sts, session, NOW))[:2] == (403, "InvalidClientTokenId")
    assert send(sts, signed(sts, BROKER, NOW))[:2] == (403, "InvalidClientTokenId")
    sts.world = World(users=(User(arn=ARN, keys=(KEY,)),))
    assert identity_of(send(sts, signed(sts, BROKER, NOW))) == ARN


def test_the_answers_date_is_the_sandboxs_own(sts: SandboxSts, watch: Watch) -> None:
    raw = signed(sts, BROKER, NOW)
    assert parsedate_to_datetime(raw.answer(sts).headers["Date"]) == NOW
    watch.now = NOW + timedelta(minutes=3)
    assert parsedate_to_datetime(raw.answer(sts).headers["Date"]) == watch.now


def test_an_empty_body_is_hashed_as_such() -> None:
    assert Raw.digest(b"") == hashlib.sha256(b"").hexdigest()
