"""How the program prints: aligned columns, and nothing that acts on the terminal, whoever wrote it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.authenticate.provider import Step
from broker.record.canonical import visible

GAP = "  "


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows in aligned columns on stdout, `-` for an empty cell; the headings go to stderr, so that a pipe gets data."""
    cells = [[visible(cell) or "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    if cells and any(headings):
        click.echo(_line(headings, widths), err=True)
    for row in cells:
        click.echo(_line(row, widths))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def moment(at: datetime | None) -> str:
    """An instant to the second, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""


def near(where: str) -> str:
    """`/srv/conf/mappings.yaml:47` as seen from here: `conf/mappings.yaml:47`."""
    return where.replace(f"{Path.cwd()}/", "")


def steps(name: str, found: Sequence[Step]) -> bool:
    """Print the steps of a check; whether all passed."""
    for step in found:
        click.echo(f"{'ok ' if step.passed else 'BAD'} {visible(f'{name}: {step.name}: {step.detail}')}")
    return all(step.passed for step in found)
