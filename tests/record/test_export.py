"""The trail out of the house."""

import csv
import io
import json
from datetime import timedelta

import pytest
from record.memory import MemoryTrail
from record.trails import KEYS, START, Watch, a_small_trail, a_trail, an_event

from broker.errors import Unavailable
from broker.record import export
from broker.record.anchor import read_anchors
from broker.record.canonical import parse
from broker.record.event import Event, Outcome, Tag
from broker.record.export import CSV_COLUMNS, export_csv, export_lines
from broker.record.trail import Link, Query


def _store(*events: Event) -> MemoryTrail:
    store = MemoryTrail()
    trail = a_trail(store, clock=Watch(START - timedelta(hours=1)))
    for event in events:
        trail.record(event)
    return store


def _ids(store: MemoryTrail, query: Query) -> list[str]:
    return [json.loads(line)["audit"]["event"]["id"] for line in export_lines(store, query)]


@pytest.mark.parametrize("page", [1, 2, 7, 500])
def test_every_event_comes_once_and_newest_first_whatever_the_page(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", page)
    events = [an_event(START + timedelta(seconds=number)) for number in range(7)]
    ids = _ids(_store(*events), Query())
    assert ids[:-1] == [event.id for event in reversed(events)]
    assert len(ids) == 8


def test_an_export_is_an_anchor() -> None:
    store, writers, _, _ = a_small_trail()
    anchors = read_anchors(export_lines(store, Query()), KEYS.public_keys())
    assert (anchors.forged, anchors.ignored, set(anchors.highest)) == ([], 0, set(writers))


def test_it_is_read_in_pages_while_it_is_consumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    store = _store(*[an_event(START + timedelta(seconds=number)) for number in range(9)])
    lines = export_lines(store, Query())
    next(lines)
    store.rows.clear()
    assert len(list(lines)) == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(tag=Tag.CREDENTIALS_REFUSED), [1]),
        (Query(outcome=Outcome.DENIED), [1]),
        (Query(actor="person-2"), [2]),
        (Query(access_key_id="ASIAIOSFODNN7EXAMPLE", actor="person-1"), [1, 0]),
        (Query(since=START + timedelta(seconds=1)), [2, 1]),
        (Query(since=START, until=START + timedelta(seconds=1)), [0]),
        (Query(lease_id="none"), []),
    ],
)
def test_the_query_narrows(query: Query, found: list[int]) -> None:
    events = [
        an_event(START),
        an_event(START + timedelta(seconds=1), tag=Tag.CREDENTIALS_REFUSED, outcome=Outcome.DENIED),
        an_event(START + timedelta(seconds=2), actor="person-2"),
    ]
    assert _ids(_store(*events), query) == [events[number].id for number in found]


def test_a_cursor_that_does_not_move_is_an_error_and_not_an_endless_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 1)

    class Stuck(MemoryTrail):
        def search(self, query: Query, *, limit: int, before: str = "") -> list[Link]:  # noqa: ARG002
            return list(super().search(query, limit=limit))

    store = Stuck(rows=_store(an_event()).rows)
    with pytest.raises(Unavailable):
        list(zip(range(5), export_lines(store, Query()), strict=False))


def _table(store: MemoryTrail) -> list[dict[str, str]]:
    text = "".join(export_csv(store, Query(tag=Tag.CREDENTIALS_ISSUED)))
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_every_field() -> None:
    event = an_event(START)
    (row,) = _table(_store(event))
    assert tuple(row) == CSV_COLUMNS
    assert row["number"] == "2"
    assert row["at"] == "2026-11-23T10:00:00.000000Z"
    assert json.loads(row["details"]) == dict(event.details)
    assert row["actor_name"] == "Åsa Öberg"
    assert row["tag"] == "credentials:issued"


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "=cmd|' /C calc'!A0", "|x", "%x", "\u200b=1", "\uff1d1"],
)
def test_no_cell_is_a_formula(cell: str) -> None:
    (row,) = _table(_store(an_event(subject=cell)))
    assert row["subject"].lstrip()[:1] not in set("=+-@|%\t\r\n\uff1d")


def test_no_cell_breaks_its_row() -> None:
    store = _store(an_event(subject='a"b,c\r\nd', actor_name="x\u2028y"))
    (row,) = _table(store)
    assert row["subject"] == 'a"b,c\\u000d\\u000ad'
    assert row["actor_name"] == "x\\u2028y"


def test_an_exported_event_reads_back() -> None:
    event = an_event(START)
    (line, _) = export_lines(_store(event), Query())
    payload = json.dumps(json.loads(line)["audit"]["event"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert parse(payload) == event
