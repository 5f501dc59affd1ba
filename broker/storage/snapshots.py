"""Compiled mapping snapshots, in SQL (`entitle.snapshot_store.SnapshotStore`)."""

from datetime import datetime

from sqlalchemy import delete, select

from broker.storage.database import Database
from broker.storage.tables import snapshots

NEIGHBOUR = "the store of mapping snapshots"
KEPT = 20


class SqlSnapshots:
    """`SnapshotStore` in SQL."""

    def __init__(self, database: Database) -> None:
        """Asks nothing yet."""
        self._database = database
        insert = database.insert(snapshots)
        values = {"compiled": insert.excluded.compiled, "kept_at": insert.excluded.kept_at}
        self._put = insert.on_conflict_do_update(index_elements=[snapshots.c.digest], set_=values)

    def get(self, digest: str) -> bytes | None:
        """See the protocol."""
        with self._database.read(NEIGHBOUR) as connection:
            kept = connection.execute(select(snapshots.c.compiled).where(snapshots.c.digest == digest)).scalar()
        return kept if isinstance(kept, bytes) else None  # SQLite keeps text where bytes are declared

    def put(self, digest: str, compiled: bytes, now: datetime) -> None:
        """See the protocol."""
        newest = select(snapshots.c.digest).order_by(snapshots.c.kept_at.desc(), snapshots.c.digest).limit(KEPT)
        with self._database.write(NEIGHBOUR) as connection:
            connection.execute(self._put, {"digest": digest, "compiled": compiled, "kept_at": now})
            connection.execute(delete(snapshots).where(snapshots.c.digest.not_in(newest.scalar_subquery())))
