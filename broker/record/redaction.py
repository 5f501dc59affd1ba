"""No secret in the trail: the last net, for what the types in front of it should have caught.

Secrets are kept out of events by construction: `Lease` and the key types show none, and `flow` names what it records.
This module catches the mistake that is left, by the name of a detail or the shape of a text. It does not promise to
know every secret: a password or a six-digit code has no shape of its own.
"""

import re
from itertools import pairwise

_NAMES = frozenset({"secret", "password", "passwd", "token", "cookie", "seed", "otpauth", "credentials"})
_WHOLE_NAMES = frozenset({"code", "answer", "otp"})

_MARKS = re.compile(
    r"-----BEGIN "  # PEM
    r"|otpauth(?:-migration)?://"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # a JWT
    r"|\$argon2|\$2[aby]\$"  # a password hash
)
_SEED = re.compile(r"(?<![A-Za-z0-9])(?:[A-Z2-7]{4}[ -]?){8,}={0,6}(?![A-Za-z0-9])")
"""160 bits and more in base32, in one piece or in groups of four."""
_RUN = re.compile(r"[A-Za-z0-9+/_=-]{40,}")
"""An STS secret access key has 40 base64 characters, a 256-bit token 43 in base64url, a session token hundreds."""
_MIXED = 0.33
"""How often neighbouring letters and digits differ in kind (upper, lower, digit): by chance 0.62, words 0.2."""


def names_a_secret(name: str) -> bool:
    """Whether a detail of that name would hold a secret, if words mean what they say."""
    return name in _WHOLE_NAMES or not _NAMES.isdisjoint(re.split(r"[_.-]", name))


def looks_secret(text: str) -> bool:
    """Whether a key, seed, token or password hash seems to stand somewhere in `text`."""
    if _MARKS.search(text) or _SEED.search(text):
        return True
    return any(_random(match.group()) for match in _RUN.finditer(text))


def _random(run: str) -> bool:
    if run.upper() == run or run.lower() == run:  # digests in hexadecimal, numbers
        return False
    kinds = [0 if c.isupper() else 1 if c.islower() else 2 if c.isdigit() else None for c in run]
    neighbours = [(a, b) for a, b in pairwise(kinds) if a is not None and b is not None]
    return sum(a != b for a, b in neighbours) >= _MIXED * len(neighbours)
