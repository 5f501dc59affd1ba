"""What a person who reviews a change of a file cannot see in it, or sees as something else.

In all of a file, comments too: line ends that only YAML knows (U+0085, U+2028), marks that turn the direction of what
follows, text so far to the right that a viewer cuts it off. In values also what shows nothing, and letters and signs
that look like others: such text decides who becomes whom. The name of a group that holds one can be written in double
quotes, as an escape. Not promised: that a name in one foreign alphabet does not look like another in Latin; what
selects accounts and roles is ASCII for that reason (`shape.py`).
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

UNSHOWN = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Controls, line ends, and marks that turn the direction of what follows: in no text, not even as an escape."""
MAX_BLANKS = 120

_NOWHERE = re.compile(f"[{UNSHOWN}\ud800-\udfff\ufeff\ufffe\uffff]")
"""The last ones are no text, or skipped by libyaml."""
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and signs that show nothing, though Python calls them printable."""
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|.)", re.DOTALL)
_EAST = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"})
"""Scripts that people write in one word with each other and with Latin letters."""
_SPELT_OUT = "\u0e33\u0eb3"
"""Letters of Thai and Lao that everybody types, though Unicode has a longer spelling of them."""
_CLICKS = "\u01c0\u01c1\u01c2\u01c3"
"""Letters that look like `|` and `!`."""
_OPENLY = "where a text needs it, write it in double quotes as an escape"
_LATIN, _MIXED, _DIGIT, _MARK, _SIGN, _FORM = "LATIN", frozenset({"LATIN", "EAST"}), "0", "M", "S", "F"


class Spot(NamedTuple):
    """A place as libyaml marks it: both count from 0."""

    line: int
    column: int


class Doubt(NamedTuple):
    """What is not as it looks; `column` counts from 0."""

    column: int
    what: str
    remedy: str


def unreadable(text: str) -> Iterator[tuple[Spot, str, str]]:
    """(where, what, what to do) for each line of a file that a person cannot read as libyaml does."""
    for number, line in enumerate(text.split("\n")):
        plain = line.removesuffix("\r").replace("\t", " ").rstrip(" ")
        gap = plain.find(" " * (MAX_BLANKS + 1))
        if gap >= 0:  # check: text-out-of-sight
            yield Spot(number, gap), f"text behind more than {MAX_BLANKS} blanks", "move it to where it is seen"
            continue
        found = None if plain.isascii() and plain.isprintable() else _NOWHERE.search(plain)
        if found:
            yield Spot(number, found.start()), _hidden(found.group()), f"remove it; {_OPENLY}"


def doubt(text: str) -> Doubt | None:
    """The first thing in a value, as it stands in the file, that does not show or can be taken for something else."""
    if text.isascii():
        return None
    for column, char in enumerate(text):
        if not char.isascii() and (not char.isprintable() or _BLANK.match(char)):
            return Doubt(column, _hidden(char), f"remove it; {_OPENLY}")
    composed = unicodedata.normalize("NFC", text)
    if composed != text:
        column = next((at for at, (one, other) in enumerate(zip(text, composed, strict=False)) if one != other), 0)
        return _unusual(column, text[column])
    return _alike(text)


def as_written(quoted: str) -> str:
    """What stands between double quotes, without what is said openly: escapes of other than ASCII are blanks."""
    return _ESCAPE.sub(_plain, quoted)


def _plain(escape: re.Match[str]) -> str:
    digits = escape[1] or escape[2] or escape[3]
    return chr(int(digits, 16)) if digits and int(digits, 16) < 0x80 else " "  # noqa: PLR2004 (the end of ASCII)


def _alike(text: str) -> Doubt | None:
    """The first letter or sign that looks like another, or stands in a word with letters of another alphabet."""
    scripts: set[str] = set()
    before = ""
    for column, char in enumerate(text):
        kind = _kind(char)
        if kind == _FORM:
            return _unusual(column, char)
        if kind == _SIGN:
            return Doubt(
                column, f"a sign that looks like another (U+{ord(char):04X})", f"type the usual one; {_OPENLY}"
            )
        if kind == _MARK and before in ("", _LATIN, _DIGIT):
            return Doubt(column, f"a mark on the letter before (U+{ord(char):04X})", f"remove it; {_OPENLY}")
        if not kind:
            scripts = set()
        elif kind not in (_DIGIT, _MARK):
            scripts.add(kind)
            if len(scripts) > 1 and not scripts <= _MIXED:
                return Doubt(column, "letters of two alphabets in one word", f"write it in one; {_OPENLY}")
        before = kind
    return None


@lru_cache(maxsize=65536)
def _kind(char: str) -> str:
    """The script of a letter; or what else it is; empty for what ends a word."""
    if char.isascii():
        return _LATIN if char.isalpha() else _DIGIT if char.isdigit() else ""
    major, name = unicodedata.category(char)[0], unicodedata.name(char, "")
    script = re.split("[ -]", name)[0]
    if major == "M":
        kind = _MARK
    elif major in "PSZ" or name.startswith("MODIFIER LETTER") or char in _CLICKS:
        kind = _SIGN
    elif unicodedata.normalize("NFKC", char) != char and char not in _SPELT_OUT:
        kind = _FORM
    elif major == "N":
        kind = _DIGIT
    elif script == _LATIN and not ("\u00c0" <= char <= "\u024f" or "\u1e00" <= char <= "\u1eff"):
        kind = "PHONETIC"
    else:
        kind = "EAST" if script in _EAST else script
    return kind


def _hidden(char: str) -> str:
    return f"a character that does not show (U+{ord(char):04X})"


def _unusual(column: int, char: str) -> Doubt:
    what = f"a letter in an unusual spelling (U+{ord(char):04X})"
    return Doubt(column, what, f"type it as one plain character (NFKC); {_OPENLY}")
