"""`broker keys`: the broker's own keys. No command prints key material, but for the public halves of audit keys."""

import secrets
from pathlib import Path

import click

from broker.app import open_trail
from broker.cli.chosen import loaded
from broker.cli.opened import opened, operator, stand
from broker.cli.printed import moment, table
from broker.clock import utc_now
from broker.errors import ConfigurationError, Denied, Problem
from broker.keys import Keyring, KeyRow, Purpose, alone_with
from broker.record.event import Event, Outcome, Tag
from broker.record.ids import uuid7

RESTART = "It counts once the broker has been restarted."
LOST = (
    "What this key sealed cannot be opened without it: everybody who enrolled while it was in force loses their second "
    "factor, and their recovery codes, and needs a reset and an enrolment code."
)


def key_file(context: click.Context) -> Path:
    """Where the keys of the chosen configuration are."""
    return loaded(context).settings.keys.file


@click.group()
def keys() -> None:
    """The broker's own keys: one purpose each, rotated with overlap."""


@keys.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.pass_context
def generate(context: click.Context, file: Path | None) -> None:
    """Make a new key FILE, readable by its owner only. An existing one is never overwritten."""
    target = file or key_file(context)
    with alone_with(target):
        if target.is_symlink() or target.exists():
            remedy = "rotate its keys with: broker keys rotate"
            raise ConfigurationError([Problem(where=str(target), what="exists already", remedy=remedy)])
        Keyring.generate(now=utc_now()).save(target)
    click.echo(f"wrote {target}")
    click.echo("Keep a copy apart from the database's backups.", err=True)


@keys.command("list")
@click.pass_context
def list_keys(context: click.Context) -> None:
    """Purposes, ids and ages; no material."""
    keyring = Keyring.load(key_file(context))
    rows = [(row.purpose, row.id, _state(row), moment(row.created_at)) for row in keyring.listing()]
    table(("PURPOSE", "ID", "STATE", "SINCE"), rows)
    for purpose in keyring.missing:
        click.echo(f"There is no {purpose} key; add one with: broker keys rotate {purpose}", err=True)


@keys.command()
@click.argument("purpose", type=click.Choice([purpose.value for purpose in Purpose]))
@click.pass_context
def rotate(context: click.Context, purpose: str) -> None:
    """Put a new key in force for PURPOSE; the old ones still open and verify what they sealed and signed."""
    file = key_file(context)
    with alone_with(file):
        before = Keyring.load(file)
        after = before.rotate(Purpose(purpose), now=utc_now())
        made = next(row.id for row in reversed(after.listing()) if row.purpose == purpose)
        _change(context, file, before, after, {"purpose": purpose, "key_id": made})
    click.echo(f"{made} is current")
    click.echo(RESTART, err=True)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--force", is_flag=True, help="Retire a seed key too: who enrolled under it loses the second factor.")
@click.pass_context
def retire(context: click.Context, key_id: str, *, force: bool) -> None:
    """Forget the secret of an older key, for good. The public half of an audit key stays: old trails still verify."""
    file = key_file(context)
    with alone_with(file):
        before = Keyring.load(file)
        after = before.retire(key_id)
        purpose = next(row.purpose for row in before.listing() if row.id == key_id)
        if purpose is Purpose.SEED:
            if not force:  # check: seed-key-kept
                raise Denied(LOST, remedy="If that is what you want: --force. Else keep it; an older key does no harm.")
            click.echo(f"Warning: {LOST}", err=True)
        if purpose is Purpose.PERSON:  # check: person-key-renewed
            with opened(context) as broker:
                broker.storage.renew()
        _change(context, file, before, after, {"purpose": purpose, "key_id": key_id, "retired": "true"})
    click.echo(f"{key_id} is retired")
    click.echo(RESTART, err=True)


@keys.command()
@click.pass_context
def export(context: click.Context) -> None:
    """The public halves of all audit keys, retired ones too, for an auditor: `broker audit verify --keys FILE`."""
    click.echo(Keyring.load(key_file(context)).public_keys().to_text(), nl=False)


def _state(row: KeyRow) -> str:
    return "current" if row.current else "retired" if row.retired else "older"


def _change(context: click.Context, file: Path, before: Keyring, after: Keyring, details: dict[str, str]) -> None:
    """Save `after`, and write it down with its own audit key; what cannot be written down is taken back."""
    after.save(file)
    recorded = False
    try:
        with open_trail(loaded(context).settings, stand(context)) as trail:
            now = utc_now()
            trail.record(
                Event(
                    tag=Tag.KEYS_ROTATED,
                    outcome=Outcome.DONE,
                    at=now,
                    id=uuid7(now, secrets.token_bytes),
                    actor=f"operator:{operator()}",
                    details=details,
                )
            )
        recorded = True
    finally:
        if not recorded:
            before.save(file)
