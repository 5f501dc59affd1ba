"""The audit trail's links and heads, in SQL (`record.trail.TrailStore`).

What a hand in the database has put there is read all the same, so that the audit's verification can name it. SQLite
keeps what it is given: text that is no UTF-8 comes as lone surrogates here, a BLOB as bytes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Table,
    Text,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from broker.errors import Unavailable
from broker.record.event import SEARCH_COLUMNS, Event, columns_of
from broker.record.trail import ANY_NAME, NAME, SHAPE, Head, Link, Query
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
        self._append = insert(links).execution_options(preserve_rowcount=True)
        head = database.insert(heads)
        changed = {column.name: head.excluded[column.name] for column in heads.c if not column.primary_key}
        self._add_head = head.on_conflict_do_update(index_elements=list(heads.primary_key), set_=changed)

    def append(self, link: Link, event: Event) -> None:
        """See the protocol."""
        row = {name: getattr(link, name) for name in CHAINED}
        row |= {name: value or None for name, value in columns_of(event).items()}
        with self._database.write(NAME) as connection:
            if connection.execute(self._append, row).rowcount != 1:  # check: row-kept
                raise Unavailable(NAME, "The database keeps no row.", remedy="Look for a trigger on trail_links.")

    def last(self, writer: str) -> Link | None:
        """See the protocol."""
        here = links.c.writer == self._as_kept(writer)
        newest = select(links).where(here).order_by(links.c.number.desc()).limit(1)
        with self._reading() as connection:
            row = connection.execute(newest).one_or_none()
        return None if row is None else _link(row)

    def add_head(self, head: Head) -> None:
        """See the protocol."""
        with self._database.write(NAME) as connection:
            connection.execute(self._add_head, {column.name: getattr(head, column.name) for column in heads.c})

    def writers(self) -> Mapping[str, int]:
        """See the protocol."""
        found: Counter[str] = Counter()
        with self._reading() as connection:
            for table in (links, heads):
                for name, rows in connection.execute(select(table.c.writer, func.count()).group_by(table.c.writer)):
                    found[name if isinstance(name, str) else repr(name)] += rows
        return dict(sorted(found.items()))

    def newest(self, *, before: str = ANY_NAME) -> Iterator[str]:
        """See the protocol. A BLOB (SQLite) is above every text, and so behind where the search in the index begins."""
        shaped = links.c.writer.like(SHAPE)
        while True:
            below = links.c.writer < self._as_kept(before)
            with self._reading() as connection:
                name = connection.execute(select(func.max(links.c.writer)).where(below, shaped)).scalar()
            if name is None:
                return
            yield name
            before = name

    def links(self, writer: str, *, after: int | None = None) -> Iterator[Link]:
        """See the protocol."""
        return map(_link, self._rows(links, writer, after))

    def heads(self, writer: str) -> Iterator[Head]:
        """See the protocol."""
        return map(_head, self._rows(heads, writer, None))

    def _rows(self, table: Table, writer: str, after: int | None) -> Iterator[Row[*tuple[Any, ...]]]:
        """By number; where a page ends with a number that is none, the rest is left over (`writers` counts it)."""
        page = select(table).where(table.c.writer == self._as_kept(writer)).order_by(table.c.number).limit(PAGE)
        while True:
            with self._reading() as connection:
                rows = connection.execute(page if after is None else page.where(table.c.number > after)).all()
            yield from rows
            after = rows[-1].number if rows else None
            if len(rows) < PAGE or type(after) is not int:
                return

    def search(self, query: Query, *, limit: int, before: str = "") -> Sequence[Link]:
        """See the protocol."""
        page = select(links).where(*_narrowed(query)).order_by(links.c.id.desc()).limit(limit)
        if before != "":
            page = page.where(links.c.id < self._as_kept(before))
        with self._reading() as connection:
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

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._database.read(NAME) as connection:
            if not self._database.is_sqlite:
                yield connection
                return
            raw: Any = connection.connection.dbapi_connection
            raw.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
            try:
                yield connection
            finally:
                raw.text_factory = str

    def _as_kept(self, text: str | bytes) -> Any:  # noqa: ANN401 (what SQLAlchemy compares with)
        """`text`, as it was read, to compare with: SQLite's driver refuses lone surrogates."""
        if isinstance(text, bytes) or not self._database.is_sqlite:
            return text
        return cast(literal(text.encode("utf-8", "surrogateescape"), LargeBinary), Text)


def _narrowed(query: Query) -> Iterator[ColumnElement[bool]]:
    yield links.c.payload.is_not(None)
    yield links.c.id > ""
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
    columns = MappingProxyType({name: "" if held[name] is None else held[name] for name in SEARCH_COLUMNS})
    return Link(**{name: held[name] for name in CHAINED}, columns=columns)


def _head(row: Row[*tuple[Any, ...]]) -> Head:
    return Head(**row._mapping)  # noqa: SLF001 (as above)
