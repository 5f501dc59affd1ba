"""What the contract does not reach: crooked answers, several regions, time, and the broker's own credentials."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from builders import HOUR, MINUTE, a_permit, a_role, an_entitlement
from contracts.issuer import someone
from issue.crooked import Asked, Crooked, Reply, caller, credentials, crooked_sts, error
from issue.stages import BROKER_ROLE, OTHER_REGION, REGION, TRUSTING, an_issuer, key_file, sandbox

from broker.clock import utc_now
from broker.errors import ConfigurationError, Unavailable
from broker.issue.assume_role import AssumeRole
from broker.issue.aws import AwsSettings
from broker.issue.issuer import IssueRefused, Lease
from broker.issue.sts import PAUSE, REST
from broker.sandbox.sts import SandboxSts, new_access_key

BOTH = (REGION, OTHER_REGION)
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def sts() -> Iterator[Crooked]:
    with crooked_sts() as running:
        yield running


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return key_file(tmp_path, new_access_key())


@pytest.fixture
def strict() -> Iterator[SandboxSts]:
    with sandbox(max_session=4 * HOUR) as running:
        yield running


@dataclass(slots=True, kw_only=True)
class Time:
    """A clock that only moves when told to."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def issue(
    issuer: AssumeRole, *, max_session: timedelta = HOUR, asked: timedelta | None = None, partition: str = "aws"
) -> Lease:
    now = utc_now()
    account = replace(TRUSTING, partition=partition)
    entitlement = an_entitlement(account=account, role=a_role(max_session=max_session))
    permit = a_permit(proof=someone(now=now), entitlement=entitlement, at=now)
    return issuer.issue(permit, lease="lease-1", asked=asked, now=now)


# the answer


def test_an_honest_answer_is_taken(sts: Crooked, key: Path) -> None:
    lease = issue(an_issuer(sts.url, key))
    assert (lease.access_key_id, lease.source_identity, lease.region) == ("ASIAEXAMPLEEXAMPLE01", "ada", REGION)


