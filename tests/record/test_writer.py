"""`AuditTrail`: durable before it returns, gapless under threads and forks, and in doubt it refuses."""

import io
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from record.memory import MemoryTrail
from record.trails import KEYS, START, Watch, a_trail, an_event

from broker.errors import InvalidRequest, Unavailable
from broker.keys import Purpose
from broker.record.canonical import InvalidEvent
from broker.record.event import Event, Outcome, Tag
from broker.record.finding import Kind
from broker.record.trail import NAME, Head, Link
from broker.record.verify import verify
from broker.record.writer import WITNESSED, AuditTrail

LATER = START + timedelta(minutes=1)


class Flaky(MemoryTrail):
    """A store that fails when told to, before or after it has kept the link."""

    before = after = head = False

    def append(self, link: Link, event: Event) -> None:
        if self.before:
            raise Unavailable(NAME)
        super().append(link, event)
        if self.after:
            raise Unavailable(NAME)

    def add_head(self, head: Head) -> None:
        if self.head:
            raise Unavailable(NAME)
        super().add_head(head)


class Stream(io.BytesIO):
    error: Exception | None = None

    def flush(self) -> None:
        if self.error:
            raise self.error
        super().flush()


def _numbers(store: MemoryTrail, writer: str) -> list[int]:
    return [link.number for link in store.links(writer)]


def _ids(store: MemoryTrail) -> list[str]:
    return [link.columns["id"] for link in store.rows if link.columns["tag"] != Tag.AUDIT_CHAIN_STARTED]


def _clean(store: MemoryTrail) -> bool:
    return verify(store, KEYS, now=LATER).findings == ()


def test_an_event_is_in_the_store_and_on_the_stream_before_record_returns() -> None:
    store, stream = MemoryTrail(), io.BytesIO()
    trail, event = a_trail(store, stream=stream), an_event()
    trail.record(event)
    link = store.rows[-1]
    assert (link.writer, link.number, link.at) == (trail.writer, 2, event.at)
    line = json.loads(stream.getvalue().splitlines()[-1])["audit"]
    assert line["event"] == json.loads(link.payload or "")
    assert (line["link"]["writer"], line["link"]["number"]) == (link.writer, link.number)
    assert line["link"]["hash"] == link.hash.hex()
    assert line["link"]["signature"] == link.signature.hex()
    assert line["link"]["key_id"] == link.key_id
    assert _clean(store)


def test_eight_threads_leave_one_chain_without_a_gap() -> None:
    store, stream = MemoryTrail(), io.BytesIO()
    trail = a_trail(store, stream=stream)
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(100):
            trail.record(an_event())

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _ in range(8)]:
            done.result()
    assert _numbers(store, trail.writer) == list(range(1, 802))
    assert len(set(_ids(store))) == 800
    assert [json.loads(line)["audit"]["link"]["number"] for line in stream.getvalue().splitlines()] == [*range(1, 802)]
    assert _clean(store)


class Stalled(MemoryTrail):
    """A database that does not answer until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def append(self, link: Link, event: Event) -> None:
        self.entered.set()
        self.go_on.wait(30)
        super().append(link, event)


def test_who_waits_too_long_for_a_slow_database_is_refused() -> None:
    store = Stalled()
    trail = AuditTrail(store, KEYS, clock=Watch(), randomness=os.urandom, stream=None, patience=0.01)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(trail.record, an_event())
        store.entered.wait(30)
        with pytest.raises(Unavailable):
            trail.record(an_event())
        store.go_on.set()
        first.result()
    assert trail.failures == 1
    assert _numbers(store, trail.writer) == [1, 2]


def test_the_clocks_of_threads_may_cross_without_harm() -> None:
    store = MemoryTrail()
    trail = a_trail(store)
    for offset in (5, 1, 3):
        trail.record(an_event(START + timedelta(seconds=offset)))
    assert _clean(store)


class ForksWhileLocked(MemoryTrail):
    """Forks in the middle of an append, when the trail's lock is held; the child writes an event of its own."""

    trail: AuditTrail
    pipe: int = -1

    def append(self, link: Link, event: Event) -> None:
        super().append(link, event)
        if link.number != 2 or self.pipe < 0 or os.fork():
            return
        pipe, self.pipe = self.pipe, -1
        try:
            self.trail.record(an_event())
            own = [f"{row.writer} {row.number}" for row in self.rows if row.writer == self.trail.writer]
            os.write(pipe, "\n".join([str(verify(self, KEYS, now=LATER).total), *own]).encode())
        finally:
            os._exit(0)


