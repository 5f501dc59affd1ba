"""The listener that a browser comes back to: on this machine's loopback alone, at a secret path, for one request.

Other programs and any web page that the browser has open can reach the port too. So what is not *the* request is
answered with nothing and does not end the waiting, and nobody who is slow or loud keeps the browser out.

The checks on a request: (1) its head is whole and small, (2) GET, (3) for this host and port by number, so that no
name leads here (DNS rebinding), (4) not a script's: no Origin, and a navigation where the browser says which, (5) the
secret path, and a small query. The first that passes is the only one: the listener closes.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from hmac import compare_digest
from typing import NamedTuple
from urllib.parse import parse_qsl

from .failure import CANCELLED, CONFIG, Failure

LARGEST = 8192
"""Bytes of a request's head."""
FIELDS = 20
"""In its query."""
SLOW = 5.0
"""Seconds for a request's head."""
MOST = 16
"""Connections at once; the oldest gives way."""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>aws-broker</title><style>:root{{color-scheme:light dark;font:1.1rem/1.5 system-ui,sans-serif}}
body{{max-width:32rem;margin:20vh auto;padding:0 1rem}}</style><h1>{title}</h1><p>{text}</p></html>
"""
HEADERS = (
    "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nConnection: close\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n"
)


class Pending(NamedTuple):
    """A connection whose request is not whole yet."""

    connection: socket.socket
    until: float
    head: bytes = b""


class Listener:
    """Open from the start to the first request that passes, or to `close`."""

    def __init__(self, secret: str) -> None:
        """Bind 127.0.0.1, or ::1 where that does not work. Raises `Failure`."""
        self._path = f"/callback/{secret}"
        self._socket = _bound()
        host, port = self._socket.getsockname()[:2]
        self._host = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.redirect_uri = f"http://{self._host}{self._path}"
        """What the authorization server sends the browser to."""
        self.port: int = port

    def wait(self, clock: Callable[[], float], until: float) -> tuple[dict[str, str], Callable[[bool], None]]:
        """(the parameters of the request, what tells the browser whether it went well). Raises `Failure` (3)."""
        waiting: dict[int, Pending] = {}
        try:
            with self._socket, selectors.DefaultSelector() as selector:
                selector.register(self._socket, selectors.EVENT_READ)
                while clock() < until:
                    for key, _ in selector.select(timeout=min(0.5, max(0.0, until - clock()))):
                        if key.fd == self._socket.fileno():
                            self._accept(selector, waiting, clock())
                            continue
                        found = self._read(selector, waiting, key.fd)
                        if found is not None:
                            return found[1], partial(_answer, found[0])
                    for fd in [fd for fd, each in waiting.items() if each.until < clock()]:
                        _drop(selector, waiting, fd)
        finally:
            for each in waiting.values():
                each.connection.close()
        raise Failure(CANCELLED, "Nobody signed in in time.", step="Run the command again.")

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _accept(self, selector: selectors.BaseSelector, waiting: dict[int, Pending], now: float) -> None:
        with suppress(OSError):
            connection, _ = self._socket.accept()
            connection.setblocking(False)  # noqa: FBT003 (its only parameter)
            if len(waiting) >= MOST:  # check: listener-crowd
                _drop(selector, waiting, next(iter(waiting)))
            selector.register(connection, selectors.EVENT_READ)
            waiting[connection.fileno()] = Pending(connection, now + SLOW)

    def _read(
        self, selector: selectors.BaseSelector, waiting: dict[int, Pending], fd: int
    ) -> tuple[socket.socket, dict[str, str]] | None:
        """Read what is there; the connection and the parameters, if this is the request."""
        if fd not in waiting:
            return None
        pending = waiting[fd]
        try:
            data = pending.connection.recv(LARGEST)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        head = pending.head + data
        if not data or len(head) > LARGEST:  # check: listener-size
            _drop(selector, waiting, fd)
            return None
        waiting[fd] = pending._replace(head=head)
        if b"\r\n\r\n" not in head:
            return None
        parameters = self._parameters(head)
        selector.unregister(pending.connection)
        del waiting[fd]
        if parameters is None:
            with suppress(OSError):
                pending.connection.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            pending.connection.close()
            return None
        return pending.connection, parameters

    def _parameters(self, head: bytes) -> dict[str, str] | None:
        """The parameters of the one request; None for every other."""
        # (1) whole and small
        try:
            line, *rest = head.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
            method, target, _ = line.split(" ")
            headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
        except ValueError:
            return None
        # (2) the method
        if method != "GET":  # check: listener-method
            return None
        # (3) the host
        if headers.get("host", "") != self._host:  # check: listener-host
            return None
        # (4) no script
        if "origin" in headers or headers.get("sec-fetch-mode", "navigate") != "navigate":  # check: listener-script
            return None
        # (5) the path
        path, _, query = target.partition("?")
        if not compare_digest(path, self._path):  # check: listener-path
            return None
        return _fields(query)


def _fields(query: str) -> dict[str, str] | None:
    """None for more than there can be."""
    try:
        return single(parse_qsl(query, keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError:
        return None


def single(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """As a dict; a name that comes twice is left out, and so missed."""
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}


def _bound() -> socket.socket:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            found = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue
        try:
            found.bind((host, 0))
            found.listen(MOST)
            found.setblocking(False)  # noqa: FBT003 (its only parameter)
        except OSError:
            found.close()
            continue
        return found
    raise Failure(CONFIG, "Neither 127.0.0.1 nor ::1 can be listened on.", step="Mend the loopback interface.")


def _drop(selector: selectors.BaseSelector, waiting: dict[int, Pending], fd: int) -> None:
    pending = waiting.pop(fd)
    selector.unregister(pending.connection)
    pending.connection.close()


TOLD: Mapping[bool, tuple[str, str]] = {
    True: ("Signed in", "You can close this page and go back to your terminal."),
    False: ("Not signed in", "Your terminal says why."),
}


def _answer(connection: socket.socket, well: bool) -> None:  # noqa: FBT001 (all that it is told)
    title, text = TOLD[well]
    body = PAGE.format(title=title, text=text)
    head = f"HTTP/1.1 200 OK\r\n{HEADERS}Content-Length: {len(body.encode())}\r\n\r\n"
    with suppress(OSError), connection:
        connection.settimeout(2.0)
        connection.sendall((head + body).encode())
