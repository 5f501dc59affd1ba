"""The audit trail's links and heads, in SQL (`record.trail.TrailStore`)."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, or_, select, tuple_, union, update

from broker.record.event import SEARCH_COLUMNS, Event, columns_of
from broker.record.trail import NAME, Head, Link, Query
from broker.storage.database import Database
from broker.storage.tables import heads, links

PAGE = 500
PRUNED_AT_ONCE = 2_000
"""Rows in one transaction, so that pruning years does not hold up who wants to append."""

CHAINED = tuple(column.name for column in links.c if column.name not in SEARCH_COLUMNS)
QUERIED = tuple(name for name in SEARCH_COLUMNS if name != "id")


class SqlTrail:
    """`TrailStore` in SQL. (writer, number) is the key: no two links claim one place in a chain."""

    def __init__(self, database: Database) -> None:
        """Builds its statements; asks nothing yet."""
        self._database = database
        self._append = insert(links)
        head = database.insert(heads)
        changed = {column.name: head.excluded[column.name] for column in heads.c if not column.primary_key}
        self._add_head = head.on_conflict_do_update(index_elements=list(heads.primary_key), set_=changed)

    def append(self, link: Link, event: Event) -> None:
        """See the protocol."""
        row = {name: getattr(link, name) for name in CHAINED}
        row |= {name: value or None for name, value in columns_of(event).items()}
        with self._database.write(NAME) as connection:
            connection.execute(self._append, row)

    def last(self, writer: str) -> Link | None:
        """See the protocol."""
        newest = select(links).where(links.c.writer == writer).order_by(links.c.number.desc()).limit(1)
        with self._database.read(NAME) as connection:
            row = connection.execute(newest).one_or_none()
        return None if row is None else _link(row)

    def add_head(self, head: Head) -> None:
        """See the protocol."""
        with self._database.write(NAME) as connection:
            connection.execute(self._add_head, {column.name: getattr(head, column.name) for column in heads.c})

    def writers(self) -> Sequence[str]:
        """See the protocol."""
        both = union(select(links.c.writer).distinct(), select(heads.c.writer).distinct())
        with self._database.read(NAME) as connection:
            return sorted(connection.execute(both).scalars())

    def links(self, writer: str) -> Iterator[Link]:
        """See the protocol."""
        page = select(links).where(links.c.writer == writer).order_by(links.c.number).limit(PAGE)
        with self._database.read(NAME) as connection:
            rows = connection.execute(page).all()
        while rows:
            yield from map(_link, rows)
            with self._database.read(NAME) as connection:
                rows = connection.execute(page.where(links.c.number > rows[-1].number)).all()

    def heads(self, writer: str) -> Iterator[Head]:
        """See the protocol."""
        page = select(heads).where(heads.c.writer == writer).order_by(heads.c.number).limit(PAGE)
        with self._database.read(NAME) as connection:
            rows = connection.execute(page).all()
        while rows:
            yield from map(_head, rows)
            with self._database.read(NAME) as connection:
                rows = connection.execute(page.where(heads.c.number > rows[-1].number)).all()

    def search(self, query: Query, *, limit: int, before: str = "") -> Sequence[Link]:
        """See the protocol."""
        page = select(links).where(*_narrowed(query)).order_by(links.c.id.desc()).limit(limit)
        if before:
            page = page.where(links.c.id < before)
        with self._database.read(NAME) as connection:
            return [_link(row) for row in connection.execute(page)]

    def prune(self, before: datetime) -> int:
        """See the protocol."""
        personal = or_(links.c.tag.is_(None), links.c.tag.not_like("audit:%"))
        old = select(links.c.writer, links.c.number).where(links.c.at < before, links.c.payload.is_not(None), personal)
        place = tuple_(links.c.writer, links.c.number)
        forget = update(links).where(place.in_(old.limit(PRUNED_AT_ONCE)))
        empty = dict.fromkeys(("payload", *SEARCH_COLUMNS))
        pruned = 0
        while True:
            with self._database.write(NAME) as connection:
                count = connection.execute(forget.values(empty)).rowcount
            pruned += count
            if count < PRUNED_AT_ONCE:
                return pruned


def _narrowed(query: Query) -> Iterator[ColumnElement[bool]]:
    yield links.c.payload.is_not(None)
    if query.since is not None:
        yield links.c.at >= query.since
    if query.until is not None:
        yield links.c.at < query.until
    for name in QUERIED:
        value = getattr(query, name)
        if value:
            yield links.c[name] == str(value)


def _link(row: Row[*tuple[Any, ...]]) -> Link:
    held = row._mapping  # noqa: SLF001 (public, with an underscore so that no column's name hides it)
    columns = MappingProxyType({name: held[name] or "" for name in SEARCH_COLUMNS})
    return Link(**{name: held[name] for name in CHAINED}, columns=columns)


def _head(row: Row[*tuple[Any, ...]]) -> Head:
    return Head(**row._mapping)  # noqa: SLF001 (as above)
