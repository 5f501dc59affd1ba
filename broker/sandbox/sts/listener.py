"""The socket: HTTP/1.1 on loopback, bounded everywhere, and nothing of STS.

Bounds: 128 connections at once (one more is closed at once), 30 seconds without a byte, 16 KiB of headers
(`http.server` itself stops at 100 of them), 16 KiB of request line, 128 KiB of body, no chunked bodies.
"""

import ipaddress
import socket
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from threading import Condition, Event, Thread
from typing import Any

from broker.clock import Clock
from broker.sandbox.sts import wire
from broker.sandbox.sts.refusal import Code, Refusal
from broker.sandbox.sts.service import Reply, Service, decode
from broker.sandbox.sts.sigv4 import Received

MOST_CONNECTIONS = 128
LONGEST_BODY = 131_072
LONGEST_HEADERS = LONGEST_LINE = 16_384
_STOPS_WITHIN = 10.0


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "sandbox-sts"
    sys_version = ""
    timeout = 30
    wbufsize = -1  # head and body leave in one piece
    disable_nagle_algorithm = True
    server: "Listener"

    def do_GET(self) -> None:
        """Answer a query."""
        self._respond()

    do_POST = do_GET  # noqa: N815 (http.server's name)

    def _respond(self) -> None:
        try:
            request = self._received()
        except Refusal as refusal:
            self.close_connection = True  # what follows on this connection can no longer be told apart
            body = wire.error(refusal.code, refusal.message, refusal.status, "")
            self._send(Reply(status=refusal.status, body=body, request_id=""))
            return
        self._send(self.server.answer(request, str(self.client_address[0])))

    def _received(self) -> Received:
        headers = [(name.lower(), value) for name, value in self.headers.items()]
        if sum(len(name) + len(value) + 4 for name, value in headers) > LONGEST_HEADERS:
            raise Refusal(Code.REQUEST_HEADER_SECTION_TOO_LARGE, "The headers are too long.", 431)
        if len(self.path) > LONGEST_LINE:
            raise Refusal(Code.REQUEST_URI_TOO_LONG, "The request line is too long.", 414)
        if any(mark in value for _, value in headers for mark in "\r\n\0"):
            raise Refusal(Code.MALFORMED_HTTP_REQUEST, "A header is not in form.")
        path, _, query = self.path.partition("?")
        if path != "/":
            raise Refusal(Code.UNKNOWN_OPERATION_EXCEPTION, "There is nothing at this path.", 404)
        body = self.rfile.read(self._length())
        pairs = decode(query.encode())
        return Received(method=self.command, path=path, query=pairs, headers=headers, body=body)

    def _length(self) -> int:
        lengths = self.headers.get_all("Content-Length", [])
        if self.headers.get("Transfer-Encoding") is not None or len(lengths) > 1:
            raise Refusal(Code.MISSING_CONTENT_LENGTH, "A body needs one Content-Length.", 411)
        if not lengths:
            if self.command == "POST":
                raise Refusal(Code.MISSING_CONTENT_LENGTH, "A body needs one Content-Length.", 411)
            return 0
        text = lengths[0]
        if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 (digits of any sane length)
            raise Refusal(Code.MALFORMED_HTTP_REQUEST, "Content-Length is no number.")
        if int(text) > LONGEST_BODY:
            raise Refusal(Code.REQUEST_ENTITY_TOO_LARGE, "The body is too long.", 413)
        return int(text)

    def _send(self, reply: Reply) -> None:
        body = reply.body.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", reply.request_id)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, from the sandbox's clock: clients measure their skew by it."""
        when = self.server.clock() if timestamp is None else datetime.fromtimestamp(timestamp, UTC)
        return format_datetime(when.astimezone(UTC), usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 (http.server's signature)
        """Say nothing: the call log has it."""


class Listener(ThreadingMixIn, TCPServer):
    """The listening socket and its connections; `SandboxSts` has seen to it that `host` is a loopback address."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, service: Service, clock: Clock) -> None:
        """Bind, and listen once `start` is called."""
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.clock = clock
        self._service = service
        self._stopping = Event()
        self._open: set[socket.socket] = set()
        self._changed = Condition()
        super().__init__((host, port), Handler)
        self._thread = Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, name="sandbox-sts", daemon=True
        )

    def start(self) -> None:
        """Accept connections."""
        self._thread.start()

    def stop(self) -> None:
        """Close everything; returns when the last connection is gone."""
        self._stopping.set()
        self.shutdown()
        self._thread.join(_STOPS_WITHIN)
        with self._changed:
            for connection in self._open:
                _hang_up(connection)
            self._changed.wait_for(lambda: not self._open, _STOPS_WITHIN)
        self.server_close()

    def answer(self, request: Received, address: str) -> Reply:
        """The service's answer, after the delay that a test asked for."""
        self._stopping.wait(self._service.faults.delay)
        return self._service.answer(request, address)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (socketserver's signature)
        """Give the connection a thread, or close it where there are too many."""
        with self._changed:
            full = len(self._open) >= MOST_CONNECTIONS
            if not full:
                self._open.add(request)
        if full:  # check: sts-connection-cap
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 (as above)
        """Close, and forget."""
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (as above)
        """A connection that breaks is the client's affair; anything else is a fault of ours, and is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def is_loopback(host: str) -> bool:
    """Whether `host` is a loopback address, written as an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is gone already
