"""Where things are kept: SQLite by default, PostgreSQL; Redis for what is short-lived.

Owns: tables, migrations, statements, and the Redis keys. Implements the protocols that the stages define:
`FactorStore`, `EnrolmentStore` (challenge), `AttemptStore` (authenticate), `PeopleStore`, `SessionStore`, `OnceStore`,
`HabitStore` (sessions), `TrailStore` (record), `SnapshotStore` (entitle). Does not own: any rule. Only `app/` imports
it (and `settings/` its settings).

Every store is durable when it answers, atomic over all instances, may be shared by threads, and lets out nothing but
`errors.Unavailable`. `open_storage` below is the one way in, and the registration: which store is kept where.
To add a store: its protocol in its room, its table in `tables.py` with a migration, its adapter in a file of its own,
a line in `Storage`, its suite in `tests/contracts/store.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import inspect, select

from broker.authenticate.attempts import AttemptStore
from broker.challenge.factor import EnrolmentStore, FactorStore
from broker.clock import Clock, utc_now
from broker.entitle.snapshot_store import SnapshotStore
from broker.errors import Unavailable
from broker.keys import Keyring, Purpose
from broker.record.trail import TrailStore
from broker.sessions.habits import HabitStore
from broker.sessions.once import OnceStore
from broker.sessions.session import SessionStore
from broker.storage import migrate
from broker.storage.attempts import RedisAttempts, SqlAttempts
from broker.storage.authentic import Authentic
from broker.storage.database import Database
from broker.storage.factors import SqlEnrolment, SqlFactors
from broker.storage.habits import SqlHabits
from broker.storage.once import RedisOnce, SqlOnce
from broker.storage.people import SqlPeople
from broker.storage.sessions import RedisSessions, SqlSessions
from broker.storage.settings import StorageSettings
from broker.storage.short_lived import ShortLived
from broker.storage.snapshots import SqlSnapshots
from broker.storage.tables import marks
from broker.storage.trail import SqlTrail

__all__ = ["Storage", "StorageSettings", "open_storage"]

DATABASE = "database"
STAMP = "stamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """All the stores, and what an operator does with them as a whole."""

    attempts: AttemptStore
    sessions: SessionStore
    people: SqlPeople
    factors: FactorStore
    enrolment: EnrolmentStore
    trail: TrailStore
    once: OnceStore
    habits: HabitStore
    snapshots: SnapshotStore
    database: Database = field(repr=False)
    """For `storage/` and its tests."""
    short_lived: ShortLived | None = field(repr=False)
    """The same."""

    def upgrade(self) -> None:
        """Bring the database's schema to this broker's version, from empty too; safe when several start at once."""
        migrate.upgrade(self.database)

    def current_revision(self) -> str:
        """The schema's version; empty when there is none yet."""
        return migrate.current_revision(self.database)

    def check(self) -> None:
        """Raise `errors.Unavailable` unless everything can be used: the schema is ours, Redis a master.

        `errors.ConfigurationError` when Redis has been told to evict since the start.
        """
        if self.current_revision() != migrate.newest_revision():  # check: schema-is-ours
            raise Unavailable(DATABASE, "the database has another version than this broker", remedy="Run the upgrade.")
        if self.short_lived is not None:
            self.short_lived.check()

    def renew(self) -> None:
        """Put what is kept for good under the current keys, so that older ones can be retired (`Purpose.PERSON`).

        Raises `errors.Unavailable`, and `KeyringError` when something was altered: then nothing is changed.
        """
        self.people.renew()

    def on_reset(self, told: Callable[[], None]) -> None:
        """Call `told` when this process notices that Redis lost its history (emptied, restored, failed over).

        What raises there fails the request that noticed it; the next one notices it again.
        """
        if self.short_lived is not None:
            self.short_lived.told_of_reset = told

    def tidy(self, now: datetime) -> int:
        """Delete what has run out (sessions, one-time things, year-old attempts); how much. Redis does it by itself."""
        tidied = 0
        for store in (self.sessions, self.once, self.attempts):
            if isinstance(store, SqlSessions | SqlOnce | SqlAttempts):
                tidied += store.tidy(now)
        return tidied

    def stamp(self, text: str) -> None:
        """Mark the database for good, so that others can refuse it (`demo`); the first stamp stays."""
        insert = self.database.insert(marks).on_conflict_do_nothing()
        with self.database.write(DATABASE) as connection:
            connection.execute(insert, {"name": STAMP, "value": text})

    def stamp_read(self) -> str:
        """The stamp; empty when there is none."""
        with self.database.read(DATABASE) as connection:
            if not inspect(connection).has_table(marks.name):
                return ""
            return connection.execute(select(marks.c.value).where(marks.c.name == STAMP)).scalar() or ""

    def close(self) -> None:
        """Close all connections."""
        self.database.close()
        if self.short_lived is not None:
            self.short_lived.close()


def open_storage(settings: StorageSettings, keyring: Keyring | None = None, *, clock: Clock = utc_now) -> Storage:
    """The stores that `settings` name. The schema is left as it is: see `Storage.upgrade` and `check`.

    Sessions and people count only under a MAC of `keyring`; without one (an auditor's look) none that is kept counts.

    Raises `errors.ConfigurationError` for an SQLite file that cannot be made and for a Redis that evicts keys, and
    `errors.Unavailable` when Redis is away. The SQL database is first asked when a store is used.
    """
    database = Database(settings)
    short_lived = ShortLived(settings, clock=clock) if settings.short_lived else None
    keyring = keyring or Keyring.generate(now=clock())
    authentic = Authentic(keyring, Purpose.SESSION, "session")
    return Storage(
        attempts=RedisAttempts(short_lived) if short_lived else SqlAttempts(database),
        sessions=RedisSessions(short_lived, authentic)
        if short_lived
        else SqlSessions(database, authentic, clock=clock),
        once=RedisOnce(short_lived) if short_lived else SqlOnce(database, clock=clock),
        habits=SqlHabits(database),
        people=SqlPeople(database, keyring),
        factors=SqlFactors(database),
        enrolment=SqlEnrolment(database),
        trail=SqlTrail(database),
        snapshots=SqlSnapshots(database),
        database=database,
        short_lived=short_lived,
    )
