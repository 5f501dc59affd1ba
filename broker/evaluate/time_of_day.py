"""`time_of_day`: the wall clock of a zone is within a weekly window.

The wall clock decides, whatever it does at a change to or from summer time. A window that begins in the hour that is
skipped opens at the jump; an hour that comes twice counts both times, so a window that ends within it opens once more
for its repetition. A window over midnight belongs to the day on which it begins.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator
from pydantic.dataclasses import dataclass

from broker.challenge.proof import Proof
from broker.evaluate.condition import Circumstances
from broker.evaluate.document import FROM_DOCUMENT, may_be_left_out, texts
from broker.evaluate.verdict import Refusal

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT = 24 * 60
LOOK_AHEAD = 15
"""Days. A window that a jump of the clock swallows opens again a week later."""

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z0-9_+-]*)+", re.ASCII)


def _days(value: object) -> tuple[int, ...]:
    """The weekdays named, Monday is 0; `fri-mon` is four days."""
    days: set[int] = set()
    for text in texts(value, what="days"):
        first, dash, last = text.partition("-")
        if first not in WEEK or (dash and last not in WEEK):
            message = "not a day; write mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri"
            raise ValueError(message)
        begin, end = WEEK.index(first), WEEK.index(last or first)
        days.update((begin + n) % 7 for n in range((end - begin) % 7 + 1))
    return tuple(sorted(days))


def _minutes(value: object) -> int:
    """Minutes since midnight."""
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        message = 'not a time of day; write hours and minutes in quotes, as in "08:00" or "24:00"'
        raise ValueError(message)
    hours, minutes = value.split(":")
    return int(hours) * 60 + int(minutes)


def _zone(value: object) -> ZoneInfo:
    """The zone of that name, never the machine's own."""
    if isinstance(value, str) and _ZONE.fullmatch(value):
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # unknown, not a zone's file, a folder
            pass
    message = "not a time zone; write the name of a place, as in Europe/Berlin, or UTC"
    raise ValueError(message)


Minutes = Annotated[
    int,
    BeforeValidator(_minutes),
    PlainSerializer(lambda minutes: f"{minutes // 60:02}:{minutes % 60:02}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}),
]


@dataclass(frozen=True, slots=True, kw_only=True, config=FROM_DOCUMENT)
class TimeOfDay:
    """Holds on `days` from `from` (included) to `to` (excluded), by the wall clock of `zone`.

    `to` before `from` is a window over midnight. Left out, `days` is every day, `from` 00:00 and `to` 24:00.
    """

    name: ClassVar[str] = "time_of_day"

    days: Annotated[
        tuple[int, ...],
        BeforeValidator(_days),
        PlainSerializer(lambda days: [WEEK[day] for day in days], return_type=list[str]),
        WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1}),
    ] = Field(default=tuple(range(7)), json_schema_extra=may_be_left_out)
    opens: Minutes = Field(default=0, alias="from", json_schema_extra=may_be_left_out)
    closes: Minutes = Field(default=MIDNIGHT, alias="to", json_schema_extra=may_be_left_out)
    zone: Annotated[
        ZoneInfo,
        BeforeValidator(_zone),
        PlainSerializer(str, return_type=str),
        WithJsonSchema({"type": "string", "description": "A zone's name: Europe/Berlin."}),
    ]

    @model_validator(mode="after")
    def _is_a_window(self) -> "TimeOfDay":
        if self.opens in (self.closes, MIDNIGHT):
            message = "from and to leave no window; for the whole day leave both out"
            raise ValueError(message)
        if len(self.days) == len(WEEK) and (self.opens, self.closes) == (0, MIDNIGHT):
            message = "says nothing; give days, from, to or all three"
            raise ValueError(message)
        return self

    def objection(self, proof: Proof, circumstances: Circumstances, *, rule: str) -> Refusal | None:  # noqa: ARG002 (the contract's signature)
        """None when it holds; else a refusal that says when the window opens next."""
        if not self._open(circumstances.now):  # check: time-of-day
            return Refusal(
                condition=self.name, rule=rule, reason=self._reason(), opens_at=self._opens_after(circumstances.now)
            )
        return None

    def _open(self, instant: datetime) -> bool:
        local = instant.astimezone(self.zone)
        minute, today = local.hour * 60 + local.minute, local.weekday()
        if self.opens < self.closes:
            return today in self.days and self.opens <= minute < self.closes
        yesterday = (today - 1) % 7
        return (today in self.days and minute >= self.opens) or (yesterday in self.days and minute < self.closes)

    def _opens_after(self, now: datetime) -> datetime | None:
        """The first instant after `now` at which the window is open; None: not in the next two weeks."""
        later = (instant for instant in self._candidates(now) if instant > now and self._open(instant))
        return min(later, default=None)

    def _candidates(self, now: datetime) -> Iterator[datetime]:
        """Every instant at which the window may open: each day's `from`, and each jump of the wall clock."""
        midnight = now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None, fold=0)
        for day in range(-1, LOOK_AHEAD):
            begin = midnight + timedelta(days=day, minutes=self.opens)
            yield from (begin.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
            noon = (now + timedelta(days=day)).astimezone(UTC).replace(microsecond=0)
            if self._offset(noon) != self._offset(noon + timedelta(days=1)):
                yield self._jump(noon, noon + timedelta(days=1))

    def _offset(self, instant: datetime) -> timedelta | None:
        return instant.astimezone(self.zone).utcoffset()

    def _jump(self, before: datetime, after: datetime) -> datetime:
        """The first second between the two, in UTC, at which the offset is that of `after`."""
        while after - before > timedelta(seconds=1):
            middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
            before, after = (middle, after) if self._offset(middle) == self._offset(before) else (before, middle)
        return after

    def _reason(self) -> str:
        days = "every day" if len(self.days) == len(WEEK) else ", ".join(WEEK[day] for day in self.days)
        hours = "" if (self.opens, self.closes) == (0, MIDNIGHT) else f" {_clock(self.opens)}-{_clock(self.closes)}"
        return f"This role can be used {days}{hours} ({self.zone.key})."


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
