"""`SandboxSignIn`: the sign-in and the console on two loopback sockets, with its log and its fault switches.

Bounds: 64 KiB of request line, header line and body, 100 headers (`http.server`'s own), 10 seconds without a byte, no
chunked bodies.
"""

import secrets
import sys
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from broker.clock import Clock
from broker.sandbox.signin.service import COOKIE, ConsoleLogin, Reply, Request, Service
from broker.sandbox.sts import SandboxSts
from broker.sandbox.sts.faults import Fault
from broker.sandbox.sts.listener import is_loopback
from broker.sandbox.sts.world import Random

LONGEST_BODY = 65_536

Answers = Callable[[Request], Reply]


class SandboxSignIn:
    """A strict sign-in: `with SandboxSts(...) as sts, SandboxSignIn(sts, clock=clock) as sign_in: ... sign_in.url`.

    Knows the credentials of `sts`. Ports are free ones, and stay the same through `down` and `up`.
    """

    def __init__(
        self, sts: SandboxSts, *, clock: Clock, host: str = "127.0.0.1", random: Random = secrets.token_bytes
    ) -> None:
        """Prepare; nothing listens before `start`. Raises `ValueError` for a host that is not a loopback address."""
        if not is_loopback(host) or ":" in host:  # check: signin-loopback-only
            message = f"the sandbox listens on loopback addresses (IPv4) only, not on {host}"
            raise ValueError(message)
        self._host, self._ports = host, [0, 0]
        self._service = Service(sts, clock=clock, random=random)
        self._servers: list[_Server] = []

    def start(self) -> Self:
        """Listen. Raises `OSError` when a port is taken, `RuntimeError` when it listens already."""
        if self._servers:
            message = "this sandbox has been started already"
            raise RuntimeError(message)
        for number, answers in enumerate((self._sign_in, self._service.console)):
            server = _Server(self._host, self._ports[number], answers)
            self._ports[number] = server.server_address[1]
            self._servers.append(server)
        self._service.url, self._service.console_url = self.url, self.console_url
        for server in self._servers:
            server.start()
        return self

    def stop(self) -> None:
        """Close the sockets. Safe to call twice."""
        while self._servers:
            self._servers.pop().stop()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def url(self) -> str:
        """The origin of `/federation`; known once it was started."""
        return f"http://{self._host}:{self._ports[0]}"

    @property
    def console_url(self) -> str:
        """The console's origin."""
        return f"http://{self._host}:{self._ports[1]}"

    @property
    def logins(self) -> Sequence[ConsoleLogin]:
        """Who has signed in, oldest first, as CloudTrail has it."""
        return self._service.logins

    @property
    def delay(self) -> float:
        """Seconds that each answer of the federation endpoint waits, 0 to 10."""
        return self._service.faults.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._service.faults.delay = seconds

    def fail_next(self, status: int, *, times: int = 1) -> None:
        """Answer the next `times` requests to the federation endpoint with this status, whatever they ask."""
        self._service.faults.add(Fault(code="A fault that was asked for.", status=status), times)

    def down(self) -> None:
        """Be away: connections are refused until `up`."""
        self.stop()

    def up(self) -> None:
        """Be back, on the same ports, knowing everything it knew."""
        self.start()

    def _sign_in(self, request: Request) -> Reply:
        if self._servers:
            self._servers[0].stopping.wait(self.delay)
        return self._service.sign_in(request)


class _Handler(BaseHTTPRequestHandler):
    """One connection, one request."""

    server_version = "sandbox-signin"
    sys_version = ""
    timeout = 10
    server: "_Server"

    def do_GET(self) -> None:
        self._respond(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or int(length[:9]) > LONGEST_BODY:
            self.send_error(413)
            return
        self._respond(self.rfile.read(int(length)))

    def _respond(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        request = Request(
            method=self.command,
            path=path,
            query=query,
            body=body,
            content_type=self.headers.get("Content-Type", ""),
            cookie=_cookie(self.headers.get("Cookie", "")),
            address=str(self.client_address[0]),
        )
        reply = self.server.answers(request)
        content = reply.body.encode()
        self.send_response(reply.status)
        headers = {"Content-Type": reply.content_type, "Location": reply.location, "Set-Cookie": reply.set_cookie}
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 (http.server's signature)
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    """One listening socket; `SandboxSignIn` has seen to it that it is on loopback."""

    daemon_threads = True

    def __init__(self, host: str, port: int, answers: Answers) -> None:
        self.answers = answers
        self.stopping = Event()
        super().__init__((host, port), _Handler)
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (socketserver's signature)
        """A connection that breaks is the client's affair; anything else is a fault of ours, and is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
