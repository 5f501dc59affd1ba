"""`broker keys`: the broker's own keys. Key material is never printed."""

from pathlib import Path

import click

from broker.clock import utc_now
from broker.errors import ConfigurationError, Problem
from broker.keys import Keyring, Purpose
from broker.settings import find_file, load


def key_file(context: click.Context) -> Path:
    """Where the keys of the chosen configuration are."""
    return load(context.obj or find_file()).settings.keys.file


@click.group()
def keys() -> None:
    """The broker's own keys: one purpose each, rotated with overlap."""


@keys.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.pass_context
def generate(context: click.Context, file: Path | None) -> None:
    """Make a new key FILE, readable by its owner only. An existing one is never overwritten."""
    target = file or key_file(context)
    if target.exists():
        problem = Problem(where=str(target), what="exists already", remedy="rotate its keys with: broker keys rotate")
        raise ConfigurationError([problem])
    Keyring.generate(now=utc_now()).save(target)
    click.echo(f"{target}: one key for each purpose. Keep a copy apart from the database's backups.")


@keys.command("list")
@click.pass_context
def list_keys(context: click.Context) -> None:
    """Purposes, ids and ages; no material."""
    for row in Keyring.load(key_file(context)).listing():
        state = "current" if row.current else "retired" if row.retired else "older"
        click.echo(f"{row.purpose}\t{row.id}\t{state}\tsince {row.created_at:%Y-%m-%d %H:%M} UTC")


@keys.command()
@click.argument("purpose", type=click.Choice([purpose.value for purpose in Purpose]))
@click.pass_context
def rotate(context: click.Context, purpose: str) -> None:
    """Put a new key in force for PURPOSE; the old ones still open and verify what they sealed and signed."""
    file = key_file(context)
    Keyring.load(file).rotate(Purpose(purpose), now=utc_now()).save(file)
    click.echo(f"{purpose}: a new key is in force once the broker has been restarted.")