SOON = f"{datetime(2030, 1, 1, tzinfo=UTC):%Y-%m-%dT%H:%M:%SZ}"
LONG_AGO = "2020-01-01T00:00:00Z"
ACCOUNT = TRUSTING.id


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"SourceIdentity": ""}, "source identity"),
        ({"SourceIdentity": "mallory"}, "source identity"),
        ({"SourceIdentity": "ADA"}, "source identity"),
        ({"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/ada"}, "another role"),
        ({"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/ReadOnly/mallory"}, "another role"),
        ({"Arn": "arn:aws:sts::999999999999:assumed-role/ReadOnly/ada"}, "another role"),
        ({"Arn": ""}, "another role"),
        ({"AccessKeyId": ""}, "no whole credentials"),
        ({"SecretAccessKey": ""}, "no whole credentials"),
        ({"SessionToken": ""}, "no whole credentials"),
        ({"Expiration": ""}, "no whole credentials"),
        ({"Expiration": SOON}, "do not last as long"),
        ({"Expiration": LONG_AGO}, "do not last as long"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_gives_no_lease(
    sts: Crooked, key: Path, changed: dict[str, str], message: str
) -> None:
    sts.assume_role = lambda asked: credentials(asked, **changed)
    with pytest.raises(IssueRefused, match=message) as caught:
        issue(an_issuer(sts.url, key))
    assert "secret" not in str(caught.value)


def test_the_expiry_is_judged_by_the_clock_of_sts(sts: Crooked, key: Path) -> None:
    """Ours may be wrong; that alone does not make credentials wrong."""
    ahead = utc_now() + timedelta(minutes=10)
    date, expires = format_datetime(ahead, usegmt=True), f"{ahead + HOUR:%Y-%m-%dT%H:%M:%SZ}"
    sts.assume_role = lambda asked: credentials(asked, date=date, Expiration=expires)
    assert issue(an_issuer(sts.url, key)).expires_at > utc_now() + HOUR
    sts.assume_role = lambda asked: credentials(asked, date="none", Expiration=expires)
    with pytest.raises(IssueRefused, match="do not last as long"):
        issue(an_issuer(sts.url, key))


def test_the_request_says_what_the_session_is(sts: Crooked, key: Path) -> None:
    issue(an_issuer(sts.url, key), asked=20 * MINUTE)
    form = sts.asked[-1].form
    assert form["RoleArn"] == f"arn:aws:iam::{TRUSTING.id}:role/federated/ReadOnly"
    assert (form["RoleSessionName"], form["SourceIdentity"], form["DurationSeconds"]) == ("ada", "ada", "1200")
    assert form["Tags.member.1.Key"] == "broker:lease"
    assert form["Tags.member.1.Value"] == "lease-1"
    assert not [name for name in form if name.startswith(("Transitive", "Policy", "ExternalId"))]


def test_no_secret_is_logged_however_much_is_logged(sts: Crooked, key: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    issuer = an_issuer(sts.url, key)
    issue(issuer)
    assert "token-token-token-token" not in caplog.text
    assert "secret-secret-secret" not in caplog.text
    with caplog.at_level(logging.DEBUG, logger="botocore"):  # the control: botocore would tell
        issue(issuer)
    assert "token-token-token-token" in caplog.text


# errors


@pytest.mark.parametrize(
    "code",
    ["AccessDenied", "ValidationError", "PackedPolicyTooLarge", "ExpiredToken", "InvalidClientTokenId", "Unheard.Of"],
)
def test_what_aws_refuses_is_final(sts: Crooked, key: Path, code: str) -> None:
    sts.assume_role = lambda _: error(code, 403)
    with pytest.raises(IssueRefused) as caught:
        issue(an_issuer(sts.url, key, regions=BOTH))
    assert caught.value.aws_code == code
    assert caught.value.remedy
    assert sts.regions == [REGION]


def test_an_error_code_that_is_not_one_is_not_repeated(sts: Crooked, key: Path) -> None:
    sts.assume_role = lambda _: error("role/secret-name does not exist", 400)
    with pytest.raises(IssueRefused) as caught:
        issue(an_issuer(sts.url, key))
    assert caught.value.aws_code == "unreadable"


AWAY: list[Callable[[Asked], Reply]] = [
    lambda _: error("Throttling", 400),
    lambda _: error("RequestLimitExceeded", 503),
    lambda _: error("TooManyRequestsException", 429),
    lambda _: error("AccessDenied", 500),
    lambda _: error("InternalFailure", 500),
    lambda _: Reply(status=503, body="<html>Service Unavailable</html>"),
    lambda _: Reply(status=502, body=""),
    lambda _: Reply(status=200, body="<html>please log in to the hotel network"),
    lambda _: Reply(status=200, body="", hang_up=True),
    lambda _: error("RegionDisabledException", 403),
]


@pytest.mark.parametrize("away", AWAY, ids=range(len(AWAY)))
def test_a_region_that_gives_no_answer_is_passed_over(sts: Crooked, key: Path, away: Callable[[Asked], Reply]) -> None:
    sts.assume_role = lambda asked: away(asked) if asked.region == REGION else credentials(asked)
    assert issue(an_issuer(sts.url, key, regions=BOTH)).region == OTHER_REGION
    assert sts.regions == list(BOTH)


def test_when_no_region_answers_each_was_tried_twice_with_one_random_pause(sts: Crooked, key: Path) -> None:
    time = Time()
    sts.assume_role = lambda _: error("Throttling", 400)
    issuer = an_issuer(sts.url, key, regions=BOTH, monotonic=time.monotonic, sleep=time.sleep, random=lambda: 0.25)
    with pytest.raises(Unavailable) as caught:
        issue(issuer)
    assert caught.value.neighbour == "AWS STS"
    assert caught.value.retry_after
    assert sts.regions == [*BOTH, *BOTH]
    assert time.slept == [0.25 * PAUSE]


def test_the_second_try_may_succeed(sts: Crooked, key: Path) -> None:
    answers = [error("InternalFailure", 500), None]
    sts.assume_role = lambda asked: answers.pop(0) or credentials(asked)
    assert issue(an_issuer(sts.url, key)).region == REGION


def test_a_region_that_is_not_active_is_not_asked_again(sts: Crooked, key: Path) -> None:
    sts.assume_role = lambda a: error("RegionDisabledException", 403) if a.region == REGION else error("Throttling")
    with pytest.raises(Unavailable):
        issue(an_issuer(sts.url, key, regions=BOTH))
    assert sts.regions == [REGION, OTHER_REGION, OTHER_REGION]


def test_when_no_region_is_active_that_is_final(sts: Crooked, key: Path) -> None:
    sts.assume_role = lambda _: error("RegionDisabledException", 403)
    with pytest.raises(IssueRefused, match="not active") as caught:
        issue(an_issuer(sts.url, key, regions=BOTH))
    assert caught.value.aws_code == "RegionDisabledException"
    assert sts.regions == list(BOTH)


def test_a_region_that_cannot_be_reached_goes_last_for_a_while(sts: Crooked, key: Path) -> None:
    time, gone = Time(), {REGION}
    sts.assume_role = lambda a: Reply(status=0, body="", hang_up=True) if a.region in gone else credentials(a)
    issuer = an_issuer(sts.url, key, regions=BOTH, monotonic=time.monotonic)
    issue(issuer)
    gone.clear()
    issue(issuer)
    time.now += REST + 1
    issue(issuer)
    assert sts.regions == [REGION, OTHER_REGION, OTHER_REGION, REGION]


def test_a_refused_connection_moves_on(sts: Crooked, key: Path) -> None:
    issuer = an_issuer({REGION: NOWHERE, OTHER_REGION: sts.url}, key, regions=BOTH)
    assert issue(issuer).region == OTHER_REGION


def test_an_answer_that_does_not_come_is_not_waited_for(sts: Crooked, key: Path) -> None:
    over = threading.Event()

    def slow(asked: Asked) -> Reply:
        if asked.region == REGION:
            over.wait(20)
        return credentials(asked)

    sts.assume_role = slow
    issuer = an_issuer(sts.url, key, regions=BOTH, connect_timeout="1s", read_timeout="1s", budget="10s")
    try:
        assert issue(issuer).region == OTHER_REGION
    finally:
        over.set()


def test_no_attempt_begins_that_could_end_after_the_budget(sts: Crooked, key: Path) -> None:
    """An attempt may take 2 s and 5 s, or half of that when time is short: with 3.4 s left there is none."""
    time = Time()

    def answer(_: Asked) -> Reply:
        time.now += 6.6
        return error("InternalFailure", 500)

    issuer = an_issuer(sts.url, key, regions=BOTH, monotonic=time.monotonic, sleep=time.sleep, random=lambda: 0.0)
    issuer.check()
    sts.assume_role = answer
    with pytest.raises(Unavailable):
        issue(issuer)
    assert sts.regions == [REGION]


def test_when_time_is_short_the_impatient_client_still_tries(sts: Crooked, key: Path) -> None:
    time = Time()

    def answer(asked: Asked) -> Reply:
        time.now += 6.0
        return error("InternalFailure", 500) if asked.region == REGION else credentials(asked)

    issuer = an_issuer(sts.url, key, regions=BOTH, monotonic=time.monotonic)
    issuer.check()
    sts.assume_role = answer
    assert issue(issuer).region == OTHER_REGION


# the broker's own identity


def test_root_credentials_are_refused_at_start_and_at_every_issue(strict: SandboxSts, tmp_path: Path) -> None:
    issuer = an_issuer(strict.url, key_file(tmp_path, strict.world.roots[0].keys[0]))
    for call in (issuer.check, lambda: issue(issuer), lambda: issue(issuer)):
        with pytest.raises(IssueRefused, match="root user"):
            call()
    assert not [call for call in strict.calls if call["eventName"] == "AssumeRole"]


@pytest.mark.parametrize("arn", ["", "arn:aws:iam::111122223333:role/x", "nonsense", "arn:aws:iam::1:user/x"])
def test_a_caller_identity_that_is_none_is_refused(sts: Crooked, key: Path, arn: str) -> None:
    sts.get_caller_identity = lambda _: caller(arn)
    with pytest.raises(IssueRefused, match="does not say who"):
        issue(an_issuer(sts.url, key))


def test_the_broker_asks_who_it_is_only_once(sts: Crooked, key: Path) -> None:
    issuer = an_issuer(sts.url, key)
    for _ in range(3):
        issue(issuer)
    assert [asked.action for asked in sts.asked].count("GetCallerIdentity") == 1
    issuer.check()
    assert [asked.action for asked in sts.asked].count("GetCallerIdentity") == 2


def test_an_account_of_another_partition_is_refused(sts: Crooked, key: Path) -> None:
    with pytest.raises(IssueRefused, match="partition"):
        issue(an_issuer(sts.url, key), partition="aws-cn")
    assert not sts.regions


def test_a_broker_on_a_role_knows_that_its_sessions_last_an_hour(strict: SandboxSts, tmp_path: Path) -> None:
    chained = key_file(tmp_path, strict.session_for(BROKER_ROLE, "i-0123456789"))
    issuer = an_issuer(strict.url, chained)
    lease = issue(issuer, max_session=4 * HOUR)
    assert lease.expires_at <= utc_now() + HOUR + timedelta(seconds=1)
    assert lease.source_identity == "ada"
    with pytest.raises(IssueRefused) as caught:  # the control: the sandbox enforces it too
        issue(an_issuer(strict.url, chained, chained=False), max_session=4 * HOUR)
    assert caught.value.aws_code == "ValidationError"


def test_a_broker_with_a_key_of_its_own_gets_what_the_role_allows(strict: SandboxSts, tmp_path: Path) -> None:
    own = key_file(tmp_path, strict.world.users[0].keys[0])
    assert issue(an_issuer(strict.url, own), max_session=4 * HOUR).expires_at > utc_now() + 3 * HOUR
    lease = issue(an_issuer(strict.url, own, chained=True), max_session=4 * HOUR)
    assert lease.expires_at <= utc_now() + HOUR + timedelta(seconds=1)


def test_the_tags_arrive_and_none_is_transitive(strict: SandboxSts, tmp_path: Path) -> None:
    issue(an_issuer(strict.url, key_file(tmp_path, strict.world.users[0].keys[0])))
    parameters = strict.calls[-1]["requestParameters"]
    assert parameters is not None
    assert parameters["sourceIdentity"] == "ada"
    assert "transitiveTagKeys" not in parameters
    tags: Any = parameters["principalTags"]
    assert tags["broker:lease"] == "lease-1"
    assert set(tags) == {f"broker:{name}" for name in ("lease", "person", "provider", "mapping", "mfa", "mfa-at")}


# where the broker's own credentials come from


def hosts(issuer: AssumeRole) -> set[str]:
    """Whom it would ask."""
    clients: Any = issuer._sts._clients()  # noqa: SLF001 (asking the real names would need a network)
    return {client.boto.meta.endpoint_url for pair in clients.values() for client in pair}


def test_a_key_file_that_is_not_usable_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEEXAMPLE01")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-somebody-else")
    for text in (None, "", "[default]\n", "[other]\naws_access_key_id = a\naws_secret_access_key = b\n", "no ini"):
        path = tmp_path / "key"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigurationError, match="access_key_file"):
            an_issuer(NOWHERE, path)


