"""LDAP messages (RFC 4511): requests read, responses written. Octets in, octets out; no meaning here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from broker.sandbox.directory import ber
from broker.sandbox.directory.ber import BerError, Element
from broker.sandbox.directory.filters import Filter
from broker.sandbox.directory.reading import FilterReader
from broker.sandbox.directory.tree import Scope

START_TLS = "1.3.6.1.4.1.1466.20037"
NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"
PAGED_RESULTS = "1.2.840.113556.1.4.319"
DOMAIN_SCOPE = "1.2.840.113556.1.4.1339"
"""Object ids: two extended operations, two controls."""

_MOST_ID = 2**31 - 1
_MOST_CONTROLS = 16
_MOST_ATTRIBUTES = 256
_SIMPLE = 0x80


class Operation(IntEnum):
    """What a client may ask: the tag of the request."""

    BIND = 0x60
    UNBIND = 0x42
    SEARCH = 0x63
    MODIFY = 0x66
    ADD = 0x68
    DELETE = 0x4A
    MODIFY_DN = 0x6C
    COMPARE = 0x6E
    ABANDON = 0x50
    EXTENDED = 0x77


class Response(IntEnum):
    """Tags of responses."""

    BIND = 0x61
    SEARCH_ENTRY = 0x64
    SEARCH_DONE = 0x65
    SEARCH_REFERENCE = 0x73
    MODIFY = 0x67
    ADD = 0x69
    DELETE = 0x6B
    MODIFY_DN = 0x6D
    COMPARE = 0x6F
    EXTENDED = 0x78


ANSWERED_BY = {
    Operation.BIND: Response.BIND,
    Operation.SEARCH: Response.SEARCH_DONE,
    Operation.MODIFY: Response.MODIFY,
    Operation.ADD: Response.ADD,
    Operation.DELETE: Response.DELETE,
    Operation.MODIFY_DN: Response.MODIFY_DN,
    Operation.COMPARE: Response.COMPARE,
    Operation.EXTENDED: Response.EXTENDED,
}
"""Every operation with an answer. Unbind and abandon have none."""


class Code(IntEnum):
    """Result codes (RFC 4511 appendix A) that this server gives."""

    SUCCESS = 0
    OPERATIONS_ERROR = 1
    PROTOCOL_ERROR = 2
    SIZE_LIMIT_EXCEEDED = 4
    COMPARE_FALSE = 5
    COMPARE_TRUE = 6
    AUTH_METHOD_NOT_SUPPORTED = 7
    STRONGER_AUTH_REQUIRED = 8
    REFERRAL = 10
    ADMIN_LIMIT_EXCEEDED = 11
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    NO_SUCH_OBJECT = 32
    INVALID_DN_SYNTAX = 34
    INVALID_CREDENTIALS = 49
    UNWILLING_TO_PERFORM = 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One control of a request or response."""

    oid: str
    critical: bool = False
    value: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The envelope of a request."""

    id: int
    operation: Operation
    element: Element
    controls: tuple[Control, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A bind; `password` is None where the method is not simple."""

    version: int
    name: str
    password: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search; attribute names in lower case."""

    base: str
    scope: Scope
    size_limit: int
    types_only: bool
    condition: Filter
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an operation ended."""

    code: Code
    text: str = ""
    matched: str = ""
    referrals: tuple[str, ...] = ()
    controls: tuple[Control, ...] = ()


def read_request(octets: bytes) -> Request:
    """The request in `octets`; raises `BerError` where the envelope cannot be read or the operation is not known."""
    id_, operation, *more = ber.parse(octets).expect(ber.SEQUENCE).elements_up_to(3, least=2)
    number = id_.expect(ber.INTEGER).integer()
    if not 0 < number <= _MOST_ID or operation.tag not in set(Operation):
        message = "a message id or an operation that is not known"
        raise BerError(message)
    return Request(
        id=number,
        operation=Operation(operation.tag),
        element=operation,
        controls=tuple(_read_control(control) for control in more[0].expect(0xA0).elements_up_to(_MOST_CONTROLS))
        if more
        else (),
    )


def _read_control(element: Element) -> Control:
    oid, *more = element.expect(ber.SEQUENCE).elements_up_to(3)
    critical, value = False, b""
    for field in more:
        if field.tag == ber.BOOLEAN:
            critical = field.boolean()
        else:
            value = field.expect(ber.OCTETS).body
    return Control(oid=oid.expect(ber.OCTETS).text(), critical=critical, value=value)


