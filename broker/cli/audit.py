"""`broker audit`: search the trail, export it, and find out whether anybody altered it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from broker.cli.opened import opened, operator
from broker.clock import utc_now
from broker.record.anchor import read_anchors
from broker.record.event import Outcome, Tag
from broker.record.export import export_csv, export_lines
from broker.record.trail import Query
from broker.record.verify import verify as verify_trail

ALTERED = 1

WHEN = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"])
TEXTS = (
    "actor", "subject", "account", "role-arn", "session-name", "address", "request-id", "lease-id", "access-key-id"
)  # fmt: skip


def narrowed(command: Callable[..., None]) -> Callable[..., None]:
    """The options that narrow a search."""
    for name in reversed(TEXTS):
        command = click.option(f"--{name}", default="", help=f"Only this {name.replace('-', ' ')}.")(command)
    command = click.option("--outcome", type=click.Choice([o.value for o in Outcome]), help="Only this.")(command)
    command = click.option("--tag", type=click.Choice([t.value for t in Tag]), help="Only this.")(command)
    command = click.option("--until", type=WHEN, help="Before this instant (UTC where no zone is given).")(command)
    return click.option("--since", type=WHEN, help="From this instant on.")(command)


def query(given: dict[str, Any]) -> Query:
    """The query of these options."""
    for end in ("since", "until"):
        if given[end] is not None and given[end].tzinfo is None:
            given[end] = given[end].replace(tzinfo=UTC)
    given["tag"] = Tag(given["tag"]) if given["tag"] else None
    given["outcome"] = Outcome(given["outcome"]) if given["outcome"] else None
    return Query(**given)


@click.group()
def audit() -> None:
    """The audit trail: search, export, verify, and forget what is too old to keep."""


@audit.command()
@narrowed
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="At most so many.")
@click.pass_context
def search(context: click.Context, /, limit: int, **given: Any) -> None:  # noqa: ANN401 (click hands them over)
    """The newest events first, a line each: when, what, outcome, who, what about, why."""
    with opened(context) as broker:
        for link in broker.storage.trail.search(query(given), limit=limit):
            event = json.loads(link.payload) if link.payload else {}
            told = ("tag", "outcome", "actor_name", "session_name", "role_arn", "address", "lease_id", "reason")
            click.echo("\t".join([link.at.isoformat(timespec="seconds"), *(str(event.get(key, "")) for key in told)]))


@audit.command()
@narrowed
@click.option("--format", "kind", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.pass_context
def export(context: click.Context, /, kind: str, **given: Any) -> None:  # noqa: ANN401 (click hands them over)
    """Every matching event, whole: JSON lines, or CSV for a spreadsheet."""
    with opened(context) as broker:
        lines = export_csv if kind == "csv" else export_lines
        for line in lines(broker.storage.trail, query(given)):
            click.echo(line.rstrip("\n"))


@audit.command()
@click.option(
    "--anchor", type=click.Path(exists=True, path_type=Path), help="The server's standard output, as collected."
)
@click.pass_context
def verify(context: click.Context, anchor: Path | None) -> None:
    """Find whatever was changed, removed, inserted, reordered, cut or rewritten. Exit code 1 when something was."""
    with opened(context) as broker:
        anchors = None
        if anchor is not None:
            with anchor.open(encoding="utf-8", errors="replace") as lines:
                anchors = read_anchors(lines, broker.keyring)
        report = verify_trail(broker.storage.trail, broker.keyring, now=utc_now(), anchors=anchors)
    for finding in report.findings:
        click.echo(str(finding))
    counts = f"{report.links} events of {report.writers} writers, {report.pruned} pruned, {report.anchors} anchors"
    click.echo(f"{'intact' if report.intact else 'ALTERED'}: {counts}, {report.total} findings")
    if not report.intact:
        context.exit(ALTERED)


@audit.command()
@click.option("--before", type=WHEN, required=True, help="Forget what events before this instant said.")
@click.pass_context
def prune(context: click.Context, before: datetime) -> None:
    """Forget the personal data of old events; the chain still verifies, and the pruning is itself recorded."""
    with opened(context) as broker:
        instant = before if before.tzinfo else before.replace(tzinfo=UTC)
        forgotten = broker.trail.prune(instant, actor=f"operator:{operator()}")
        click.echo(f"{forgotten} events forgotten")
