"""The newest chains in the store: whose ends the first link of a chain names, and whose lines a server puts out.

Who can write to the database can put any number of names there. What is not of the broker's own shape or is of a time
to come is not looked at; what no audit key signed does not take the place of what one did; and where something stays
unlooked-at all the same, the log says so, each time.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from broker.record.anchor import link_line
from broker.record.chain import Signer, is_genuine, is_linked
from broker.record.ids import uuid7
from broker.record.trail import Link, TrailStore

LOOKED_AT: Final = 128
"""How many of the newest chains that prove themselves are looked at."""
AT_MOST: Final = 1_000
"""How many in all; who fills the database with chains must not hold up a start for long."""
AHEAD: Final = timedelta(minutes=5)
"""How far the clock of another host may go ahead: the name of a chain begins with its time."""

NO_LINES: Final = "none"
"""What the first link of a chain says under `lines` when nothing of it goes to standard output."""

log = logging.getLogger(__name__)


def ends_of(store: TrailStore, verifier: Signer, now: datetime) -> list[Link]:
    """The ends of the newest chains. What no audit key signed is nobody's word, and is not signed by us."""
    ends: list[Link] = []
    look = _Look(store, now)
    for writer in look:
        last = store.last(writer)
        if last is None or not is_linked(last, verifier):  # check: witness-proved
            look.odd += 1
            continue
        ends.append(last)
        if len(ends) == LOOKED_AT:
            break
    look.report()
    return ends


class Relay:
    """Puts out the lines of other chains that have none: an operator's deeds, too, leave a copy elsewhere.

    Each process does so, once, for what was written after its own chain `own` began, where the others had `ended`. Of
    what was there before, its first link (which has a line) names the ends. Not to be used by two threads at a time.
    """

    def __init__(self, store: TrailStore, verifier: Signer, *, own: str, ended: Mapping[str, int]) -> None:
        """Asks nothing yet."""
        self._store = store
        self._verifier = verifier
        self._ended = ended
        self._done: dict[str, int | None] = {own: None}
        """Chain -> up to where its lines are out; None where its own process puts them out."""

    def run(self, emit: Callable[[str], None], now: datetime) -> bool:
        """Give `emit` what is new; whether everything could be looked at. Raises what `emit` and the store raise."""
        look = _Look(self._store, now)
        known = 0
        for writer in look:
            is_known = writer in self._done or writer in self._ended
            if not self._put_out(writer, emit):
                look.odd += 1
                continue
            known += is_known
            if known == LOOKED_AT:
                break
        return look.report()

    def _put_out(self, writer: str, emit: Callable[[str], None]) -> bool:
        """Whether all there is to put out of the chain was the broker's own; if not, the next tick tries again."""
        if writer not in self._done:
            first = next(self._store.links(writer, after=0), None)
            if first is None or first.number != 1 or not is_genuine(first, self._verifier):  # check: relay-first-proved
                return False
            self._done[writer] = self._ended.get(writer, 0) if _is_silent(first) else None
        done = self._done[writer]
        if done is None:
            return True
        for link in self._store.links(writer, after=done):
            if not is_genuine(link, self._verifier):  # check: relay-proved
                return False
            emit(link_line(link))
            self._done[writer] = link.number
        return True


class _Look:
    """One look at the newest chains by name, and what was wrong with them."""

    def __init__(self, store: TrailStore, now: datetime) -> None:
        self._store = store
        self._before = uuid7(now + AHEAD, bytes)
        self._names = store.newest(before=self._before)
        self._ran_out = False
        self.odd = 0

    def __iter__(self) -> Iterator[str]:
        yield from islice(self._names, AT_MOST)
        self._ran_out = next(self._names, None) is not None

    def report(self) -> bool:
        """Log what was wrong; whether everything was looked at, and was the broker's."""
        if self.odd:
            log.error(
                "%d audit chains hold what the keys of this process did not sign; if the audit key was rotated, "
                "restart it; else run `broker audit verify`",
                self.odd,
            )
        if self._ran_out:  # check: unlooked-at-told
            log.error("Too many audit chains: older ones were not looked at; run `broker audit verify`")
        is_ahead = next(self._store.newest(), "") >= self._before
        if is_ahead:  # check: chain-ahead-told
            log.error("An audit chain is of a time to come and was not looked at: compare the clocks of all hosts")
        return not (self.odd or self._ran_out or is_ahead)


def _is_silent(first: Link) -> bool:
    """Whether the chain that begins with `first`, which is genuine, has no lines of its own."""
    details = json.loads(first.payload or "{}").get("details", {})
    return bool(details.get("lines") == NO_LINES)
