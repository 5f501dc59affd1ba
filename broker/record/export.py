"""The trail out of the house: JSON lines that are anchors in themselves, and CSV that a spreadsheet may open."""

import csv
import io
from collections.abc import Iterator
from typing import Final

from broker.errors import Unavailable
from broker.record.anchor import link_line
from broker.record.canonical import as_json, instant, parse, visible
from broker.record.event import Event
from broker.record.trail import NAME, Link, Query, TrailStore

PAGE: Final = 500
CSV_COLUMNS: Final = ("writer", "number", *Event.__dataclass_fields__)

_STARTS_A_FORMULA: Final = frozenset("=+-@|%\uff1d\uff0b\uff0d\uff20")
"""The last four are full-width, which a spreadsheet may take for the first four."""


def export_lines(store: TrailStore, query: Query) -> Iterator[str]:
    """Matching events, the newest first, as lines of `anchor.link_line`: `verify --anchor` reads them again.

    Read in pages while it is consumed; without line ends. Raises `errors.Unavailable`.
    """
    for link in matching(store, query):
        yield link_line(link)


def export_csv(store: TrailStore, query: Query) -> Iterator[str]:
    """Matching events as RFC 4180 rows (a heading first), with line ends; no cell is a formula to a spreadsheet.

    A pruned event has only its chain, number and instant. Raises `errors.Unavailable`.
    """
    yield _row(CSV_COLUMNS)
    for link in matching(store, query):
        yield _row(_cells(link))


def matching(store: TrailStore, query: Query) -> Iterator[Link]:
    """All links that match, the newest first, read in pages. Raises `errors.Unavailable`."""
    before = ""
    while page := store.search(query, limit=PAGE, before=before):
        yield from page
        last = page[-1].columns.get("id", "")
        if not last or (before and last >= before):  # check: cursor-moves
            raise Unavailable(
                NAME, "The search does not move on.", remedy="An event's id was changed: verify the trail."
            )
        before = last


def _cells(link: Link) -> tuple[str, ...]:
    place = (link.writer, str(link.number))
    if link.payload is None:
        empty = dict.fromkeys(Event.__dataclass_fields__, "") | {"at": instant(link.at)}
        return (*place, *empty.values())
    event = parse(link.payload)
    values = {name: str(getattr(event, name)) for name in Event.__dataclass_fields__}
    values |= {"at": instant(event.at), "details": as_json(dict(event.details)) if event.details else ""}
    return (*place, *values.values())


def _row(cells: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow([_inert(cell) for cell in cells])
    return text.getvalue()


def _inert(cell: str) -> str:
    """`cell` so that a spreadsheet takes it for text (OWASP: CSV injection)."""
    cell = visible(cell)
    if cell.lstrip()[:1] in _STARTS_A_FORMULA:  # check: csv-formula
        return f"'{cell}"
    return cell
