"""One-time codes of 128 bit that people type: recovery codes and enrolment codes.

26 characters of Crockford's base32 in groups (https://www.crockford.com/base32.html): no I, L, O, U; case, spaces and
hyphens do not matter, and O is read as 0, I and L as 1. Only a MAC of the code is ever kept: who can write to the
database, but has no key, cannot plant one.
"""

import re

from broker.keys import RandomBytes

CODE_BYTES = 16
LONGEST_INPUT = 64
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 26
_CANONICAL = re.compile(rf"[0-7][{_ALPHABET}]{{{_LENGTH - 1}}}", re.ASCII)
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


def new_code(random: RandomBytes) -> str:
    """A fresh code in its grouped form, `4ZC7V-…`."""
    value = int.from_bytes(random(CODE_BYTES), "big")
    text = "".join(_ALPHABET[value >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
    return "-".join((text[:5], text[5:10], text[10:15], text[15:20], text[20:]))


def canonical(typed: str) -> str | None:
    """The code as it is hashed; None when `typed` cannot be one (costs nothing, whatever its length)."""
    if len(typed) > LONGEST_INPUT or not typed.isascii():  # check: code-length
        return None
    text = typed.upper().translate(_READ_AS)
    return text if _CANONICAL.fullmatch(text) else None
