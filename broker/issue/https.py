"""One HTTP request with everything bounded: how long it takes, how much comes back, and where it leads (nowhere else).

`http.client` and not urllib3, because of what it does not do: it follows no redirect, tries nothing twice, keeps no
connection, and takes no proxy from the environment. What it lacks is a limit for the whole answer: a time-out counts
anew with every byte. `_Until` adds it, beneath the parser, so that headers sent one by one are under it too.
"""

import http.client
import io
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

LARGEST = 64 * 1024
"""Bytes of a body."""


class NoAnswer(Exception):
    """Nothing that could be read in time: no connection, too slow, too large, or no HTTP."""


class Unverified(Exception):
    """Somebody answered, and could not prove to be the host that was meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, in seconds."""

    connect: float
    """For TCP and TLS."""
    read: float
    """For the next byte."""
    all: float
    """For everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """How the hosts are reached."""

    tls: ssl.SSLContext
    """Verifies the chain and the name."""
    proxy: str = ""
    """`host:port` of a proxy that is asked to CONNECT; it sees the host's name and nothing else. Empty: none."""


def post(url: str, form: bytes, *, road: Road, patience: Patience, monotonic: Callable[[], float]) -> Answer:
    """Send a form to `url`, once. Raises `NoAnswer` and `Unverified`; neither repeats anything that was sent."""
    deadline = monotonic() + patience.all
    connection = _connection(url, road, min(patience.connect, patience.all))
    connection.response_class = _within(deadline, patience.read, monotonic)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", "Connection": "close"}
    try:
        connection.connect()
        connection.sock.settimeout(max(0.001, min(patience.read, deadline - monotonic())))
        connection.request("POST", urlsplit(url).path, form, headers)
        answer = connection.getresponse()
        content = answer.read(LARGEST + 1)
    except ssl.SSLCertVerificationError:
        raise Unverified from None
    except (OSError, http.client.HTTPException):
        raise NoAnswer from None
    finally:
        connection.close()
    if len(content) > LARGEST:  # check: https-answer-size
        raise NoAnswer
    if answer.length:  # check: https-answer-whole
        raise NoAnswer
    return Answer(status=answer.status, body=content)


def _connection(url: str, road: Road, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=timeout)
    if not road.proxy:
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=road.tls)
    proxy, _, proxy_port = road.proxy.rpartition(":")
    connection = http.client.HTTPSConnection(proxy.strip("[]"), int(proxy_port), timeout=timeout, context=road.tls)
    connection.set_tunnel(host, port)
    return connection


class _Until(io.RawIOBase):
    """What a socket has to say until a deadline."""

    def __init__(self, sock: socket.socket, deadline: float, longest: float, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._sock, self._raw = sock, sock.makefile("rb", buffering=0)
        self._deadline, self._longest, self._monotonic = deadline, longest, monotonic

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 (a writable buffer, as io has it)
        left = self._deadline - self._monotonic()
        if left <= 0:  # check: https-deadline
            raise TimeoutError
        self._sock.settimeout(min(left, self._longest))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Bounded:
    """As much of a socket as `http.client.HTTPResponse` uses."""

    def __init__(self, sock: socket.socket, deadline: float, longest: float, monotonic: Callable[[], float]) -> None:
        self._until = _Until(sock, deadline, longest, monotonic)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._until)


def _within(deadline: float, longest: float, monotonic: Callable[[], float]) -> Any:  # noqa: ANN401 (a class, to http.client)
    """`http.client.HTTPResponse`, reading until `deadline` and waiting `longest` for a byte."""

    def response(sock: socket.socket, *args: Any, **more: Any) -> http.client.HTTPResponse:  # noqa: ANN401 (passed on)
        bounded: Any = _Bounded(sock, deadline, longest, monotonic)
        return http.client.HTTPResponse(bounded, *args, **more)

    return response
