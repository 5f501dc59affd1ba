"""The trail out of the house: JSON lines that are anchors in themselves, and CSV that a spreadsheet may open.

Whoever can write to the database can write events, too. So each row is held against its signature before it goes out,
and one that does not pass is marked. What is *not* there, only verification shows (`verify`).
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from broker.keys import Verifier
from broker.record.anchor import link_line
from broker.record.canonical import as_json, instant, parse, visible
from broker.record.chain import is_genuine
from broker.record.event import Event
from broker.record.trail import Link, Query, TrailStore

PAGE: Final = 500
CSV_COLUMNS: Final = ("proven", "writer", "number", *Event.__dataclass_fields__)

_FORMULA: Final = re.compile(
    r"(^|[;,|])"  # where a cell begins, whatever the spreadsheet takes for the separator (tabs, line ends: `visible`)
    r"([\s\"']*)"
    r"(?=[=+\-@|%\uff1d\uff0b\uff0d\uff20])"  # the last four are full-width, which it may take for the first four
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A link as it goes out."""

    link: Link
    proven: bool
    """Whether a known audit key signed it: this event, in this place of this chain."""
    event: Event | None
    """What the payload says; None where it is no event of ours."""

    @property
    def text(self) -> str:
        """What is to be shown of a payload that is no event: its beginning, with nothing that acts on a screen."""
        return visible(str(self.link.payload)[:1000])


def entry(link: Link, verifier: Verifier) -> Entry:
    """`link`, which has a payload, held against its signature."""
    try:
        event = parse(link.payload or "")
    except (ValueError, TypeError):  # TypeError: SQLite had no text there
        event = None
    return Entry(link=link, proven=is_genuine(link, verifier), event=event)


def matching(store: TrailStore, query: Query, verifier: Verifier) -> Iterator[Entry]:
    """All that match, the newest first, read in pages while they are consumed. Raises `errors.Unavailable`."""
    before = ""
    while page := store.search(query, limit=PAGE, before=before):
        yield from (entry(link, verifier) for link in page)
        before = page[-1].columns["id"]


def json_line(found: Entry) -> str:
    """A line that `verify --anchor` reads again (`anchor.link_line`), without its end.

    What is not proven is no anchor and does not look like one: it says `"proven":false` and has the payload as a text.
    """
    if found.proven:
        return link_line(found.link)
    place = {"writer": visible(str(found.link.writer)), "number": visible(str(found.link.number))}
    return as_json({"audit": {"proven": False, "link": place, "text": found.text}})


def csv_heading() -> str:
    """The first line of a CSV file, without its end."""
    return _row(CSV_COLUMNS)


def csv_line(found: Entry) -> str:
    """An RFC 4180 line, without its end; no cell is a formula to a spreadsheet.

    A payload that is no event stands in `details` as it is.
    """
    values = dict.fromkeys(CSV_COLUMNS, "")
    if found.event is None:
        values["details"] = found.text
    else:
        event = found.event
        values |= {name: str(getattr(event, name)) for name in Event.__dataclass_fields__}
        values |= {"at": instant(event.at), "details": as_json(dict(event.details)) if event.details else ""}
    values |= {"proven": str(found.proven).lower(), "writer": str(found.link.writer), "number": str(found.link.number)}
    return _row(tuple(values.values()))


def _row(cells: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="").writerow([_inert(cell) for cell in cells])
    return text.getvalue()


def _inert(cell: str) -> str:
    """`cell` so that a spreadsheet takes it for text, and what stands behind a separator in it, too (OWASP)."""
    return _FORMULA.sub(r"\1\2'", visible(cell))
