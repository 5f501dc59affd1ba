"""What the broker says, checked before it is used: types, lengths, alphabets. More members than known are no fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .failure import FAILED, Failure, one_line

ANY = re.compile(r".*", re.DOTALL)


class Checked:
    """A JSON object of the broker's. Raises `Failure` for what does not fit, naming the member only."""

    def __init__(self, body: Any, what: str) -> None:  # noqa: ANN401 (JSON)
        """`what` it is, for people."""
        self._what = what
        if not isinstance(body, dict):
            raise self.odd(self._what)
        self._body: Mapping[str, Any] = body

    @property
    def all(self) -> Mapping[str, Any]:
        """As it came."""
        return self._body

    def odd(self, member: str) -> Failure:
        """The failure for a member that does not fit."""
        message = f"The broker's answer ({self._what}) is not understood: {one_line(member)}."
        return Failure(FAILED, message, step="Is this program as new as the broker? Its page `Set up CLI` has it.")

    def text(self, name: str, pattern: re.Pattern[str] = ANY, *, most: int = 4096, default: str | None = None) -> str:
        """A text; `default` where it is absent or null, if one is given."""
        value = self._body.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or len(value) > most or not pattern.fullmatch(value):  # check: answer-text
            raise self.odd(name)
        return value

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number."""
        value = self._body.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:  # check: answer-number
            raise self.odd(name)
        return value

    def instant(self, name: str) -> float:
        """RFC 3339, as epoch seconds."""
        text = self.text(name, most=40)
        try:
            found = datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))
        except ValueError:
            found = datetime.min  # noqa: DTZ901 (has no zone, so that it is refused below)
        if found.tzinfo is None:
            raise self.odd(name)
        try:
            return found.astimezone(timezone.utc).timestamp()
        except OverflowError as error:  # the year 10000 somewhere
            raise self.odd(name) from error

    def part(self, name: str) -> Checked:
        """An object inside."""
        return Checked(self._body.get(name), name)

    def parts(self, name: str) -> list[Checked]:
        """A list of objects inside."""
        value = self._body.get(name)
        if not isinstance(value, list):
            raise self.odd(name)
        return [Checked(each, name) for each in value]

    def texts(self, name: str) -> list[str]:
        """A list of texts; none where it is absent."""
        value = self._body.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.odd(name)
        return list(value)
