"""The sign-in against answers that no honest AWS gives, and what is sent to it."""

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from builders import HOUR, MINUTE
from issue.consoles import a_console, a_lease, before, follow
from issue.stages import sandbox
from pydantic import ValidationError

from broker.clock import utc_now
from broker.errors import Unavailable
from broker.issue.aws import AwsSettings
from broker.issue.console import ConsoleSignIn, LocalSignIn, SignIn
from broker.issue.destination import HOSTS, SERVICES, Destination
from broker.issue.https import LARGEST
from broker.issue.issuer import IssueRefused, Lease
from broker.sandbox.pki import SandboxPki
from broker.sandbox.signin import SandboxSignIn

HOME = Destination()
TOKEN = "a-sign-in-token-that-nobody-shall-see"
GOOD = json.dumps({"SigninToken": TOKEN}).encode()
SECOND = timedelta(seconds=1)
Connection = socket.socket
Script = Callable[[Connection], None]


def http(body: bytes = GOOD, *, status: int = 200, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def says(answer: bytes) -> Script:
    return lambda connection: connection.sendall(answer)


def drips(answer: bytes, *, every: float) -> Script:
    """A byte now and then, each of them in time."""

    def send(connection: Connection) -> None:
        for byte in answer:
            connection.sendall(bytes([byte]))
            time.sleep(every)

    return send


@dataclass(kw_only=True)
class Crooked:
    """A server that plays one script a connection, the last one again and again; `asked` are the requests' bodies."""

    port: int
    asked: list[bytes] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)

    @property
    def here(self) -> LocalSignIn:
        return LocalSignIn(sign_in=f"http://127.0.0.1:{self.port}", console=f"http://127.0.0.1:{self.port}")


@contextmanager
def crooked(*scripts: Script, tls: ssl.SSLContext | None = None) -> Iterator[Crooked]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        found = Crooked(port=server.getsockname()[1])

        def play() -> None:
            for number in range(1000):
                try:
                    raw, _ = server.accept()
                except OSError:
                    return
                with suppress(OSError), raw:
                    connection = tls.wrap_socket(raw, server_side=True) if tls else raw
                    with connection:
                        _read(connection, found)
                        scripts[min(number, len(scripts) - 1)](connection)

        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        yield found
        server.shutdown(socket.SHUT_RDWR)
    thread.join(20)


def _read(connection: Connection, found: Crooked) -> None:
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(65536)
        if not more:
            found.asked.append(got)
            raise ConnectionError
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += connection.recv(65536)
    found.heads.append(head)
    found.asked.append(body)


def opened(*scripts: Script, lease: Lease | None = None, destination: Destination = HOME, **more: Any) -> SignIn:  # noqa: ANN401 (passed on)
    with crooked(*scripts) as server:
        return a_console(server.here, **more).open(lease or a_lease(), destination)


def sent(lease: Lease, **more: Any) -> dict[str, str]:  # noqa: ANN401 (passed on)
    """The form that AWS gets."""
    with crooked(says(http())) as server:
        a_console(server.here, **more).open(lease, HOME)
    return {name: values[0] for name, values in parse_qs(server.asked[0].decode(), strict_parsing=True).items()}


# What is sent


def test_the_credentials_go_in_the_body_and_in_nothing_else() -> None:
    lease = a_lease()
    with crooked(says(http())) as server:
        a_console(server.here).open(lease, HOME)
    head = server.heads[0].decode()
    assert head.startswith("POST /federation HTTP/1.1\r\n")
    for secret in (lease.access_key_id, lease.secret_access_key, lease.session_token):
        assert secret not in head
    form = {name: values[0] for name, values in parse_qs(server.asked[0].decode(), strict_parsing=True).items()}
    assert form["Action"] == "getSigninToken"
    assert json.loads(form["Session"]) == {
        "sessionId": lease.access_key_id,
        "sessionKey": lease.secret_access_key,
        "sessionToken": lease.session_token,
    }


def test_a_session_token_of_the_largest_size_is_sent_whole() -> None:
    token = "+/=" * 1365
    assert json.loads(sent(a_lease(session_token=token))["Session"])["sessionToken"] == token


@pytest.mark.parametrize(
    ("lasts", "expected"),
    [
        (12 * HOUR, "43200"),
        (12 * HOUR + MINUTE, "43200"),
        (4 * HOUR - 2 * SECOND, "14400"),
        (4 * HOUR - 59 * SECOND, "14400"),
        (4 * HOUR - 61 * SECOND, "13500"),
        (7273 * SECOND, "7200"),
        (15 * MINUTE, "900"),
        (14 * MINUTE, "900"),
        (14 * MINUTE - SECOND, None),
        (MINUTE, None),
    ],
)
def test_the_duration_is_round_and_the_leases_own(lasts: timedelta, expected: str | None) -> None:
    now = utc_now()
    assert sent(a_lease(expires_at=now + lasts), clock=lambda: now).get("SessionDuration") == expected


