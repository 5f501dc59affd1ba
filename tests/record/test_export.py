"""The trail out of the house."""

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from record.memory import MemoryTrail
from record.trails import KEYS, OTHER_KEYS, START, Watch, a_small_trail, a_trail, an_event, exported

from broker.keys import Purpose
from broker.record import export
from broker.record.anchor import read_anchors
from broker.record.canonical import canonical, parse
from broker.record.event import Event, Outcome, Tag
from broker.record.export import CSV_COLUMNS, csv_heading, csv_line, matching
from broker.record.trail import Query


def _store(*events: Event) -> MemoryTrail:
    store = MemoryTrail()
    trail = a_trail(store, clock=Watch(START - timedelta(hours=1)))
    for event in events:
        trail.record(event)
    return store


def _ids(store: MemoryTrail, query: Query) -> list[str]:
    return [json.loads(line)["audit"]["event"]["id"] for line in exported(store, query)]


@pytest.mark.parametrize("page", [1, 2, 7, 500])
def test_every_event_comes_once_and_newest_first_whatever_the_page(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", page)
    events = [an_event(START + timedelta(seconds=number)) for number in range(7)]
    ids = _ids(_store(*events), Query())
    assert ids[:-1] == [event.id for event in reversed(events)]
    assert len(ids) == 8


def test_an_export_is_an_anchor() -> None:
    store, writers, _, _ = a_small_trail()
    anchors = read_anchors(exported(store), KEYS.public_keys())
    assert (anchors.forged, anchors.ignored, set(anchors.highest)) == ([], 0, set(writers))


def test_it_is_read_in_pages_while_it_is_consumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    store = _store(*[an_event(START + timedelta(seconds=number)) for number in range(9)])
    found = matching(store, Query(), KEYS)
    next(found)
    store.rows.clear()
    assert len(list(found)) == 1


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


def _table(store: MemoryTrail) -> list[dict[str, str]]:
    found = matching(store, Query(tag=Tag.CREDENTIALS_ISSUED), KEYS)
    text = "\r\n".join([csv_heading(), *(csv_line(row) for row in found)])
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
    assert row["proven"] == "true"


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "=cmd|' /C calc'!A0", "|x", "%x", "\u200b=1", "\uff1d1"],
)
def test_no_cell_is_a_formula(cell: str) -> None:
    (row,) = _table(_store(an_event(subject=cell)))
    assert row["subject"].lstrip()[:1] not in set("=+-@|%\t\r\n\uff1d")


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "%x", "\uff1d1"])
@pytest.mark.parametrize("before", ["x;", "x;;", "x; ", 'x;"', "x;'", 'x; ""', "x,", "x|", ";"])
def test_no_part_of_a_cell_is_a_formula_where_something_else_is_the_separator(before: str, formula: str) -> None:
    """A German spreadsheet splits at semicolons, whatever the quotes say."""
    (row,) = _table(_store(an_event(subject=before + formula)))
    assert row["subject"] == f"{before}'{formula}"


@pytest.mark.parametrize("cell", ["CN=Ada,OU=People", "a;b", "S-1-5-21", "x = 1", "2026-11-23T10:00:00+02:00"])
def test_what_is_no_formula_stays_as_it_is(cell: str) -> None:
    (row,) = _table(_store(an_event(subject=cell)))
    assert row["subject"] == cell


def _lie(store: MemoryTrail, **fields: object) -> None:
    """Change the newest event behind the trail's back."""
    store.rows[-1] = replace(store.rows[-1], **fields)  # type: ignore[arg-type]  # by name, as the test wrote them


@pytest.mark.parametrize(
    "lie",
    [
        {"payload": canonical(an_event(START, actor="somebody-else"))},
        {"payload": canonical(an_event(START)).replace("{", "{ ", 1)},
        {"payload": "["},
        {"payload": '"}},"proven":true,"x":{"y":{"'},
        {"payload": "{}\n{}"},
        {"payload": "\udcff"},
        {"payload": b"\xff"},
        {"signature": OTHER_KEYS.sign(Purpose.AUDIT, b"x").value},
        {"number": 77},
        {"number": "one"},
        {"hash": 7},
        {"writer": "\x1b[2J"},
        {"writer": "\udcff"},
    ],
)
def test_an_event_that_the_broker_did_not_write_is_marked_so(lie: dict[str, object]) -> None:
    store = _store(an_event(START), an_event(START + timedelta(seconds=1)))
    assert [row["proven"] for row in _table(store)] == ["true", "true"]
    _lie(store, **lie)
    assert [row["proven"] for row in _table(store)] == ["false", "true"]
    first, *others = exported(store)
    assert first.isprintable()
    assert first.encode()
    audit = json.loads(first)["audit"]
    assert (audit["proven"], set(audit)) == (False, {"proven", "link", "text"})
    anchors = read_anchors([first, *others], KEYS)
    assert (anchors.forged, anchors.lines) == ([1], 2)


def test_an_event_of_another_key_is_not_proven() -> None:
    found = matching(_store(an_event()), Query(), OTHER_KEYS)
    assert {row.proven for row in found} == {False}


def test_no_cell_breaks_its_row() -> None:
    store = _store(an_event(subject='a"b,c\r\nd', actor_name="x\u2028y"))
    (row,) = _table(store)
    assert row["subject"] == 'a"b,c\\u000d\\u000ad'
    assert row["actor_name"] == "x\\u2028y"


def test_an_exported_event_reads_back() -> None:
    event = an_event(START)
    (line, _) = exported(_store(event))
    payload = json.dumps(json.loads(line)["audit"]["event"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert parse(payload) == event
