"""People, in SQL (`sessions.people.PeopleStore`). Nobody is ever deleted, so no session name is given away twice."""

from datetime import datetime

from sqlalchemy import ColumnElement, Row, insert, select, update

from broker.authenticate.identity import PersonId
from broker.keys import Keyring, KeyringError, Purpose
from broker.sessions.people import Person
from broker.storage.authentic import Authentic
from broker.storage.database import Conflict, Database
from broker.storage.tables import people, subjects

NEIGHBOUR = "the store of people"
FIELDS = (people.c.id, people.c.session_name, people.c.display_name, people.c.first_seen, people.c.last_seen)
COLUMNS = (*FIELDS, people.c.folded_name, people.c.mac)

PersonRow = Row[str, str, str, datetime, datetime, str, bytes | None]


def _folded(session_name: str) -> str:
    """As session names are compared; they are ASCII."""
    return session_name.lower()


class SqlPeople:
    """`PeopleStore` in SQL."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        """Asks nothing yet."""
        self._database = database
        self._person = Authentic(keyring, Purpose.PERSON, "person")
        self._subject = Authentic(keyring, Purpose.PERSON, "subject")

    def by_subject(self, provider: str, subject: str) -> Person | None:
        """See the protocol."""
        theirs = select(subjects).where((subjects.c.provider == provider) & (subjects.c.subject == subject))
        with self._database.read(NEIGHBOUR) as connection:
            row = connection.execute(theirs).one_or_none()
        if row is None:
            return None
        self._subject.require(row.mac, row.provider, row.subject, row.person)
        return self.by_id(row.person)

    def subjects(self, person: PersonId) -> list[tuple[str, str]]:
        """See the protocol."""
        with self._database.read(NEIGHBOUR) as connection:
            rows = connection.execute(select(subjects).where(subjects.c.person == person)).all()
        for row in rows:
            self._subject.require(row.mac, row.provider, row.subject, row.person)
        return [(row.provider, row.subject) for row in rows]

    def by_id(self, person: PersonId) -> Person | None:
        """See the protocol."""
        return self._one(people.c.id == person)

    def by_session_name(self, session_name: str) -> Person | None:
        """See the protocol."""
        return self._one(people.c.folded_name == _folded(session_name))

    def add_person(self, person: Person, *, provider: str, subject: str) -> bool:
        """See the protocol."""
        row = {column.name: getattr(person, column.name) for column in FIELDS}
        row |= {"folded_name": _folded(person.session_name), "mac": self._person.mac(person.id, person.session_name)}
        mac = self._subject.mac(provider, subject, person.id)
        theirs = {"provider": provider, "subject": subject, "person": person.id, "mac": mac}
        try:
            with self._database.write(NEIGHBOUR) as connection:
                connection.execute(insert(people), row)
                connection.execute(insert(subjects), theirs)
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
            return [self._proven(row) for row in connection.execute(behind.limit(limit))]

    def renew(self) -> None:
        """Make every MAC anew under the current key, so that an older key can be retired. Raises `KeyringError`.

        All or none: one that does not hold is not made good, and stops it.
        """
        with self._database.write(NEIGHBOUR) as connection:
            for row in connection.execute(select(*COLUMNS)).all():
                self._proven(row)
                mac = self._person.mac(row.id, row.session_name)
                connection.execute(update(people).where(people.c.id == row.id).values(mac=mac))
            for row in connection.execute(select(subjects)).all():
                parts = (row.provider, row.subject, row.person)
                self._subject.require(row.mac, *parts)
                theirs = (subjects.c.provider == row.provider) & (subjects.c.subject == row.subject)
                connection.execute(update(subjects).where(theirs).values(mac=self._subject.mac(*parts)))

    def _one(self, which: ColumnElement[bool]) -> Person | None:
        with self._database.read(NEIGHBOUR) as connection:
            row = connection.execute(select(*COLUMNS).where(which)).one_or_none()
        return None if row is None else self._proven(row)

    def _proven(self, row: PersonRow) -> Person:
        identifier, session_name, display_name, first_seen, last_seen, folded_name, mac = row
        self._person.require(mac, identifier, session_name)
        if folded_name != _folded(session_name):  # check: person-found-by-its-name
            message = "A stored person was altered: it stands under another's name."
            raise KeyringError(message, remedy=f"See to the person {identifier} in the database.")
        return Person(
            id=PersonId(identifier),
            session_name=session_name,
            display_name=display_name,
            first_seen=first_seen,
            last_seen=last_seen,
        )