def test_a_chained_lease_is_sent_without_a_duration() -> None:
    assert "SessionDuration" not in sent(a_lease(chained=True))
    assert "SessionDuration" in sent(a_lease(chained=False))


# What comes back


def test_an_honest_answer_opens() -> None:
    assert opened(says(http())).fields["SigninToken"] == TOKEN
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    assert opened(says(chunked)).fields["SigninToken"] == TOKEN
    without_length = b"HTTP/1.0 200 OK\r\n\r\n" + GOOD
    assert opened(says(without_length)).fields["SigninToken"] == TOKEN


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Sign in</body></html>",
        b"null",
        b"[]",
        b"{}",
        b'"SigninToken"',
        b'[["SigninToken","a-sign-in-token-that-nobody-shall-see"]]',
        json.dumps({"SigninToken": TOKEN, "more": 1}).encode(),
        json.dumps({"signintoken": TOKEN}).encode(),
        json.dumps({"SigninToken": None}).encode(),
        json.dumps({"SigninToken": [TOKEN]}).encode(),
        json.dumps({"SigninToken": {"SigninToken": TOKEN}}).encode(),
        json.dumps({"SigninToken": 1234567890123456}).encode(),
        json.dumps({"SigninToken": "too-short"}).encode(),
        json.dumps({"SigninToken": "x" * 16_385}).encode(),
        json.dumps({"SigninToken": TOKEN + "\n"}).encode(),
        json.dumps({"SigninToken": TOKEN + " "}).encode(),
        json.dumps({"SigninToken": TOKEN + "\u00e4"}).encode(),
        b'{"SigninToken":"a-first-token-of-some-length","SigninToken":"a-second-token-of-some-length"}',
        GOOD + GOOD,
        GOOD.decode().encode("utf-16"),
        b"\xff" + GOOD,
        b"[" * 30_000,
    ],
)
def test_nothing_but_one_token_is_an_answer(body: bytes) -> None:
    with pytest.raises(IssueRefused, match="no sign-in token") as caught:
        opened(says(http(body)))
    assert caught.value.aws_code == "SignInUnreadable"


def test_a_token_of_the_largest_size_is_taken() -> None:
    token = "x" * 16_384
    assert opened(says(http(json.dumps({"SigninToken": token}).encode()))).fields["SigninToken"] == token


@pytest.mark.parametrize("status", [400, 401, 403, 404, 204, 201])
def test_another_status_is_final_and_named(status: int) -> None:
    with crooked(says(http(b"" if status == 204 else GOOD, status=status))) as server:
        with pytest.raises(IssueRefused) as caught:
            a_console(server.here).open(a_lease(), HOME)
        assert caught.value.aws_code == f"SignIn{status}"
        assert "aws.chained" in caught.value.remedy
        assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    """The credentials would go with it."""
    with crooked(says(http())) as elsewhere:
        to = f"Location: http://127.0.0.1:{elsewhere.port}/federation\r\n"
        with pytest.raises(IssueRefused) as caught:
            opened(says(http(b"", status=status, headers=to)))
        assert caught.value.aws_code == f"SignIn{status}"
        assert elsewhere.asked == []


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_says_not_now_is_asked_once_more(status: int) -> None:
    assert opened(says(http(b"", status=status)), says(http())).fields["SigninToken"] == TOKEN
    with crooked(says(http(b"", status=status))) as server:
        with pytest.raises(Unavailable) as caught:
            a_console(server.here).open(a_lease(), HOME)
        assert caught.value.neighbour == "AWS sign-in"
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"hello\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n" + GOOD,
        http(b"{" + b" " * LARGEST),
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (10 * LARGEST),
    ],
)
def test_what_is_no_answer_is_a_neighbour_that_is_away(answer: bytes) -> None:
    with pytest.raises(Unavailable):
        opened(says(answer))
    assert opened(says(answer), says(http())).fields["SigninToken"] == TOKEN


def test_a_body_is_read_to_its_limit_and_no_further() -> None:
    """Else whoever answers could fill the memory."""
    much = 64 * 1024 * 1024
    got = []

    def pour(connection: Connection) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            while sum(got) < much:
                got.append(connection.send(b" " * 65536))

    with pytest.raises(Unavailable):
        opened(pour)
    assert sum(got) < much // 2