def test_a_forked_child_has_a_chain_and_a_lock_of_its_own() -> None:
    reading, writing = os.pipe()
    store = ForksWhileLocked()
    store.trail = trail = a_trail(store)
    store.pipe = writing
    trail.record(an_event())
    os.close(writing)
    with os.fdopen(reading) as pipe:
        total, *rows = pipe.read().splitlines()
    os.wait()
    child = rows[0].split()[0]
    assert rows == [f"{child} 1", f"{child} 2"]
    assert child != trail.writer
    assert total == "0"
    trail.record(an_event())
    assert _numbers(store, trail.writer) == [1, 2, 3]
    assert _clean(store)


def test_a_fork_after_the_trail_is_gone_is_harmless() -> None:
    a_trail(MemoryTrail())
    child = os.fork()
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("kept", [False, True])
def test_when_the_store_fails_nothing_is_claimed_and_the_chain_goes_on(kept: bool) -> None:  # noqa: FBT001
    store = Flaky()
    trail = a_trail(store)
    trail.record(an_event())
    lost, next_one = an_event(), an_event()
    store.before, store.after = not kept, kept
    with pytest.raises(Unavailable):
        trail.record(lost)
    store.before = store.after = False
    trail.record(next_one)
    assert [lost.id in _ids(store), next_one.id in _ids(store)] == [kept, True]
    assert _numbers(store, trail.writer) == list(range(1, 4 + kept))
    assert trail.failures == 1
    assert _clean(store)


@pytest.mark.parametrize("kept", [False, True])
def test_when_the_very_first_link_fails_the_chain_still_begins_with_it(kept: bool) -> None:  # noqa: FBT001
    store = Flaky()
    trail = a_trail(store)
    store.before, store.after = not kept, kept
    with pytest.raises(Unavailable):
        trail.record(an_event())
    store.before = store.after = False
    trail.record(an_event())
    assert [row.columns["tag"] for row in store.links(trail.writer)] == [Tag.AUDIT_CHAIN_STARTED, "credentials:issued"]
    assert _clean(store)


def test_an_outage_leaves_no_gap_however_often_it_is_tried() -> None:
    store = Flaky()
    trail = a_trail(store)
    trail.record(an_event())
    for before, after in [(True, False), (False, True), (True, False), (True, False), (False, True)]:
        store.before, store.after = before, after
        with pytest.raises(Unavailable):
            trail.record(an_event())
    store.before = store.after = False
    trail.record(an_event())
    assert _numbers(store, trail.writer) == [1, 2, 3, 4, 5]
    assert trail.failures == 5
    assert _clean(store)


class LandsLate(MemoryTrail):
    """The connection breaks in a commit that happens all the same, after we looked."""

    late: tuple[Link, Event] | None = None
    breaks = False

    def append(self, link: Link, event: Event) -> None:
        if self.breaks:
            self.breaks, self.late = False, (link, event)
            raise Unavailable(NAME)
        if self.late:
            super().append(*self.late)
            self.late = None
        super().append(link, event)


def test_a_link_that_lands_late_makes_the_process_begin_a_new_chain() -> None:
    store = LandsLate()
    trail = a_trail(store)
    trail.record(an_event())
    first = trail.writer
    store.breaks = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            trail.record(an_event())
    trail.record(an_event())
    assert trail.writer != first
    assert _numbers(store, first) == [1, 2, 3]
    assert _numbers(store, trail.writer) == [1, 2]
    assert _clean(store)
    doubts = verify(store, KEYS, now=LATER + timedelta(hours=1)).findings
    assert [(f.kind, f.writer) for f in doubts] == [(Kind.NOT_CLOSED, trail.writer)]


