"""What a person who reviews a change of a file cannot see in it, or sees as something else.

Line ends that only YAML knows (U+0085, U+2028), characters that show nothing or turn the direction of what follows,
letters of another alphabet that look the same, one letter in two spellings. They have no business in a text that
decides who becomes whom; the name of a group that holds one can be written in double quotes, as an escape.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and signs that show nothing, though Python calls them printable."""
_LATIN, _OTHER = "[A-Za-z\u00c0-\u024f]", "[\u0370-\u03ff\u0400-\u052f]"
_TWO_ALPHABETS = re.compile(f"{_LATIN}{_OTHER}|{_OTHER}{_LATIN}")
"""A Latin letter beside a Greek or Cyrillic one, of which many look the same."""


class Spot(NamedTuple):
    """A place as libyaml marks it: both count from 0."""

    line: int
    column: int


def unreadable(text: str) -> Iterator[tuple[Spot, str, str]]:
    """(where, what, what to do) for each line that a person cannot read as the machine does."""
    for number, line in enumerate(text.split("\n")):
        plain = line.removesuffix("\r").replace("\t", " ")
        if plain.isascii() and plain.isprintable():
            continue
        found = _doubt(plain)
        if found:
            column, what, remedy = found
            yield Spot(number, column), what, f"{remedy}; where a text needs it, write it in double quotes as an escape"


def _doubt(line: str) -> tuple[int, str, str] | None:
    """(column from 0, what, what to do) of the first such thing in `line`."""
    for column, char in enumerate(line):
        if not char.isprintable() or _BLANK.match(char):
            return column, f"a character that does not show (U+{ord(char):04X})", "remove it"
    both = _TWO_ALPHABETS.search(line)
    if both:
        return both.start(), "letters of two alphabets in one word", "write it in one"
    composed = unicodedata.normalize("NFC", line)
    if composed != line:
        column = next((at for at, (one, other) in enumerate(zip(line, composed, strict=False)) if one != other), 0)
        return column, f"a letter in an unusual spelling (U+{ord(line[column]):04X})", "type it as one character (NFC)"
    return None
