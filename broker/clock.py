"""The server's only reader of the clock.

Everything else takes a `Clock` (or an instant) as an argument, so that expiry, one-time codes and office hours are
tested without waiting. All instants are timezone-aware UTC.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the current instant, timezone-aware, in UTC."""


def utc_now() -> datetime:
    """The current instant, timezone-aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds on a clock that never jumps; for time-outs and back-off only."""
    return time.monotonic()
