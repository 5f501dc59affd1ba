"""One connection to one LDAP server. The only file that knows ldap3.

ldap3 gets an open socket from here and never opens one itself, because of what was measured with its own: passwords
sent to whoever a referral names, certificates not checked, no host check for addresses on newer Pythons, no end to a
server that sends a byte now and then, and a 40 ms stall without TCP_NODELAY. So: the standard library's TLS (chain,
host name, 1.2 or newer), a deadline on every call of the socket, referrals off.
"""

import math
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn

from ldap3 import BASE, NONE, SAFE_SYNC, SIMPLE, SUBTREE, Connection, Server
from ldap3.core.exceptions import LDAPExceptionError, LDAPInvalidFilterError
from ldap3.operation.search import parse_filter
from ldap3.utils.conv import escape_filter_chars
from pyasn1.error import PyAsn1Error

from broker.authenticate.ldap.answer import Away, BindAnswer, Deadline, Entry, TimedOut, Unusable
from broker.authenticate.ldap.settings import Address

SUCCESS, NO_SUCH_OBJECT, BUSY, UNAVAILABLE = 0, 32, 51, 52

_START_TLS = "1.3.6.1.4.1.1466.20037"
_PASSWORD_POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"  # noqa: S105 (the OID of a control)
_PAGED = "1.2.840.113556.1.4.319"
_PAGE = 500

