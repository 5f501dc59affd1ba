"""`AuditTrail`: the one way into the trail.

In doubt it refuses: an event counts as recorded when the store has it durably and, where standard output is required,
the collector's line is out. Whether a failed append is in the store after all is settled before anything else is
written, by reading the chain's end back; a chain whose end is not what this process wrote is given up, and the chain
that follows it begins by naming the true end, so that the loss can be proved.
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from heapq import nlargest
from typing import BinaryIO, Final

from broker.clock import Clock
from broker.errors import InvalidRequest, Unavailable
from broker.record import chain
from broker.record.anchor import head_line, link_line
from broker.record.canonical import instant, tidy
from broker.record.chain import Signer
from broker.record.event import Event, Outcome, Tag
from broker.record.ids import Randomness, new_event_id, uuid7
from broker.record.relay import NO_LINES, Relay, ends_of
from broker.record.trail import NAME, Link, TrailStore

WITNESSED: Final = 32
"""How many other chains, those written to last, the first link of a chain bears witness of."""


class AuditTrail:
    """A `Trail` with one chain per process; threads share it, a fork begins its own.

    `failures` counts events that could not be recorded, `stream_failures` lines that did not go out, and ticks
    that could not look at everything whose lines they had to put out: for `/metrics`.
    """

    def __init__(
        self,
        store: TrailStore,
        signer: Signer,
        *,
        clock: Clock,
        randomness: Randomness,
        stream: BinaryIO | None,
        stream_required: bool = True,
        patience: float = 10.0,
    ) -> None:
        """Write to `store` and `stream` (standard output's binary buffer; None: to the store alone).

        `randomness` must not repeat itself in a forked child (`secrets.token_bytes` does not). `patience` is how many
        seconds an event waits for those before it.
        """
        self._store = store
        self._signer = signer
        self._clock = clock
        self._randomness = randomness
        self._stream = stream
        self._stream_required = stream_required
        self._patience = patience
        self._given_up = ""
        self.failures = 0
        self.stream_failures = 0
        self._closed = False
        self._start_over()
        renew = weakref.WeakMethod(self._start_over)
        os.register_at_fork(after_in_child=lambda: (again := renew()) and again())

    @property
    def writer(self) -> str:
        """The name of the chain that this process writes."""
        return self._writer

    def record(self, event: Event) -> None:
        """Write `event`: durable, in the chain, and on the stream, before this returns.

        Raises `errors.Unavailable` when it is not (it may be in the store all the same: a failure claims nothing), and
        `canonical.InvalidEvent` for an event that holds a secret or breaks the form. Either way nothing may be granted.
        """
        recorded = False
        try:
            event = tidy(event)
            with self._turn():
                if self._closed:  # check: trail-closed
                    raise Unavailable(NAME, "It is closed: the broker is stopping.")
                self._settle()
                self._begin()
                self._append(event)
            recorded = True
        finally:
            if not recorded:
                self._count_failure()

    def tick(self, now: datetime) -> None:
        """Sign the chain's end, once a minute; also finds out whether the store still ends where this process ended.

        If it does not, a new chain begins, naming the true end. Puts out what the operator's program wrote meanwhile,
        which has no lines of its own. Raises `errors.Unavailable`.
        """
        relay = None
        with self._turn():
            if self._closed:
                return
            self._settle()
            if self._number and not self._is_end(self._store.last(self._writer)):  # check: chain-stands
                self._give_up()
                self._begin()
            if self._number:
                self._sign_head(now, closed=False)
                relay = self._relay
        if relay is not None:  # without the turn: however much there is to look at, events are recorded meanwhile
            self._put_out(relay)

    def close(self, now: datetime) -> None:
        """Sign the chain's end as its last; an event after this is refused.

        Raises `errors.Unavailable`, and may be tried again then.
        """
        with self._turn():
            self._closed = True
            self._settle()
            if self._number:
                self._sign_head(now, closed=True)

    def prune(self, before: datetime, *, actor: str) -> int:
        """Forget what events before `before` said (who, from where, why); how many. The chain still verifies.

        The pruning itself is recorded first, and stays. Raises `InvalidRequest` for an instant to come,
        `errors.Unavailable` as `record` does.
        """
        now = self._clock()
        if before > now:  # check: prune-the-past-only
            message = "Events that have not happened yet cannot be pruned."
            raise InvalidRequest(message, remedy="Give an instant in the past.")
        self.record(
            Event(
                tag=Tag.AUDIT_PRUNED,
                outcome=Outcome.DONE,
                at=now,
                id=uuid7(now, self._randomness),
                actor=actor,
                details={"before": instant(before)},
            )
        )
        return self._store.prune(before)

    def _start_over(self) -> None:
        """A chain of our own. Runs in a forked child before any of its code: its lock may be held by a lost thread."""
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._emitting = threading.Lock()
        self._relaying = threading.Lock()
        self._closed = False
        self._given_up = ""
        self._new_chain()

    def _new_chain(self) -> None:
        self._writer = new_event_id(self._clock, self._randomness)
        self._number = 0
        self._hash = chain.FIRST
        self._doubt: Link | None = None
        self._relay: Relay | None = None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One writer at a time; who waits too long is refused, so that a slow database cannot pile up requests."""
        if not self._lock.acquire(timeout=self._patience):  # check: trail-patience
            raise Unavailable(NAME, "Too many events wait to be written.")
        try:
            yield
        finally:
            self._lock.release()

    def _count_failure(self) -> None:
        with self._counting:
            self.failures += 1

    def _settle(self) -> None:
        """Where the outcome of the last append is unknown, read it back."""
        if self._doubt is None:
            return
        last = self._store.last(self._writer)
        if last is not None and (last.number, last.hash) == (self._doubt.number, self._doubt.hash):
            self._reached(self._doubt)
        elif self._is_end(last):
            self._doubt = None
        else:
            self._give_up()

    def _is_end(self, last: Link | None) -> bool:
        return (last.number, last.hash) == (self._number, self._hash) if last else self._number == 0

    def _give_up(self) -> None:
        """Leave a chain that somebody else has touched; the next one names its end as it was."""
        if self._number:
            self._given_up = f"{self._writer}:{self._number}:{self._hash.hex()}"
        self._count_failure()
        self._new_chain()

    def _begin(self) -> None:
        """The first link of a chain: whose end it follows, and the ends of the newest other chains."""
        if self._number:
            return
        now = self._clock()
        ends = ends_of(self._store, self._signer, now)
        latest = nlargest(WITNESSED, ends, key=lambda end: end.at)
        details = {f"witness.{end.writer}": f"{end.number}:{end.hash.hex()}" for end in latest}
        if self._given_up:
            details["continues"] = self._given_up
        if self._stream is None:
            details["lines"] = NO_LINES
        self._append(
            Event(
                tag=Tag.AUDIT_CHAIN_STARTED,
                outcome=Outcome.DONE,
                at=now,
                id=uuid7(now, self._randomness),
                actor="broker",
                details=details,
            )
        )
        self._given_up = ""
        if self._stream is not None:
            ended = {end.writer: end.number for end in ends}
            self._relay = Relay(self._store, self._signer, own=self._writer, ended=ended)

    def _append(self, event: Event) -> None:
        link = chain.make_link(
            self._signer, writer=self._writer, number=self._number + 1, previous=self._hash, event=event
        )
        self._doubt = link
        self._store.append(link, event)
        self._reached(link)

    def _reached(self, link: Link) -> None:
        """The store has `link`."""
        self._number, self._hash, self._doubt = link.number, link.hash, None
        self._emit(link_line(link))

    def _sign_head(self, now: datetime, *, closed: bool) -> None:
        head = chain.make_head(
            self._signer, writer=self._writer, number=self._number, tip=self._hash, at=now, closed=closed
        )
        self._store.add_head(head)
        if closed:
            self._emit(head_line(head))

    def _put_out(self, relay: Relay) -> None:
        """One tick at a time; the one that comes too early leaves it to the other."""
        if not self._relaying.acquire(blocking=False):  # check: one-relay
            return
        try:
            whole = relay.run(self._emit, self._clock())
        finally:
            self._relaying.release()
        if not whole:  # check: relay-whole
            with self._counting:
                self.stream_failures += 1

    def _emit(self, line: str) -> None:
        if self._stream is None:
            return
        try:
            with self._emitting:
                self._stream.write(line.encode() + b"\n")
                self._stream.flush()
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            with self._counting:
                self.stream_failures += 1
            if self._stream_required:  # check: audit-line-required
                raise Unavailable(NAME, "Its line could not be written to standard output.") from error
