"""Somebody with a shell on the database: raw SQL against the real SQLite file, each statement found and named."""

import os
import secrets
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from record.trails import EVENTS, KEYS, Watch, a_small_trail, an_event, exported
from sqlalchemy import Engine, event

from broker.record.anchor import read_anchors
from broker.record.canonical import visible
from broker.record.event import SEARCH_COLUMNS
from broker.record.export import csv_line, json_line, matching
from broker.record.finding import Finding, Kind, Report
from broker.record.trail import Query
from broker.record.verify import verify
from broker.record.writer import AuditTrail
from broker.storage import Storage, StorageSettings, open_storage

CHANGES = {
    "payload": "payload = replace(payload, '{', '{ ')",
    "payload-of-another": "payload = (SELECT payload FROM trail_links AS other "
    "WHERE other.writer = trail_links.writer AND other.number <> trail_links.number LIMIT 1)",
    "payload-forgotten": f"payload = NULL, {', '.join(f'{name} = NULL' for name in SEARCH_COLUMNS)}",
    "at": "at = at + 1",
    "at-text": "at = 'yesterday'",
    "at-far": "at = 9000000000000000000",
    "previous": "previous = randomblob(32)",
    "digest": "digest = randomblob(32)",
    "hash": "hash = randomblob(32)",
    "hash-text": "hash = hex(hash)",
    "signature": "signature = zeroblob(64)",
    "signature-empty": "signature = x''",
    "signature-text": "signature = 'none'",
    "key": "key_id = 'audit-0'",
    "number": "number = number + 100",
    "number-negative": "number = -number",
    "number-text": "number = 'one'",
    "moved-to-another": "writer = 'x'",
    **{f"column-{name}": f"{name} = 'another'" for name in SEARCH_COLUMNS},
    **{f"column-{name}-null": f"{name} = NULL" for name in ("id", "tag", "outcome")},
}
HERE = "WHERE writer = :writer AND number = :number"
BEHIND = "WHERE writer = :writer AND number >= :number"
STATEMENTS = {
    **{name: f"UPDATE trail_links SET {change} {HERE}" for name, change in CHANGES.items()},  # noqa: S608 (from above)
    "removed": f"DELETE FROM trail_links {HERE}",  # noqa: S608 (from above)
    "cut": f"DELETE FROM trail_links {BEHIND}",  # noqa: S608 (from above)
    "inserted-twice": "INSERT INTO trail_links SELECT writer, number + 100, at, previous, digest, hash, signature, "  # noqa: S608 (from above)
    f"key_id, payload, 'id', {', '.join(SEARCH_COLUMNS[1:])} FROM trail_links {HERE}",
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], datetime, list[str]]:
    file = tmp_path_factory.mktemp("trail") / "broker.db"
    storage = _open(file)
    storage.upgrade()
    _, writers, now, lines = a_small_trail(storage.trail)
    storage.close()
    return file, writers, now, lines


@pytest.fixture
def file(pristine: tuple[Path, list[str], datetime, list[str]], tmp_path: Path) -> Path:
    return Path(shutil.copy(pristine[0], tmp_path / "broker.db"))


def _open(file: Path) -> Storage:
    return open_storage(StorageSettings(url=f"sqlite:///{file}"))


def _run(file: Path, statement: str, **parameters: object) -> None:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute(statement, parameters).rowcount > 0
        connection.commit()


def _verified(file: Path, now: datetime, lines: list[str] | None = None) -> Report:
    storage = _open(file)
    try:
        anchors = read_anchors(lines, KEYS) if lines else None
        return verify(storage.trail, KEYS.public_keys(), now=now, anchors=anchors)
    finally:
        storage.close()


CASES = [
    pytest.param(statement, number % 3, number, id=f"{name}-{number}")
    for name, statement in STATEMENTS.items()
    for number in range(1, EVENTS + 1)
]


