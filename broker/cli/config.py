"""`broker init`, `broker config`, `broker directory`: set up, and look whether it is right."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click
from pydantic import BaseModel, SecretStr

from broker.app import Broker
from broker.authenticate import PROVIDERS
from broker.cli import EXIT_FAILED
from broker.cli.chosen import loaded
from broker.cli.opened import opened, provider_of
from broker.cli.printed import near, steps
from broker.clock import utc_now
from broker.duration import format_duration
from broker.errors import ConfigurationError, Problem
from broker.keys import Keyring
from broker.settings import examples, settings_schema

KEYS = "keys.json"
WRITTEN = ("broker.yaml", "mappings.yaml", "mappings.schema.json")
MASKED = "**********"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("/etc/broker"))
def init(folder: Path) -> None:
    """Write an annotated broker.yaml and mappings.yaml, and new keys, into FOLDER. Overwrites nothing."""
    taken = [folder / name for name in (*WRITTEN, KEYS) if os.path.lexists(folder / name)]
    if taken:
        remedy = "nothing was written; name another folder"
        raise ConfigurationError([Problem(where=str(path), what="exists already", remedy=remedy) for path in taken])
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for name in WRITTEN:
            _write(folder / name, (examples() / name).read_bytes())
            click.echo(f"wrote {folder / name}")
    except OSError as error:
        problem = Problem(where=str(error.filename or folder), what=f"cannot be written ({error.strerror})")
        raise ConfigurationError([problem]) from error
    Keyring.generate(now=utc_now()).save(folder / KEYS)
    click.echo(f"wrote {folder / KEYS}")
    click.echo(
        f"Keep a copy of {KEYS} apart from the database's backups.\n"
        f"Next: edit {folder / 'broker.yaml'}, then: broker --config {folder / 'broker.yaml'} config check",
        err=True,
    )


@click.group()
def config() -> None:
    """broker.yaml: check it, show what is in force, print its schema."""


@config.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Read everything and ask every neighbour: exit code 0 when a server would start."""
    found = loaded(context)
    click.echo(f"ok  {found.file}")
    with opened(context) as broker:
        snapshot = broker.parts.mapping()
        click.echo(f"ok  mapping {snapshot.revision[:12]}: {len(snapshot.mappings)} mappings")
        broker.storage.check()
        click.echo("ok  storage")
        passed = [steps(provider.name, provider.check()) for provider in broker.parts.providers.values()]
        flaws = list(_flaws(broker))
        for flaw in flaws:
            click.echo(f"BAD {flaw}")
        click.echo(f"ok  AWS: {broker.parts.issuer.check()}")
    if flaws or not all(passed):
        context.exit(EXIT_FAILED)


@config.command()
@click.pass_context
def show(context: click.Context) -> None:
    """Every setting in force and where it comes from; secrets masked."""
    found = loaded(context)
    for path, value in _settings(found.settings, ()):
        written = json.dumps(value, default=_text, ensure_ascii=False)
        click.echo(f"{path} = {written}  # {near(found.sources.get(path, 'default'))}")


@config.command()
def schema() -> None:
    """The JSON Schema of broker.yaml, for editors."""
    click.echo(json.dumps(settings_schema(), indent=2, ensure_ascii=False))


@click.group()
def directory() -> None:
    """The directory behind an identity provider."""


@directory.command("check")
@click.argument("user", required=False, default="")
@click.option("--provider", default="", help="Which one, where there are several.")
@click.pass_context
def check_user(context: click.Context, user: str, provider: str) -> None:
    """What a sign-in of USER would see, step by step, without the password; without USER: reachability."""
    with opened(context) as broker:
        found = provider_of(broker, provider)
        passed = steps(found.name, found.check(user))
    if not passed:
        context.exit(EXIT_FAILED)


def _write(file: Path, content: bytes) -> None:
    """A new file that its owner may change and its group may read."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    with os.fdopen(handle, "wb") as out:
        out.write(content)


def _flaws(broker: Broker) -> Iterator[str]:
    """What can be told only with everything at hand."""
    if broker.keyring.missing:
        missing = ", ".join(broker.keyring.missing)
        yield f"keys: none for {missing}; add each with: broker keys rotate PURPOSE"
    roles = broker.parts.mapping().catalogue.roles
    for role in broker.settings.directory.outage_grace_of_role:
        if role not in roles:
            yield f"directory.outage_grace_of_role: the mapping document has no role {role}"


def _settings(model: BaseModel, path: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    """Every leaf with its dotted path."""
    kind = next((name for name, (settings, _) in PROVIDERS.items() if settings is type(model)), "")
    if kind:
        yield ".".join((*path, "type")), kind
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _settings(value, (*path, name))
        elif isinstance(value, dict) and value:
            for key, inner in value.items():
                if isinstance(inner, BaseModel):
                    yield from _settings(inner, (*path, name, key))
                else:
                    yield ".".join((*path, name, key)), inner
        else:
            yield ".".join((*path, name)), value


def _text(value: object) -> object:
    """A value as one writes it in the file."""
    if isinstance(value, SecretStr):
        return MASKED if value.get_secret_value() else ""
    if isinstance(value, timedelta):
        return format_duration(value)
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
