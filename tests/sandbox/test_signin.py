"""The stand-in of AWS's sign-in: each rule refuses, and what is right beside it passes."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import boto3
import pytest
from builders import HOUR, MINUTE
from contracts.sts import ONE_TRY
from issue.consoles import ask, follow

from broker.clock import utc_now
from broker.sandbox.signin import SandboxSignIn
from broker.sandbox.signin.pages import error
from broker.sandbox.sts import AccessKey, DemoRole, SandboxSts, allow, demo_world

USER = "arn:aws:iam::111122223333:user/federation-broker"
OWN_ROLE = "arn:aws:iam::111122223333:role/federation-broker"
ROLE = DemoRole(account="210987654321", name="federated/ReadOnly", max_session=12 * HOUR)
ISSUER = "https://broker.corp.example"
S3 = "https://eu-central-1.console.aws.amazon.com/s3/home?region=eu-central-1"
CREDENTIALS = "Invalid credentials parameter"
Keys = dict[str, str]


class Clock:
    """Real time at first, as botocore signs by it; moved by tests."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@dataclass(kw_only=True)
class Aws:
    sts: SandboxSts
    sign_in: SandboxSignIn
    clock: Clock

    def client(self, keys: Mapping[str, str] | AccessKey) -> Any:  # noqa: ANN401 (boto3 ships no types)
        if isinstance(keys, AccessKey):
            keys = {"sessionId": keys.id, "sessionKey": keys.secret}
        return boto3.client(
            "sts",
            endpoint_url=self.sts.url,
            region_name="eu-central-1",
            aws_access_key_id=keys["sessionId"],
            aws_secret_access_key=keys["sessionKey"],
            aws_session_token=keys.get("sessionToken"),
            config=ONE_TRY,
        )

    @property
    def user(self) -> AccessKey:
        return self.sts.world.users[0].keys[0]

    def role(self, by: Mapping[str, str] | AccessKey | None = None, *, seconds: int = 3600) -> Keys:
        """Credentials of the role, asked for as the broker's user unless somebody else is named."""
        made = self.client(by or self.user).assume_role(
            RoleArn=ROLE.arn, RoleSessionName="ada", SourceIdentity="ada", DurationSeconds=seconds
        )
        return session_of(made["Credentials"])

    def ask(self, method: str = "POST", **fields: str) -> tuple[int, str]:
        url, form = f"{self.sign_in.url}/federation", urlencode(fields)
        status, _, text = ask("POST", url, form) if method == "POST" else ask("GET", f"{url}?{form}")
        return status, text

    def get_token(self, keys: object, method: str = "POST", **more: str) -> tuple[int, str]:
        text = keys if isinstance(keys, str) else json.dumps(keys)
        return self.ask(method, Action="getSigninToken", Session=text, **more)

    def token(self, keys: object, **more: str) -> str:
        status, text = self.get_token(keys, **more)
        assert status == 200, text
        found = json.loads(text)
        assert set(found) == {"SigninToken"}
        return str(found["SigninToken"])

    def login(self, token: str, destination: str = S3, **more: str) -> tuple[int, str]:
        page = follow(
            f"{self.sign_in.url}/federation",
            {"Action": "login", "Issuer": ISSUER, "Destination": destination, "SigninToken": token, **more},
        )
        return page.status, page.text


def session_of(made: Mapping[str, str]) -> Keys:
    return {
        "sessionId": made["AccessKeyId"],
        "sessionKey": made["SecretAccessKey"],
        "sessionToken": made["SessionToken"],
    }


@pytest.fixture
def aws() -> Iterator[Aws]:
    clock = Clock()
    world = demo_world([ROLE], broker_user_arn=USER, broker_role_arn=OWN_ROLE)
    own = replace(
        world.users[0],
        policy=allow(["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity", "sts:GetFederationToken"], ["*"]),
    )
    world = replace(world, users=(own,))
    with SandboxSts(world, clock=clock) as sts, SandboxSignIn(sts, clock=clock) as sign_in:
        yield Aws(sts=sts, sign_in=sign_in, clock=clock)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_both_steps_take_get_and_post(aws: Aws, method: str) -> None:
    status, text = aws.get_token(aws.role(), method)
    assert status == 200
    fields = {"Action": "login", "Destination": S3, "SigninToken": json.loads(text)["SigninToken"]}
    url = f"{aws.sign_in.url}/federation"
    page = follow(url, fields) if method == "POST" else follow(f"{url}?{urlencode(fields)}")
    assert page.status == 200
    assert "<dt>Account</dt><dd>210987654321</dd>" in page.text


