"""Every store on a real PostgreSQL, and what can go wrong with a server."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial

import psycopg
import pytest
from contracts.store import ALICE, HOUR, NOON, Place, StorageContract, a_session, at_once, fill, overwrite, storage
from neighbours._waiting import wait_until
from neighbours.postgres import PASSWORD, PostgresServer
from pydantic import SecretStr
from sqlalchemy import event

from broker.errors import Unavailable
from broker.storage import Storage, StorageSettings

__all__ = ["storage"]


def settings_of(server: PostgresServer, database: str) -> StorageSettings:
    return StorageSettings(
        url=server.url(database), password=SecretStr(PASSWORD), pool_size=20, pool_timeout=30, lock_timeout=30
    )


@pytest.fixture
def place(shared_postgres: PostgresServer) -> Iterator[Place]:
    place = Place(settings=settings_of(shared_postgres, shared_postgres.new_database()))
    yield place
    place.close()


class TestPostgres(StorageContract):
    pass


Write = Callable[[Storage, datetime], object]
WRITES: dict[str, Write] = {
    "add": lambda storage, until: storage.sessions.add(a_session("c", NOON), until=until),
    "sign in": lambda storage, until: overwrite(storage, a_session("b", NOON), until),
    "move": lambda storage, until: storage.sessions.move("a", a_session("c", NOON), until=until),
}


@pytest.mark.parametrize("write", WRITES)
def test_log_out_everywhere_waits_for_a_session_that_is_just_being_written(
    storage: Storage, place: Place, shared_postgres: PostgresServer, write: str
) -> None:
    """Otherwise it would not see that session, and leave it alive."""
    until = place.clock() + HOUR
    storage.sessions.add(a_session("a", NOON), until=until)
    storage.sessions.add(a_session("b", NOON, person=None), until=until)
    written = threading.Event()
    log_out: list[Future[int]] = []

    def waits() -> bool:
        with shared_postgres.connect(str(storage.database.engine.url.database)) as connection:
            asked = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            return connection.execute(asked).rowcount == 1

    def pause(_: object) -> None:
        written.set()
        wait_until(lambda: bool(log_out) and (log_out[0].done() or waits()), "the log-out neither ends nor waits")

    with ThreadPoolExecutor(2) as threads:
        event.listen(storage.database.engine, "commit", pause, once=True)
        writer = threads.submit(WRITES[write], storage, until)
        assert written.wait(30)
        log_out.append(threads.submit(storage.sessions.drop_all, ALICE))
        writer.result(30)
        log_out[0].result(30)
    assert storage.sessions.of_person(ALICE) == []


def test_no_session_slips_through_a_log_out_everywhere(storage: Storage, place: Place) -> None:
    until = place.clock() + HOUR
    for number in range(200):
        old, new = a_session(f"a{number}", NOON), a_session(f"b{number}", NOON)
        storage.sessions.add(old, until=until)
        calls = (partial(storage.sessions.move, old.key, new, until=until), partial(storage.sessions.drop_all, ALICE))
        at_once(lambda n, calls=calls: calls[n](), callers=2)  # type: ignore[misc] # the default binds this round's
        assert storage.sessions.of_person(ALICE) == []


def _setting(storage: Storage, name: str) -> object:
    with storage.database.read("database") as connection:
        return connection.exec_driver_sql(f"SHOW {name}").scalar()


def test_a_write_is_durable_whatever_the_server_says(storage: Storage, place: Place) -> None:
    with storage.database.write("database") as connection:
        connection.exec_driver_sql("ALTER ROLE broker SET synchronous_commit = off")
    place.close()
    again = place.open()
    assert _setting(again, "synchronous_commit") == "on"
    with again.database.write("database") as connection:
        connection.exec_driver_sql("ALTER ROLE broker RESET synchronous_commit")


def test_no_statement_waits_for_ever(storage: Storage, place: Place) -> None:
    hasty = Place(settings=place.settings.model_copy(update={"lock_timeout": 0.1}), clock=place.clock)
    impatient = hasty.open()
    with storage.database.write("database") as connection:
        connection.exec_driver_sql("LOCK TABLE trail_links, sessions IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="audit trail"):
            fill(impatient, 1)
        with pytest.raises(Unavailable):
            impatient.sessions.get("a")
    assert len(fill(impatient, 1)) == 1
    hasty.close()


def test_a_dead_server_is_unavailable_and_a_restarted_one_is_used_again(own_postgres: PostgresServer) -> None:
    place = Place(settings=settings_of(own_postgres, own_postgres.new_database()))
    storage = place.open()
    storage.upgrade()
    session = a_session("a", place.clock())
    storage.sessions.add(session, until=place.clock() + HOUR)
    links = fill(storage, 2)
    own_postgres.stop()
    for _ in range(3):
        with pytest.raises(Unavailable):
            storage.sessions.get("a")
        with pytest.raises(Unavailable, match="audit trail"):
            fill(storage, 1)
        with pytest.raises(Unavailable):
            storage.check()
    own_postgres.start()
    assert storage.sessions.get("a") == session
    assert list(storage.trail.links("w1")) == links
    storage.check()
    place.close()


def test_a_connection_cut_while_idle_is_replaced_unseen(storage: Storage, shared_postgres: PostgresServer) -> None:
    storage.people.by_id(ALICE)
    name = storage.database.engine.url.database
    with shared_postgres.connect() as connection:
        cut = connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        assert cut.rowcount >= 1
    assert storage.people.by_id(ALICE) is None
    assert len(fill(storage, 1)) == 1


def test_a_server_that_only_reads_is_not_used(storage: Storage, place: Place) -> None:
    """A replica may still show a session that has ended."""
    name = storage.database.engine.url.database
    with storage.database.write("database") as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    place.close()
    again = place.open()
    with pytest.raises(Unavailable):
        again.sessions.get("a")


def test_a_wrong_password_is_unavailable_and_not_shown(place: Place) -> None:
    wrong = place.settings.model_copy(update={"password": SecretStr("sesame, open")})
    storage = Place(settings=wrong).open()
    with pytest.raises(Unavailable) as refused:
        storage.current_revision()
    told = [str(refused.value), repr(refused.value), str(refused.value.__cause__), repr(storage), repr(wrong)]
    assert not any("sesame" in text for text in told)


def test_a_socket_on_this_machine_works_too(shared_postgres: PostgresServer) -> None:
    name = shared_postgres.new_database()
    url = f"postgresql+psycopg://broker@/{name}?host={shared_postgres.directory}&port={shared_postgres.port}"
    place = Place(settings=StorageSettings(url=url, password=SecretStr(PASSWORD)))
    storage = place.open()
    storage.upgrade()
    storage.check()
    place.close()


def test_the_neighbours_words_stay_behind_the_translation(storage: Storage) -> None:
    with pytest.raises(Unavailable) as refused, storage.database.read("database") as connection:
        connection.exec_driver_sql("SELECT no_such_thing")
    assert "no_such_thing" not in str(refused.value)
    with pytest.raises(Unavailable), storage.database.read("database"):
        raise psycopg.OperationalError
