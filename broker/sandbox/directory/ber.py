"""BER (X.690) as LDAP uses it (RFC 4511 section 5.1): definite lengths, one-byte tags. Nothing else is accepted.

Bounded: a length never makes it read past what it was given, and integers have at most eight octets. Nesting is
bounded by the callers, which go down one known level at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

INTEGER, OCTETS, BOOLEAN, ENUMERATED, SEQUENCE, SET = 0x02, 0x04, 0x01, 0x0A, 0x30, 0x31

_LONG_TAG = 0x1F
_LONG_LENGTH = 0x80
_MOST_LENGTH_OCTETS = 4
_MOST_INTEGER_OCTETS = 8


class BerError(ValueError):
    """What was sent is not BER that LDAP allows, or breaks a limit. Never carries what was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One tag and its content octets."""

    tag: int
    body: bytes

    def expect(self, tag: int) -> "Element":
        """Itself, or `BerError` where the tag is another."""
        if self.tag != tag:
            message = f"expected tag {tag:#04x}"
            raise BerError(message)
        return self

    def integer(self) -> int:
        """The body as a signed integer."""
        if not 0 < len(self.body) <= _MOST_INTEGER_OCTETS:
            message = "an integer of a length that is not allowed"
            raise BerError(message)
        return int.from_bytes(self.body, "big", signed=True)

    def boolean(self) -> bool:
        """The body as a truth value."""
        if len(self.body) != 1:
            message = "a boolean of a length that is not allowed"
            raise BerError(message)
        return self.body != b"\0"

    def text(self) -> str:
        """The body as UTF-8."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            message = "not UTF-8"
            raise BerError(message) from error

    def elements(self) -> Iterator["Element"]:
        """The elements in the body, one after the other, read only as far as they are asked for."""
        at = 0

        def take(count: int) -> bytes:
            nonlocal at
            chunk = self.body[at : at + count]
            if len(chunk) != count:
                message = "a length that goes past the end"
                raise BerError(message)
            at += count
            return chunk

        while at < len(self.body):
            yield read(take, limit=len(self.body))

    def elements_up_to(self, most: int, *, least: int = 1) -> list["Element"]:
        """At least `least` and at most `most` elements."""
        found = list(islice(self.elements(), most + 1))
        if not least <= len(found) <= most:
            message = f"expected {least} to {most} elements"
            raise BerError(message)
        return found

    def exactly(self, count: int) -> list["Element"]:
        """`count` elements, no more and no fewer."""
        found = list(islice(self.elements(), count + 1))
        if len(found) != count:
            message = f"expected {count} elements"
            raise BerError(message)
        return found


def read(take: Callable[[int], bytes], *, limit: int, tag: int | None = None) -> Element:
    """Read one element; `take(n)` gives exactly n octets or raises.

    A body over `limit` is refused unread, and so is an element that does not have the `tag`, where one is given.
    """
    found, length = take(2)
    if found & _LONG_TAG == _LONG_TAG or tag not in (None, found):
        message = "a tag of more than one octet, or another than expected"
        raise BerError(message)
    if length >= _LONG_LENGTH:
        count = length - _LONG_LENGTH
        if not 0 < count <= _MOST_LENGTH_OCTETS:
            message = "an indefinite length, or one of too many octets"
            raise BerError(message)
        length = int.from_bytes(take(count), "big")
    if length > limit:  # check: sandbox-ldap-message-size
        message = "larger than this server accepts"
        raise BerError(message)
    return Element(tag=found, body=take(length))


def parse(octets: bytes) -> Element:
    """The one element that `octets` hold; `BerError` where there is none, or more."""
    return Element(tag=SEQUENCE, body=octets).exactly(1)[0]


def encode(tag: int, *parts: bytes) -> bytes:
    """One element with the parts as its body."""
    body = b"".join(parts)
    if len(body) < _LONG_LENGTH:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_LENGTH + len(length))) + length + body


def encode_integer(value: int, tag: int = INTEGER) -> bytes:
    """A signed integer in the fewest octets."""
    return encode(tag, value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True))


def encode_text(value: str, tag: int = OCTETS) -> bytes:
    """A UTF-8 string."""
    return encode(tag, value.encode())
