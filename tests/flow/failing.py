"""A trail whose store fails at a chosen write."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from secrets import token_bytes
from typing import Any

from corridor import Corridor

from broker.errors import Unavailable
from broker.flow import Parts
from broker.record.event import Event, Outcome, Tag
from broker.record.trail import Link, TrailStore
from broker.record.writer import AuditTrail


class FailingStore:
    """Another store, but for one append."""

    def __init__(self, store: TrailStore) -> None:
        self._store = store
        self.left = -1

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the store has)
        return getattr(self._store, name)

    def append(self, link: Link, event: Event) -> None:
        self.left -= 1
        if self.left == 0:
            message = "audit trail"
            raise Unavailable(message)
        self._store.append(link, event)


@contextmanager
def failing_trail(corridor: Corridor, *, at: int) -> Iterator[Parts]:
    """The corridor's parts with a real trail; its write number `at` from here on fails, once."""
    store = FailingStore(corridor.broker.storage.trail)
    trail = AuditTrail(store, corridor.broker.keyring, clock=corridor.clock, randomness=token_bytes, stream=None)
    begun = Event(tag=Tag.BROKER_STARTED, outcome=Outcome.DONE, at=corridor.clock(), id=corridor.parts.new_id())
    trail.record(begun)  # with the first link of the chain
    store.left = at
    yield replace(corridor.parts, trail=trail)
