"""One canonical text for each event: what is hashed, signed, kept and printed is the same characters.

JSON with sorted keys and no blanks; instants in UTC with microseconds; empty fields left out. Every character that
could split a log line, reorder it on a screen or hide in it stands there as an escape.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from broker.errors import BrokerError
from broker.record.event import Event, Outcome, Tag
from broker.record.redaction import looks_secret, names_a_secret

VERSION: Final = "1"
"""Stands in every payload as `v`; a change of meaning gets a new one."""

TEXT_LIMIT: Final = 512
"""Characters of a field (AWS's longest, a role's ARN, has 512 of path and 64 of name: it gets more)."""
LONG_LIMIT: Final = 1024
"""Characters of `reason`, of `role_arn` and of each detail."""
MOST_DETAILS: Final = 64
REDACTED: Final = "[redacted: looked like a secret]"

_TEXTS: Final = tuple(f.name for f in fields(Event) if f.name not in {"tag", "outcome", "at", "details"})
_LIMITS: Final = {name: LONG_LIMIT if name in {"reason", "role_arn"} else TEXT_LIMIT for name in _TEXTS}
_FROM_OUTSIDE: Final = frozenset({"actor_name", "reason"})
_DETAIL = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
_UNSAFE = re.compile(
    "[\x7f-\x9f"  # DEL and C1 (JSON itself escapes C0)
    "\u00ad\u061c\u180e"  # soft hyphen, Arabic letter mark, Mongolian vowel separator
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, line and paragraph separator, bidi
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"  # byte order mark, annotations, tag characters
)


class InvalidEvent(BrokerError, ValueError):
    """An event that must not be written: a mistake in the calling code. Names the field, never its value."""


def tidy(event: Event) -> Event:
    """`event` as it can be kept.

    What comes from outside is cut to its bound (and says so), NUL and lone surrogates are replaced, and a name, reason
    or detail that looks like a secret is redacted: what a text looks like never loses an event. Raises `InvalidEvent`
    for a detail that is a secret by its name, and for one that is misnamed: our own code names them.
    """
    if len(event.details) > MOST_DETAILS:
        message = f"{event.tag}: more than {MOST_DETAILS} details"
        raise InvalidEvent(message)
    changed: dict[str, Any] = {name: new for name in _TEXTS if (new := _tidy(name, old := getattr(event, name))) != old}
    details = {name: _tidy_detail(event.tag, name, value) for name, value in event.details.items()}
    if not changed and details == event.details:
        return event
    return replace(event, details=MappingProxyType(details), **changed)


def canonical(event: Event) -> str:
    """The canonical text. Different events have different texts; `parse` gives the event back.

    Promised for events that went through `tidy`. Raises `InvalidEvent` for a naive instant or a lone surrogate.
    """
    texts = {name: value for name in _TEXTS if (value := getattr(event, name))}
    members: dict[str, object] = {
        **texts,
        "v": VERSION,
        "tag": event.tag.value,
        "outcome": event.outcome.value,
        "at": instant(event.at),
    }
    if event.details:
        members["details"] = dict(event.details)
    text = as_json(members)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{event.tag}: a lone surrogate in a text"
        raise InvalidEvent(message) from error
    return text


def parse(payload: str) -> Event:
    """The event that `canonical` made `payload` of. Raises `ValueError` for any other text, whoever wrote it."""
    try:
        event = _event(json.loads(payload))
        if canonical(event) == payload:
            return event
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        message = "not an event of this version"
        raise ValueError(message) from error
    message = "not in canonical form"
    raise ValueError(message)


def as_json(members: Mapping[str, object]) -> str:
    """`members` as canonical JSON: sorted keys, no blanks, no NaN, nothing in it that acts on a screen or a line."""
    text = json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return _UNSAFE.sub(_escape, text)


def instant(at: datetime) -> str:
    """`at` in UTC with microseconds: `2026-11-23T10:00:00.000000Z` (RFC 3339). Raises `InvalidEvent` if naive."""
    if at.tzinfo is None:
        message = "an instant without a time zone"
        raise InvalidEvent(message)
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def visible(text: str) -> str:
    """`text` with all that acts on a screen or a line, or is no text, shown as its escape: for terminals and tables."""
    return re.sub("[\x00-\x1f\ud800-\udfff]", _escape, _UNSAFE.sub(_escape, text))


def _event(members: dict[str, Any]) -> Event:
    """The event with these members; a `TypeError`, `KeyError` or `ValueError` where they are none."""
    version, details = members.pop("v"), dict(members.pop("details", {}))
    event = Event(
        tag=Tag(members.pop("tag")),
        outcome=Outcome(members.pop("outcome")),
        at=datetime.fromisoformat(members.pop("at")),
        details=MappingProxyType(details),
        **members,
    )
    texts = (*(getattr(event, name) for name in _TEXTS), *details.values())
    if version != VERSION or not all(isinstance(text, str) for text in texts):
        raise TypeError
    return event


def _tidy(name: str, value: str) -> str:
    if name in _FROM_OUTSIDE and looks_secret(value):  # check: no-secret-in-a-name
        return REDACTED
    return _keepable(value, _LIMITS[name])


def _tidy_detail(tag: Tag, name: str, value: str) -> str:
    if not _DETAIL.fullmatch(name):
        message = f"{tag}: a detail's name is lower-case letters, digits and _ . -, at most 64"
        raise InvalidEvent(message)
    if names_a_secret(name):  # check: no-secret-by-name
        message = f"{tag}: the detail {name!r} is named like a secret; leave it out"
        raise InvalidEvent(message)
    if looks_secret(value):  # check: no-secret-by-shape
        return REDACTED
    return _keepable(value, LONG_LIMIT)


def _keepable(value: str, limit: int) -> str:
    if len(value) > limit:
        value = f"{value[: limit - 24]}…(+{len(value) - limit + 24} characters)"
    return _UNKEEPABLE.sub("\N{REPLACEMENT CHARACTER}", value)


def _escape(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i] << 8 | units[i + 1]:04x}" for i in range(0, len(units), 2))
