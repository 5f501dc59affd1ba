r"""What may be typed as a user name, and what account it asks for. Pure.

An allow-list, because a directory accepts far more spellings than people use: measured, one account could be bound as
`<SID=…>`, a bare DN, a canonical name, with spaces around it, and with anything after a NUL. Here it is one of

    ada                   the plain name (AD: sAMAccountName)
    CORP\ada              the same, where CORP is the domain's own NetBIOS name
    ada@corp.example      the user principal name, where corp.example is one of the domain's own suffixes

and nothing else. What is typed only *finds* an account: nothing is ever keyed by it.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import sha256

LONGEST = 256

_PLAIN = re.compile(r"\w(?:[\w.'-]{0,62}\w)?")
_LOCAL_PART = re.compile(r"\w(?:[\w.'+-]{0,62}\w)?")


class Spelling(Enum):
    """Which attribute a name is looked up in."""

    PLAIN = auto()
    PRINCIPAL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name of allowed syntax; whether anybody has it is not known."""

    spelling: Spelling
    value: str
    """To look up: without the domain where it is plain, whole where it is a principal name."""
    stem: str
    """What the spellings of one name have in common, so that guesses at an unknown name are counted together."""

    def fingerprint(self) -> str:
        """For a key under which tries are counted; does not show what was typed (it may be a password)."""
        return sha256(self.stem.encode()).hexdigest()[:32]


def parse_name(typed: str, *, domain: str, upn_suffixes: tuple[str, ...]) -> Name | None:
    """Read what was typed; None when it is not one of the three spellings."""
    if len(typed) > LONGEST:
        return None
    before, at, suffix = typed.rpartition("@")
    if at:
        own = suffix.casefold() in {ours.casefold() for ours in upn_suffixes}
        if not own or not _LOCAL_PART.fullmatch(before):
            return None
        return Name(spelling=Spelling.PRINCIPAL, value=typed, stem=before.casefold())
    prefix, backslash, plain = typed.rpartition("\\")
    if backslash and (not domain or prefix.casefold() != domain.casefold()):
        return None
    if not _PLAIN.fullmatch(plain):
        return None
    return Name(spelling=Spelling.PLAIN, value=plain, stem=plain.casefold())
