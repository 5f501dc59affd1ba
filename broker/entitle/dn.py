"""Distinguished names (RFC 4514), normalised: spellings of one name are equal, names that only look alike are not.

Attribute types compare without case (and by OID where RFC 4514 lists one), values without case, as Active Directory
does; parts of a multi-valued RDN in any order. Escapes are undone before anything is compared. Inner spaces count.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_OIDS = {
    "2.5.4.3": "cn",
    "2.5.4.7": "l",
    "2.5.4.8": "st",
    "2.5.4.10": "o",
    "2.5.4.11": "ou",
    "2.5.4.6": "c",
    "2.5.4.9": "street",
    "0.9.2342.19200300.100.1.25": "dc",
    "0.9.2342.19200300.100.1.1": "uid",
}
_TYPE = re.compile(r"[a-z][a-z0-9-]*|[0-9]+(?:\.[0-9]+)+")
_HEX = re.compile(r"[0-9a-fA-F]{2}")
_ESCAPABLE = frozenset(' "#+,;<=>\\')
_NEVER_PLAIN = frozenset('";<>\0')
MAX_LENGTH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class DN:
    """One distinguished name. Equal names have equal `rdns`."""

    rdns: tuple[str, ...]
    """Normalised, the object's own first: `("cn=sre", "ou=groups", "dc=corp", "dc=example")`."""
    name: str
    """The value of the first RDN, folded (AD: the cn); empty where that RDN has several."""

    def __str__(self) -> str:
        """Text that `parse_dn` reads back as the same name."""
        return ",".join(self.rdns)


def fold(text: str) -> str:
    """`text` without case; only letters that are exactly each other's upper and lower case are made equal."""
    if text.isascii():
        return text.lower()
    return "".join(low if len(low := char.lower()) == 1 and low.upper() == char else char for char in text)


@lru_cache(maxsize=65536)
def parse_dn(text: str) -> DN:
    """Read a distinguished name.

    Raises `ValueError`, with a sentence for the reader, for what RFC 4514 does not allow (LDAPv2's quotes and
    semicolons too), for values in hexadecimal BER (`#04…`), and for the empty name.
    """
    if len(text) > MAX_LENGTH:
        message = f"a distinguished name has at most {MAX_LENGTH} characters"
        raise ValueError(message)
    rdns: list[str] = []
    name = ""
    for parts in _split(text):
        pairs = sorted({_pair(part) for part in parts})
        if not rdns and len(pairs) == 1:
            name = pairs[0][1]
        rdns.append("+".join(f"{kind}={_escape(value)}" for kind, value in pairs))
    return DN(rdns=tuple(rdns), name=name)


def _split(text: str) -> list[list[str]]:
    """The RDNs as lists of `type=value`, still escaped."""
    rdns: list[list[str]] = [[""]]
    part: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\\":
            part.append(text[position : position + 2])
            position += 2
            continue
        if char in ",+":
            rdns[-1][-1] = "".join(part)
            part = []
            if char == ",":
                rdns.append([""])
            else:
                rdns[-1].append("")
        else:
            part.append(char)
        position += 1
    rdns[-1][-1] = "".join(part)
    return rdns


def _pair(part: str) -> tuple[str, str]:
    """(type, folded value) of one `type=value`."""
    kind, equals, value = part.partition("=")
    kind = kind.strip(" ").lower()
    if not equals or not _TYPE.fullmatch(kind):
        message = "a distinguished name is a list of type=value, like CN=SRE,OU=Groups,DC=corp,DC=example"
        raise ValueError(message)
    return _OIDS.get(kind, kind), fold(_unescape(value))


def _unescape(value: str) -> str:
    value = value.lstrip(" ")
    if value.startswith("#"):
        message = "a value in hexadecimal (#...); write it as text"
        raise ValueError(message)
    plain, position = bytearray(), 0
    kept = 0  # how much of `plain` may not be stripped: up to the last escape
    while position < len(value):
        char = value[position]
        position += 1
        if char in _NEVER_PLAIN:
            message = f"{char!r} in a distinguished name needs a backslash before it"
            raise ValueError(message)
        if char != "\\":
            plain += char.encode("utf-8", "surrogatepass")
            continue
        if _HEX.fullmatch(value[position : position + 2]):
            plain.append(int(value[position : position + 2], 16))
            position += 2
        elif value[position : position + 1] in _ESCAPABLE:
            plain += value[position].encode()
            position += 1
        else:
            message = "a backslash in a distinguished name stands before a special character or two hex digits"
            raise ValueError(message)
        kept = len(plain)
    text = bytes(plain[:kept]) + bytes(plain[kept:]).rstrip(b" ")
    if not text:
        message = "an empty value in a distinguished name"
        raise ValueError(message)
    try:
        return text.decode()
    except UnicodeDecodeError:
        message = "a value in a distinguished name is not UTF-8"
        raise ValueError(message) from None


def _escape(value: str) -> str:
    text = "".join(f"\\{char}" if char in '"+,;<>\\' else "\\00" if char == "\0" else char for char in value)
    if text[0] in " #":
        text = "\\" + text
    if value[-1] == " " and len(value) > 1:
        text = text[:-1] + "\\ "
    return text
