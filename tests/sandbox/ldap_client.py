"""Two clients for the sandbox's directory: ldap3, and bare sockets for what ldap3 refuses to send."""

import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import ldap3

from broker.sandbox.directory import SandboxDirectory
from broker.sandbox.directory.ber import SEQUENCE, Element, encode, encode_integer, encode_text, read

SUFFIX = "DC=corp,DC=example"
DOMAIN_SID = "S-1-5-21-1004336348-1177238915-682003330"
NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


class Hands:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search answered."""

    code: int
    text: str
    entries: dict[str, dict[str, list[bytes]]]
    references: list[str]
    referrals: list[str]
    controls: dict[str, Any]

    @property
    def names(self) -> set[str]:
        """The first part of each name: `CN=SRE`."""
        return {re.split(r"(?<!\\),", dn)[0] for dn in self.entries}


@contextmanager
def connection(
    directory: SandboxDirectory, name: str = "", password: str = "", *, over: str = "ldaps"
) -> Iterator[ldap3.Connection]:
    """An ldap3 connection over `ldaps`, `starttls` or `clear`; not bound yet."""
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(directory.ca_file))
    server = ldap3.Server(
        "localhost",
        port=directory.ldaps_port if over == "ldaps" else directory.ldap_port,
        use_ssl=over == "ldaps",
        tls=tls,
        get_info=ldap3.NONE,
        connect_timeout=5,
    )
    client = ldap3.Connection(
        server,
        name or None,
        password or None,
        authentication=ldap3.SIMPLE if name else ldap3.ANONYMOUS,
        auto_referrals=False,
        check_names=False,
        receive_timeout=5,
    )
    client.open()
    try:
        if over == "starttls":
            assert client.start_tls()
        yield client
    finally:
        client.unbind()


def bind(directory: SandboxDirectory, name: str, password: str, *, over: str = "ldaps") -> tuple[int, str]:
    """Result code and AD's sub-code of one bind."""
    with connection(directory, name, password, over=over) as client:
        client.bind()
        sub_code = re.search(r"data ([0-9a-f]+)", client.result["message"])
        return client.result["result"], sub_code[1] if sub_code and client.result["result"] == 49 else ""


@contextmanager
def service(directory: SandboxDirectory, *, over: str = "ldaps") -> Iterator[ldap3.Connection]:
    """A connection bound as the broker's service account."""
    with connection(directory, "svc-broker@corp.example", "svc-broker-demo-password", over=over) as client:
        assert client.bind(), client.result
        yield client


def search(
    client: ldap3.Connection,
    condition: str,
    base: str = SUFFIX,
    scope: str = ldap3.SUBTREE,
    attributes: Sequence[str] = ("cn",),
    **options: object,
) -> Found:
    client.search(base, condition, scope, attributes=list(attributes), **options)
    return Found(
        code=client.result["result"],
        text=client.result["message"],
        entries={r["dn"]: dict(r["raw_attributes"]) for r in client.response if r["type"] == "searchResEntry"},
        references=[uri for r in client.response if r["type"] == "searchResRef" for uri in r["uri"]],
        referrals=client.result["referrals"] or [],
        controls=client.result.get("controls", {}),
    )


def read_entry(client: ldap3.Connection, dn: str, *attributes: str) -> dict[str, list[bytes]]:
    """The attributes of one entry."""
    found = search(client, "(objectClass=*)", dn, ldap3.BASE, attributes)
    assert found.code == 0, found
    (entry,) = found.entries.values()
    return {name: values for name, values in entry.items() if values}


class Bare:
    """A socket that sends what it is told and reads whole LDAP messages."""

    def __init__(self, directory: SandboxDirectory, *, tls: bool = False) -> None:
        port = directory.ldaps_port if tls else directory.ldap_port
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._directory = directory
        if tls:
            self.wrap()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def wrap(self) -> None:
        context = ssl.create_default_context(cafile=self._directory.ca_file)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def ask(self, tag: int, *parts: bytes, message_id: int = 1) -> Element:
        """Send one request; the operation of its answer."""
        self.socket.sendall(message(tag, *parts, message_id=message_id))
        id_, operation, *_ = self.read().elements()
        assert id_.integer() == message_id
        return operation

    def read(self) -> Element:
        return read(self._exactly, limit=1_000_000)

    def is_closed(self) -> bool:
        """Whether the server has hung up (after what it may still have said)."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    def _exactly(self, count: int) -> bytes:
        chunks = b""
        while len(chunks) < count:
            chunk = self.socket.recv(count - len(chunks))
            if not chunk:
                raise ConnectionResetError
            chunks += chunk
        return chunks


def message(tag: int, *parts: bytes, message_id: int = 1, controls: bytes = b"") -> bytes:
    return encode(SEQUENCE, encode_integer(message_id), encode(tag, *parts), controls)


def bind_parts(name: str, password: str, version: int = 3) -> tuple[bytes, bytes, bytes]:
    return encode_integer(version), encode_text(name), encode_text(password, 0x80)


def code_of(operation: Element) -> int:
    """The result code in a response."""
    return next(operation.elements()).integer()