@pytest.mark.parametrize("fields", [{}, {"Action": ""}, {"Action": "getFederationToken"}, {"Action": "GetSigninToken"}])
def test_an_action_that_is_missing_or_unknown_is_a_400_page(aws: Aws, fields: dict[str, str]) -> None:
    status, text = aws.ask(**fields)
    assert (status, "Invalid Action" in text) == (400, True)
    assert text.startswith("<!doctype html>")


def test_a_session_that_is_no_object_of_three_texts_is_refused(aws: Aws) -> None:
    keys = aws.role()
    assert aws.get_token(keys)[0] == 200
    broken: list[object] = [
        "",
        "{",
        "null",
        "[]",
        "[" * 20_000,
        {},
        {name: keys[name] for name in ("sessionId", "sessionKey")},
        {**keys, "more": "x"},
        {**keys, "sessionToken": None},
        {**keys, "sessionId": 1},
    ]
    for session in broken:
        status, text = aws.get_token(session)
        assert (status, CREDENTIALS in text) == (400, True), session


def test_credentials_that_were_not_handed_out_here_are_refused(aws: Aws) -> None:
    keys, other = aws.role(), aws.role()
    for change in (
        {"sessionId": "ASIAQQQQQQQQQQQQQQQQ"},
        {"sessionKey": other["sessionKey"]},
        {"sessionToken": other["sessionToken"]},
        {"sessionToken": ""},
    ):
        assert aws.get_token({**keys, **change})[0] == 400
    assert aws.get_token(keys)[0] == 200


def test_a_long_term_key_is_refused(aws: Aws) -> None:
    key = aws.user
    status, text = aws.get_token({"sessionId": key.id, "sessionKey": key.secret, "sessionToken": ""})
    assert (status, CREDENTIALS in text) == (400, True)


def test_expired_credentials_are_refused(aws: Aws) -> None:
    keys = aws.role(seconds=900)
    aws.clock.ahead = timedelta(seconds=890)
    assert aws.get_token(keys)[0] == 200
    aws.clock.ahead = timedelta(seconds=901)
    assert aws.get_token(keys)[0] == 400


def test_credentials_of_a_role_that_is_gone_are_refused(aws: Aws) -> None:
    keys = aws.role()
    aws.sts.world = replace(aws.sts.world, roles=())
    assert aws.get_token(keys)[0] == 400


def test_get_session_token_does_not_sign_in(aws: Aws) -> None:
    made = aws.client(aws.user).get_session_token()["Credentials"]
    assert aws.get_token(session_of(made))[0] == 400
    root = aws.sts.world.roots[0].keys[0]
    assert aws.get_token(session_of(aws.client(root).get_session_token()["Credentials"]))[0] == 400


def test_a_federated_user_signs_in_without_a_duration(aws: Aws) -> None:
    made = aws.client(aws.user).get_federation_token(Name="ada", DurationSeconds=900)["Credentials"]
    keys = session_of(made)
    assert aws.get_token(keys, SessionDuration="900")[0] == 400
    status, text = aws.login(aws.token(keys))
    assert status == 200
    assert "federated-user/ada" in text


@pytest.mark.parametrize(
    "duration",
    ["", "899", "0", "-900", "43201", "44100", "900.0", "1h", "\N{ARABIC-INDIC DIGIT NINE}00", "7273", "9" * 20],
)
def test_a_duration_is_900_to_43200_and_round(aws: Aws, duration: str) -> None:
    keys = aws.role()
    status, text = aws.get_token(keys, SessionDuration=duration)
    assert (status, "SessionDuration" in text) == (400, True)


@pytest.mark.parametrize("duration", ["900", "43200", "7200"])
def test_a_duration_that_fits_is_the_consoles(aws: Aws, duration: str) -> None:
    ends = aws.clock() + timedelta(seconds=int(duration))
    status, text = aws.login(aws.token(aws.role(), SessionDuration=duration))
    assert status == 200
    assert any(f"{ends + timedelta(seconds=s):%Y-%m-%d %H:%M:%S} UTC" in text for s in range(10))