@pytest.mark.parametrize("anchored", [False, True])
def test_the_untouched_file_verifies_clean(
    pristine: tuple[Path, list[str], datetime, list[str]],
    file: Path,
    anchored: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    report = _verified(file, pristine[2], pristine[3] if anchored else None)
    assert (report.findings, report.writers, report.links) == ((), 3, 3 * EVENTS)


@pytest.mark.parametrize(("statement", "chain", "number"), CASES)
def test_a_statement_is_found_and_named(
    pristine: tuple[Path, list[str], datetime, list[str]], file: Path, statement: str, chain: int, number: int
) -> None:
    writer = pristine[1][chain]
    _run(file, statement, writer=writer, number=number)
    report = _verified(file, pristine[2])
    named = {(finding.writer, finding.number) for finding in report.findings if finding.certain}
    expected = EVENTS + 1 if statement.startswith("INSERT") else number
    assert (writer, expected) in named, [str(finding) for finding in report.findings]


def _kinds(findings: tuple[Finding, ...], writer: str) -> set[Kind]:
    return {finding.kind for finding in findings if finding.writer == writer}


@pytest.mark.parametrize("chain", range(3))
def test_a_chain_deleted_with_its_heads_is_named(
    pristine: tuple[Path, list[str], datetime, list[str]], file: Path, chain: int
) -> None:
    _, writers, now, lines = pristine
    for table in ("trail_links", "trail_heads"):
        _run(file, f"DELETE FROM {table} WHERE writer = :writer", writer=writers[chain])  # noqa: S608 (names above)
    assert _kinds(_verified(file, now, lines).findings, writers[chain]) == {Kind.WRITER_GONE}
    if chain < 2:
        assert _kinds(_verified(file, now).findings, writers[chain]) == {Kind.WRITER_GONE}


@pytest.mark.parametrize("change", ["hash = zeroblob(32)", "number = 77", "signature = x''", "at = 0", "at = 'x'"])
@pytest.mark.parametrize("chain", range(3))
def test_a_changed_head_is_named(
    pristine: tuple[Path, list[str], datetime, list[str]], file: Path, chain: int, change: str
) -> None:
    _, writers, now, _ = pristine
    _run(file, f"UPDATE trail_heads SET {change} WHERE writer = :writer AND number = 5", writer=writers[chain])  # noqa: S608
    assert _kinds(_verified(file, now).findings, writers[chain]) & {Kind.HEAD_FORGED, Kind.UNREADABLE}


NO_TEXT = "CAST(x'7bff7d' AS TEXT)"
ODD_VALUES = {"no-utf-8": NO_TEXT, "blob": "x'ff'", "empty-blob": "x''"}
ODD_CHANGES = {
    **{
        f"{name}-{kind}": f"{name} = {value}"
        for name in ("writer", "payload", "key_id", "number", "actor", "id")
        for kind, value in ODD_VALUES.items()
    },
    "payload-no-json": "payload = '{'",
    "payload-deep": f"payload = '{'[' * 9999}'",
    "payload-list": "payload = '[]'",
    "payload-list-and-digest": f"payload = '[]', digest = x'{sha256(b'[]').hexdigest()}'",
    "hash-number": "hash = 9000000000",
    "number-between": "number = 3.5",
    "at-real": "at = 1e300",
}
COPIED = (
    "INSERT INTO trail_links SELECT {writer}, number, at, previous, digest, hash, signature, key_id, payload, {id}, "  # noqa: S608 (as above)
    f"{', '.join(SEARCH_COLUMNS[1:])} FROM trail_links {HERE}"
)
HEAD = "WHERE writer = :writer AND number = 2 + :number"
HEAD_COPIED = (
    "INSERT INTO trail_heads SELECT {writer}, number, hash, at, closed, signature, key_id "  # noqa: S608 (as above)
    f"FROM trail_heads {HEAD}"
)
ODD = {
    **{name: f"UPDATE trail_links SET {change} {HERE}" for name, change in ODD_CHANGES.items()},  # noqa: S608 (as above)
    "copied-to-a-blob-of-the-name": COPIED.format(writer="CAST(writer AS BLOB)", id="'e'"),
    "copied-to-no-utf-8": COPIED.format(writer=NO_TEXT, id="'e'"),
    "head-copied-to-a-blob": HEAD_COPIED.format(writer="CAST(writer AS BLOB)"),
    "head-copied-to-no-utf-8": HEAD_COPIED.format(writer=NO_TEXT),
    "head-key": f"UPDATE trail_heads SET key_id = {NO_TEXT} {HEAD}",  # noqa: S608 (as above)
    "head-number": f"UPDATE trail_heads SET number = {NO_TEXT} {HEAD}",  # noqa: S608 (as above)
}


@pytest.mark.parametrize("statement", ODD.values(), ids=ODD.keys())
def test_a_row_that_the_broker_never_writes_is_found_and_stops_nothing(
    pristine: tuple[Path, list[str], datetime, list[str]], file: Path, statement: str
) -> None:
    """Neither the verification, nor an export, nor the start of the next process."""
    _run(file, statement, writer=pristine[1][1], number=3)
    report = _verified(file, pristine[2])
    assert not report.intact
    assert all(visible(str(finding)).encode() for finding in report.findings)
    storage = _open(file)
    found = list(matching(storage.trail, Query(), KEYS))
    assert sum(row.proven for row in found) >= 3 * EVENTS - 1
    assert all((json_line(row) + csv_line(row)).encode() for row in found)
    trail = AuditTrail(storage.trail, KEYS, clock=Watch(), randomness=secrets.token_bytes, stream=BytesIO())
    trail.record(an_event())
    trail.tick(pristine[2])
    storage.close()


def test_a_row_that_stands_twice_is_found_wherever_a_page_ends(
    pristine: tuple[Path, list[str], datetime, list[str]], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key forbids it; who may change the table may drop the key."""
    again = partial(_run, file, COPIED.format(writer="writer", id="'e'"), writer=pristine[1][1], number=3)
    with pytest.raises(sqlite3.IntegrityError):
        again()
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            "CREATE TABLE loose AS SELECT * FROM trail_links; DROP TABLE trail_links;"
            "ALTER TABLE loose RENAME TO trail_links"
        )
    assert _verified(file, pristine[2]).findings == ()
    again()
    for page in (1, 2, 3, 4, 500):
        monkeypatch.setattr("broker.storage.trail.PAGE", page)
        report = _verified(file, pristine[2])
        assert {(f.writer, f.kind) for f in report.findings if f.certain} & {
            (pristine[1][1], Kind.OUT_OF_PLACE),
            (pristine[1][1], Kind.UNREADABLE),
        }, page


def test_a_chain_cannot_be_kept_from_its_witnesses_by_a_search_column(
    pristine: tuple[Path, list[str], datetime, list[str]], file: Path
) -> None:
    victim = pristine[1][2]
    _run(file, "UPDATE trail_links SET tag = '' WHERE writer = :writer AND number = 1", writer=victim)
    _write(file, 1)
    for table in ("trail_links", "trail_heads"):
        _run(file, f"DELETE FROM {table} WHERE writer = :writer", writer=victim)  # noqa: S608 (names above)
    assert _kinds(_verified(file, pristine[2]).findings, victim) == {Kind.WRITER_GONE}


@pytest.mark.parametrize("name", ["CAST(printf('z%09d', n) AS BLOB)", "printf('z%09d', n)", "printf('%09d', n)"])
def test_names_that_are_none_cost_a_tick_nothing_and_mute_nobody(
    pristine: tuple[Path, list[str], datetime, list[str]], file: Path, name: str
) -> None:
    """However many, in SQL: there is one search in the index, not one for each row."""
    storage, stream, asked = _open(file), BytesIO(), []
    watch = Watch(pristine[2])
    server = AuditTrail(storage.trail, KEYS, clock=watch, randomness=secrets.token_bytes, stream=stream)
    server.record(an_event(watch()))
    columns = "number, at, previous, digest, hash, signature, key_id"
    _run(
        file,
        f"INSERT INTO trail_links (writer, {columns}) "  # noqa: S608 (from above)
        "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 2000) "
        f"SELECT {name}, {columns} FROM counted, trail_links "
        "WHERE writer = :writer AND number = 1",
        writer=server.writer,
    )
    operator = _write(file, 1)
    event.listen(Engine, "before_cursor_execute", count := lambda *said: asked.append(said[2]))
    try:
        server.tick(watch())
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    storage.close()
    assert f'"writer":"{operator}"' in stream.getvalue().decode()
    assert len(asked) < 30


def _write(file: Path, count: int) -> str:
    storage = _open(file)
    trail = AuditTrail(storage.trail, KEYS, clock=Watch(), randomness=secrets.token_bytes, stream=None)
    for _ in range(count):
        trail.record(an_event())
    trail.close(Watch()())
    storage.close()
    return trail.writer


def test_threads_and_forked_processes_write_gapless_chains_into_one_file(
    pristine: tuple[Path, list[str], datetime, list[str]], file: Path
) -> None:
    storage = _open(file)
    trail = AuditTrail(storage.trail, KEYS, clock=Watch(), randomness=secrets.token_bytes, stream=None)
    trail.record(an_event())
    children = []
    for _ in range(2):
        child = os.fork()
        if not child:
            try:
                for _ in range(10):
                    trail.record(an_event())
                trail.close(Watch()())
            finally:
                os._exit(0)
        children.append(child)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: trail.record(an_event()), range(80)))
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    trail.close(Watch()())
    chains = {writer: [link.number for link in storage.trail.links(writer)] for writer in storage.trail.writers()}
    assert chains[trail.writer] == list(range(1, 83))
    assert sorted(map(len, chains.values())) == [EVENTS] * 3 + [11, 11, 82]
    lines = exported(storage.trail)
    storage.close()
    assert len(lines) == 3 * EVENTS + 11 + 11 + 82
    assert _verified(file, pristine[2] + timedelta(seconds=1), lines).findings == ()


def test_two_processes_of_a_service_write_at_the_same_time(
    pristine: tuple[Path, list[str], datetime, list[str]], file: Path
) -> None:
    with ThreadPoolExecutor(4) as pool:
        writers = list(pool.map(partial(_write, file), [20] * 4))
    assert len(set(writers)) == 4
    assert _verified(file, pristine[2]).findings == ()
