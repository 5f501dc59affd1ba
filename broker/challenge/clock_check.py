"""Whether the server's clock can be trusted: a TOTP code is right or wrong by the clock alone.

It is compared with the neighbours' clocks (the directory's `currentTime`, the `Date` header of STS). A neighbour that
does not say is no reason to refuse; one that differs by more than 30 s is, whoever of the two is wrong.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from threading import Lock

from broker.challenge.factor import FactorReason, FactorRefused
from broker.errors import Unavailable

log = logging.getLogger(__name__)

ClockSource = Callable[[], timedelta | None]
"""How far a neighbour's clock is ahead of ours; None: it does not say. May raise `errors.Unavailable`, nothing else."""

LIMIT = timedelta(seconds=30)


class ClockCheck:
    """Compares our clock with the neighbours' clocks, and remembers the answer for `keep` (seconds)."""

    def __init__(
        self, sources: Mapping[str, ClockSource], *, monotonic: Callable[[], float], keep: float = 300.0
    ) -> None:
        """`sources` by the neighbour's name, as operators know it."""
        self._sources = dict(sources)
        self._monotonic = monotonic
        self._keep = keep
        self._lock = Lock()
        self._measured_at: float | None = None
        self._offsets: dict[str, timedelta | None] = {}

    def offsets(self) -> dict[str, timedelta | None]:
        """How far each neighbour's clock is ahead of ours, at most `keep` old; for health and metrics too.

        While one thread measures, the others go on with the last answer; only before the first one they wait.
        """
        if self._measured_at is not None and self._monotonic() - self._measured_at < self._keep:
            return dict(self._offsets)
        if self._lock.acquire(blocking=self._measured_at is None):
            try:
                if self._measured_at is None or self._monotonic() - self._measured_at >= self._keep:
                    self._measure()
            finally:
                self._lock.release()
        return dict(self._offsets)

    def require(self) -> None:
        """Raise `FactorRefused` (`clock-off`) when our clock and a neighbour's differ by more than 30 s."""
        for name, offset in self.offsets().items():
            if offset is not None and abs(offset) > LIMIT:  # check: clock-off
                raise FactorRefused(
                    FactorReason.CLOCK_OFF,
                    "Codes cannot be checked now: the broker's clock cannot be trusted.",
                    remedy=f"Tell your operators: the clocks of the broker and of {name} are {_seconds(offset)} apart; "
                    "correct the time synchronisation (chrony, systemd-timesyncd) of the one that is wrong.",
                )

    def _measure(self) -> None:
        self._offsets = {name: _asked(source) for name, source in self._sources.items()}
        self._measured_at = self._monotonic()
        for name, offset in self._offsets.items():
            if offset is None:
                log.warning("the clock of %s could not be read", name)
            elif abs(offset) > LIMIT:
                log.error("the clocks of the broker and of %s are %s apart: codes are refused", name, _seconds(offset))


def _asked(source: ClockSource) -> timedelta | None:
    try:
        return source()
    except Unavailable:
        return None


def _seconds(offset: timedelta) -> str:
    return f"{abs(offset).total_seconds():.1f} s"
