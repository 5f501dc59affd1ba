"""A `TrailStore` in memory whose rows a test may alter behind the trail's back, as somebody in the database would."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime

from broker.errors import Unavailable
from broker.record.event import Event, columns_of
from broker.record.trail import ANY_NAME, NAME, SHAPE, Head, Link, Query


@dataclass(slots=True, kw_only=True)
class MemoryTrail:
    rows: list[Link] = field(default_factory=list)
    head_rows: list[Head] = field(default_factory=list)

    def copy(self) -> "MemoryTrail":
        return deepcopy(self)

    def append(self, link: Link, event: Event) -> None:
        if any((row.writer, row.number) == (link.writer, link.number) for row in self.rows):
            raise Unavailable(NAME)
        self.rows.append(replace(link, columns=columns_of(event)))

    def last(self, writer: str) -> Link | None:
        return max(self.links(writer), key=lambda link: link.number, default=None)

    def add_head(self, head: Head) -> None:
        self.head_rows = [row for row in self.head_rows if (row.writer, row.number) != (head.writer, head.number)]
        self.head_rows.append(head)

    def writers(self) -> Mapping[str, int]:
        return Counter(sorted([*(row.writer for row in self.rows), *(head.writer for head in self.head_rows)]))

    def newest(self, *, before: str = ANY_NAME) -> Iterator[str]:
        shape = re.compile(SHAPE.replace("_", "."), re.DOTALL)
        names = {row.writer for row in self.rows if row.writer < before and shape.fullmatch(row.writer)}
        return iter(sorted(names, reverse=True))

    def links(self, writer: str, *, after: int | None = None) -> Iterator[Link]:
        own = (row for row in self.rows if row.writer == writer and (after is None or row.number > after))
        return iter(sorted(own, key=lambda link: link.number))

    def heads(self, writer: str) -> Iterator[Head]:
        return (row for row in self.head_rows if row.writer == writer)

    def search(self, query: Query, *, limit: int, before: str = "") -> Sequence[Link]:
        found = sorted(
            (row for row in self.rows if row.payload is not None and _matches(query, row)),
            key=lambda row: row.columns["id"],
            reverse=True,
        )
        return [row for row in found if not before or row.columns["id"] < before][:limit]

    def prune(self, before: datetime) -> int:
        pruned = 0
        for position, row in enumerate(self.rows):
            if row.payload is not None and row.at < before and not row.columns["tag"].startswith("audit:"):
                self.rows[position] = replace(row, payload=None, columns=dict.fromkeys(row.columns, ""))
                pruned += 1
        return pruned


def _matches(query: Query, row: Link) -> bool:
    if query.since and row.at < query.since:
        return False
    if query.until and row.at >= query.until:
        return False
    names = (name for name in Query.__dataclass_fields__ if name not in {"since", "until"})
    return all(row.columns[name] == value for name in names if (value := getattr(query, name)))
