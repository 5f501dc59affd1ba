"""Requests: verified TLS, no redirects, small and soon or not at all; proxies, but never to this machine."""

import base64
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from workstation.desk import Desk
from workstation.fake_broker import FakeBroker, serving

from broker.sandbox.pki import SandboxPki
from broker.workstation import wire
from broker.workstation.deadline import Deadline
from broker.workstation.failure import AWAY, FAILED, Failure
from broker.workstation.server import parsed

WHO = "GET /api/v1/whoami"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SandboxPki:
    return SandboxPki(tmp_path_factory.mktemp("pki"), names=("localhost", "broker.test"))


@pytest.fixture
def secure(pki: SandboxPki, tmp_path: Path) -> Iterator[Desk]:
    """A desk whose broker has a certificate of its company's own authority."""
    with serving(pki.server_context()) as fake:
        desk = Desk(home=tmp_path, broker=fake)
        (tmp_path / "browser.py").write_text("", "utf-8")
        yield desk


def test_an_unknown_authority_is_refused_and_the_next_step_names_the_flag(secure: Desk) -> None:
    done = secure.run("login", *secure.server)
    assert done.returncode == 10
    assert f"aws-broker login --server {secure.broker.url} --ca-file FILE" in done.stderr
    assert sum(secure.broker.asked.values()) == 0


def test_the_authority_of_a_login_is_remembered(secure: Desk, pki: SandboxPki) -> None:
    ca = str(pki.ca_file)
    program = secure.start("login", *secure.server, "--ca-file", ca, "--no-browser")
    assert program.stdout is not None
    trusting = ssl.create_default_context(cafile=ca)
    with urllib.request.urlopen(program.stdout.readline().strip(), timeout=20, context=trusting):  # noqa: S310 (the fake's)
        _, err = program.communicate(timeout=30)
    assert program.returncode == 0, err
    assert secure.run("status").returncode == 0
    assert ca in (secure.home / ".config/aws-broker/config").read_text("utf-8")


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environment_can_name_the_authority(secure: Desk, pki: SandboxPki, variable: str) -> None:
    done = secure.run("login", *secure.server, "--timeout", "1", "--no-browser", **{variable: str(pki.ca_file)})
    assert done.returncode == 3
    assert "Open this address" in done.stderr


def test_an_authority_that_is_no_file_is_named(secure: Desk) -> None:
    done = secure.run("login", *secure.server, "--ca-file", "/nowhere/ca.pem")
    assert done.returncode == 10
    assert "/nowhere/ca.pem" in done.stderr


@contextmanager
def proxy(to: int) -> Iterator[tuple[int, list[bytes]]]:
    """A CONNECT proxy that knows one place; (port, heads of requests)."""
    heads: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            heads.append(client.recv(8192))
            with client, socket.create_connection(("127.0.0.1", to)) as target:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pump, args=(target, client))
                back.start()
                pump(client, target)
                back.join()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_proxy_carries_tls_to_the_broker_and_learns_its_name_alone(secure: Desk, pki: SandboxPki) -> None:
    port = int(secure.broker.url.rpartition(":")[2])
    secure.broker.url = f"https://broker.test:{port}"
    with proxy(port) as (at, heads):
        done = secure.run(
            "login", *secure.server, "--ca-file", str(pki.ca_file), "--timeout", "1", "--no-browser",
            HTTPS_PROXY=f"http://ann:s%40cret@127.0.0.1:{at}",
        )  # fmt: skip
        assert done.returncode == 3, done.stderr
        (head,) = heads
    assert head.startswith(f"CONNECT broker.test:{port} ".encode())
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"ann:s@cret") in head


def test_no_proxy_is_honoured(secure: Desk) -> None:
    secure.broker.url = "https://broker.invalid"
    with proxy(9) as (at, heads):
        done = secure.run("status", HTTPS_PROXY=f"http://127.0.0.1:{at}", NO_PROXY="broker.invalid")
        assert done.returncode == 10, "no broker is known"
        done = secure.run("login", *secure.server, HTTPS_PROXY=f"http://127.0.0.1:{at}", NO_PROXY="broker.invalid")
        assert done.returncode == 9
        assert heads == []


def test_a_proxy_that_is_no_url_is_named(secure: Desk) -> None:
    done = secure.run("login", "--server", "https://broker.invalid", HTTPS_PROXY="socks5://127.0.0.1:9")
    assert done.returncode == 10
    assert "HTTPS_PROXY" in done.stderr