@pytest.mark.parametrize("slow", ["headers", "body", "continue"])
def test_who_answers_byte_by_byte_is_given_up_when_the_time_is_over(slow: str) -> None:
    """Each byte comes in time; only the limit for the whole ends it."""
    head = {"headers": b"", "body": b"HTTP/1.1 200 OK\r\n\r\n", "continue": b""}[slow]
    rest = b"HTTP/1.1 100 Continue\r\n\r\n" * 500 if slow == "continue" else b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 90
    begun = time.monotonic()

    def script(connection: Connection) -> None:
        connection.sendall(head)
        drips(rest, every=0.05)(connection)

    with pytest.raises(Unavailable):
        opened(script, connect_timeout=SECOND / 2, read_timeout=SECOND / 2, budget=SECOND)
    assert time.monotonic() - begun < 10


def test_who_never_stops_talking_is_given_up_when_the_time_is_over() -> None:
    def script(connection: Connection) -> None:
        until = time.monotonic() + 8
        with suppress(OSError):
            while time.monotonic() < until:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)

    begun = time.monotonic()
    with pytest.raises(Unavailable):
        opened(script, connect_timeout=SECOND / 2, read_timeout=SECOND / 2, budget=SECOND)
    assert time.monotonic() - begun < 7


def test_who_says_nothing_is_given_up() -> None:
    with pytest.raises(Unavailable):
        opened(lambda _: time.sleep(3), connect_timeout=SECOND / 5, read_timeout=SECOND / 5, budget=SECOND)


def test_a_slow_first_try_leaves_time_for_the_second() -> None:
    answer = opened(
        drips(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 90, every=0.05),
        says(http()),
        connect_timeout=SECOND,
        read_timeout=SECOND,
        budget=2 * SECOND,
    )
    assert answer.fields["SigninToken"] == TOKEN


# Nothing leaks


def test_no_error_and_no_line_of_a_log_tells_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    lease = a_lease()
    echoes = says(http(f"{lease.secret_access_key} {lease.session_token} {TOKEN}".encode()))
    refuses = says(http(f"{lease.secret_access_key} {TOKEN}".encode(), status=400))
    told = ""
    for script in (echoes, refuses, says(b"nonsense " + TOKEN.encode()), says(http(GOOD))):
        try:
            told += repr(opened(script, lease=lease))
        except (IssueRefused, Unavailable) as error:
            told += f"{error!r} {error.message} {error.remedy} {error.__cause__!r} {error.__context__!r}"
    for secret in (lease.secret_access_key, lease.session_token, TOKEN):
        assert secret not in told + caplog.text
    assert "SigninToken" not in repr(opened(says(http())))


# TLS


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SandboxPki:
    return SandboxPki(tmp_path_factory.mktemp("pki"), names=("localhost",), addresses=())


def over_tls(pki: SandboxPki, host: str, **more: Any) -> SignIn:  # noqa: ANN401 (passed on)
    with crooked(says(http()), tls=pki.server_context()) as server:
        url = f"https://{host}:{server.port}"
        return a_console(LocalSignIn(sign_in=url, console=url), **more).open(a_lease(), HOME)


def test_a_certificate_for_the_name_by_a_trusted_authority_is_taken(pki: SandboxPki) -> None:
    trusting = ssl.create_default_context(cafile=str(pki.ca_file))
    assert over_tls(pki, "localhost", tls=trusting).fields["SigninToken"] == TOKEN


def test_a_certificate_for_another_name_is_not(pki: SandboxPki) -> None:
    trusting = ssl.create_default_context(cafile=str(pki.ca_file))
    with pytest.raises(Unavailable, match="cannot prove") as caught:
        over_tls(pki, "127.0.0.1", tls=trusting)
    assert "certificates" in caught.value.remedy


def test_a_certificate_by_an_authority_that_this_machine_does_not_know_is_not(pki: SandboxPki) -> None:
    """What the broker has without being told: the machine's own trust."""
    with pytest.raises(Unavailable, match="cannot prove"):
        over_tls(pki, "localhost")


def test_who_could_not_prove_to_be_aws_is_not_asked_again(pki: SandboxPki) -> None:
    with crooked(says(http()), tls=pki.server_context()) as server:
        url = f"https://localhost:{server.port}"
        with pytest.raises(Unavailable):
            a_console(LocalSignIn(sign_in=url, console=url)).open(a_lease(), HOME)
        assert server.asked == []


