"""Every store on SQLite, and what can go wrong with a file."""

import multiprocessing
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.store import (
    ALICE,
    DAY,
    HOUR,
    NOON,
    Place,
    StorageContract,
    a_link,
    a_person,
    a_session,
    an_event,
    fill,
    storage,
)
from sqlalchemy import event

from broker.errors import ConfigurationError, Unavailable
from broker.keys import KeyringError
from broker.storage import Storage, StorageSettings, open_storage
from broker.storage.database import Database

__all__ = ["storage"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "broker.db"


@pytest.fixture
def place(file: Path) -> Iterator[Place]:
    place = Place(settings=StorageSettings(url=f"sqlite:///{file}", lock_timeout=30, pool_timeout=30))
    yield place
    place.close()


class TestSqlite(StorageContract):
    pass


def test_a_write_is_durable_and_relations_are_enforced(storage: Storage) -> None:
    with storage.database.read("database") as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "foreign_keys")
        }
        assert settings == {"synchronous": 2, "foreign_keys": 1}
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_all_files_are_the_owners_alone(storage: Storage, file: Path) -> None:
    fill(storage, 1)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.glob("broker.db*")}
    assert modes == dict.fromkeys(("broker.db", "broker.db-wal", "broker.db-shm"), 0o600)


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602])
def test_a_file_that_others_could_use_is_refused_and_left_alone(place: Place, file: Path, mode: int) -> None:
    """It may be anything: a mistyped setting must not change who can read, say, /etc/passwd."""
    file.write_text("root:x:0:0")
    file.chmod(mode)
    with pytest.raises(ConfigurationError) as refused:
        place.open()
    (problem,) = refused.value.problems
    assert problem.where == "storage.url"
    assert f"chmod 600 {file}" in problem.remedy
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert file.read_text() == "root:x:0:0"


def test_a_file_that_is_the_owners_alone_is_taken(place: Place, file: Path) -> None:
    file.touch(mode=0o600)
    place.open().upgrade()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_storage(StorageSettings(url=f"sqlite:///{tmp_path}/no-such-folder/broker.db"))
    assert refused.value.problems[0].where == "storage.url"
    assert refused.value.problems[0].remedy


def _append_many(storage: Storage) -> None:
    for number in range(2, 1_000):
        happened = an_event(number, reason="x" * 1_000)
        storage.trail.append(a_link(happened, number=number), happened)


