"""How often somebody may try: counted per account over all sessions, addresses and instances.

An attempt is counted *before* it is checked and forgiven when it succeeds, so parallel tries cannot outrun the count.
The arithmetic is pure; an `AttemptStore` applies it atomically.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRule:
    """`tries` in `window`, then a wait that doubles; after `hard_stop` failures in a row an operator must reset."""

    tries: int = 5
    window: timedelta = timedelta(minutes=15)
    longest_wait: timedelta = timedelta(hours=1)
    hard_stop: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """What is remembered under one key: failures since the last success."""

    failures: int = 0
    """In a row, since the last success."""
    in_window: int = 0
    """Since `window_from`."""
    window_from: datetime | None = None
    wait_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The answer to "may I try?"."""

    allowed: bool
    retry_at: datetime | None = None
    """When not allowed: when to try again; None: only an operator's reset opens it."""


def take(before: Attempts, now: datetime, rule: AttemptRule) -> tuple[Attempts, Taken]:
    """Count one attempt at `now`; the returned state is to be stored whether allowed or not."""
    if before.failures >= rule.hard_stop:
        return before, Taken(allowed=False)
    if before.wait_until is not None and now < before.wait_until:
        return before, Taken(allowed=False, retry_at=before.wait_until)
    in_window, window_from = before.in_window, before.window_from
    if window_from is None or now - window_from >= rule.window:
        in_window, window_from = 0, now
    failures, in_window = before.failures + 1, in_window + 1
    wait_until = now + wait_after(failures, rule) if in_window >= rule.tries else None
    if wait_until is not None:
        in_window, window_from = 0, wait_until
    after = Attempts(failures=failures, in_window=in_window, window_from=window_from, wait_until=wait_until)
    return after, Taken(allowed=True)


def wait_after(failures: int, rule: AttemptRule) -> timedelta:
    """The wait after so many failures in a row: `window`, doubled for each further `tries`, at most `longest_wait`."""
    rounds = max(failures // rule.tries - 1, 0)
    longest = max(rule.longest_wait, rule.window)
    wait: timedelta = rule.window * 2 ** min(rounds, 10)
    return min(wait, longest)


class AttemptStore(Protocol):
    """Keeps `Attempts` by key; every method is atomic over all instances and raises `errors.Unavailable` when away."""

    def take(self, key: str, now: datetime, rule: AttemptRule) -> Taken:
        """Apply `take` to what is stored under `key`, atomically."""

    def forgive(self, key: str) -> None:
        """Forget the failures under `key`: the attempt succeeded, or an operator reset it."""

    def read(self, key: str) -> Attempts:
        """What is stored, for operators; empty when nothing is."""
