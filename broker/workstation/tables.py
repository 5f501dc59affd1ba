"""Rows for people, for programs, for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .failure import one_line


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be; the last one as long as it is."""
    whole = [[one_line(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in whole) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in whole)
    return "".join(f"{line}\n" for line in lines)


def pairs(rows: Mapping[str, str]) -> str:
    """A name and a value on each line; what is empty is left out."""
    told = {name: one_line(value) for name, value in rows.items() if value}
    width = max((len(name) for name in told), default=0)
    return "".join(f"{name.ljust(width)}  {value}\n" for name, value in told.items())


def as_json(found: Any) -> str:  # noqa: ANN401 (JSON)
    """Indented, and ASCII: what would steer a terminal is escaped, and nothing is lost."""
    return json.dumps(found, indent=2) + "\n"


def as_csv(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """RFC 4180, with a line of names; a cell that a spreadsheet would calculate is text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(
        [("'" + cell if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell) for cell in row] for row in rows
    )
    return text.getvalue()
