"""An LDAP server that says what a test tells it to, for what no real server can be made to do; in clear."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

BIND, SEARCH, EXTENDED = 0x60, 0x63, 0x77
BIND_DONE, SEARCH_ENTRY, SEARCH_DONE, SEARCH_POINTER, EXTENDED_DONE = 0x61, 0x64, 0x65, 0x73, 0x78


class Cut(Exception):
    """Raised by a script: close the connection."""


def tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    return bytes((tag, 0x82)) + len(body).to_bytes(2, "big") + body


def text(value: str | bytes) -> bytes:
    return tlv(0x04, value if isinstance(value, bytes) else value.encode())


def done(tag: int, code: int = 0, message: str = "", *, referral: str = "") -> bytes:
    extra = tlv(0xA3, text(referral)) if referral else b""
    return tlv(tag, tlv(0x0A, bytes((code,))), text(""), text(message), extra)


def entry(dn: str, attributes: Mapping[str, Sequence[str | bytes]]) -> bytes:
    values = [tlv(0x30, text(name), tlv(0x31, *map(text, given))) for name, given in attributes.items()]
    return tlv(SEARCH_ENTRY, text(dn), tlv(0x30, *values))


def pointer(url: str) -> bytes:
    return tlv(SEARCH_POINTER, text(url))


def message(number: int, operation: bytes, controls: bytes = b"") -> bytes:
    return tlv(
        0x30,
        tlv(0x02, bytes((number >> 24 & 0x7F, number >> 16 & 255, number >> 8 & 255, number & 255))),
        operation,
        controls,
    )


@dataclass
class Request:
    """One request as it came."""

    number: int
    operation: int
    octets: bytes

    def reply(self, *operations: bytes) -> bytes:
        return b"".join(message(self.number, operation) for operation in operations)


Script = Callable[[Request], bytes | None]
"""What to send for a request; None: nothing, and the client waits."""


@dataclass
class ScriptedServer:
    """The server and what it was asked."""

    port: int
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def binds(self) -> list[bytes]:
        return [request.octets for request in self.requests if request.operation == BIND]


class _Running:
    """The threads of a scripted server."""

    def __init__(self, listener: socket.socket, script: Script) -> None:
        self.server = ScriptedServer(port=listener.getsockname()[1])
        self._listener, self._script = listener, script
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:  # the first one, which adds to them, is joined first
            thread.join()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.server.connections += 1
            self._threads.append(threading.Thread(target=self._talk, args=(client,)))
            self._threads[-1].start()

    def _talk(self, client: socket.socket) -> None:
        held = b""
        with client, suppress(Cut, OSError):
            client.settimeout(0.05)
            while not self._over.is_set():
                try:
                    more = client.recv(65536)
                except TimeoutError:
                    continue
                if not more:
                    return
                held = self._answer(client, held + more)

    def _answer(self, client: socket.socket, held: bytes) -> bytes:
        while (request := _first(held)) is not None:
            held = held[len(request.octets) :]
            self.server.requests.append(request)
            client.sendall(self._script(request) or b"")
        return held


@contextmanager
def scripted(script: Script) -> Iterator[ScriptedServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        running = _Running(listener, script)
        try:
            yield running.server
        finally:
            running.stop()


def _first(held: bytes) -> Request | None:
    if len(held) < 2:
        return None
    start, length = 2, held[1]
    if length >= 0x80:
        start = 2 + length - 0x80
        length = int.from_bytes(held[2:start], "big")
    if len(held) < start + length:
        return None
    octets = held[: start + length]
    end = start + 2 + octets[start + 1]
    return Request(number=int.from_bytes(octets[start + 2 : end], "big"), operation=octets[end], octets=octets)


ADA = "uid=ada,ou=Staff,dc=corp"
ADA_ENTRY: Mapping[str, Sequence[str | bytes]] = {
    "uid": ["ada"],
    "cn": ["Ada"],
    "entryUUID": ["99999999-0000-4000-8000-000000000001"],
}


def honest(request: Request, **changes: bytes) -> bytes | None:
    """A small OpenLDAP that knows ada and her password `right`, and one group, readers."""
    answers: dict[str, bytes] = {
        "service": done(BIND_DONE),
        "bind": done(BIND_DONE, 0 if b"right" in request.octets else 49),
        "root": entry("", {"objectClass": ["top"]}) + b"",
        "account": entry(ADA, ADA_ENTRY),
        "groups": entry("cn=readers,ou=Groups,dc=corp", {"cn": ["readers"], "entryUUID": ["id-1"]}),
    } | changes
    if request.operation == EXTENDED:
        return request.reply(answers.get("starttls", done(EXTENDED_DONE)))
    if request.operation == BIND:
        return request.reply(answers["service" if b"cn=reader" in request.octets else "bind"])
    if b"supportedCapabilities" in request.octets:
        return request.reply(answers["root"], done(SEARCH_DONE))
    if b"groupOfNames" in request.octets:
        end = answers.get("groups_done", done(SEARCH_DONE))
        return request.reply(*([answers["groups"]] if b"uid=ada" in request.octets else []), end)
    return request.reply(answers["account"], answers.get("account_done", done(SEARCH_DONE)))
