"""The lines on standard output: enough to prove what the database must contain, whatever a collector did to them."""

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from record.memory import MemoryTrail
from record.trails import EVENTS, KEYS, OTHER_KEYS, a_small_trail

from broker.keys import Verifier
from broker.record.anchor import LONGEST_LINE, RUN, Anchors, read_anchors
from broker.record.finding import Kind
from broker.record.verify import verify


def _lines() -> list[str]:
    return a_small_trail()[3]


def _audit(line: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(line)["audit"]
    return found


def test_every_line_is_an_anchor_and_each_chain_has_its_highest() -> None:
    lines = _lines()
    anchors = read_anchors(lines, KEYS)
    assert (anchors.lines, anchors.ignored, anchors.forged) == (len(lines), 0, [])
    assert [runs[0][0] for runs in anchors.highest.values()] == [EVENTS] * 3


@pytest.mark.parametrize(
    "collect",
    [
        lambda line: f"2026-11-23T10:00:00.1Z stdout F {line}",
        lambda line: f"<14>1 2026-11-23 host broker - - {line} trailing",
        lambda line: json.dumps(json.loads(line), indent=None, separators=(", ", ": ")),
        lambda line: json.dumps({"time": "x", **json.loads(line)}, sort_keys=False),
        lambda line: json.dumps(json.loads(line), ensure_ascii=False),
        lambda line: f"  {line}\r",
    ],
)
def test_a_collector_may_wrap_a_line_or_write_its_json_again(collect: Callable[[str], str]) -> None:
    lines = _lines()
    anchors = read_anchors([collect(line) for line in lines], KEYS)
    assert (anchors.lines, anchors.forged) == (len(lines), [])


@pytest.mark.parametrize(
    "line", ["plain text", '{"level":"info"}', '{"audit":"text"}', '"audit"', "[]", '{"audit":{' * 9999, "9" * 9999]
)
def test_lines_of_something_else_are_counted_and_passed_over(line: str) -> None:
    anchors = read_anchors([line, "", "\n"], KEYS)
    assert (anchors.lines, anchors.ignored, anchors.forged) == (0, 1, [])


def test_a_line_without_end_is_not_parsed() -> None:
    assert read_anchors([_lines()[0] + " " * LONGEST_LINE], KEYS).ignored == 1


def _change(part: str, name: str, value: object) -> Callable[[str], str]:
    def changed(line: str) -> str:
        whole = json.loads(line)
        whole["audit"][part][name] = value
        return json.dumps(whole)

    return changed


@pytest.mark.parametrize(
    "forge",
    [
        *[_change("link", name, "00" * 32) for name in ("digest", "hash", "previous", "signature")],
        *[_change("link", name, None) for name in ("digest", "hash", "previous", "signature", "number", "key_id")],
        _change("link", "number", 99),
        _change("link", "number", 10**4000),
        _change("link", "number", "2"),
        _change("link", "writer", "somebody"),
        _change("link", "key_id", "another"),
        _change("link", "at", "2026-11-23T10:00:00.000001Z"),
        _change("link", "at", "2026-11-23"),
        _change("link", "at", "0001-01-01T00:00:00+23:00"),
        _change("link", "hash", "zz"),
        _change("event", "actor", "somebody"),
        _change("event", "added", "something"),
        _change("event", "actor", "\ud800"),
        lambda _: '{"audit":{"link":[]}}',
        lambda _: '{"audit":{}}',
        lambda _: '{"audit":{"event":{"x":NaN},"link":{}}}',
    ],
)
def test_a_changed_line_is_named_and_not_relied_on(forge: Callable[[str], str]) -> None:
    line = _lines()[1]
    assert read_anchors([line], KEYS).forged == []
    anchors = read_anchors([forge(line)], KEYS)
    assert (anchors.lines, anchors.forged, anchors.highest) == (0, [1], {})


@pytest.mark.parametrize("name", ["number", "hash", "closed", "at", "signature", "writer"])
def test_a_changed_closing_line_is_named(name: str) -> None:
    (line, *_) = [line for line in _lines() if "head" in _audit(line)]
    assert read_anchors([line], KEYS).lines == 1
    other = {"number": 4, "hash": "00" * 32, "closed": False, "at": "2026-01-01T00:00:00Z", "signature": "00" * 64}
    assert read_anchors([_change("head", name, other.get(name, "somebody"))(line)], KEYS).forged == [1]


@pytest.mark.parametrize("verifier", [OTHER_KEYS, OTHER_KEYS.public_keys()])
def test_a_line_signed_by_another_key_is_not_relied_on(verifier: Verifier) -> None:
    lines = _lines()
    assert read_anchors(lines, verifier).forged == list(range(1, len(lines) + 1))


def test_a_forged_line_is_reported_as_a_doubt_beside_the_verdict() -> None:
    store, _, now, lines = a_small_trail()
    lines[3] = re.sub('"number":[0-9]+', '"number":77', lines[3])
    report = verify(store, KEYS, now=now, anchors=read_anchors(lines, KEYS))
    assert [(f.kind, f.number) for f in report.findings] == [(Kind.ANCHOR_FORGED, 4)]
    assert report.intact


def test_anchors_need_little_memory() -> None:
    anchors = Anchors()
    for number in range(1, 10 * RUN):
        anchors.add("w", number, bytes(32))
    assert [highest for highest, _ in anchors.highest["w"].values()] == [RUN * run - 1 for run in range(1, 11)]


def test_an_older_anchor_never_replaces_a_newer_one() -> None:
    anchors = Anchors()
    anchors.add("w", 5, b"5")
    anchors.add("w", 3, b"3")
    assert anchors.highest["w"][0] == (5, b"5")


@pytest.mark.parametrize(("shown", "kinds"), [(EVENTS, []), (EVENTS - 1, [Kind.NOT_CLOSED]), (0, [Kind.NOT_CLOSED])])
def test_only_an_anchor_of_the_very_end_shows_that_nothing_was_cut_off(shown: int, kinds: list[Kind]) -> None:
    store, writers, now, lines = a_small_trail()
    newest = [line for line in lines if _audit(line).get("link", {}).get("writer") == writers[2]]
    report = verify(store, KEYS, now=now + timedelta(days=1), anchors=read_anchors(newest[:shown], KEYS))
    assert [finding.kind for finding in report.findings] == kinds


def test_anchors_of_an_older_day_do_not_count_as_a_cut() -> None:
    store, _, now, lines = a_small_trail()
    assert isinstance(store, MemoryTrail)
    assert verify(store, KEYS, now=now, anchors=read_anchors(lines[:4], KEYS)).findings == ()
