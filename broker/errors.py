"""Every error that may leave a room of the broker.

A `BrokerError` carries a stable `code`, a sentence that is safe to show to a stranger, and a `remedy`: what the reader
can do next. It never carries untrusted input or a secret. Adapters translate what their library raises into these, so
that "directory unreachable" can never read as "wrong password".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


class BrokerError(Exception):
    """The base of all of them; raise one of the children."""

    code: ClassVar[str] = "internal-error"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        """Keep `message` (safe to show) and `remedy` (what to do next, may be empty)."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding in a configuration or mapping file."""

    where: str
    """`file:line:column`, or the name of an environment variable or command option."""
    what: str
    """What is wrong."""
    remedy: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        """`where: what; remedy`."""
        return f"{self.where}: {self.what}" + (f"; {self.remedy}" if self.remedy else "")


class ConfigurationError(BrokerError):
    """The configuration or the mapping document cannot be used; carries every problem at once."""

    code = "configuration-invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep all `problems`; the message has one line for each."""
        super().__init__("\n".join(map(str, problems)), remedy="Correct the configuration and try again.")
        self.problems = tuple(problems)


class InvalidRequest(BrokerError):
    """What was sent cannot be understood. Never echoes the input."""

    code = "invalid-request"


class NotSignedIn(BrokerError):
    """There is no live session."""

    code = "not-signed-in"


class NotFound(BrokerError):
    """There is no such thing, or the asker may not know of it."""

    code = "not-found"


class Denied(BrokerError):
    """Understood, and refused."""

    code = "denied"


class TooManyAttempts(BrokerError):
    """Too many tries; `retry_at` says when the next one counts, None that an operator must reset first."""

    code = "too-many-attempts"

    def __init__(self, message: str, *, retry_at: datetime | None, remedy: str = "") -> None:
        """Keep when to try again."""
        super().__init__(message, remedy=remedy)
        self.retry_at = retry_at


class Unavailable(BrokerError):
    """A neighbour (directory, STS, database, audit trail) is away: nothing is granted, nobody is blamed."""

    code = "unavailable"

    def __init__(self, neighbour: str, message: str = "", *, retry_after: int = 5, remedy: str = "") -> None:
        """Name the neighbour and how many seconds to wait before trying again."""
        super().__init__(message or f"{neighbour} cannot be reached", remedy=remedy or "Try again in a moment.")
        self.neighbour = neighbour
        self.retry_after = retry_after