def test_a_duration_goes_with_a_long_term_key_only(aws: Aws) -> None:
    made = aws.sts.session_for(OWN_ROLE, "i-1")
    machine = {
        "sessionId": made.access_key_id,
        "sessionKey": made.secret_access_key,
        "sessionToken": made.session_token,
    }
    session_token = session_of(aws.client(aws.user).get_session_token()["Credentials"])
    for by in (machine, session_token):
        chained = aws.role(by)
        assert aws.get_token(chained, SessionDuration="900")[0] == 400
        assert aws.get_token(chained)[0] == 200
    assert aws.get_token(machine, SessionDuration="900")[0] == 400
    assert aws.get_token(aws.role(), SessionDuration="900")[0] == 200


def test_a_parameter_that_nobody_knows_or_that_is_there_twice_is_refused(aws: Aws) -> None:
    keys = json.dumps(aws.role())
    assert aws.ask(Action="getSigninToken", Session=keys, Duration="900")[0] == 400
    body = urlencode([("Action", "getSigninToken"), ("Session", keys), ("Session", keys)])
    url = f"{aws.sign_in.url}/federation"
    assert ask("POST", url, body)[0] == 400
    form = urlencode({"Action": "getSigninToken", "Session": keys})
    assert ask("POST", f"{url}?Action=getSigninToken", form)[0] == 400
    assert ask("POST", url, form, kind="application/json")[0] == 400
    assert ask("POST", url, "&" * 100)[0] == 400
    assert ask("POST", url, form)[0] == 200


def test_the_token_is_opaque_and_new_each_time(aws: Aws) -> None:
    keys = aws.role()
    tokens = {aws.token(keys) for _ in range(5)}
    assert len(tokens) == 5
    for token in tokens:
        assert not any(value in token for value in keys.values())


def test_a_token_is_bound_to_its_credentials(aws: Aws) -> None:
    made = aws.client(aws.user).assume_role(RoleArn=ROLE.arn, RoleSessionName="grace", SourceIdentity="grace")
    grace, ada = aws.token(session_of(made["Credentials"])), aws.token(aws.role())
    assert "<dt>Session name</dt><dd>grace</dd>" in aws.login(grace)[1]
    assert "<dt>Session name</dt><dd>ada</dd>" in aws.login(ada)[1]


def test_a_sign_in_is_too_late_after_a_quarter_of_an_hour_and_leads_back(aws: Aws) -> None:
    token = aws.token(aws.role())
    aws.clock.ahead = 15 * MINUTE - timedelta(seconds=10)
    assert aws.login(token)[0] == 200
    aws.clock.ahead = 15 * MINUTE + timedelta(seconds=1)
    status, text = aws.login(token)
    assert (status, "expired" in text) == (400, True)
    assert f'<a href="{ISSUER}">' in text
    assert aws.login("")[0] == aws.login("x" * 800)[0] == 400


@pytest.mark.parametrize(
    "destination",
    [
        "",
        "s3",
        "http://console.aws.amazon.com/s3/home",
        "https://evil.example/",
        "https://console.aws.amazon.com.evil.example/s3/home",
        "https://evil.example/console.aws.amazon.com/home",
        "https://console.aws.amazon.com@evil.example/s3/home",
        "https://evil@console.aws.amazon.com/s3/home",
        "https://console.aws.amazon.com:444/s3/home",
        "https://console.amazonaws.cn/s3/home",
        "https://console.aws.amazon.com/s3/../home",
        "https://console.aws.amazon.com/",
        "https://eu-central-1.console.aws.amazon.com/s3/home?region=us-east-1",
        "https://eu.central.console.aws.amazon.com/s3/home",
        "https://[::1/s3/home",
        "https://console.aws.amazon.com:x/s3/home",
    ],
)
def test_a_destination_is_the_console_of_the_partition(aws: Aws, destination: str) -> None:
    token = aws.token(aws.role())
    status, text = aws.login(token, destination)
    assert (status, "Invalid Destination" in text) == (400, True)
    assert aws.login(token)[0] == 200


def test_a_console_login_is_written_down_and_nothing_secret_with_it(aws: Aws) -> None:
    keys = aws.role()
    token = aws.token(keys)
    assert aws.sign_in.logins == ()
    aws.login(token)
    (login,) = aws.sign_in.logins
    assert (login["eventName"], login["responseElements"]) == ("ConsoleLogin", {"ConsoleLogin": "Success"})
    assert login["userIdentity"]["arn"] == "arn:aws:sts::210987654321:assumed-role/ReadOnly/ada"
    assert login["userIdentity"]["accessKeyId"] == keys["sessionId"]
    assert login["additionalEventData"]["LoginTo"] == S3
    assert login["recipientAccountId"] == "210987654321"
    assert not any(secret in str(login) for secret in (keys["sessionKey"], keys["sessionToken"], token))


