"""A circuit breaker: a neighbour that failed is left alone for a while, then asked by one request at a time."""

from collections.abc import Callable
from threading import Lock


class Breaker:
    """Closed until something fails; then open for `first` seconds, twice as long each further time, at most `longest`.

    After that one request is let through to see (for `probe` seconds nobody else is); if it works the breaker closes.
    Thread-safe. Failures of requests that were under way when it opened do not lengthen the pause.
    """

    def __init__(self, monotonic: Callable[[], float], *, first: float, longest: float, probe: float) -> None:
        self._monotonic = monotonic
        self._first, self._longest, self._probe = first, longest, probe
        self._lock = Lock()
        self._pause = 0.0
        self._until = 0.0
        self._probing = False

    def admits(self) -> bool:
        """Whether a request may be tried now; tell the outcome with `worked` or `failed`."""
        with self._lock:
            if not self._pause:
                return True
            now = self._monotonic()
            if now < self._until:
                return False
            self._probing, self._until = True, now + self._probe
            return True

    def worked(self) -> None:
        """The neighbour answered."""
        with self._lock:
            self._pause, self._probing = 0.0, False

    def failed(self) -> None:
        """The neighbour did not answer."""
        with self._lock:
            if self._pause and not self._probing:
                return
            self._pause = min(self._pause * 2 or self._first, self._longest)
            self._until, self._probing = self._monotonic() + self._pause, False