def test_a_server_without_tls_gets_nothing() -> None:
    with crooked(says(http())) as server:
        url = f"https://127.0.0.1:{server.port}"
        patience: dict[str, Any] = {"connect_timeout": SECOND, "read_timeout": SECOND, "budget": 2 * SECOND}
        with pytest.raises(Unavailable):
            a_console(LocalSignIn(sign_in=url, console=url), **patience).open(a_lease(), HOME)
        assert b"the-secret" not in b"".join(server.asked + server.heads)


# Roads


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_the_environment_puts_no_proxy_in_between(name: str, monkeypatch: pytest.MonkeyPatch, pki: SandboxPki) -> None:
    with crooked(says(http())) as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        trusting = ssl.create_default_context(cafile=str(pki.ca_file))
        assert over_tls(pki, "localhost", tls=trusting).fields["SigninToken"] == TOKEN
        assert opened(says(http())).fields["SigninToken"] == TOKEN
        assert (proxy.heads, proxy.asked) == ([], [])


def test_a_declared_proxy_is_asked_for_a_tunnel_and_sees_nothing_else(pki: SandboxPki) -> None:
    with crooked(says(http()), tls=pki.server_context()) as server:

        def tunnel(connection: Connection) -> None:
            with socket.create_connection(("127.0.0.1", server.port)) as on:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_carry, args=(on, connection), daemon=True)
                back.start()
                _carry(connection, on)
                back.join(10)

        with crooked(tunnel) as proxy:
            url = f"https://localhost:{server.port}"
            trusting = ssl.create_default_context(cafile=str(pki.ca_file))
            here = LocalSignIn(sign_in=url, console=url)
            console = a_console(here, tls=trusting, console_proxy=f"127.0.0.1:{proxy.port}")
            assert console.open(a_lease(), HOME).fields["SigninToken"] == TOKEN
            assert proxy.heads[0].startswith(f"CONNECT localhost:{server.port} HTTP/1.".encode())
            assert proxy.asked == [b""]
        with crooked(says(http(b"", status=403))) as proxy:
            console = a_console(here, tls=trusting, console_proxy=f"127.0.0.1:{proxy.port}")
            with pytest.raises(Unavailable):
                console.open(a_lease(), HOME)


def _carry(source: Connection, target: Connection) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    "url",
    [
        "https://signin.aws.amazon.com",
        "http://10.0.0.1:8080",
        "http://localhost.evil.example",
        "http://127.0.0.1@evil.example",
        "http://[2001:db8::1]",
        "",
    ],
)
def test_an_endpoint_of_ones_own_is_on_this_machine(url: str) -> None:
    here = "http://127.0.0.1:8080"
    assert LocalSignIn(sign_in=here, console="http://[::1]:9").sign_in == here
    for given in ({"sign_in": url, "console": here}, {"sign_in": here, "console": url}):
        with pytest.raises(ValueError, match="loopback"):
            LocalSignIn(**given)


# Hosts, by the partition of the role


