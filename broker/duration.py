"""Durations and instants as the mapping document writes them: `90s`, `15m`, `8h`, `2027-06-30`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, StringConstraints
from pydantic_core import PydanticCustomError

PATTERN = r"^(0|[1-9][0-9]{0,5})[smhd]$"
"""How a duration is written."""
INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2}))?$"

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: object) -> timedelta:
    """`90s`, `15m`, `8h`, `2d`, or a `timedelta` as it is; raises `ValueError` with a sentence for the reader."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not re.fullmatch(PATTERN[1:-1], text, re.ASCII):
        message = "a duration is a whole number and its unit, like 90s, 15m, 8h or 2d"
        raise ValueError(message)
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as the same duration (whole seconds)."""
    seconds = int(duration.total_seconds())
    if not seconds:
        return "0s"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def parse_instant(text: object) -> datetime:
    """An instant in UTC; a day alone is its first moment in UTC. Raises `ValueError` with a sentence for the reader."""
    message = "a day like 2027-06-30, or an instant with its zone like 2027-06-30T18:00:00+02:00"
    if not isinstance(text, str) or not re.fullmatch(INSTANT[1:-1], text, re.ASCII):
        raise ValueError(message)
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(message) from None


def refusal(reason: str) -> PydanticCustomError:
    """An error for a pydantic validator to raise, in our own words."""
    return PydanticCustomError("text", "{reason}", {"reason": reason})


def _validator(parse: Any) -> BeforeValidator:  # noqa: ANN401 (either of the two parsers)
    """Comes before the type's own checks, so that a field's limits (`ge`, `le`) still hold."""

    def read(value: object) -> object:
        try:
            return parse(value)
        except ValueError as error:
            raise refusal(str(error)) from None

    pattern = PATTERN if parse is parse_duration else INSTANT
    return BeforeValidator(read, json_schema_input_type=Annotated[str, StringConstraints(pattern=pattern)])


Duration = Annotated[timedelta, _validator(parse_duration), PlainSerializer(format_duration)]
"""A field of a pydantic model: a `timedelta`, written like `8h`."""
Instant = Annotated[datetime, _validator(parse_instant), PlainSerializer(lambda value: value.isoformat())]
"""A field of a pydantic model: an aware `datetime` in UTC, written like `2027-06-30`."""
