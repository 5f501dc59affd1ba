"""The newest chains: a server puts out what operators wrote to the store alone, whatever stands beside it."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from record.memory import MemoryTrail
from record.trails import KEYS, START, Watch, a_trail, an_event

from broker.record.anchor import read_anchors
from broker.record.event import Tag
from broker.record.finding import Kind
from broker.record.ids import uuid7
from broker.record.relay import AHEAD, AT_MOST, LOOKED_AT
from broker.record.trail import ANY_NAME, Link
from broker.record.verify import verify
from broker.record.writer import WITNESSED, AuditTrail

LATER = START + timedelta(minutes=1)


def _operated(store: MemoryTrail, clock: Watch, *, events: int = 1) -> AuditTrail:
    """What the operator's program does: it writes to the store alone, and ends."""
    trail = a_trail(store, clock=clock)
    for _ in range(events):
        trail.record(an_event(clock(), tag=Tag.ENROLMENT_CODE_CREATED, actor="operator:eve"))
    trail.close(clock())
    return trail


def _told(stream: io.BytesIO) -> list[tuple[str, int]]:
    links = [json.loads(line)["audit"].get("link", {}) for line in stream.getvalue().splitlines()]
    return [(link["writer"], link["number"]) for link in links if link]


def test_a_server_puts_out_once_what_operators_wrote_to_the_store_alone() -> None:
    store, clock, stream, other = MemoryTrail(), Watch(), io.BytesIO(), io.BytesIO()
    server, second = a_trail(store, clock=clock, stream=stream), a_trail(store, clock=clock, stream=other)
    early = _operated(store, clock)
    server.record(an_event(clock()))
    second.record(an_event(clock()))
    late = _operated(store, clock, events=2)
    slow = a_trail(store, clock=clock)
    slow.record(an_event(clock()))
    for _ in range(2):
        server.tick(clock())
    slow.record(an_event(clock()))
    server.tick(clock())
    told = _told(stream)
    whole = [(chain.writer, number) for chain in (late, slow) for number in (1, 2, 3)]
    assert sorted(told) == sorted([*whole, (server.writer, 1), (server.writer, 2)])
    assert early.writer not in dict(told), "its end stands in the server's first link"
    assert second.writer not in dict(told), "it has lines of its own"


def test_however_many_there_were_in_a_minute_all_are_put_out() -> None:
    store, clock, stream = MemoryTrail(), Watch(), io.BytesIO()
    server = a_trail(store, clock=clock, stream=stream)
    for _ in range(WITNESSED + 9):
        _operated(store, clock)
    server.record(an_event(clock()))
    server.tick(clock())
    assert {writer for writer, _ in _told(stream)} == {server.writer}
    chains = [_operated(store, clock) for _ in range(WITNESSED + 9)]
    server.tick(clock())
    assert {(chain.writer, 2) for chain in chains} <= set(_told(stream))


@pytest.mark.parametrize("payload", ["[", '{"details":{"lines":"none"}}'])
@pytest.mark.parametrize("number", [1, 2])
def test_what_the_broker_did_not_write_is_not_put_out_for_it(number: int, payload: str) -> None:
    store, clock, stream = MemoryTrail(), Watch(), io.BytesIO()
    server = a_trail(store, clock=clock, stream=stream)
    server.record(an_event(clock()))
    operated = _operated(store, clock, events=2)
    at = next(i for i, row in enumerate(store.rows) if (row.writer, row.number) == (operated.writer, number))
    store.rows[at] = replace(store.rows[at], payload=payload)
    server.tick(clock())
    assert (operated.writer, number) not in _told(stream)
    assert read_anchors(stream.getvalue().decode().splitlines(), KEYS).forged == []


def test_an_operator_s_chain_that_is_deleted_shows_by_the_server_s_lines() -> None:
    store, clock, stream = MemoryTrail(), Watch(), io.BytesIO()
    server = a_trail(store, clock=clock, stream=stream)
    server.record(an_event(clock()))
    operated = _operated(store, clock)
    server.tick(clock())
    store.rows = [row for row in store.rows if row.writer != operated.writer]
    store.head_rows = [head for head in store.head_rows if head.writer != operated.writer]
    report = verify(store, KEYS, now=LATER, anchors=read_anchors(stream.getvalue().decode().splitlines(), KEYS))
    assert [(f.kind, f.writer) for f in report.findings] == [(Kind.WRITER_GONE, operated.writer)]


def _junk(store: MemoryTrail, count: int, *, at: datetime, name: str = "") -> None:
    """Copies of a genuine link under names of the attacker's; names of the broker's own shape where none is given."""
    names = (f"{name}{n:03}" if name else uuid7(at + timedelta(microseconds=n), bytes) for n in range(count))
    store.rows += [replace(store.rows[0], writer=writer) for writer in names]


def _served(store: MemoryTrail, clock: Watch, stream: io.BytesIO) -> AuditTrail:
    server = a_trail(store, clock=clock, stream=stream)
    server.record(an_event(clock()))
    server.tick(clock())
    return server


@pytest.mark.parametrize("name", ["z", "", "\udcff"])
@pytest.mark.parametrize("count", [LOOKED_AT, AT_MOST - 3])
def test_names_that_somebody_puts_above_do_not_keep_a_deed_from_being_put_out(name: str, count: int) -> None:
    store, clock, stream = MemoryTrail(), Watch(), io.BytesIO()
    server = _served(store, clock, stream)
    _junk(store, count, at=START + timedelta(seconds=30), name=name)
    operated = _operated(store, clock)
    server.tick(clock())
    assert (operated.writer, 2) in _told(stream)


