"""How Active Directory and LDAP write things down: SIDs, GUIDs, points in time. Pure.

Decoded here because ldap3 decodes them only after reading the server's whole schema, which no sign-in can wait for.
Every function raises `ValueError` for octets that are not what they should be.
"""

import struct
import uuid
from datetime import UTC, datetime, timedelta

NEVER = 2**63 - 1
"""accountExpires of an account that never does; 0 means the same."""

_FIRST_INSTANT = datetime(1601, 1, 1, tzinfo=UTC)
_LAST_INSTANT = (datetime(9000, 1, 1, tzinfo=UTC) - _FIRST_INSTANT) // timedelta(microseconds=1)
_CENTURY = timedelta(days=36_525)
_SID_HEAD = 8


def sid_text(octets: bytes) -> str:
    """A SID as `S-1-5-21-…` (MS-DTYP 2.4.2.2)."""
    if len(octets) < _SID_HEAD or octets[0] != 1 or len(octets) != _SID_HEAD + 4 * octets[1]:
        message = "not a SID"
        raise ValueError(message)
    authority = int.from_bytes(octets[2:_SID_HEAD], "big")
    return "-".join(["S-1", str(authority), *map(str, struct.unpack(f"<{octets[1]}I", octets[_SID_HEAD:]))])


def sid_octets(text: str) -> bytes:
    """`S-1-5-21-…` as AD keeps it: the other way round."""
    first, revision, authority, *subs = text.split("-")
    if (first, revision) != ("S", "1"):
        message = "not a SID"
        raise ValueError(message)
    try:
        tail = struct.pack(f"<{len(subs)}I", *map(int, subs))
        return bytes((1, len(subs))) + int(authority).to_bytes(6, "big") + tail
    except (struct.error, OverflowError) as error:
        message = "not a SID"
        raise ValueError(message) from error


def guid_text(octets: bytes) -> str:
    """An objectGUID as lower-case text."""
    return str(uuid.UUID(bytes_le=octets))


def guid_octets(text: str) -> bytes:
    """The text of an objectGUID as AD keeps it."""
    return uuid.UUID(text).bytes_le


def in_filter(octets: bytes) -> str:
    """Octets as a value in a search filter (RFC 4515)."""
    return "".join(f"\\{octet:02x}" for octet in octets)


def filetime(steps: int) -> datetime:
    """An instant that AD counts in 100 ns steps since 1601; outside of 1601 to 9000, its end."""
    return _FIRST_INSTANT + timedelta(microseconds=min(max(steps, 0) // 10, _LAST_INSTANT))


def interval(steps: int) -> timedelta:
    """A span that AD keeps as a negative number of 100 ns steps, from none to a century ("for ever")."""
    return min(max(timedelta(microseconds=-steps // 10), timedelta(0)), _CENTURY)


def generalized_time(text: str) -> datetime:
    """`20261123211303.0Z` or `20261123211303Z` (RFC 4517 section 3.3.13, in UTC as every server here sends it)."""
    digits, point, fraction = text.removesuffix("Z").partition(".")
    if not text.endswith("Z") or (point and not fraction.isdecimal()):
        message = "not a generalized time in UTC"
        raise ValueError(message)
    return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
