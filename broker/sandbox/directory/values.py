"""How AD writes things down: SIDs, GUIDs, FILETIMEs, generalized time, and distinguished names.

Names compare as AD and Samba compare them (measured): letters in either case, outer spaces ignored, inner runs of
spaces as one, everything after a NUL dropped. A careless client is to meet here what it would meet there.
"""

import re
import struct
import uuid
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Key = tuple[tuple[str, str], ...]
"""A distinguished name, leaf first, in the form in which it is compared."""

NEVER = 2**63 - 1
"""accountExpires of an account that never does; 0 means the same."""

_LONGEST_NAME = 2048
_FIRST_INSTANT = datetime(1601, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SID = re.compile(r"S-1-(\d{1,14})((?:-\d{1,10}){1,15})", re.IGNORECASE | re.ASCII)
_MOST_SUB_AUTHORITY = 2**32 - 1
_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+")
_DECIMAL = re.compile(r"-?[0-9]{1,20}", re.ASCII)


class InvalidName(ValueError):
    """Not a distinguished name, SID or GUID that can be read."""


def filetime(instant: datetime) -> int:
    """100 ns steps since 1601 (MS-DTYP 2.3.3)."""
    return (instant - _FIRST_INSTANT) // _MICROSECOND * 10


def interval(span: timedelta) -> int:
    """A span of time as AD keeps it: 100 ns steps, negative."""
    return -(span // _MICROSECOND * 10)


def generalized_time(instant: datetime) -> bytes:
    """`20261123211303.0Z`."""
    return instant.strftime("%Y%m%d%H%M%S.0Z").encode()


def decimal(text: bytes) -> int | None:
    """The whole number that `text` spells; None where it spells none."""
    found = text.decode(errors="replace")
    return int(found) if _DECIMAL.fullmatch(found) else None


def sid_bytes(text: str) -> bytes:
    """`S-1-5-…` as octets (MS-DTYP 2.4.2.2)."""
    found = _SID.fullmatch(text)
    if found is None:
        raise InvalidName
    authority, subs = int(found[1]), [int(part) for part in found[2].split("-")[1:]]
    if authority >= 2**48 or max(subs) > _MOST_SUB_AUTHORITY:
        raise InvalidName
    return struct.pack("<BB", 1, len(subs)) + authority.to_bytes(6, "big") + struct.pack(f"<{len(subs)}I", *subs)


def guid_bytes(text: str) -> bytes:
    """A GUID with dashes, or its 16 octets in hexadecimal in the order in which AD keeps them."""
    try:
        return uuid.UUID(text).bytes_le if "-" in text else uuid.UUID(bytes=bytes.fromhex(text)).bytes
    except ValueError as error:
        raise InvalidName from error


def fold(text: str) -> str:
    """`text` in the form in which AD compares strings."""
    return re.sub(" +", " ", text.partition("\0")[0]).strip(" ").lower()


@lru_cache(maxsize=4096)
def dn_key(dn: str) -> Key:
    """A distinguished name (RFC 4514) in the form in which it is compared; raises `InvalidName`.

    Not read: names with several values in one part (`+`), quoted values and `#` values; AD makes none of them.
    """
    if len(dn) > _LONGEST_NAME:
        raise InvalidName
    return tuple(_part(part) for part in _parts(dn.partition("\0")[0]))


def _parts(dn: str) -> list[list[str | bytes]]:
    """The name cut at its commas; each part as a list of characters, escaped ones as bytes."""
    parts: list[list[str | bytes]] = [[]]
    at = 0
    while at < len(dn):
        character = dn[at]
        if character == "\\":
            pair = _HEX_PAIR.match(dn, at + 1)
            escaped = bytes.fromhex(pair[0]) if pair else dn[at + 1 : at + 2].encode(errors="replace")
            if not escaped:
                raise InvalidName
            parts[-1].append(escaped)
            at += 3 if pair else 2
            continue
        if character == ",":
            parts.append([])
        elif character in '+"<>;':
            raise InvalidName
        else:
            parts[-1].append(character)
        at += 1
    return parts


def _part(part: list[str | bytes]) -> tuple[str, str]:
    if "=" not in part:
        raise InvalidName
    at = part.index("=")
    attribute = "".join(c if isinstance(c, str) else "\\" for c in part[:at]).strip(" ")
    octets = b"".join(c.encode(errors="replace") if isinstance(c, str) else c for c in part[at + 1 :])
    value = fold(octets.decode(errors="replace"))
    if not _ATTRIBUTE.fullmatch(attribute) or not value:
        raise InvalidName
    return attribute.lower(), value


def escape(value: str) -> str:
    """`value` as the right-hand side of one part of a distinguished name (RFC 4514 section 2.4)."""
    escaped = re.sub(r'([,+"\\<>;=])', r"\\\1", value)
    if escaped.startswith((" ", "#")):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and len(value) > 1:
        escaped = escaped[:-1] + "\\ "
    return escaped
