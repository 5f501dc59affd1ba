"""People, in SQL (`sessions.people.PeopleStore`). Nobody is ever deleted, so no session name is given away twice."""

from datetime import datetime

from sqlalchemy import ColumnElement, Row, insert, select, update

from broker.authenticate.identity import PersonId
from broker.sessions.people import Person
from broker.storage.database import Conflict, Database
from broker.storage.tables import people, subjects

NEIGHBOUR = "the store of people"
COLUMNS = (people.c.id, people.c.session_name, people.c.display_name, people.c.first_seen, people.c.last_seen)

PersonRow = Row[str, str, str, datetime, datetime]


def _folded(session_name: str) -> str:
    """As session names are compared; they are ASCII."""
    return session_name.lower()


class SqlPeople:
    """`PeopleStore` in SQL."""

    def __init__(self, database: Database) -> None:
        """Asks nothing yet."""
        self._database = database

    def by_subject(self, provider: str, subject: str) -> Person | None:
        """See the protocol."""
        theirs = (subjects.c.provider == provider) & (subjects.c.subject == subject)
        return self._one(people.c.id == select(subjects.c.person).where(theirs).scalar_subquery())

    def subjects(self, person: PersonId) -> list[tuple[str, str]]:
        """See the protocol."""
        theirs = select(subjects.c.provider, subjects.c.subject).where(subjects.c.person == person)
        with self._database.read(NEIGHBOUR) as connection:
            return [(row.provider, row.subject) for row in connection.execute(theirs)]

    def by_id(self, person: PersonId) -> Person | None:
        """See the protocol."""
        return self._one(people.c.id == person)

    def by_session_name(self, session_name: str) -> Person | None:
        """See the protocol."""
        return self._one(people.c.folded_name == _folded(session_name))

    def add_person(self, person: Person, *, provider: str, subject: str) -> bool:
        """See the protocol."""
        row = {column.name: getattr(person, column.name) for column in COLUMNS}
        try:
            with self._database.write(NEIGHBOUR) as connection:
                connection.execute(insert(people), {**row, "folded_name": _folded(person.session_name)})
                connection.execute(insert(subjects), {"provider": provider, "subject": subject, "person": person.id})
        except Conflict:
            return False
        return True

    def seen(self, person: PersonId, display_name: str, now: datetime) -> None:
        """See the protocol."""
        change = update(people).where(people.c.id == person).values(display_name=display_name, last_seen=now)
        with self._database.write(NEIGHBOUR) as connection:
            connection.execute(change)

    def people(self, *, limit: int, after: str = "") -> list[Person]:
        """See the protocol."""
        behind = select(*COLUMNS).where(people.c.folded_name > _folded(after)).order_by(people.c.folded_name)
        with self._database.read(NEIGHBOUR) as connection:
            return [_person(row) for row in connection.execute(behind.limit(limit))]

    def _one(self, which: ColumnElement[bool]) -> Person | None:
        with self._database.read(NEIGHBOUR) as connection:
            row = connection.execute(select(*COLUMNS).where(which)).one_or_none()
        return None if row is None else _person(row)


def _person(row: PersonRow) -> Person:
    identifier, session_name, display_name, first_seen, last_seen = row
    return Person(
        id=PersonId(identifier),
        session_name=session_name,
        display_name=display_name,
        first_seen=first_seen,
        last_seen=last_seen,
    )
