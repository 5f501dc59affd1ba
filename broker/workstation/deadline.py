"""How long a command may take as a whole: SDKs give a credential process a minute, and people give it less."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 50.0
"""Seconds: below the 60 of the Go SDK, with time left to say what went wrong."""


class Deadline:
    """Runs from now on."""

    def __init__(self, seconds: float = PATIENCE, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is monotonic."""
        self._clock = clock
        self._end = clock() + seconds

    def left(self, most: float = PATIENCE) -> float:
        """Seconds, at most `most`; 0 when it is over."""
        return max(0.0, min(most, self._end - self._clock()))
