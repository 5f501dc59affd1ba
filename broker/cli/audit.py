"""`broker audit`: search the trail, export it, and find out whether anybody altered it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from broker.app import open_trail, read_trail
from broker.cli.chosen import loaded, storage_settings
from broker.cli.opened import operator, stand
from broker.cli.printed import moment, table
from broker.clock import utc_now
from broker.keys import Keyring, PublicKeyring, Verifier
from broker.record.anchor import read_anchors
from broker.record.canonical import visible
from broker.record.chain import is_well_formed
from broker.record.event import Outcome, Tag
from broker.record.export import Entry, csv_heading, csv_line, entry, json_line, matching
from broker.record.trail import Link, Query
from broker.record.verify import LONG_AGO
from broker.record.verify import verify as verify_trail

ALTERED = 1

WHEN = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"])
TEXTS = (
    "actor", "subject", "account", "role-arn", "session-name", "address", "request-id", "lease-id", "access-key-id"
)  # fmt: skip
COLUMNS = ("PROVEN", "AT", "TAG", "OUTCOME", "WHO", "ADDRESS", "ABOUT", "REASON", "LEASE")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

with_keys = click.option(
    "--keys", type=FILE, help="What `broker keys export` gave: then `storage:` is all that is read of broker.yaml."
)


def narrowed(command: Callable[..., None]) -> Callable[..., None]:
    """The options that narrow a search."""
    for name in reversed(TEXTS):
        command = click.option(f"--{name}", default="", help=f"Only this {name.replace('-', ' ')}.")(command)
    command = click.option("--outcome", type=click.Choice([o.value for o in Outcome]), help="Only this.")(command)
    command = click.option("--tag", type=click.Choice([t.value for t in Tag]), help="Only this.")(command)
    command = click.option("--until", type=WHEN, help="Before this instant (a day: its first moment in UTC).")(command)
    return click.option("--since", type=WHEN, help="From this instant on (a day: its first moment in UTC).")(command)


def query(given: dict[str, Any]) -> Query:
    """The query of these options."""
    for end in ("since", "until"):
        given[end] = _aware(given[end]) if given[end] else None
    given["tag"] = Tag(given["tag"]) if given["tag"] else None
    given["outcome"] = Outcome(given["outcome"]) if given["outcome"] else None
    return Query(**given)


@click.group()
def audit() -> None:
    """The audit trail: search, export, verify, and forget what is too old to keep."""


@audit.command()
@narrowed
@with_keys
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="At most so many.")
@click.pass_context
def search(context: click.Context, /, limit: int, keys: Path | None, **given: Any) -> None:  # noqa: ANN401 (click hands them over)
    """The newest events first, a line each: proven by its signature or not, when, what, outcome, who, from where, why.

    Exit code 1 when one is not proven.
    """
    verifier = _verifier(context, keys)
    with read_trail(storage_settings(context)) as store:
        found = store.search(query(given), limit=limit)
    entries = [entry(link, verifier) for link in sorted(found, key=_order, reverse=True)]
    table(COLUMNS, [_row(found) for found in entries])
    _tell(context, sum(not found.proven for found in entries))


@audit.command()
@narrowed
@with_keys
@click.option(
    "--format",
    "kind",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="Signed lines that `verify --anchor` reads again, or a spreadsheet.",
)
@click.pass_context
def export(context: click.Context, /, kind: str, keys: Path | None, **given: Any) -> None:  # noqa: ANN401 (click hands them over)
    """Every matching event, whole: JSON lines, or CSV for a spreadsheet. Exit code 1 when one is not proven."""
    verifier, unproven = _verifier(context, keys), 0
    if kind == "csv":
        click.echo(csv_heading())
    with read_trail(storage_settings(context)) as store:
        for found in matching(store, query(given), verifier):
            click.echo(csv_line(found) if kind == "csv" else json_line(found))
            unproven += not found.proven
    _tell(context, unproven)


@audit.command()
@click.option("--anchor", type=FILE, help="The server's standard output, as collected elsewhere.")
@with_keys
@click.pass_context
def verify(context: click.Context, anchor: Path | None, keys: Path | None) -> None:
    """Find whatever was changed, removed, inserted, reordered, cut or rewritten. Exit code 1 when something was."""
    verifier = _verifier(context, keys)
    anchors = None
    if anchor is not None:
        with anchor.open(encoding="utf-8", errors="replace") as lines:
            anchors = read_anchors(lines, verifier)
    with read_trail(storage_settings(context)) as store:
        report = verify_trail(store, verifier, now=utc_now(), anchors=anchors)
    for finding in report.findings:
        click.echo(visible(str(finding)))
    counts = f"{report.links} events of {report.writers} writers, {report.pruned} pruned, {report.anchors} anchors"
    click.echo(f"{'intact' if report.intact else 'ALTERED'}: {counts}, {report.total} findings")
    if not report.intact:
        context.exit(ALTERED)


@audit.command()
@click.option("--before", type=WHEN, required=True, help="Forget what events before this instant said.")
@click.pass_context
def prune(context: click.Context, before: datetime) -> None:
    """Forget the personal data of old events; the chain still verifies, and the pruning is itself recorded."""
    with open_trail(loaded(context).settings, stand(context)) as trail:
        forgotten = trail.prune(_aware(before), actor=f"operator:{operator()}")
    click.echo(f"{forgotten} events forgotten")


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _verifier(context: click.Context, keys: Path | None) -> Verifier:
    """The public audit keys: of that file, or of the broker itself; raises `ConfigurationError`."""
    return PublicKeyring.load(keys) if keys else Keyring.load(loaded(context).settings.keys.file).public_keys()


def _tell(context: click.Context, unproven: int) -> None:
    """Say what the reader must not believe, and end with another exit code."""
    if unproven:  # check: unproven-is-told
        what = f"{unproven} of these were not written by the broker, or were changed. Run: broker audit verify"
        click.echo(what, err=True)
        context.exit(ALTERED)


def _order(link: Link) -> tuple[datetime, str, int]:
    """By time; what happened in the same millisecond by chain, and there as it was written. What is odd goes last."""
    if not is_well_formed(link):
        return LONG_AGO, "", 0
    at = link.at.replace(microsecond=link.at.microsecond // 1000 * 1000)
    return at, link.writer, link.number


def _row(found: Entry) -> tuple[str, ...]:
    event = found.event

    def first(*names: str) -> str:
        return next((text for name in names if (text := str(getattr(event, name, "")))), "")

    return (
        "yes" if found.proven else "NO",
        moment(found.link.at),
        first("tag"),
        first("outcome"),
        first("session_name", "actor_name", "actor"),
        first("address"),
        first("role_arn", "account", "provider"),
        first("reason") if event else found.text,
        first("lease_id"),
    )