def read_bind(element: Element) -> Bind:
    """A bind request; raises `BerError`."""
    version, name, method = element.exactly(3)
    return Bind(
        version=version.expect(ber.INTEGER).integer(),
        name=name.expect(ber.OCTETS).text(),
        password=method.body if method.tag == _SIMPLE else None,
    )


def read_search(element: Element, reader: FilterReader) -> Search:
    """A search request; raises `BerError`."""
    base, scope, _aliases, size, _time, types_only, condition, attributes = element.exactly(8)
    number = scope.expect(ber.ENUMERATED).integer()
    if number not in set(Scope):
        message = "a scope that is not known"
        raise BerError(message)
    return Search(
        base=base.expect(ber.OCTETS).text(),
        scope=Scope(number),
        size_limit=size.expect(ber.INTEGER).integer(),
        types_only=types_only.expect(ber.BOOLEAN).boolean(),
        condition=reader.read(condition),
        attributes=tuple(
            name.expect(ber.OCTETS).text().lower()
            for name in attributes.expect(ber.SEQUENCE).elements_up_to(_MOST_ATTRIBUTES, least=0)
        ),
    )


def read_compare(element: Element) -> tuple[str, str, bytes]:
    """A compare request: name, attribute in lower case, value; raises `BerError`."""
    name, assertion = element.exactly(2)
    attribute, value = assertion.expect(ber.SEQUENCE).exactly(2)
    return name.expect(ber.OCTETS).text(), attribute.expect(ber.OCTETS).text().lower(), value.expect(ber.OCTETS).body


def read_extended(element: Element) -> str:
    """The object id of an extended request; raises `BerError`."""
    oid, *_ = element.elements_up_to(2)
    return oid.expect(0x80).text()


def read_paging(value: bytes) -> tuple[int, bytes]:
    """Page size and cookie of a paged-results control (RFC 2696); raises `BerError`."""
    size, cookie = ber.parse(value).expect(ber.SEQUENCE).exactly(2)
    return size.expect(ber.INTEGER).integer(), cookie.expect(ber.OCTETS).body


def paging(total: int, cookie: bytes) -> Control:
    """The paged-results control of a response."""
    value = ber.encode(ber.SEQUENCE, ber.encode_integer(total), ber.encode(ber.OCTETS, cookie))
    return Control(oid=PAGED_RESULTS, value=value)


def write_result(message_id: int, tag: Response, result: Result, *, name: str = "") -> bytes:
    """The end of an operation; `name` is the object id of an extended response."""
    parts = [
        ber.encode_integer(result.code, ber.ENUMERATED),
        ber.encode_text(result.matched),
        ber.encode_text(result.text),
    ]
    if result.referrals:
        parts.append(ber.encode(0xA3, *(ber.encode_text(uri) for uri in result.referrals)))
    if name:
        parts.append(ber.encode_text(name, 0x8A))
    return _envelope(message_id, ber.encode(tag, *parts), result.controls)


def write_entry(message_id: int, dn: str, attributes: Iterable[tuple[str, Sequence[bytes]]]) -> bytes:
    """One entry that a search found."""
    listed = [
        ber.encode(
            ber.SEQUENCE,
            ber.encode_text(name),
            ber.encode(ber.SET, *(ber.encode(ber.OCTETS, value) for value in values)),
        )
        for name, values in attributes
    ]
    body = ber.encode(Response.SEARCH_ENTRY, ber.encode_text(dn), ber.encode(ber.SEQUENCE, *listed))
    return _envelope(message_id, body)


def write_reference(message_id: int, uri: str) -> bytes:
    """A search continues elsewhere."""
    return _envelope(message_id, ber.encode(Response.SEARCH_REFERENCE, ber.encode_text(uri)))


def write_disconnection(text: str) -> bytes:
    """The notice that the server hangs up (RFC 4511 section 4.4.1)."""
    result = Result(code=Code.PROTOCOL_ERROR, text=text)
    return write_result(0, Response.EXTENDED, result, name=NOTICE_OF_DISCONNECTION)


def _envelope(message_id: int, operation: bytes, controls: tuple[Control, ...] = ()) -> bytes:
    parts = [ber.encode_integer(message_id), operation]
    if controls:
        encoded = (
            ber.encode(ber.SEQUENCE, ber.encode_text(control.oid), ber.encode(ber.OCTETS, control.value))
            for control in controls
        )
        parts.append(ber.encode(0xA0, *encoded))
    return ber.encode(ber.SEQUENCE, *parts)
