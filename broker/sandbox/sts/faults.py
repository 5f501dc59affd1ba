"""What can be made to go wrong: throttling as AWS does it, and faults that a test asks for."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from broker.clock import monotonic

LONGEST_DELAY = 10.0
"""Seconds; a longer delay would only hold a thread."""


class Throttle:
    """A token bucket for each account and region.

    600 requests a second are AWS's default quota (IAM User Guide, "IAM and AWS STS quotas"), shared by all actions;
    `rate=0` with a small `burst` makes a bucket that never fills again.
    """

    def __init__(self, *, rate: float = 600, burst: float = 600, now: Callable[[], float] = monotonic) -> None:
        """`rate` tokens a second flow into a bucket of `burst`."""
        self._rate, self._burst, self._now = rate, burst, now
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._lock = Lock()

    def take(self, account: str, region: str) -> bool:
        """Whether one more request is within the quota."""
        with self._lock:
            now = self._now()
            left, since = self._buckets.get((account, region), (self._burst, now))
            left = min(self._burst, left + (now - since) * self._rate)
            allowed = left >= 1
            self._buckets[account, region] = (left - 1 if allowed else left, now)
            return allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An answer that comes instead of the true one."""

    code: str
    status: int


class Faults:
    """The faults asked for, first in first out. Safe for threads."""

    def __init__(self) -> None:
        """No faults."""
        self._queue: deque[Fault] = deque()
        self._lock = Lock()
        self._delay = 0.0

    @property
    def delay(self) -> float:
        """Seconds that each answer waits."""
        return self._delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        if not 0 <= seconds <= LONGEST_DELAY:
            message = f"a delay is 0 to {LONGEST_DELAY:.0f} seconds"
            raise ValueError(message)
        self._delay = seconds

    def add(self, fault: Fault, times: int) -> None:
        """Answer the next `times` requests with `fault`."""
        with self._lock:
            self._queue.extend([fault] * times)

    def next(self) -> Fault | None:
        """The fault for this request, if one is due."""
        with self._lock:
            return self._queue.popleft() if self._queue else None
