"""How values are shown: names from a directory, which may hold any character that Unicode has, and lengths of time."""

import unicodedata
from datetime import timedelta

from flask_babel import format_timedelta
from markupsafe import Markup, escape

UNSHOWN = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories that no name needs: controls, halves of characters, private and unassigned ones, line breaks."""
PLACE = "\ufffd"


def shown(text: str) -> Markup:
    """`text` as HTML in which it can turn round, hide or break nothing but itself.

    Controls become a visible mark; what writes from right to left, or says that the text around it does, stays within
    its own `<bdi>`.
    """
    plain = "".join(PLACE if unicodedata.category(char) in UNSHOWN else char for char in text)
    return Markup("<bdi>{}</bdi>").format(escape(plain))


def typed(text: str, longest: int) -> str:
    """What somebody typed to look for, to be shown again: printable characters, single spaces, not too long."""
    return " ".join("".join(char if char.isprintable() else " " for char in text[:longest]).split())


def lasting(time: timedelta) -> str:
    """`8 hours`, `90 minutes`: exact, in the reader's language."""
    whole = time % timedelta(hours=1) == timedelta()
    return str(format_timedelta(time, granularity="hour" if whole else "minute", threshold=10_000))