def test_this_machine_s_own_broker_is_never_asked_through_a_proxy(desk: Desk) -> None:
    assert desk.environ["HTTP_PROXY"] == desk.environ["HTTPS_PROXY"] == "http://127.0.0.1:9"
    desk.login()


# --- answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(signed_in: Desk, fake: FakeBroker, status: int) -> None:
    fake.answers[WHO] = lambda: (status, {})
    done = signed_in.run("status")
    assert done.returncode == 1
    assert "sends us elsewhere" in done.stderr


def test_a_token_request_is_not_redirected_either(desk: Desk, fake: FakeBroker) -> None:
    fake.answers["POST /oauth/token"] = lambda: (307, {})
    assert desk.run("login", *desk.server).returncode == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"5", b"\xff", b"[" * 100_000, b'{"a": '])
def test_what_is_no_json_object_is_not_the_broker(signed_in: Desk, fake: FakeBroker, body: bytes) -> None:
    fake.answers[WHO] = lambda: (200, body)  # type: ignore[assignment,return-value]  # the fake sends bytes as they are
    done = signed_in.run("status")
    assert done.returncode == 1
    assert "does not answer as a broker does" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_proxy_s_error_page_is_an_outage(signed_in: Desk, fake: FakeBroker) -> None:
    fake.answers[WHO] = lambda: (502, b"<html>")  # type: ignore[assignment,return-value]  # as above
    assert signed_in.run("status").returncode == 9


@pytest.mark.parametrize("member", ["username", "provider", "factors"])
def test_a_member_that_does_not_fit_is_named(signed_in: Desk, fake: FakeBroker, member: str) -> None:
    _, body = fake.api("GET", "/api/v1/whoami", {}, {})
    fake.answers[WHO] = lambda: (200, {**body, member: 5})
    done = signed_in.run("status")
    assert done.returncode == 1
    assert f": {member}." in done.stderr


def a_wire(fake: FakeBroker, seconds: float = 30.0) -> wire.Wire:
    return wire.Wire(parsed(fake.url), environ={}, ca_file="", deadline=Deadline(seconds))


def test_an_answer_that_is_too_large_is_refused(fake: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.answers[WHO] = lambda: (200, {"a": "x" * 2000})
    assert a_wire(fake).get("/api/v1/whoami").status == 200
    monkeypatch.setattr(wire, "LARGEST", 1000)
    with pytest.raises(Failure, match="answers too much") as caught:
        a_wire(fake).get("/api/v1/whoami")
    assert caught.value.code == FAILED


def drip() -> Iterator[bytes]:
    yield b"HTTP/1.0 200 OK\r\n"
    while True:
        yield b"X-Slow: 1\r\n"


def test_an_answer_that_drips_in_is_not_waited_for() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                for piece in drip():
                    connection.sendall(piece)
                    time.sleep(0.05)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        begin = time.monotonic()
        slow = wire.Wire(
            parsed(f"http://127.0.0.1:{listener.getsockname()[1]}"), environ={}, ca_file="", deadline=Deadline(0.5)
        )
        with pytest.raises(Failure) as caught:
            slow.get("/")
        assert caught.value.code == AWAY
        assert isinstance(caught.value, wire.Lost)
        assert time.monotonic() - begin < 10
    finally:
        listener.close()
        thread.join()


def test_when_the_command_s_time_is_over_nothing_more_is_asked(fake: FakeBroker) -> None:
    with pytest.raises(Failure, match="in time"):
        a_wire(fake, seconds=0.0).get("/api/v1/whoami")
    assert sum(fake.asked.values()) == 0


def test_a_broker_that_is_not_there_was_not_asked() -> None:
    with pytest.raises(Failure) as caught:
        wire.Wire(parsed("http://127.0.0.1:9"), environ={}, ca_file="", deadline=Deadline(5)).get("/")
    assert caught.value.code == AWAY
    assert not isinstance(caught.value, wire.Lost)


def test_a_time_to_wait_that_is_no_time_is_no_traceback() -> None:
    assert wire._seconds("9" * 5000) == 3600  # noqa: SLF001 (a header that no test server sends)
    assert wire._seconds("30") == 30  # noqa: SLF001 (as above)
