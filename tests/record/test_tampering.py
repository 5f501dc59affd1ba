"""Every manipulation at every position of a small trail is found and named; the untouched trail verifies clean."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

import pytest
from record.memory import MemoryTrail
from record.trails import EVENTS, KEYS, OTHER_KEYS, START, a_small_trail

from broker.keys import Purpose
from broker.record.anchor import read_anchors
from broker.record.chain import FIRST, Signer, digest_of, hash_of, make_head
from broker.record.event import SEARCH_COLUMNS
from broker.record.finding import Kind, Report
from broker.record.trail import Link
from broker.record.verify import verify

Manipulation = Callable[[MemoryTrail, str, int], int]
"""Alters what is stored of a chain at a number; returns the number that must be named."""


@cache
def _pristine() -> tuple[MemoryTrail, list[str], datetime, list[str]]:
    store, writers, now, lines = a_small_trail()
    assert isinstance(store, MemoryTrail)
    return store, writers, now, lines


def _verified(store: MemoryTrail, *, anchored: bool = False, later: timedelta = timedelta(0)) -> Report:
    _, _, now, lines = _pristine()
    anchors = read_anchors(lines, KEYS) if anchored else None
    return verify(store, KEYS, now=now + later, anchors=anchors)


def _at(store: MemoryTrail, writer: str, number: int) -> int:
    return next(i for i, row in enumerate(store.rows) if (row.writer, row.number) == (writer, number))


def _set(store: MemoryTrail, writer: str, place: int, /, **fields: object) -> None:
    position = _at(store, writer, place)
    store.rows[position] = replace(store.rows[position], **fields)  # type: ignore[arg-type]


def _get(store: MemoryTrail, writer: str, number: int) -> Link:
    return store.rows[_at(store, writer, number)]


def _flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def _lie(payload: str | None) -> str:
    assert payload
    return payload.replace('"outcome":"allowed"', '"outcome":"denied"').replace('"actor":"broker"', '"actor":"nobody"')


def _field(name: str, change: Callable[[object], object]) -> Manipulation:
    def manipulate(store: MemoryTrail, writer: str, number: int) -> int:
        _set(store, writer, number, **{name: change(getattr(_get(store, writer, number), name))})
        return number

    return manipulate


def _column(name: str) -> Manipulation:
    def manipulate(store: MemoryTrail, writer: str, number: int) -> int:
        _set(store, writer, number, columns={**_get(store, writer, number).columns, name: "another"})
        return number

    return manipulate


def _payload_and_digest(store: MemoryTrail, writer: str, number: int) -> int:
    payload = _lie(_get(store, writer, number).payload)
    _set(store, writer, number, payload=payload, digest=digest_of(payload))
    return number


def _payload_digest_and_hash(store: MemoryTrail, writer: str, number: int) -> int:
    _payload_and_digest(store, writer, number)
    _set(store, writer, number, hash=hash_of(_get(store, writer, number)))
    return number


def _chain_again(
    store: MemoryTrail, writer: str, number: int, *, signer: Signer | None = None, own_id: bool = False
) -> None:
    """Compute every link from `number` on anew, as somebody who knows the format and not the key."""
    links = [link for link in store.links(writer) if link.number >= number]
    previous = next((link.hash for link in store.links(writer) if link.number == number - 1), FIRST)
    for link in links:
        new = replace(link, previous=previous)
        new = replace(new, hash=hash_of(new))
        if signer:
            signature = signer.sign(Purpose.AUDIT, new.hash)
            new = replace(new, signature=signature.value, key_id=signature.key_id if own_id else link.key_id)
        store.rows[_at(store, writer, link.number)] = new
        previous = new.hash


def _rewrite(signer: Signer | None, *, own_id: bool = False) -> Manipulation:
    def manipulate(store: MemoryTrail, writer: str, number: int) -> int:
        _payload_and_digest(store, writer, number)
        _chain_again(store, writer, number, signer=signer, own_id=own_id)
        return number

    return manipulate


def _remove(store: MemoryTrail, writer: str, number: int) -> int:
    del store.rows[_at(store, writer, number)]
    return number


def _remove_and_close_up(store: MemoryTrail, writer: str, number: int) -> int:
    _remove(store, writer, number)
    for later in range(number + 1, EVENTS + 1):
        _set(store, writer, later, number=later - 1)
    return number


def _remove_and_rewrite(store: MemoryTrail, writer: str, number: int) -> int:
    _remove_and_close_up(store, writer, number)
    _chain_again(store, writer, number)
    return number


def _insert(store: MemoryTrail, writer: str, number: int) -> int:
    for later in range(EVENTS, number - 1, -1):
        _set(store, writer, later, number=later + 1)
    store.rows.append(replace(_get(store, writer, number + 1), number=number))
    _payload_and_digest(store, writer, number)
    _chain_again(store, writer, number)
    return number


def _insert_twice(store: MemoryTrail, writer: str, number: int) -> int:
    store.rows.append(_get(store, writer, number))
    return number


def _append_forged(store: MemoryTrail, writer: str, number: int) -> int:
    last = _get(store, writer, EVENTS)
    forged = replace(_get(store, writer, number), number=EVENTS + 1, previous=last.hash)
    store.rows.append(replace(forged, hash=hash_of(forged)))
    return EVENTS + 1


def _other(number: int) -> int:
    return number + 1 if number < EVENTS else number - 1


def _swap_numbers(store: MemoryTrail, writer: str, number: int) -> int:
    one, two = _at(store, writer, number), _at(store, writer, _other(number))
    store.rows[one] = replace(store.rows[one], number=_other(number))
    store.rows[two] = replace(store.rows[two], number=number)
    return number


def _swap_events(store: MemoryTrail, writer: str, number: int) -> int:
    one, two = _get(store, writer, number), _get(store, writer, _other(number))
    _set(store, writer, number, payload=two.payload, columns=two.columns)
    _set(store, writer, _other(number), payload=one.payload, columns=one.columns)
    return number


def _swap_and_rewrite(store: MemoryTrail, writer: str, number: int) -> int:
    one, two = _get(store, writer, number), _get(store, writer, _other(number))
    _set(store, writer, number, payload=two.payload, columns=two.columns, digest=two.digest, at=two.at)
    _set(store, writer, _other(number), payload=one.payload, columns=one.columns, digest=one.digest, at=one.at)
    _chain_again(store, writer, min(number, _other(number)))
    return number


def _forget(store: MemoryTrail, writer: str, number: int) -> int:
    _set(store, writer, number, payload=None, columns=dict.fromkeys(SEARCH_COLUMNS, ""))
    return number


def _replay_from_another_chain(store: MemoryTrail, writer: str, number: int) -> int:
    other = next(name for name in store.writers() if name != writer)
    store.rows[_at(store, writer, number)] = replace(_get(store, other, number), writer=writer)
    return number


def _cut_links(store: MemoryTrail, writer: str, number: int) -> int:
    store.rows = [row for row in store.rows if row.writer != writer or row.number < number]
    return number


def _cut_links_and_heads(store: MemoryTrail, writer: str, number: int) -> int:
    _cut_links(store, writer, number)
    store.head_rows = [row for row in store.head_rows if row.writer != writer or row.number < number]
    return number


def _cut_and_forge_the_head(store: MemoryTrail, writer: str, number: int) -> int:
    _cut_links_and_heads(store, writer, number)
    last = store.last(writer)
    tip = last.hash if last else FIRST
    store.add_head(make_head(OTHER_KEYS, writer=writer, number=number - 1, tip=tip, at=START, closed=True))
    return number - 1


def _junk(name: str, value: object) -> Manipulation:
    return _field(name, lambda _: value)


IN_PLACE: dict[str, Manipulation] = {
    "payload": _field("payload", lambda old: _lie(str(old))),
    "payload-blank-added": _field("payload", lambda old: f"{old} "),
    "payload-emptied": _junk("payload", "{}"),
    "payload-and-digest": _payload_and_digest,
    "payload-digest-and-hash": _payload_digest_and_hash,
    "rewritten-from-here": _rewrite(None),
    "rewritten-with-another-key": _rewrite(OTHER_KEYS),
    "rewritten-with-a-key-of-their-own": _rewrite(OTHER_KEYS, own_id=True),
    "at-a-microsecond": _field("at", lambda old: old + timedelta(microseconds=1)),  # type: ignore[operator]
    "at-a-year": _field("at", lambda old: old - timedelta(days=365)),  # type: ignore[operator]
    "at-without-a-zone": _field("at", lambda old: old.replace(tzinfo=None)),  # type: ignore[attr-defined]
    "previous": _field("previous", _flip),  # type: ignore[arg-type]
    "digest": _field("digest", _flip),  # type: ignore[arg-type]
    "hash": _field("hash", _flip),  # type: ignore[arg-type]
    "signature": _field("signature", _flip),  # type: ignore[arg-type]
    "signature-emptied": _junk("signature", b""),
    "signature-of-another-type": _junk("signature", None),
    "key-unknown": _junk("key_id", "audit-0000000000000000"),
    "event-forgotten": _forget,
    "removed": _remove,
    "removed-and-closed-up": _remove_and_close_up,
    "removed-and-rewritten": _remove_and_rewrite,
    "inserted-and-rewritten": _insert,
    "inserted-twice": _insert_twice,
    "appended": _append_forged,
    "numbers-swapped": _swap_numbers,
    "events-swapped": _swap_events,
    "swapped-and-rewritten": _swap_and_rewrite,
    "replayed-from-another-chain": _replay_from_another_chain,
    "tail-cut": _cut_links,
    "tail-cut-and-head-forged": _cut_and_forge_the_head,
    **{f"column-{name}": _column(name) for name in SEARCH_COLUMNS},
}


def _positions() -> Iterator[object]:
    for name, manipulation in IN_PLACE.items():
        for chain in range(3):
            for number in range(1, EVENTS + 1):
                yield pytest.param(manipulation, chain, number, id=f"{name}-{chain}-{number}")


def _named(report: Report, writer: str, number: int) -> bool:
    return any((finding.writer, finding.number) == (writer, number) for finding in report.findings if finding.certain)


@pytest.mark.parametrize("anchored", [False, True])
def test_the_untouched_trail_verifies_clean(anchored: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    report = _verified(_pristine()[0].copy(), anchored=anchored)
    assert report.findings == ()
    assert report.intact
    assert (report.writers, report.links, report.pruned) == (3, 3 * EVENTS, 0)


@pytest.mark.parametrize(("manipulation", "chain", "number"), list(_positions()))
def test_a_manipulation_is_found_and_named(manipulation: Manipulation, chain: int, number: int) -> None:
    store, writer = _pristine()[0].copy(), _pristine()[1][chain]
    expected = manipulation(store, writer, number)
    report = _verified(store)
    assert not report.intact
    assert _named(report, writer, expected), [str(finding) for finding in report.findings]


@pytest.mark.parametrize("number", range(1, EVENTS + 1))
@pytest.mark.parametrize("chain", [0, 1])
def test_a_tail_cut_together_with_its_heads_shows_by_the_chains_that_came_later(chain: int, number: int) -> None:
    store, writer = _pristine()[0].copy(), _pristine()[1][chain]
    _cut_links_and_heads(store, writer, number)
    assert _named(_verified(store), writer, EVENTS if number == 1 else number)


@pytest.mark.parametrize("number", range(2, EVENTS + 1))
def test_the_newest_chain_cut_with_its_heads_shows_by_anchors_and_else_as_a_doubt(number: int) -> None:
    store, writer = _pristine()[0].copy(), _pristine()[1][2]
    _cut_links_and_heads(store, writer, number)
    assert _named(_verified(store, anchored=True), writer, number)
    doubts = _verified(store, later=timedelta(minutes=10)).findings
    assert [(f.kind, f.writer, f.number) for f in doubts] == [(Kind.NOT_CLOSED, writer, number - 1)]


@pytest.mark.parametrize("chain", [0, 1, 2])
def test_a_whole_chain_removed_is_named(chain: int) -> None:
    store, writer = _pristine()[0].copy(), _pristine()[1][chain]
    _cut_links_and_heads(store, writer, 1)
    anchored = _verified(store, anchored=True).findings
    assert [(f.kind, f.writer) for f in anchored] == [(Kind.WRITER_GONE, writer)]
    if chain < 2:
        assert (Kind.WRITER_GONE, writer) in [(f.kind, f.writer) for f in _verified(store).findings]


def test_the_crash_of_a_process_is_a_doubt_that_anchors_settle() -> None:
    store, writers = _pristine()[0].copy(), _pristine()[1]
    later = timedelta(hours=1)
    report = _verified(store, later=later)
    assert [(f.kind, f.writer, f.number) for f in report.findings] == [(Kind.NOT_CLOSED, writers[2], EVENTS)]
    assert report.intact
    assert _verified(store, later=later, anchored=True).findings == ()


@pytest.mark.parametrize("own_id", [False, True])
def test_a_full_rewrite_with_another_key_is_found_in_every_chain(own_id: bool) -> None:  # noqa: FBT001
    store, writers = _pristine()[0].copy(), _pristine()[1]
    for writer in writers:
        _rewrite(OTHER_KEYS, own_id=own_id)(store, writer, 1)
        store.head_rows = [row for row in store.head_rows if row.writer != writer]
        last = store.last(writer)
        assert last
        store.add_head(make_head(OTHER_KEYS, writer=writer, number=EVENTS, tip=last.hash, at=last.at, closed=True))
    report = _verified(store)
    for writer in writers:
        kinds = {(f.kind, f.number) for f in report.findings if f.writer == writer}
        assert {(Kind.FORGED, number) for number in range(1, EVENTS + 1)} <= kinds
        assert (Kind.HEAD_FORGED, EVENTS) in kinds


@pytest.mark.parametrize("number", range(1, EVENTS + 1))
@pytest.mark.parametrize("chain", [0, 1, 2])
def test_a_rewrite_with_the_stolen_key_shows_by_the_anchors(chain: int, number: int) -> None:
    store, writer = _pristine()[0].copy(), _pristine()[1][chain]
    _rewrite(KEYS)(store, writer, number)
    last = store.last(writer)
    assert last
    store.head_rows = [row for row in store.head_rows if row.writer != writer]
    store.add_head(make_head(KEYS, writer=writer, number=EVENTS, tip=last.hash, at=last.at, closed=True))
    report = _verified(store, anchored=True)
    assert (Kind.REWRITTEN, EVENTS) in {(f.kind, f.number) for f in report.findings if f.writer == writer}


@pytest.mark.parametrize("number", range(1, EVENTS))
@pytest.mark.parametrize("chain", [0, 1, 2])
def test_one_link_replaced_with_the_stolen_key_does_not_fit_the_next(chain: int, number: int) -> None:
    store, writer = _pristine()[0].copy(), _pristine()[1][chain]
    _payload_digest_and_hash(store, writer, number)
    signature = KEYS.sign(Purpose.AUDIT, _get(store, writer, number).hash)
    _set(store, writer, number, signature=signature.value)
    found = {(f.kind, f.number) for f in _verified(store).findings if f.writer == writer}
    assert (Kind.BROKEN, number + 1) in found


def test_an_event_after_the_close_is_named_even_when_the_key_signed_it() -> None:
    store, writer = _pristine()[0].copy(), _pristine()[1][0]
    last = store.last(writer)
    assert last
    added = replace(last, number=EVENTS + 1, previous=last.hash, columns=last.columns)
    added = replace(added, hash=hash_of(added))
    store.rows.append(replace(added, signature=KEYS.sign(Purpose.AUDIT, added.hash).value))
    found = _verified(store).findings
    assert [(f.kind, f.writer, f.number) for f in found] == [(Kind.AFTER_CLOSE, writer, EVENTS + 1)]


def test_a_chain_of_another_broker_put_beside_ours_is_named() -> None:
    store = _pristine()[0].copy()
    writer, stranger = _pristine()[1][0], "00000000-0000-7000-8000-000000000000"
    store.rows.extend(replace(link, writer=stranger) for link in list(store.links(writer)))
    _chain_again(store, stranger, 1, signer=OTHER_KEYS, own_id=True)
    found = {(f.kind, f.number) for f in _verified(store).findings if f.writer == stranger}
    assert {(Kind.FORGED, number) for number in range(1, EVENTS + 1)} <= found


@pytest.mark.parametrize("name", ["hash", "signature", "number", "at", "closed", "key_id"])
@pytest.mark.parametrize("chain", [0, 1, 2])
def test_a_changed_head_is_named(chain: int, name: str) -> None:
    store, writer = _pristine()[0].copy(), _pristine()[1][chain]
    position = next(i for i, head in enumerate(store.head_rows) if (head.writer, head.number) == (writer, EVENTS))
    head = store.head_rows[position]
    changes = {
        "hash": _flip(head.hash),
        "signature": _flip(head.signature),
        "number": 4,
        "at": head.at + timedelta(seconds=1),
        "closed": not head.closed,
        "key_id": "audit-0000000000000000",
    }
    store.head_rows[position] = replace(head, **{name: changes[name]})  # type: ignore[arg-type]
    found = {(f.kind, f.writer) for f in _verified(store).findings}
    assert found == {(Kind.HEAD_FORGED, writer)} | ({(Kind.NOT_CLOSED, writer)} & found)


@pytest.mark.parametrize("chain", [0, 1])
def test_a_removed_closing_head_is_a_doubt(chain: int) -> None:
    store, writer = _pristine()[0].copy(), _pristine()[1][chain]
    store.head_rows = [head for head in store.head_rows if not (head.writer == writer and head.closed)]
    found = _verified(store, later=timedelta(hours=1)).findings
    assert (Kind.NOT_CLOSED, writer, EVENTS) in [(f.kind, f.writer, f.number) for f in found]


def test_an_emptied_trail_is_a_doubt_and_with_anchors_a_certainty() -> None:
    assert [f.kind for f in _verified(MemoryTrail()).findings] == [Kind.EMPTY]
    report = _verified(MemoryTrail(), anchored=True)
    assert {f.writer for f in report.findings if f.kind is Kind.WRITER_GONE} == set(_pristine()[1])


def test_findings_say_what_it_means_and_what_to_do() -> None:
    store, writer = _pristine()[0].copy(), _pristine()[1][0]
    _remove(store, writer, 3)
    (finding,) = _verified(store).findings
    assert str(finding).startswith(f"missing: {writer} 3: This link is missing. ")
    assert finding.remedy in str(finding)


def test_a_thousand_harmless_doubts_hide_nothing() -> None:
    pristine, writers, now, lines = _pristine()
    store = pristine.copy()
    at = _at(store, writers[0], 3)
    store.rows[at] = replace(store.rows[at], payload=(store.rows[at].payload or "").replace("{", "{ ", 1))
    junk = ['{"audit":{"link":{}}}'] * 1001
    assert not verify(store, KEYS, now=now, anchors=read_anchors(junk + lines, KEYS)).intact
    assert verify(pristine, KEYS, now=now, anchors=read_anchors(junk + lines, KEYS)).intact