AMBIENT = {
    "AWS_PROFILE": "not-there",
    "AWS_DEFAULT_PROFILE": "not-there",
    "AWS_CONFIG_FILE": "FILE",
    "AWS_SHARED_CREDENTIALS_FILE": "FILE",
    "AWS_CA_BUNDLE": "/none",
    "AWS_DATA_PATH": "/none",
    "AWS_RETRY_MODE": "nonsense",
    "AWS_MAX_ATTEMPTS": "nonsense",
    "AWS_DEFAULTS_MODE": "nonsense",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_SESSION_TOKEN": "of-somebody-else",
}


@pytest.mark.parametrize("name", AMBIENT)
def test_a_broker_with_a_key_file_sees_nothing_of_the_aws_life_around_it(
    strict: SandboxSts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("no ini\n[default]\nsts_regional_endpoints = nonsense\n", encoding="utf-8")
    monkeypatch.setenv(name, AMBIENT[name].replace("FILE", str(broken)))
    own = key_file(tmp_path, strict.world.users[0].keys[0])
    assert an_issuer(strict.url, own).check().endswith(":user/federation-broker")
    issuer = AssumeRole(AwsSettings(regions=(REGION,), access_key_file=own), clock=utc_now)
    assert hosts(issuer) == {f"https://sts.{REGION}.amazonaws.com"}


def test_a_profile_of_the_environment_that_is_not_there_stops_the_start_of_a_broker_without_a_key_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: where the SDK is to find the credentials, its configuration counts, and a fault in it is told."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    with pytest.raises(ConfigurationError, match=r"aws\.profile"):
        AssumeRole(AwsSettings(regions=(REGION,)), clock=utc_now)


def test_clients_are_made_when_aws_is_first_asked(sts: Crooked, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of an operator's commands never ask; making them is most of what an issuer costs."""
    made: list[str] = []
    make = boto3.Session.client

    def client(session: boto3.Session, service: str, **more: Any) -> Any:  # noqa: ANN401 (boto3 ships no types)
        made.append(more["region_name"])
        return make(session, service, **more)

    monkeypatch.setattr(boto3.Session, "client", client)
    issuer = an_issuer(sts.url, key, regions=BOTH)
    assert made == []
    issuer.check()
    issuer.check()
    assert sorted(set(made)) == sorted(BOTH)
    assert len(made) == 4, "a patient and an impatient one for each region"


def test_half_a_key_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("[default]\naws_access_key_id = AKIAEXAMPLEEXAMPLE01\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="access_key_file"):
        an_issuer(NOWHERE, path)


def test_a_profile_that_does_not_exist_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=r"aws\.profile"):
        AssumeRole(AwsSettings(regions=(REGION,), profile="broker"), clock=utc_now)


def test_a_profile_is_used(strict: SandboxSts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = key_file(tmp_path, strict.world.users[0].keys[0])
    own.write_text(own.read_text(encoding="utf-8").replace("[default]", "[broker]"), encoding="utf-8")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(own))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    issuer = AssumeRole(AwsSettings(regions=(REGION,), profile="broker"), clock=utc_now, endpoint_url=strict.url)
    assert issuer.check().endswith(":user/federation-broker")


def test_without_any_credentials_it_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    issuer = AssumeRole(AwsSettings(regions=(REGION,)), clock=utc_now, endpoint_url=NOWHERE)
    with pytest.raises(Unavailable, match="no AWS credentials") as caught:
        issuer.check()
    assert "aws:" in caught.value.remedy


# the network


@pytest.mark.parametrize(
    "url", ["https://sts.amazonaws.com", "http://10.0.0.1:8080", "http://localhost.evil.example", "http://[::2]/", ""]
)
def test_an_endpoint_of_ones_own_is_for_loopback_only(key: Path, url: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        an_issuer({REGION: url}, key)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9"])
def test_loopback_endpoints_are_taken(key: Path, url: str) -> None:
    an_issuer(url, key)


def test_the_environment_does_not_say_who_sts_is(sts: Crooked, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.setenv(name, sts.url)
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    issuer = AssumeRole(AwsSettings(regions=("us-east-1", "eu-central-1"), access_key_file=key), clock=utc_now)
    assert hosts(issuer) == {"https://sts.us-east-1.amazonaws.com", "https://sts.eu-central-1.amazonaws.com"}


def test_one_connection_serves_many_calls_and_a_forked_child_makes_its_own(
    sts: Crooked, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = an_issuer(sts.url, key)
    for _ in range(4):
        issue(issuer)
    parents = {asked.connection for asked in sts.asked}
    assert len(parents) == 1
    monkeypatch.setattr("broker.issue.sts.os.getpid", lambda: -1)
    issue(issuer)
    issue(issuer)
    childs = {asked.connection for asked in sts.asked} - parents
    assert len(childs) == 1


# the clock


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(seconds=90), timedelta(seconds=-90)])
def test_the_offset_to_aws_s_clock_is_remembered(sts: Crooked, key: Path, offset: timedelta) -> None:
    issuer = an_issuer(sts.url, key, clock=lambda: utc_now() - offset)
    assert issuer.clock_offset() is None
    issuer.check()
    found = issuer.clock_offset()
    assert found is not None
    assert abs(found - offset) < timedelta(seconds=2)


def test_a_refusal_tells_the_time_too_and_nonsense_does_not(sts: Crooked, key: Path) -> None:
    issuer = an_issuer(sts.url, key)
    for date in ("none", "yesterday", "Mon, 23 Nov 2026 11:00:00 -0000"):
        reply = replace(caller(), date=date)
        sts.get_caller_identity = lambda _, reply=reply: reply  # type: ignore[misc]  # bound at once
        issuer.check()
        assert issuer.clock_offset() is None
    sts.get_caller_identity = lambda _: error("AccessDenied", 403)
    with pytest.raises(IssueRefused):
        issuer.check()
    assert issuer.clock_offset() is not None