_NOT_LDAP = (
    LDAPExceptionError,
    PyAsn1Error,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
)
"""What ldap3 raises for a lost connection and, unwrapped, for an answer that is no LDAP."""


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, the chain and the host name checked; the same on every Python. Raises `OSError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    return context


def escape(text: str) -> str:
    """`text` as a value in a search filter."""
    return str(escape_filter_chars(text))


def is_filter(text: str) -> bool:
    """Whether `text` is a search filter."""
    try:
        parse_filter(text, None, auto_escape=False, auto_encode=False, validator=None, check_names=False)
    except (LDAPInvalidFilterError, LookupError):
        return False
    return True


class _TimedSocket:
    """A socket on which every call ends by the deadline of the request in hand."""

    def __init__(self, raw: socket.socket, deadline: Deadline, silence: float) -> None:
        self.raw = raw
        self.deadline = deadline
        self.timed_out = False
        self._silence = silence

    def recv(self, size: int) -> bytes:
        """Some of what the server sent."""
        return bytes(self._in_time(self.raw.recv, size))

    def sendall(self, octets: bytes) -> None:
        """Send everything."""
        self._in_time(self.raw.sendall, octets)

    def _in_time(self, call: Any, argument: object) -> Any:  # noqa: ANN401 (two methods of a socket)
        try:
            self.raw.settimeout(self.deadline.left(self._silence))
            return call(argument)
        except (TimeoutError, TimedOut) as error:
            self.timed_out = True
            raise TimeoutError(str(error)) from error

    def shutdown(self, how: int) -> None:
        """As a socket's own."""
        self.raw.shutdown(how)

    def close(self) -> None:
        """As a socket's own."""
        self.raw.close()


class Link:
    """One connection to one server, for one thread at a time. After `Away` it is of no further use: close it."""

    def __init__(
        self,
        address: Address,
        tls: ssl.SSLContext,
        deadline: Deadline,
        *,
        connect_timeout: float,
        receive_timeout: float,
    ) -> None:
        """Connect, and make the connection secret before anything else is sent. Raises `Away`."""
        raw = _connect(address, deadline, connect_timeout)
        self._socket = _TimedSocket(raw, deadline, receive_timeout)
        self._connection: Any = Connection(
            Server(address.host, address.port, get_info=NONE),
            client_strategy=SAFE_SYNC,
            authentication=SIMPLE,
            user="-",
            auto_referrals=False,
            auto_range=False,
            check_names=False,
            read_only=True,
            return_empty_attributes=False,
        )
        self._connection.open = _never_open
        self._connection.strategy._outstanding = {}  # noqa: SLF001 (what open() would do, but the socket is ours)
        self._connection.socket = self._socket
        self._connection.closed, self._connection.listening = False, True
        try:
            if address.security == "starttls":
                self._start_tls()
            if address.security != "none":
                raw.settimeout(deadline.left(connect_timeout))
                self._socket.raw = tls.wrap_socket(raw, server_hostname=address.host)
        except (Away, OSError) as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise TimedOut(str(error)) from error
            raise error if isinstance(error, Away) else Away(str(error)) from error

    def close(self) -> None:
        """End the connection."""
        self._connection.strategy.close()
        self._socket.close()

    def renew(self, deadline: Deadline) -> None:
        """Use the link for another request."""
        self._socket.deadline = deadline

    def tls_version(self) -> str:
        """Such as `TLSv1.3`; empty without TLS."""
        raw = self._socket.raw
        return raw.version() or "" if isinstance(raw, ssl.SSLSocket) else ""

    def certificate_expires(self) -> datetime | None:
        """When the server's certificate ends; None without TLS."""
        raw = self._socket.raw
        found = raw.getpeercert() if isinstance(raw, ssl.SSLSocket) else None
        if not found:
            return None
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)

    def bind(self, dn: str, password: bytes) -> BindAnswer:
        """Show a name and a password. Raises `Away` where no answer came: the server may have counted the try.

        The octets are sent as they are: ldap3 would prepare a `str`, and some characters vanish in that.
        """
        if not dn or not password:
            message = "an empty name or password must never reach a server: it would answer yes to nobody"
            raise ValueError(message)
        self._connection.user, self._connection.password = dn, password
        try:
            _, result, _, _ = self._ask(
                self._connection.bind, read_server_info=False, controls=[(_PASSWORD_POLICY, False, None)]
            )
        finally:
            self._connection.password = self._connection.request = None
        if result["type"] != "bindResponse":  # check: answer-to-a-bind
            message = "the answer to a bind is none"
            raise Away(message)
        policy = (result.get("controls") or {}).get(_PASSWORD_POLICY)
        return BindAnswer(
            code=result["result"], message=result["message"], policy=None if policy is None else policy["value"] or b""
        )

    def read(self, dn: str, attributes: Sequence[str], where: str = "(objectClass=*)") -> Entry | None:
        """One entry by its name; None where there is none."""
        entries, _, _ = self._search(dn, where, attributes, scope=BASE, absent_is_empty=True)
        return entries[0] if entries else None

    def search(self, base: str, where: str, attributes: Sequence[str], *, whole: bool = True) -> list[Entry]:
        """Everything below `base` that matches, however many pages it takes.

        Raises `Unusable` for anything but the server's "that was all": a time or size limit, a referral, values that
        came in part. With `whole` a pointer to another server's part of the tree is such a case too.
        """
        found: list[Entry] = []
        cookie: bytes | None = None
        while True:
            entries, pointers, cookie = self._search(base, where, attributes, scope=SUBTREE, cookie=cookie)
            if whole and pointers:  # check: search-continues-elsewhere
                message = "a part of the tree is on another server"
                raise Unusable(message)
            found += entries
            if not cookie:
                return found

    def _search(
        self,
        base: str,
        where: str,
        attributes: Sequence[str],
        *,
        scope: str,
        cookie: bytes | None = None,
        absent_is_empty: bool = False,
    ) -> tuple[list[Entry], int, bytes | None]:
        """(entries, pointers to elsewhere, cookie of the next page)."""
        _, result, response, _ = self._ask(
            self._connection.search,
            base,
            where,
            search_scope=scope,
            attributes=list(attributes),
            time_limit=math.ceil(self._socket.deadline.left(60)),
            paged_size=_PAGE if scope == SUBTREE else None,
            paged_cookie=cookie,
        )
        code = result["result"]
        if code in {BUSY, UNAVAILABLE}:
            message = "the server is busy"
            raise Away(message)
        if code == NO_SUCH_OBJECT and absent_is_empty:
            return [], 0, None
        if code != SUCCESS:  # check: search-ended-well
            message = f"a search ended with {result['description']} ({code})"
            raise Unusable(message)
        entries = [_entry(found) for found in response if found["type"] == "searchResEntry"]
        page = (result.get("controls") or {}).get(_PAGED)
        return entries, len(response) - len(entries), page["value"]["cookie"] if page else None

    def _start_tls(self) -> None:
        _, result, _, _ = self._ask(self._connection.extended, _START_TLS)
        if result["result"] != SUCCESS:  # check: starttls-refused
            message = "the server refused StartTLS"
            raise Away(message)

    def _ask(self, call: Any, *arguments: object, **options: object) -> Any:  # noqa: ANN401 (ldap3 has no types)
        try:
            return call(*arguments, **options)
        except _NOT_LDAP as error:
            message = f"no answer that can be read ({type(error).__name__}: {error})"
            raise (TimedOut if self._socket.timed_out else Away)(message) from error


def _never_open(*_: object, **__: object) -> NoReturn:
    """In place of ldap3's own: after a loss it would connect again by itself, without any of our checks."""
    message = "the connection is closed"
    raise OSError(message)


def _connect(address: Address, deadline: Deadline, timeout: float) -> socket.socket:
    """A TCP connection to the first of the host's addresses that answers.

    Not bounded: the system's name resolution, which takes no time-out.
    """
    problem = OSError("the name has no address")
    try:
        candidates = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Away(str(error)) from error
    for family, kind, protocol, _, where in candidates:
        raw = socket.socket(family, kind, protocol)
        try:
            raw.settimeout(deadline.left(timeout))
            raw.connect(where)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except TimedOut:
            raw.close()
            raise
        except OSError as error:
            raw.close()
            problem = error
            continue
        peer = str(raw.getpeername()[0])
        if address.security == "none" and not ip_address(peer.partition("%")[0]).is_loopback:  # check: plain-ldap-peer
            raw.close()
            message = "plain LDAP is for loopback only"
            raise Away(message)
        return raw
    if isinstance(problem, TimeoutError):
        raise TimedOut(str(problem)) from problem
    raise Away(str(problem)) from problem


def _entry(found: Any) -> Entry:  # noqa: ANN401 (ldap3 has no types)
    values = {name.lower(): tuple(octets or ()) for name, octets in found["raw_attributes"].items()}
    if any(";range=" in name for name in values):  # check: values-in-part
        message = "the server sent the values of an attribute in part"
        raise Unusable(message)
    return Entry(dn=found["dn"], values=values)