def test_the_stream_is_part_of_the_promise() -> None:
    store, stream = MemoryTrail(), Stream()
    trail = a_trail(store, stream=stream)
    trail.record(an_event())
    stream.error = OSError(28, "No space left on device")
    with pytest.raises(Unavailable):
        trail.record(an_event())
    stream.error = None
    trail.record(an_event())
    assert (trail.failures, trail.stream_failures) == (1, 1)
    assert _numbers(store, trail.writer) == [1, 2, 3, 4]
    stream.close()
    with pytest.raises(Unavailable):
        trail.record(an_event())
    assert _clean(store)


def test_where_the_stream_is_not_required_its_failures_are_counted() -> None:
    stream = Stream()
    stream.error = BrokenPipeError()
    trail = AuditTrail(
        store := MemoryTrail(), KEYS, clock=Watch(), randomness=os.urandom, stream=stream, stream_required=False
    )
    trail.record(an_event())
    assert (trail.failures, trail.stream_failures) == (0, 2)
    assert _clean(store)


def test_a_head_is_signed_at_each_tick_and_the_newest_of_a_link_is_kept() -> None:
    store = MemoryTrail()
    trail = a_trail(store)
    trail.tick(START)
    assert store.head_rows == []
    trail.record(an_event())
    for minute in range(1, 4):
        trail.tick(START + timedelta(minutes=minute))
    assert [(head.number, head.closed, head.at) for head in store.head_rows] == [
        (2, False, START + timedelta(minutes=3))
    ]
    assert verify(store, KEYS, now=START + timedelta(minutes=4)).findings == ()


def test_an_idle_process_stays_alive_by_its_heads_and_a_silent_one_becomes_a_doubt() -> None:
    store = MemoryTrail()
    trail = a_trail(store)
    trail.record(an_event())
    trail.tick(START + timedelta(hours=5))
    assert verify(store, KEYS, now=START + timedelta(hours=5, minutes=5)).findings == ()
    (doubt,) = verify(store, KEYS, now=START + timedelta(hours=5, minutes=6)).findings
    assert (doubt.kind, doubt.certain) == (Kind.NOT_CLOSED, False)


def test_a_failed_tick_is_told_and_tried_again() -> None:
    store = Flaky()
    trail = a_trail(store)
    trail.record(an_event())
    store.head = True
    with pytest.raises(Unavailable):
        trail.tick(LATER)
    store.head = False
    trail.tick(LATER)
    assert len(store.head_rows) == 1


def test_after_the_close_nothing_is_recorded() -> None:
    store, stream = MemoryTrail(), io.BytesIO()
    trail = a_trail(store, stream=stream)
    trail.record(an_event())
    trail.close(LATER)
    before = list(store.rows)
    with pytest.raises(Unavailable):
        trail.record(an_event())
    trail.tick(LATER + timedelta(minutes=1))
    assert store.rows == before
    assert [head.closed for head in store.head_rows] == [True]
    assert json.loads(stream.getvalue().splitlines()[-1])["audit"]["head"]["closed"] is True
    assert verify(store, KEYS, now=LATER + timedelta(days=1)).findings == ()


def test_a_close_that_fails_may_be_tried_again_and_records_nothing_in_between() -> None:
    store = Flaky()
    trail = a_trail(store)
    trail.record(an_event())
    store.head = True
    with pytest.raises(Unavailable):
        trail.close(LATER)
    store.head = False
    with pytest.raises(Unavailable):
        trail.record(an_event())
    trail.close(LATER)
    assert [head.closed for head in store.head_rows] == [True]


def test_a_trail_that_wrote_nothing_leaves_nothing() -> None:
    store = MemoryTrail()
    a_trail(store).close(LATER)
    assert not store.writers()


def _cut(store: MemoryTrail, writer: str) -> None:
    store.rows.remove(store.last(writer))  # type: ignore[arg-type]


def _replace(store: MemoryTrail, writer: str) -> None:
    last = store.last(writer)
    assert last
    store.rows[store.rows.index(last)] = replace(last, hash=bytes(32))


def _empty(store: MemoryTrail, writer: str) -> None:
    store.rows = [row for row in store.rows if row.writer != writer]