def test_the_way_from_the_sign_in_to_the_console_is_gone_once(aws: Aws) -> None:
    form = urlencode({"Action": "login", "Destination": S3, "SigninToken": aws.token(aws.role())})
    status, headers, _ = ask("POST", f"{aws.sign_in.url}/federation", form)
    assert status == 302
    assert headers["Location"].startswith(f"{aws.sign_in.console_url}/s3/home?region=eu-central-1&code=")
    assert follow(headers["Location"]).status == 200
    assert follow(headers["Location"]).status == 403


def test_the_console_is_there_for_whoever_is_signed_in_until_the_end(aws: Aws) -> None:
    fields = {"Action": "login", "Issuer": ISSUER, "Destination": S3}
    fields["SigninToken"] = aws.token(aws.role(), SessionDuration="900")
    _, headers, _ = ask("POST", f"{aws.sign_in.url}/federation", urlencode(fields))
    _, headers, _ = ask("GET", headers["Location"])
    cookie = headers["Set-Cookie"].partition(";")[0]
    assert "code=" not in urlsplit(headers["Location"]).query
    page = f"{aws.sign_in.console_url}/ec2/home"
    assert ask("GET", page, cookie=cookie)[0] == 200
    assert ask("GET", page)[0] == 403
    assert ask("GET", page, cookie=cookie + "0")[0] == 403
    aws.clock.ahead = 15 * MINUTE + timedelta(seconds=1)
    status, _, text = ask("GET", page, cookie=cookie)
    assert (status, "ended" in text, f'<a href="{ISSUER}">' in text) == (403, True, True)


def test_signing_out_ends_the_console(aws: Aws) -> None:
    form = urlencode({"Action": "login", "Destination": S3, "SigninToken": aws.token(aws.role())})
    _, headers, _ = ask("POST", f"{aws.sign_in.url}/federation", form)
    _, headers, _ = ask("GET", headers["Location"])
    cookie, page = headers["Set-Cookie"].partition(";")[0], f"{aws.sign_in.console_url}/s3/home"
    assert ask("GET", page, cookie=cookie)[0] == 200
    assert ask("GET", f"{aws.sign_in.url}/oauth?Action=logout", cookie=cookie)[0] == 200
    assert ask("GET", page, cookie=cookie)[0] == 403
    assert ask("GET", f"{aws.sign_in.url}/oauth")[0] == 404
    assert ask("GET", f"{aws.sign_in.url}/")[0] == 404


def test_faults_come_when_they_are_asked_for(aws: Aws) -> None:
    keys = aws.role()
    aws.sign_in.fail_next(503, times=2)
    aws.sign_in.fail_next(429)
    assert [aws.get_token(keys)[0] for _ in range(4)] == [503, 503, 429, 200]
    aws.sign_in.delay = 0.3
    begun = time.monotonic()
    assert aws.get_token(keys)[0] == 200
    assert time.monotonic() - begun >= 0.3


def test_it_can_be_away_and_come_back(aws: Aws) -> None:
    token, url = aws.token(aws.role()), aws.sign_in.url
    aws.sign_in.down()
    with pytest.raises(ConnectionRefusedError):
        aws.login(token)
    aws.sign_in.up()
    assert aws.sign_in.url == url
    assert aws.login(token)[0] == 200
    with pytest.raises(RuntimeError, match="already"):
        aws.sign_in.start()


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "localhost", "::1"])  # noqa: S104 (to be refused)
def test_it_listens_on_loopback_only(aws: Aws, host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        SandboxSignIn(aws.sts, clock=aws.clock, host=host)


def test_a_body_that_is_too_long_is_refused(aws: Aws) -> None:
    assert aws.ask(Action="getSigninToken", Session="x" * 70_000)[0] == 413


def test_the_pages_show_markup_as_text() -> None:
    page = error(400, "<script>alert(1)</script>", 'https://x.example/"><script>')
    assert "<script>" not in page
    assert "href" not in error(400, "no", "javascript:alert(1)")