def test_a_full_disk_is_the_audit_trail_unavailable(storage: Storage) -> None:
    links = fill(storage, 1)

    def full(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    storage.database.close()
    event.listen(storage.database.engine, "connect", full)
    with pytest.raises(Unavailable) as refused:
        _append_many(storage)
    assert refused.value.neighbour == "audit trail"
    event.remove(storage.database.engine, "connect", full)
    storage.database.close()
    kept = list(storage.trail.links("w1"))
    assert kept[:1] == links
    assert [link.number for link in kept] == list(range(1, len(kept) + 1))


def test_a_read_only_database_is_unavailable(storage: Storage) -> None:
    def read_only(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    storage.database.close()
    event.listen(storage.database.engine, "connect", read_only)
    with pytest.raises(Unavailable, match="audit trail"):
        fill(storage, 1)


def test_a_locked_database_is_unavailable_for_writers_only(file: Path, place: Place) -> None:
    place.open().upgrade()
    hasty = Place(settings=place.settings.model_copy(update={"lock_timeout": 0.05}), clock=place.clock)
    impatient = hasty.open()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="audit trail"):
        fill(impatient, 1)
    with pytest.raises(Unavailable):
        impatient.sessions.add(a_session("a", place.clock()), until=place.clock() + HOUR)
    assert impatient.sessions.get("a") is None
    other.execute("ROLLBACK")
    other.close()
    fill(impatient, 1)
    hasty.close()


class Busy(sqlite3.Connection):
    """A connection whose file somebody else is turning to write-ahead logging just now, for the first few attempts."""

    refusals = 3

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
        if "journal_mode" in sql and self.refusals:
            self.refusals -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return super().execute(sql, *parameters)


def test_a_file_that_another_instance_is_just_preparing_is_waited_for(file: Path) -> None:
    """Of two that turn a new file to write-ahead logging at once, SQLite refuses one without waiting."""
    settings = StorageSettings(url=f"sqlite:///{file}")
    database = Database(settings)
    event.listen(database.engine, "do_connect", lambda *_: sqlite3.connect(file, factory=Busy, check_same_thread=False))
    with database.read("database") as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    database.close()


def test_a_folder_that_has_gone_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    place = Place(settings=StorageSettings(url=f"sqlite:///{tmp_path}/data/broker.db"))
    storage = place.open()
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(Unavailable), storage.database.read("database"):
        pass
    place.close()


def test_a_file_that_is_no_database_is_unavailable(place: Place, file: Path) -> None:
    file.touch(mode=0o600)
    file.write_bytes(b"this is something else, and long enough to be looked at" * 100)
    with pytest.raises(Unavailable):
        place.open().upgrade()


def test_when_all_connections_are_taken_the_next_caller_hears_unavailable(place: Place) -> None:
    narrow = Place(settings=place.settings.model_copy(update={"pool_size": 1, "pool_timeout": 0.05}))
    storage = narrow.open()
    storage.upgrade()
    with storage.database.read("database"), pytest.raises(Unavailable):
        storage.people.by_id(ALICE)
    assert storage.people.by_id(ALICE) is None
    narrow.close()


def test_text_and_numbers_that_cannot_be_kept_are_unavailable(storage: Storage) -> None:
    with pytest.raises(Unavailable):
        storage.people.add_person(a_person("\ud800"), provider="corp-ad", subject="s-1")
    with pytest.raises(Unavailable):
        storage.factors.burn_step("factor-1", 2**63, an_event(1).at)


def test_a_row_that_a_hand_has_written_is_still_read(storage: Storage, file: Path) -> None:
    """The audit's verification is to name it, so reading must not fail."""
    links = fill(storage, 3)
    hand = sqlite3.connect(file)
    hand.execute("UPDATE trail_links SET at = 'yesterday', number = -7 WHERE number = 1")
    hand.execute("UPDATE trail_links SET at = 9000000000000000000 WHERE number = 2")
    hand.commit()
    hand.close()
    read = list(storage.trail.links("w1"))
    assert [link.number for link in read] == [-7, 2, 3]
    assert [link.at.year for link in read] == [1, 1, 2026]
    assert read[2] == links[2]


def _in_child(storage: Storage, answers: "multiprocessing.Queue[object]") -> None:
    fill(storage, 2)
    answers.put([link.number for link in storage.trail.links("w1")])


def test_a_forked_worker_opens_its_own_connections(storage: Storage) -> None:
    storage.people.by_id(ALICE)
    assert storage.database.engine.pool.checkedin() == 1  # type: ignore[attr-defined] # a QueuePool
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    child = fork.Process(target=_in_child, args=(storage, answers))
    child.start()
    assert storage.database.engine.pool.checkedin() == 0, "closed before the fork"  # type: ignore[attr-defined]
    assert answers.get(timeout=30) == [1, 2]
    child.join()
    assert child.exitcode == 0
    assert len(list(storage.trail.links("w1"))) == 2


def test_a_relative_path_is_taken_from_the_settings_folder() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = StorageSettings(url="sqlite:///broker.db").anchored(Path(folder))
        storage = open_storage(settings)
        storage.upgrade()
        storage.close()
        assert (Path(folder) / "broker.db").exists()


def test_what_sqlite_keeps_in_spite_of_its_type_stops_nobody(storage: Storage, file: Path) -> None:
    """It keeps text where bytes are declared, and bytes where text is: a hand in the file may have put them there."""
    storage.snapshots.put("digest", b"compiled", NOON)
    storage.sessions.add(a_session("a", NOON), until=NOON + 365 * DAY)
    storage.people.add_person(a_person(), provider="corp-ad", subject="s-1")
    with sqlite3.connect(file) as hand:
        hand.execute("UPDATE snapshots SET compiled = 'text'")
        hand.execute("UPDATE sessions SET body = x'00ff'")
    assert storage.snapshots.get("digest") is None
    assert storage.sessions.get("a") is None
    for change in ("mac = 'text'", "session_name = x'00ff', folded_name = 'x'"):
        with sqlite3.connect(file) as hand:
            hand.execute(f"UPDATE people SET {change}")  # noqa: S608 (ours)
        with pytest.raises(KeyringError):
            storage.people.by_subject("corp-ad", "s-1")