@pytest.mark.parametrize("count", [LOOKED_AT, AT_MOST - 1])
def test_names_that_somebody_puts_above_do_not_keep_a_chain_from_its_witnesses(count: int) -> None:
    store, clock = MemoryTrail(), Watch()
    operated = _operated(store, clock)
    _junk(store, count, at=START + timedelta(seconds=30))
    trail = a_trail(store, clock=clock)
    trail.record(an_event(clock()))
    assert f"witness.{operated.writer}" in str(next(store.links(trail.writer)).payload)


def test_chains_of_no_worth_do_not_hold_up_a_start(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryTrail()
    a_trail(store).record(an_event())
    _junk(store, AT_MOST, at=START + timedelta(seconds=30))
    looked_at = []

    class Counted(MemoryTrail):
        def last(self, writer: str) -> Link | None:
            looked_at.append(writer)
            return super().last(writer)

    a_trail(Counted(rows=store.rows)).record(an_event())
    assert len(looked_at) == AT_MOST
    assert "Too many audit chains" in caplog.text


def test_no_more_than_the_newest_chains_that_prove_themselves_are_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    """However many there are in years; and that is no error."""
    store, clock = MemoryTrail(), Watch()
    for _ in range(LOOKED_AT + 2):
        _operated(store, clock)
    looked_at = []

    class Counted(MemoryTrail):
        def newest(self, *, before: str = ANY_NAME) -> Iterator[str]:
            for name in super().newest(before=before):
                looked_at.append(name)
                yield name

    counted, stream = Counted(rows=store.rows), io.BytesIO()
    server = a_trail(counted, clock=clock, stream=stream)
    server.record(an_event(clock()))
    assert len(set(looked_at)) == LOOKED_AT
    looked_at.clear()
    server.tick(clock())
    assert len(set(looked_at)) == LOOKED_AT
    assert {writer for writer, _ in _told(stream)} == {server.writer}
    assert (caplog.text, server.stream_failures) == ("", 0)


def test_each_tick_that_leaves_something_unlooked_at_says_so(caplog: pytest.LogCaptureFixture) -> None:
    store, clock, stream = MemoryTrail(), Watch(), io.BytesIO()
    server = _served(store, clock, stream)
    assert (caplog.text, server.stream_failures) == ("", 0)
    _junk(store, AT_MOST, at=START + timedelta(seconds=30))
    for ticks in (1, 2):
        caplog.clear()
        server.tick(clock())
        assert "Too many audit chains: older ones were not looked at" in caplog.text
        assert f"{AT_MOST} audit chains hold what the keys of this process did not sign" in caplog.text
        assert server.stream_failures == ticks


def test_a_chain_of_a_time_to_come_is_not_looked_at_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """Its turn comes with its time; a clock that is a little ahead is none."""
    store, clock, stream = MemoryTrail(), Watch(), io.BytesIO()
    server = _served(store, clock, stream)
    near = _operated(store, Watch(START + AHEAD - timedelta(seconds=1)))
    server.tick(clock())
    assert ((near.writer, 2) in _told(stream), caplog.text) == (True, "")
    far = _operated(store, Watch(START + AHEAD + timedelta(seconds=1)))
    server.tick(clock())
    assert "of a time to come" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert (far.writer in dict(_told(stream)), server.stream_failures) == (False, 1)
    clock.now += timedelta(seconds=2)
    server.tick(clock())
    assert ((far.writer, 2) in _told(stream), server.stream_failures) == (True, 1)


def test_a_first_link_that_is_away_during_one_tick_does_not_mute_its_chain(caplog: pytest.LogCaptureFixture) -> None:
    store, clock, stream = MemoryTrail(), Watch(), io.BytesIO()
    server = _served(store, clock, stream)
    operated = _operated(store, clock)
    first = next(store.links(operated.writer))
    store.rows.remove(first)
    server.tick(clock())
    assert operated.writer not in dict(_told(stream))
    assert "1 audit chains hold what the keys of this process did not sign" in caplog.text
    assert server.stream_failures == 1
    store.rows.append(first)
    server.tick(clock())
    assert {(operated.writer, 1), (operated.writer, 2)} <= set(_told(stream))
    assert server.stream_failures == 1


@pytest.mark.parametrize("number", [0, -1])
def test_a_row_before_the_first_link_does_not_mute_its_chain(number: int) -> None:
    store, clock, stream = MemoryTrail(), Watch(), io.BytesIO()
    server = _served(store, clock, stream)
    operated = _operated(store, clock)
    store.rows.append(replace(next(store.links(operated.writer)), number=number))
    server.tick(clock())
    assert {(operated.writer, 1), (operated.writer, 2)} <= set(_told(stream))


def test_events_are_recorded_while_a_tick_looks_and_ticks_look_one_at_a_time() -> None:
    class Slow(MemoryTrail):
        looks = 0
        busy: AuditTrail | None = None

        def newest(self, *, before: str = ANY_NAME) -> Iterator[str]:
            if self.busy and before != ANY_NAME:
                self.looks += 1
                self.busy.record(an_event(clock()))
                if self.looks < 3:
                    self.busy.tick(clock())
            return super().newest(before=before)

    store, clock = Slow(), Watch()
    trail = AuditTrail(store, KEYS, clock=clock, randomness=bytes, stream=io.BytesIO(), patience=0.01)
    trail.record(an_event(clock()))
    store.busy = trail
    trail.tick(clock())
    assert (store.looks, trail.failures) == (1, 0)
    last = store.last(trail.writer)
    assert last
    assert last.number == 3
