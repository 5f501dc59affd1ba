"""Favourites and use counts, in SQL (`sessions.habits.HabitStore`)."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, case, delete, select, update

from broker.authenticate.identity import PersonId
from broker.sessions.habits import APART, MOST, Habit
from broker.storage.database import Database
from broker.storage.tables import habits

NEIGHBOUR = "the store of favourites"


REMEMBERED = 10_000
"""Uses that a process remembers; then it begins anew, and asks the database."""


def _lately(before: datetime, now: datetime) -> bool:
    """Whether a use now is the one that was counted at `before`."""
    return before <= now < before + APART


class SqlHabits:
    """`HabitStore` in SQL."""

    def __init__(self, database: Database) -> None:
        """Asks nothing yet."""
        self._database = database
        self._lately: dict[tuple[PersonId, str], datetime] = {}
        """When this process last saw to it that a use was counted: a lease is not to wait for a question each time."""

    def star(self, person: PersonId, role: str) -> None:
        """See the protocol."""
        with self._database.write(NEIGHBOUR) as connection:
            self._put(connection, person, role, {"starred": True}, {"uses": 0})

    def unstar(self, person: PersonId, role: str) -> None:
        """See the protocol."""
        theirs = (habits.c.person == person) & (habits.c.role == role)
        with self._database.write(NEIGHBOUR) as connection:
            connection.execute(update(habits).where(theirs).values(starred=False))
            connection.execute(delete(habits).where(theirs & (habits.c.uses == 0)))

    def used(self, person: PersonId, role: str, now: datetime) -> None:
        """See the protocol."""
        known = self._lately.get((person, role))
        if known is not None and _lately(known, now):
            return
        last = select(habits.c.last_used).where((habits.c.person == person) & (habits.c.role == role))
        with self._database.read(NEIGHBOUR) as connection:
            before: datetime | None = connection.execute(last).scalar()
        if before is None or not _lately(before, now):
            before = now
            with self._database.write(NEIGHBOUR) as connection:
                change = {"uses": habits.c.uses + 1, "last_used": now}
                self._put(connection, person, role, change, {"starred": False, "uses": 1})
        if len(self._lately) >= REMEMBERED:
            self._lately.clear()
        self._lately[person, role] = before

    def of(self, person: PersonId) -> list[Habit]:
        """See the protocol."""
        columns = (habits.c.role, habits.c.starred, habits.c.uses, habits.c.last_used)
        theirs = select(*columns).where(habits.c.person == person).order_by(habits.c.role)
        with self._database.read(NEIGHBOUR) as connection:
            rows = connection.execute(theirs).all()
        return [Habit(role=role, starred=starred, uses=uses, last_used=last) for role, starred, uses, last in rows]

    def _put(
        self,
        connection: Connection,
        person: PersonId,
        role: str,
        change: Mapping[str, object],
        new: Mapping[str, object],
    ) -> None:
        """Change the row that is there, which is the usual case; else make it, and make room for it."""
        theirs = (habits.c.person == person) & (habits.c.role == role)
        changing = update(habits).where(theirs).values(change)
        if connection.execute(changing).rowcount:
            return
        self._database.alone(connection, "habits", person)
        row = {"person": person, "role": role, **change, **new}
        if not connection.execute(self._database.insert(habits).on_conflict_do_nothing(), row).rowcount:
            connection.execute(changing)  # another instance was faster
        kept = select(habits.c.role).where(habits.c.person == person)
        newest = case((habits.c.role == role, 0), else_=1)
        kept = kept.order_by(
            habits.c.starred.desc(), newest, habits.c.uses.desc(), habits.c.last_used.desc().nulls_last(), habits.c.role
        ).limit(MOST)
        connection.execute(delete(habits).where((habits.c.person == person) & habits.c.role.not_in(kept)))