@pytest.mark.parametrize("harm", [_cut, _replace, _empty])
def test_a_process_notices_at_the_tick_that_its_chain_was_touched(harm: Callable[[MemoryTrail, str], None]) -> None:
    """It goes on in a new chain whose first link proves how the old one ended, and counts it."""
    store = MemoryTrail()
    trail = a_trail(store)
    trail.record(an_event())
    trail.tick(LATER)
    trail.record(an_event())
    old = trail.writer
    harm(store, old)
    store.head_rows = [head for head in store.head_rows if head.number < 3]
    trail.tick(LATER)
    assert trail.writer != old
    assert trail.failures == 1
    first = next(store.links(trail.writer))
    assert json.loads(first.payload or "")["details"]["continues"].startswith(f"{old}:3:")
    found = {(f.kind, f.writer) for f in verify(store, KEYS, now=LATER).findings if f.certain}
    assert found & {(Kind.CUT, old), (Kind.CHANGED, old)}


def test_the_first_link_bears_witness_of_the_newest_chains_and_of_no_more_than_fit() -> None:
    store, clock, writers = MemoryTrail(), Watch(), []
    for _ in range(WITNESSED + 3):
        trail = a_trail(store, clock=clock)
        trail.record(an_event(clock()))
        writers.append(trail.writer)
    details = json.loads(next(store.links(writers[-1])).payload or "")["details"]
    assert set(details) == {"lines", *(f"witness.{writer}" for writer in writers[2:-1])}
    last = store.last(writers[-2])
    assert last
    assert details[f"witness.{writers[-2]}"] == f"2:{last.hash.hex()}"


def _details(store: MemoryTrail, trail: AuditTrail) -> dict[str, str]:
    details: dict[str, str] = json.loads(next(store.links(trail.writer)).payload or "")["details"]
    return details


def test_it_bears_witness_of_an_old_chain_that_was_written_to_last() -> None:
    """A server that ran for months, and the operators' many short chains."""
    store, clock = MemoryTrail(), Watch()
    server = a_trail(store, clock=clock)
    server.record(an_event(clock()))
    for _ in range(WITNESSED + 3):
        a_trail(store, clock=clock).record(an_event(clock()))
    server.record(an_event(clock()))
    trail = a_trail(store, clock=clock)
    trail.record(an_event(clock()))
    assert _details(store, trail)[f"witness.{server.writer}"].startswith("3:")


