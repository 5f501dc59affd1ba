"""The SQL database: its connections, its transactions, and what its errors mean.

Promises: a write is durable when it returns (SQLite: WAL with synchronous=FULL; PostgreSQL: synchronous_commit=on);
writers on SQLite take the write lock at the start (BEGIN IMMEDIATE), so none fails half-way; nothing but
`errors.Unavailable` gets out. May be shared by threads. Idle connections are closed before a fork, because an SQLite
connection must not be carried over one; do not fork while a statement runs.
"""

import hashlib
import json
import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from sqlalchemy import BigInteger, Connection, Dialect, Engine, Table, create_engine, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.types import TypeDecorator

from broker.errors import ConfigurationError, Problem, Unavailable
from broker.storage.settings import SQLITE, StorageSettings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
TURNS = 20
TURN = 0.05
"""Seconds between two attempts to turn a new SQLite file to write-ahead logging."""
NO_INSTANT = datetime.min.replace(tzinfo=UTC)

DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error, psycopg.Error, UnicodeError, OverflowError)
"""What the drivers raise; the last two for text and numbers that a database cannot hold."""


class Conflict(Unavailable):
    """A row stood in the way of a new one. Where a store does not expect that, it reads as unavailable."""


@contextmanager
def translated(neighbour: str) -> Iterator[None]:
    """Turn everything that a driver raises into `errors.Unavailable(neighbour)`."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict(neighbour) from error
    except DATABASE_ERRORS as error:
        raise Unavailable(
            neighbour, remedy="Look at the database: is it up, writable, and is its disk full?"
        ) from error


def microseconds(at: datetime) -> int:
    """Since 1970, exactly; `at` must be timezone-aware."""
    return (at - EPOCH) // MICROSECOND


def instant(value: int) -> datetime:
    """The inverse of `microseconds`."""
    return EPOCH + timedelta(microseconds=value)


def hashed_key(*parts: str) -> str:
    """One fixed-length key for any texts, whatever is in them; different texts never share one."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Instant(TypeDecorator[datetime]):
    """An instant, kept as whole microseconds since 1970 in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 (the base's)
        """To the database."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (the base's)
        """From the database. What is no instant (SQLite keeps what it is given) reads as the year 1.

        Only a hand in the database can have written that; the audit's verification is to name the row, not to stop.
        """
        try:
            return None if value is None else instant(value)
        except (TypeError, OverflowError):
            return NO_INSTANT


class Database:
    """Connections for reading and for writing."""

    def __init__(self, settings: StorageSettings) -> None:
        """Open nothing yet; `ConfigurationError` where an SQLite file cannot be made."""
        self.is_sqlite = make_url(settings.url).drivername == SQLITE
        self.engine = _sqlite(settings) if self.is_sqlite else _postgresql(settings)
        self._reading = self.engine
        if not self.is_sqlite:
            self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        _close_idle_before_fork(self)

    @contextmanager
    def read(self, neighbour: str) -> Iterator[Connection]:
        """Read; each statement stands for itself."""
        with translated(neighbour), self._reading.connect() as connection:
            yield connection

    @contextmanager
    def write(self, neighbour: str) -> Iterator[Connection]:
        """Read and write in one transaction; committed durably when this block ends well."""
        with translated(neighbour), self.engine.begin() as connection:
            if self.is_sqlite:
                connection.connection.cursor().execute("BEGIN IMMEDIATE")
            yield connection

    def alone(self, connection: Connection, *name: str) -> None:
        """Wait until nobody else holds this name, and hold it until the transaction of this `write` ends.

        What the others wrote is seen by the statements that follow. Writers on SQLite are alone as it is.
        """
        if not self.is_sqlite:
            lock = int.from_bytes(bytes.fromhex(hashed_key(*name))[:8], signed=True)
            connection.execute(select(func.pg_advisory_xact_lock(lock)))

    def insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        """INSERT with ON CONFLICT, which both databases have; tells its rowcount."""
        statement = sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)
        return statement.execution_options(preserve_rowcount=True)

    def close(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()


def _close_idle_before_fork(database: Database) -> None:
    reference = weakref.ref(database)

    def close_idle() -> None:
        alive = reference()
        if alive is not None:
            alive.close()

    os.register_at_fork(before=close_idle)


def _sqlite(settings: StorageSettings) -> Engine:
    url = make_url(settings.url)
    _owner_only(Path(url.database or ""))
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_timeout,
        hide_parameters=True,
        connect_args={"timeout": settings.lock_timeout, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    """Hand transactions over to us (the driver would begin them late), and set what SQLite forgets at each connect."""
    connection.isolation_level = None
    if _write_ahead(connection) != ("wal",):
        message = "this file system cannot carry SQLite's write-ahead log"
        raise sqlite3.OperationalError(message)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _write_ahead(connection: sqlite3.Connection) -> object:
    """The mode after it. Of two that turn a new file's journal at once SQLite refuses one at once: ask again."""
    for _ in range(TURNS):
        try:
            return connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(TURN)
    return connection.execute("PRAGMA journal_mode=WAL").fetchone()


def _owner_only(path: Path) -> None:
    """Make the file with mode 0600, which SQLite gives to its -wal and -shm too; refuse one that others may use.

    A file that is there is not opened: closing it again would drop this process's locks on it. So it may be anything,
    and its mode is not ours to change.
    """
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        mode = path.stat().st_mode
    except FileExistsError:
        return  # another instance was faster
    except OSError as error:
        what = f"the database {path} cannot be made ({error.strerror})"
        raise _refused(what, "make its folder, owned by the user that runs the broker") from error
    if mode & 0o077:  # check: database-owner-only
        what = f"others than its owner can read or change the file {path}"
        raise _refused(what, f"if it is the broker's database, run `chmod 600 {path}`; if not, name another file")


def _refused(what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError([Problem(where="storage.url", what=what, remedy=remedy)])


def _postgresql(settings: StorageSettings) -> Engine:
    options = {
        "synchronous_commit": "on",
        "lock_timeout": f"{settings.lock_timeout * 1000:.0f}",
        "statement_timeout": f"{settings.statement_timeout * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{settings.statement_timeout * 1000:.0f}",
        "client_encoding": "UTF8",
    }
    connect_args: dict[str, str | int] = {
        "connect_timeout": settings.connect_timeout,
        "target_session_attrs": "read-write",  # a replica may still show a session that has ended
        "tcp_user_timeout": int(settings.statement_timeout * 1000),
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        "application_name": "broker",
    }
    if settings.password.get_secret_value():
        connect_args["password"] = settings.password.get_secret_value()
    return create_engine(
        settings.url,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_timeout,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=connect_args,
    )
