"""The sandbox's STS beyond the contract: exact limits and texts, faults, its call log, its bounds, the real AWS CLI."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from contracts.sts import AWAY, HOME, Caller, Client, refused, session_of, sts_client
from contracts.sts_wire import WHO, identity_of, send, signed

from broker.clock import utc_now
from broker.sandbox.sts import AccessKey, DemoRole, Role, Root, SandboxSts, Throttle, User, World, demo_world

ARN = f"arn:aws:iam::{HOME}:user/broker"
INSTANCE = f"arn:aws:iam::{HOME}:role/broker-instance"
ROLE = f"arn:aws:iam::{AWAY}:role/team/Deploy"
KEY = AccessKey(id="AKIAABCDEFGHIJKLMNOP", secret="s" * 40)
BROKER = Caller(arn=ARN, key=KEY.id, secret=KEY.secret)
JANE = {"RoleArn": ROLE, "RoleSessionName": "jane", "SourceIdentity": "jane.doe", "ExternalId": "right-one"}
MANAGED = f"arn:aws:iam::{AWAY}:policy/ReadOnly"
NOW = datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC)


def the_world() -> World:
    role = DemoRole(account=AWAY, name="team/Deploy", external_id="right-one", max_session=timedelta(hours=2))
    nothing = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}'
    managed = {MANAGED: nothing}
    return demo_world([role], broker_user_arn=ARN, broker_role_arn=INSTANCE, key=KEY, managed=managed)


@pytest.fixture
def sts() -> Iterator[SandboxSts]:
    with SandboxSts(the_world(), clock=utc_now) as running:
        yield running


@pytest.fixture
def client(sts: SandboxSts) -> Client:
    return sts_client(sts.url, BROKER, check=False)


def test_the_demos_world_lets_the_broker_in_and_nobody_else(sts: SandboxSts, client: Client) -> None:
    answer = client.assume_role(**JANE, Tags=[{"Key": "broker:person", "Value": "p-1"}])
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{AWAY}:assumed-role/Deploy/jane"
    for missing in ("ExternalId", "SourceIdentity"):
        refused(client.assume_role, "AccessDenied", **{k: v for k, v in JANE.items() if k != missing})
    stranger = User(arn=f"arn:aws:iam::{HOME}:user/stranger", keys=(replace(KEY, id="AKIAZZZZZZZZZZZZZZZZ"),))
    stranger = replace(stranger, policy=sts.world.users[0].policy)
    sts.world = replace(sts.world, users=(*sts.world.users, stranger))
    other = sts_client(sts.url, Caller(arn=stranger.arn, key="AKIAZZZZZZZZZZZZZZZZ", secret=KEY.secret))
    refused(other.assume_role, "AccessDenied", **JANE)


def test_an_instance_role_is_chained(sts: SandboxSts) -> None:
    made = sts.session_for(INSTANCE, "i-0123456789")
    session = Caller(arn="", key=made.access_key_id, secret=made.secret_access_key, token=made.session_token)
    client = sts_client(sts.url, session)
    assert client.get_caller_identity()["Arn"] == f"arn:aws:sts::{HOME}:assumed-role/broker-instance/i-0123456789"
    assert client.assume_role(**JANE, DurationSeconds=3600)
    text = refused(client.assume_role, "ValidationError", **JANE, DurationSeconds=3601)
    assert text == "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."


def test_refusals_have_awss_own_words(client: Client) -> None:
    text = refused(client.assume_role, "AccessDenied", **{**JANE, "ExternalId": "wrong-one"})
    assert text == f"User: {ARN} is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
    text = refused(client.assume_role, "ValidationError", **JANE, DurationSeconds=7201)
    assert text == "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    text = refused(client.assume_role, "ValidationError", **{**JANE, "RoleSessionName": "a b"})
    pattern = r"failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*"
    assert text == f"1 validation error detected: Value 'a b' at 'roleSessionName' {pattern}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RoleArn", "x"),
        ("RoleArn", f"arn:aws:iam::{AWAY}:user/not-a-role"),
        ("RoleArn", "arn:aws:iam::" + "1" * 2048),
        ("ExternalId", "e"),
        ("ExternalId", "e" * 1225),
        ("ExternalId", "with blank"),
        ("SourceIdentity", "s"),
        ("SourceIdentity", "s" * 65),
        ("SourceIdentity", "j\N{LATIN SMALL LETTER O WITH DIAERESIS}rg"),
        ("SourceIdentity", "aws:jane"),
        ("SourceIdentity", "AWS:jane"),
        ("DurationSeconds", 899),
        ("DurationSeconds", 43201),
        ("DurationSeconds", -1),
        ("DurationSeconds", 10**12),
        ("Policy", ""),
        ("Policy", "\N{SNOWMAN}"),
        ("Tags", [{"Key": "k"}]),
        ("Tags", [{"Key": "", "Value": "v"}]),
        ("Tags", [{"Key": "k", "Value": "semi;colon"}]),
        ("TransitiveTagKeys", ["k" * 129]),
        ("PolicyArns", [{"arn": MANAGED}] * 11),
        ("MinimumSessionTokenSize", 4097),
        ("SerialNumber", "short"),
    ],
)
def test_a_parameter_beyond_its_limits_is_refused(client: Client, name: str, value: object) -> None:
    assert client.assume_role(**JANE)
    with pytest.raises(ClientError) as caught:
        client.assume_role(**{**JANE, name: value})
    assert caught.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.parametrize("name", ["RoleArn", "RoleSessionName"])
def test_a_required_parameter_is_missed(client: Client, name: str) -> None:
    text = refused(client.assume_role, "ValidationError", **{k: v for k, v in JANE.items() if k != name})
    assert text.endswith(f"at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: Member must not be null")


def test_letters_of_every_script_are_fine_in_tags(client: Client) -> None:
    tags = [{"Key": "\N{GREEK SMALL LETTER DELTA}_.:/=+-@ 1", "Value": "\N{CYRILLIC SMALL LETTER ZHE}"}]
    assert client.assume_role(**JANE, Tags=tags)


def test_a_parameter_that_does_not_exist_is_refused(sts: SandboxSts) -> None:
    answer = send(sts, signed(sts, BROKER, utc_now(), query=f"{WHO}&SourceIdentty=jane"))
    assert answer[:2] == (400, "ValidationError")


def test_a_parameter_that_stands_twice_is_refused(sts: SandboxSts) -> None:
    answer = send(sts, signed(sts, BROKER, utc_now(), query=f"{WHO}&Action=AssumeRole"))
    assert answer[:2] == (400, "MalformedQueryString")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("Version=2011-06-15", "MissingAction"),
        ("Action=GetCallerIdentity", "InvalidAction"),
        ("Action=GetCallerIdentity&Version=2010-05-08", "InvalidAction"),
        ("Action=AssumeRoleWithSAML&Version=2011-06-15", "InvalidAction"),
        ("Action", "MalformedQueryString"),
        ("Action=%FF", "MalformedQueryString"),
        ("&".join(f"a{number}=1" for number in range(501)), "MalformedQueryString"),
    ],
)
def test_a_request_out_of_form_is_refused(sts: SandboxSts, query: str, code: str) -> None:
    assert send(sts, signed(sts, BROKER, utc_now(), query=query))[:2] == (400, code)


def test_an_mfa_code_is_never_right(client: Client) -> None:
    serial = f"arn:aws:iam::{HOME}:mfa/broker"
    for given in ({"TokenCode": "123456"}, {"SerialNumber": serial}, {"SerialNumber": serial, "TokenCode": "123456"}):
        refused(client.assume_role, "AccessDenied", status=403, **JANE, **given)
        refused(client.get_session_token, "AccessDenied", status=403, **given)


def test_an_identity_context_is_refused(client: Client) -> None:
    context = [{"ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter", "ContextAssertion": "assertion"}]
    refused(client.assume_role, "InvalidParameterValue", **JANE, ProvidedContexts=context)


def test_the_token_is_opaque_and_as_long_as_asked_for(client: Client) -> None:
    answer = client.assume_role(**JANE)
    assert 1000 <= len(answer["Credentials"]["SessionToken"]) == answer["SessionTokenSize"]
    assert "PackedPolicySize" not in answer
    long = client.assume_role(**JANE, MinimumSessionTokenSize=4096)
    assert len(long["Credentials"]["SessionToken"]) == long["SessionTokenSize"] == 4096
    assert long["SessionTokenUtilization"] == 100 > answer["SessionTokenUtilization"] > 0


def test_what_does_not_pack_is_too_large(client: Client) -> None:
    tags = [{"Key": f"key-{number}", "Value": os.urandom(60).hex()} for number in range(50)]
    assert client.assume_role(**JANE, Tags=tags[:5])["PackedPolicySize"] < 100
    text = refused(client.assume_role, "PackedPolicyTooLarge", status=400, **JANE, Tags=tags)
    assert "% of allotted space" in text


def test_a_session_policy_of_2048_characters_is_taken_and_one_more_is_not(client: Client) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
    assert client.assume_role(**JANE, Policy=policy.ljust(2048))
    refused(client.assume_role, "PackedPolicyTooLarge", status=400, **JANE, Policy=policy.ljust(2049))


def test_ten_managed_session_policies_are_taken(client: Client) -> None:
    assert client.assume_role(**JANE, PolicyArns=[{"arn": MANAGED}] * 10)["PackedPolicySize"] > 0


def test_a_managed_session_policy_limits_the_session(sts: SandboxSts, client: Client) -> None:
    able = replace(sts.world.roles[1], policy=sts.world.users[0].policy.replace(ROLE, "*"))
    target = Role(arn=f"arn:aws:iam::{AWAY}:role/Next", trust=sts.world.roles[1].trust.replace(ARN, ROLE))
    sts.world = replace(sts.world, roles=(able, target))
    given = {**JANE, "RoleArn": target.arn}
    assert sts_client(sts.url, session_of(client.assume_role(**JANE))).assume_role(**given)
    limited = sts_client(sts.url, session_of(client.assume_role(**JANE, PolicyArns=[{"arn": MANAGED}])))
    refused(limited.assume_role, "AccessDenied", **given)
    deny = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*"}]}'
    denied = sts_client(sts.url, session_of(client.assume_role(**JANE, Policy=deny)))
    assert "explicit deny in a session policy" in refused(denied.assume_role, "AccessDenied", **given)


def test_federation_needs_permission(sts: SandboxSts, client: Client) -> None:
    refused(client.get_federation_token, "AccessDenied", status=403, Name="jane")
    own = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:GetFederationToken","Resource":"*"}}'
    sts.world = replace(sts.world, users=(replace(sts.world.users[0], policy=own),))
    answer = client.get_federation_token(Name="jane", DurationSeconds=900)
    assert answer["FederatedUser"] == {
        "FederatedUserId": f"{HOME}:jane",
        "Arn": f"arn:aws:sts::{HOME}:federated-user/jane",
    }
    tags = [{"Key": "team", "Value": "red"}]
    assert "sts:TagSession" in refused(client.get_federation_token, "AccessDenied", Name="jane", Tags=tags)


def test_a_key_tells_its_account_to_those_who_may_ask(sts: SandboxSts, client: Client) -> None:
    refused(client.get_access_key_info, "AccessDenied", AccessKeyId=KEY.id)
    own = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:*","Resource":"*"}}'
    session = client.assume_role(**JANE)["Credentials"]["AccessKeyId"]
    sts.world = replace(sts.world, users=(replace(sts.world.users[0], policy=own),))
    assert client.get_access_key_info(AccessKeyId=KEY.id)["Account"] == HOME
    assert client.get_access_key_info(AccessKeyId=session)["Account"] == AWAY
    refused(client.get_access_key_info, "ValidationError", AccessKeyId="AKIAZZZZZZZZZZZZZZZZ")


def test_roots_tokens_last_an_hour(sts: SandboxSts) -> None:
    root = sts.world.roots[0]
    client = sts_client(sts.url, Caller(arn=root.arn, key=root.keys[0].id, secret=root.keys[0].secret))
    ends = client.get_session_token(DurationSeconds=7200)["Credentials"]["Expiration"]
    assert ends - utc_now() <= timedelta(hours=1)


def test_the_quota_is_answered_with_awss_error(sts: SandboxSts) -> None:
    ticks = [0.0]
    throttle = Throttle(rate=1, burst=2, now=lambda: ticks[0])
    with SandboxSts(sts.world, clock=utc_now, throttle=throttle) as throttled:
        client, other = (sts_client(throttled.url, BROKER, region=region) for region in ("eu-west-1", "us-east-1"))
        for _ in range(2):
            client.get_caller_identity()
        assert refused(client.get_caller_identity, "Throttling", status=400) == "Rate exceeded"
        assert other.get_caller_identity()["Arn"] == ARN
        ticks[0] = 1.0
        assert client.get_caller_identity()["Arn"] == ARN
        refused(client.get_caller_identity, "Throttling", status=400)


def test_a_region_that_is_not_active_is_refused(sts: SandboxSts) -> None:
    sts.enabled_regions = frozenset({"eu-central-1"})
    assert sts_client(sts.url, BROKER, region="eu-central-1").get_caller_identity()
    elsewhere = sts_client(sts.url, BROKER, region="eu-west-1")
    text = refused(elsewhere.get_caller_identity, "RegionDisabledException", status=403)
    assert f"STS is not activated in this region for account:{HOME}" in text


def test_faults_come_as_often_as_asked_for(sts: SandboxSts, client: Client) -> None:
    sts.fail_next("ServiceUnavailable", status=503, times=2)
    for _ in range(2):
        refused(client.get_caller_identity, "ServiceUnavailable", status=503)
    assert client.get_caller_identity()["Arn"] == ARN
    assert [call["errorCode"] for call in sts.calls] == ["ServiceUnavailable"] * 2 + [None]


def test_it_can_be_away_and_come_back_with_what_it_knew(sts: SandboxSts, client: Client) -> None:
    url, session = sts.url, session_of(client.assume_role(**JANE))
    sts.down()
    with pytest.raises(EndpointConnectionError):
        client.get_caller_identity()
    sts.up()
    assert sts.url == url
    assert sts_client(url, session).get_caller_identity()["Arn"] == session.arn


def test_an_answer_can_be_late_within_bounds(sts: SandboxSts, client: Client) -> None:
    sts.delay = 0.2
    start = utc_now()
    client.get_caller_identity()
    assert utc_now() - start >= timedelta(seconds=0.2)
    for wrong in (-1, 11):
        with pytest.raises(ValueError, match="0 to 10"):
            sts.delay = wrong


def test_every_call_is_on_record_without_secrets(sts: SandboxSts, client: Client) -> None:
    answer = client.assume_role(**JANE, Tags=[{"Key": "broker:person", "Value": "p-1"}])
    session = session_of(answer)
    sts_client(sts.url, session, region="eu-west-1").get_caller_identity()
    refused(client.assume_role, "AccessDenied", **{**JANE, "ExternalId": "wrong-one"})
    assumed, told, refusal = sts.calls
    assert assumed["eventName"] == "AssumeRole"
    assert assumed["userIdentity"]["arn"] == ARN
    assert assumed["userIdentity"]["type"] == "IAMUser"
    assert assumed["requestParameters"] == {
        "roleArn": ROLE,
        "roleSessionName": "jane",
        "sourceIdentity": "jane.doe",
        "externalId": "right-one",
        "principalTags": {"broker:person": "p-1"},
    }
    assert (assumed["responseElements"] or {})["sourceIdentity"] == "jane.doe"
    assert assumed["sourceIPAddress"] == "127.0.0.1"
    assert assumed["requestID"] == answer["ResponseMetadata"]["RequestId"]
    assert (told["awsRegion"], told["userIdentity"]["arn"]) == ("eu-west-1", session.arn)
    context: Any = told["userIdentity"]["sessionContext"]
    assert (context["sourceIdentity"], context["sessionIssuer"]["arn"]) == ("jane.doe", ROLE)
    assert (refusal["errorCode"], refusal["responseElements"]) == ("AccessDenied", None)
    for secret in (session.secret, session.token, KEY.secret):
        assert secret not in json.dumps(sts.calls)
        assert secret not in repr((sts.world, sts.calls))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "localhost", ""])  # noqa: S104 (refused)
def test_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        SandboxSts(the_world(), clock=utc_now, host=host)


def test_it_listens_on_the_other_loopback_too() -> None:
    with SandboxSts(the_world(), clock=utc_now, host="::1") as running:
        assert identity_of(send(running, signed(running, BROKER, utc_now()))) == ARN


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"target": "/anything"}, 404),
        ({"body": b"x" * 131_073}, 413),
        ({"headers": (("host", "h"), ("content-length", "-1"))}, 400),
        ({"headers": (("host", "h"), ("content-length", "99999999999"))}, 400),
        ({"headers": (("host", "h"), ("transfer-encoding", "chunked")), "body": b""}, 411),
        ({"headers": (("host", "h"), ("content-length", "0"), ("content-length", "0")), "body": b""}, 411),
        ({"headers": (("host", "h"), *((f"x-{n}", "v" * 4000) for n in range(5)))}, 431),
        ({"headers": tuple((f"x-{n}", "v") for n in range(101))}, 431),
        ({"target": "/?" + "a" * 17_000}, 414),
        ({"method": "PUT"}, 501),
    ],
)
def test_what_is_too_much_is_refused(sts: SandboxSts, change: dict[str, Any], status: int) -> None:
    raw = signed(sts, BROKER, utc_now())
    assert identity_of(send(sts, raw)) == ARN
    assert replace(raw, **change).answer(sts).status == status


def test_a_body_that_is_no_form_is_not_read_as_one(sts: SandboxSts) -> None:
    raw = signed(sts, BROKER, utc_now(), headers={"content-type": "text/plain"})
    assert send(sts, raw.with_header("content-type", "text/plain"))[:2] == (400, "MissingAction")


def test_one_connection_too_many_is_closed(sts: SandboxSts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.sandbox.sts.listener.MOST_CONNECTIONS", 2)
    address = ("127.0.0.1", int(sts.url.rpartition(":")[2]))
    with socket.create_connection(address, 5) as one, socket.create_connection(address, 5) as two:
        for held in (one, two):
            held.sendall(b"GET /?Action=x HTTP/1.1\r\nHost: h\r\n\r\n")
            assert held.recv(100).startswith(b"HTTP/1.1 400")
        with socket.create_connection(address, 5) as three:
            assert three.recv(1) == b""
    assert _before_long(lambda: identity_of(send(sts, signed(sts, BROKER, utc_now())))) == ARN


def _before_long(ask: Callable[[], str]) -> str:
    """The answer, once the listener has seen that the others have hung up."""
    for _ in range(100):
        with suppress(OSError, http.client.HTTPException):
            return ask()
        time.sleep(0.05)
    pytest.fail("no place became free")


def test_a_world_that_iam_would_not_hold_is_refused() -> None:
    good = the_world().roles[1]
    for broken in (
        {"arn": "arn:aws:iam::1:role/x"},
        {"arn": ARN},
        {"trust": ""},
        {"trust": "{}"},
        {"policy": good.trust},
        {"trust": the_world().users[0].policy},
        {"max_session": timedelta(minutes=59)},
        {"max_session": timedelta(hours=13)},
    ):
        with pytest.raises(ValueError, match=r"arn|Max|trust"):
            replace(good, **broken)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="twice"):
        World(roles=(good, good))
    user = User(arn=ARN, keys=(KEY,))
    with pytest.raises(ValueError, match="twice"):
        World(users=(user,), roots=(Root(account=HOME, keys=(KEY,)),))


def test_keys_look_like_awss_and_are_not_guessable(client: Client) -> None:
    made = [client.assume_role(**JANE)["Credentials"] for _ in range(3)]
    for name, length in (("AccessKeyId", 20), ("SecretAccessKey", 40)):
        assert {len(credentials[name]) for credentials in made} == {length}
        assert len({credentials[name] for credentials in made}) == 3
    assert len({credentials["SessionToken"] for credentials in made}) == 3


@pytest.mark.parametrize("program", ["own", "/usr/bin/aws"])
def test_the_real_aws_cli_assumes_a_role_and_is_told_who_it_is(sts: SandboxSts, tmp_path: Path, program: str) -> None:
    path = Path(sys.executable).parent / "aws" if program == "own" else Path(program)
    if not path.exists():
        pytest.skip("needs a real neighbour: apt-get install awscli")

    def aws(caller: Caller, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{path.parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "AWS_ACCESS_KEY_ID": caller.key,
            "AWS_SECRET_ACCESS_KEY": caller.secret,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        } | ({"AWS_SESSION_TOKEN": caller.token} if caller.token else {})
        command = [str(path), "--endpoint-url", sts.url, "--output", "json", "sts", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    role = ["--role-arn", ROLE, "--role-session-name", "jane", "--source-identity", "jane.doe"]
    made = aws(BROKER, "assume-role", *role, "--external-id", "right-one", "--tags", "Key=broker:person,Value=p-1")
    assert made.returncode == 0, made.stderr
    answer = json.loads(made.stdout)
    assert answer["SourceIdentity"] == "jane.doe"
    told = aws(session_of(answer), "get-caller-identity")
    assert json.loads(told.stdout)["Arn"] == f"arn:aws:sts::{AWAY}:assumed-role/Deploy/jane"
    refusal = aws(BROKER, "assume-role", *role, "--external-id", "wrong-one")
    assert refusal.returncode != 0
    assert "(AccessDenied)" in refusal.stderr
    assert f"is not authorized to perform: sts:AssumeRole on resource: {ROLE}" in refusal.stderr