@pytest.mark.parametrize(
    "harm",
    [
        {"hash": "text"},
        {"hash": bytes(32)},
        {"number": 1_000_000},
        {"signature": bytes(64)},
        {"signature": None},
        {"at": None},
        {"key_id": "\udcff"},
    ],
)
def test_it_bears_no_witness_of_what_the_broker_did_not_sign(
    harm: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    store, clock = MemoryTrail(), Watch()
    good, bad = a_trail(store, clock=clock), a_trail(store, clock=clock)
    good.record(an_event(clock()))
    bad.record(an_event(clock()))
    store.rows[-1] = replace(store.rows[-1], **harm)  # type: ignore[arg-type]  # a database holds anything
    trail = a_trail(store, clock=clock)
    trail.record(an_event(clock()))
    assert set(_details(store, trail)) == {"lines", f"witness.{good.writer}"}
    assert "1 audit chains hold what the keys of this process did not sign" in caplog.text


def test_an_invalid_event_is_counted_and_leaves_no_trace() -> None:
    store = MemoryTrail()
    trail = a_trail(store)
    with pytest.raises(InvalidEvent):
        trail.record(an_event(at=START.replace(tzinfo=None)))
    assert trail.failures == 1
    trail.record(an_event())
    assert _numbers(store, trail.writer) == [1, 2]


def _pruned(store: MemoryTrail) -> AuditTrail:
    clock = Watch()
    trail = a_trail(store, clock=clock)
    for _ in range(4):
        trail.record(an_event(clock()))
    border = clock()
    trail.record(an_event(clock()))
    assert trail.prune(border, actor="operator:ann") == 4
    return trail


def test_pruning_forgets_the_persons_keeps_the_chain_and_is_itself_on_record() -> None:
    store = MemoryTrail()
    trail = _pruned(store)
    links = list(store.links(trail.writer))
    assert [link.payload is None for link in links] == [False, True, True, True, True, False, False]
    event = json.loads(links[-1].payload or "")
    assert (event["tag"], event["actor"]) == (Tag.AUDIT_PRUNED, "operator:ann")
    assert event["details"] == {"before": "2026-11-23T10:00:00.007000Z"}
    report = verify(store, KEYS, now=LATER)
    assert (report.findings, report.pruned) == ((), 4)


def test_pruning_again_and_later_is_clean_too() -> None:
    store = MemoryTrail()
    trail = _pruned(store)
    clock = Watch(START + timedelta(seconds=10))
    second = a_trail(store, clock=clock)
    second.record(an_event(clock()))
    assert second.prune(clock(), actor="operator:ann") == 2
    assert verify(store, KEYS, now=LATER).findings == ()
    assert trail.writer != second.writer


@pytest.mark.parametrize("number", [1, 6, 7])
def test_a_payload_that_no_recorded_pruning_covers_is_missed(number: int) -> None:
    """Number 1 is the chain's first link, 6 an event behind the border, 7 the record of the pruning."""
    store = MemoryTrail()
    trail = _pruned(store)
    position = next(i for i, row in enumerate(store.rows) if row.number == number)
    row = store.rows[position]
    store.rows[position] = replace(row, payload=None, columns=dict.fromkeys(row.columns, ""))
    found = [(f.kind, f.writer, f.number) for f in verify(store, KEYS, now=LATER).findings]
    assert (Kind.PAYLOAD_REMOVED, trail.writer, number) in found


@pytest.mark.parametrize("name", ["id", "actor", "access_key_id"])
def test_search_columns_filled_in_where_an_event_was_pruned_are_named(name: str) -> None:
    store = MemoryTrail()
    trail = _pruned(store)
    position = next(i for i, row in enumerate(store.rows) if row.number == 3)
    store.rows[position] = replace(store.rows[position], columns={**store.rows[position].columns, name: "x"})
    found = [(f.kind, f.writer, f.number) for f in verify(store, KEYS, now=LATER).findings]
    assert found == [(Kind.COLUMNS_CHANGED, trail.writer, 3)]


@pytest.mark.parametrize("name", ["at", "digest", "hash", "signature"])
def test_a_pruned_link_is_as_protected_as_any(name: str) -> None:
    store = MemoryTrail()
    trail = _pruned(store)
    position = next(i for i, row in enumerate(store.rows) if row.number == 3)
    row = store.rows[position]
    changed = {"at": row.at - timedelta(1), "digest": bytes(32), "hash": bytes(32), "signature": bytes(64)}
    store.rows[position] = replace(row, **{name: changed[name]})  # type: ignore[arg-type]
    assert (trail.writer, 3) in [(f.writer, f.number) for f in verify(store, KEYS, now=LATER).findings if f.certain]


def test_a_pruning_that_cannot_be_recorded_does_not_happen() -> None:
    store = Flaky()
    trail = a_trail(store, clock=Watch(LATER))
    trail.record(an_event())
    store.before = True
    with pytest.raises(Unavailable):
        trail.prune(LATER, actor="operator:ann")
    assert all(row.payload for row in store.rows)


def test_events_to_come_cannot_be_pruned() -> None:
    """Else one pruning on record would cover every payload that somebody removes later."""
    store = MemoryTrail()
    trail = a_trail(store)
    with pytest.raises(InvalidRequest):
        trail.prune(START + timedelta(days=1), actor="operator:ann")
    assert store.rows == []


def test_the_audit_key_may_be_rotated_in_the_middle_of_a_chain() -> None:
    store = MemoryTrail()
    trail = a_trail(store)
    trail.record(an_event())
    rotated = KEYS.rotate(Purpose.AUDIT, now=START)
    second = AuditTrail(store, rotated, clock=Watch(), randomness=os.urandom, stream=None)
    second.record(an_event())
    assert len({link.key_id for link in store.rows}) == 2
    assert verify(store, rotated.public_keys(), now=LATER).findings == ()
    assert {f.kind for f in verify(store, KEYS, now=LATER).findings} >= {Kind.FORGED}


def test_the_outcome_of_a_chain_start_is_done_by_the_broker_itself() -> None:
    store = MemoryTrail()
    a_trail(store).record(an_event())
    first = store.rows[0].columns
    assert (first["tag"], first["outcome"], first["actor"]) == (Tag.AUDIT_CHAIN_STARTED, Outcome.DONE, "broker")
