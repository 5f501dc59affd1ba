"""How often somebody may try: counted per account over all sessions, addresses and instances.

An attempt is counted *before* it is checked and taken back when it succeeds, so parallel tries cannot outrun the
count. A success ends the waits. It does not clear what counts towards the hard stop: a guesser must not live on the
successes of whom they guess at.
The arithmetic is pure; an `AttemptStore` applies it atomically.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

FORGOTTEN_AFTER = timedelta(days=90)
"""Without a try for so long, failures count no more; those of a hard stop do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRule:
    """`tries` in `window`, then a wait that doubles; after `hard_stop` failures an operator must reset."""

    tries: int = 5
    window: timedelta = timedelta(minutes=15)
    longest_wait: timedelta = timedelta(hours=1)
    hard_stop: int | None = 100
    """None: never. So for passwords, or whoever knows a name could lock its owner out for good."""
    doubles_every: int | None = None
    """Failures in a row after which the wait doubles, where `tries` was narrowed; None: as many as `tries`."""
    slides: bool = False
    """Whether a window is over a whole one after its last try: no stretch of that length holds more than `tries`."""
    left_after_loss: int = 1
    """Tries left for one window where a store may have lost its counts; more where a try gives nothing away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """What is remembered under one key."""

    failures: int = 0
    """Since an operator's reset, one less for each day without a try: what the hard stop counts.

    A guesser who stays below the waits is stopped within days; somebody who mistypes now and then never is."""
    in_a_row: int = 0
    """Since the last success: what the wait grows with."""
    in_window: int = 0
    """Since `window_from`, or in a window that slides."""
    window_from: datetime | None = None
    wait_until: datetime | None = None
    last_at: datetime | None = None
    """The last try that was counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The answer to "may I try?"."""

    allowed: bool
    retry_at: datetime | None = None
    """When not allowed: when to try again; None: only an operator's reset opens it."""


def take(before: Attempts, now: datetime, rule: AttemptRule) -> tuple[Attempts, Taken]:
    """Count one attempt at `now`; the returned state is to be stored whether allowed or not."""
    if at_hard_stop(before, rule):
        return before, Taken(allowed=False)
    if before.wait_until is not None and now < before.wait_until:
        return before, Taken(allowed=False, retry_at=before.wait_until)
    if before.last_at is not None and now - before.last_at > FORGOTTEN_AFTER:
        before = Attempts()
    idle_days = (now - before.last_at).days if before.last_at is not None else 0
    in_window, window_from = before.in_window, before.window_from
    begun = window_from
    if begun is not None and rule.slides:  # check: sliding-window
        begun = max(begun, before.last_at or begun)
    if begun is None or now - begun >= rule.window:
        in_window, window_from = 0, now
    in_a_row, in_window = before.in_a_row + 1, in_window + 1
    wait_until = now + wait_after(in_a_row, rule) if in_window >= rule.tries else None
    if wait_until is not None:
        in_window, window_from = 0, wait_until
    after = Attempts(
        failures=max(before.failures - idle_days, 0) + 1,
        in_a_row=in_a_row,
        in_window=in_window,
        window_from=window_from,
        wait_until=wait_until,
        last_at=now,
    )
    return after, Taken(allowed=True)


def succeeded(before: Attempts) -> Attempts:
    """After a try that was counted and then succeeded: it is taken back, and nobody waits; older failures stay."""
    if before.failures <= 1:
        return Attempts()
    return Attempts(failures=before.failures - 1, last_at=before.last_at)


def at_hard_stop(counted: Attempts, rule: AttemptRule) -> bool:
    """Whether only an operator's reset helps."""
    return rule.hard_stop is not None and counted.failures >= rule.hard_stop


def wait_after(in_a_row: int, rule: AttemptRule) -> timedelta:
    """The wait after so many failures in a row: `window`, at most `longest_wait`.

    It doubles for each further `doubles_every`, so that it does not tell by how much `tries` was narrowed.
    """
    rounds = max(in_a_row // (rule.doubles_every or rule.tries) - 1, 0)
    longest = max(rule.longest_wait, rule.window)
    wait: timedelta = rule.window * 2 ** min(rounds, 10)
    return min(wait, longest)


class AttemptStore(Protocol):
    """Keeps `Attempts` by key; every method is atomic over all instances and raises `errors.Unavailable` when away."""

    def take(self, key: str, now: datetime, rule: AttemptRule) -> Taken:
        """Apply `take` to what is stored under `key`, atomically."""

    def succeeded(self, key: str) -> None:
        """Apply `succeeded` to what is stored under `key`, atomically."""

    def forgive(self, key: str) -> None:
        """Forget everything under `key`: an operator's reset."""

    def read(self, key: str) -> Attempts:
        """What is stored, for operators; empty when nothing is."""
