"""A trail that tells a listener what was written: for the counters behind `/metrics`."""

from collections.abc import Callable

from broker.errors import Unavailable
from broker.record.event import Event
from broker.record.trail import Trail


class Heard:
    """`trail`, with `written` told of each event that was recorded and `lost` of each that could not be."""

    def __init__(self, trail: Trail, *, written: Callable[[Event], None], lost: Callable[[], None]) -> None:
        self._trail, self._written, self._lost = trail, written, lost

    def record(self, event: Event) -> None:
        """See the protocol."""
        try:
            self._trail.record(event)
        except Unavailable:
            self._lost()
            raise
        self._written(event)