class Roads:
    """What is posted where: nothing of it leaves this machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *statuses: int) -> None:
        from broker.issue import console  # noqa: PLC0415 (the module that is patched)
        from broker.issue.https import Answer  # noqa: PLC0415 (as above)

        self.urls: list[str] = []
        left = list(statuses)

        def post(url: str, *_: object, **__: object) -> Answer:
            self.urls.append(url)
            return Answer(status=left.pop(0) if left else 200, body=GOOD)

        monkeypatch.setattr(console, "post", post)


PARTITIONS = {
    "aws": ("signin.aws.amazon.com", "console.aws.amazon.com", "eu-central-1", "https://*.aws.amazon.com"),
    "aws-cn": ("signin.amazonaws.cn", "console.amazonaws.cn", "cn-north-1", "https://*.amazonaws.cn"),
    "aws-us-gov": (
        "signin.amazonaws-us-gov.com",
        "console.amazonaws-us-gov.com",
        "us-gov-west-1",
        "https://*.amazonaws-us-gov.com",
    ),
}


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_hosts_are_those_of_the_roles_partition(partition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in, console, region, origin = PARTITIONS[partition]
    roads = Roads(monkeypatch)
    lease = a_lease(role_arn=f"arn:{partition}:iam::210987654321:role/federated/ReadOnly", region=region)
    found = a_console().open(lease, Destination(service="ec2", region=region))
    assert roads.urls == [f"https://{sign_in}/federation"]
    assert found.action == f"https://{sign_in}/federation"
    assert found.fields["Destination"] == f"https://{region}.{console}/ec2/home?region={region}"
    assert found.origins == (origin,)
    home = a_console().open(lease, HOME)
    assert home.fields["Destination"] == f"https://{console}/console/home"
    assert a_console().leave(partition) == f"https://{sign_in}/oauth?Action=logout"


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_second_road_is_the_region_whose_sts_has_answered(partition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in, _, region, _ = PARTITIONS[partition]
    roads = Roads(monkeypatch, 503)
    lease = a_lease(role_arn=f"arn:{partition}:iam::210987654321:role/federated/ReadOnly", region=region)
    second = f"https://{region}.{sign_in}/federation" if partition == "aws" else f"https://{sign_in}/federation"
    assert a_console().open(lease, HOME).action == second
    assert roads.urls == [f"https://{sign_in}/federation", second]


def test_a_partition_that_nobody_named_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    roads = Roads(monkeypatch)
    lease = a_lease(role_arn="arn:aws-eusc:iam::210987654321:role/federated/ReadOnly", region="eusc-de-east-1")
    with pytest.raises(IssueRefused, match="aws-eusc") as caught:
        a_console().open(lease, HOME)
    assert "aws.console_hosts" in caught.value.remedy
    assert roads.urls == []
    assert a_console().leave("aws-eusc") == ""
    named = {"aws-eusc": {"sign_in": "signin.amazonaws.example", "console": "console.amazonaws.example"}}
    found = a_console(console_hosts=named).open(lease, Destination(region="eusc-de-east-1"))
    assert found.action == "https://signin.amazonaws.example/federation"
    assert found.origins == ("https://*.amazonaws.example",)
    with pytest.raises(IssueRefused, match="partition"):
        a_console(console_hosts=named).open(lease, Destination(region="eu-central-1"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"console_hosts": {"aws": {"sign_in": "signin.evil.example", "console": "console.evil.example"}}},
        {"console_hosts": {"aws-cn": {"sign_in": "signin.evil.example", "console": "console.evil.example"}}},
        {"console_hosts": {"azure": {"sign_in": "signin.evil.example", "console": "console.evil.example"}}},
        {"console_hosts": {"aws-iso": {"sign_in": "https://signin.example", "console": "console.example"}}},
        {"console_hosts": {"aws-iso": {"sign_in": "signin.example/x", "console": "console.example"}}},
        {"console_hosts": {"aws-iso": {"sign_in": "signin", "console": "console.example"}}},
        {"console_hosts": {"aws-iso": {"sign_in": "signin.example"}}},
        {"console_proxy": "http://proxy.example:3128"},
        {"console_proxy": "proxy.example"},
        {"console_proxy": "user:password@proxy.example:3128"},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AwsSettings.model_validate({"regions": ["eu-central-1"], **wrong})


@pytest.mark.parametrize("proxy", ["", "proxy.corp.example:3128", "10.0.0.1:8080", "[::1]:3128"])
def test_a_proxy_is_host_and_port(proxy: str) -> None:
    assert AwsSettings(regions=("eu-central-1",), console_proxy=proxy).console_proxy == proxy


def test_services_are_names_that_fit_into_an_address() -> None:
    assert 50 <= len(SERVICES) <= 80
    for service, name in SERVICES.items():
        assert Destination(service=service).url(HOSTS["aws"]) == f"https://console.aws.amazon.com/{service}/home"
        assert service.replace("-", "").isalnum()
        assert service.isascii()
        assert len(service) <= 40
        assert name.isascii()
        assert Destination(service=service).name == name
    assert len(set(SERVICES.values())) == len(SERVICES)


def test_the_sandbox_is_asked_where_it_stands_in_for_aws() -> None:
    with sandbox() as sts, SandboxSignIn(sts, clock=utc_now) as sign_in:
        console: ConsoleSignIn = a_console(before(sign_in))
        with pytest.raises(IssueRefused):
            console.open(a_lease(), HOME)
        assert console.leave("aws") == f"{sign_in.url}/oauth?Action=logout"
        assert "Signed out" in follow(console.leave("aws")).text
        sign_in.down()
        with pytest.raises(Unavailable):
            console.open(a_lease(), HOME)
        sign_in.up()
        sign_in.fail_next(503, times=1)
        with pytest.raises(IssueRefused):
            console.open(a_lease(), HOME)


def test_a_sandbox_that_was_told_to_wait_is_given_up() -> None:
    with sandbox() as sts, SandboxSignIn(sts, clock=utc_now) as sign_in:
        sign_in.delay = 5
        patience: dict[str, Any] = {"connect_timeout": SECOND / 5, "read_timeout": SECOND / 5, "budget": SECOND}
        with pytest.raises(Unavailable):
            a_console(before(sign_in), **patience).open(a_lease(), HOME)
