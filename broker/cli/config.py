"""`broker init`, `broker config`, `broker directory`: set up, and look whether it is right."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from broker.authenticate import PROVIDERS
from broker.cli.opened import opened, steps
from broker.clock import utc_now
from broker.errors import ConfigurationError, Problem
from broker.keys import Keyring
from broker.settings import Settings, examples, find_file, load

FAILED = 1


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("/etc/broker"))
def init(folder: Path) -> None:
    """Write an annotated broker.yaml and mappings.yaml, and new keys, into FOLDER. Overwrites nothing."""
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    taken = [folder / name for name in ("broker.yaml", "mappings.yaml", "keys.json") if (folder / name).exists()]
    if taken:
        raise ConfigurationError([Problem(where=str(path), what="exists already") for path in taken])
    for name in ("broker.yaml", "mappings.yaml"):
        (folder / name).write_text((examples() / name).read_text(encoding="utf-8"), encoding="utf-8")
        click.echo(f"wrote {folder / name}")
    Keyring.generate(now=utc_now()).save(folder / "keys.json")
    click.echo(f"wrote {folder / 'keys.json'} (keep a copy apart from the database's backups)")
    click.echo(f"Next: edit {folder / 'broker.yaml'}, then: broker --config {folder / 'broker.yaml'} config check")


@click.group()
def config() -> None:
    """broker.yaml: check it, show what is in force, print its schema."""


@config.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Read everything and ask every neighbour: exit code 0 when a server would start."""
    loaded = load(context.obj or find_file())
    click.echo(f"ok  {loaded.file}")
    with opened(context) as broker:
        snapshot = broker.parts.mapping()
        click.echo(f"ok  mapping {snapshot.revision[:12]}: {len(snapshot.mappings)} mappings")
        broker.storage.check()
        click.echo("ok  storage")
        passed = all(steps(provider.name, provider.check()) for provider in broker.parts.providers.values())
        click.echo(f"ok  AWS: {broker.parts.issuer.check()}")
    if not passed:
        context.exit(FAILED)


@config.command()
@click.pass_context
def show(context: click.Context) -> None:
    """Every setting in force and where it comes from; secrets masked."""
    loaded = load(context.obj or find_file())
    for path, value in _flat(loaded.settings.model_dump(mode="json"), ()):
        click.echo(f"{path} = {json.dumps(value)}  # {loaded.sources.get(path, 'default')}")


@config.command()
def schema() -> None:
    """The JSON Schema of broker.yaml, for editors."""
    whole = Settings.model_json_schema()
    kinds = {name: settings.model_json_schema() for name, (settings, _) in PROVIDERS.items()}
    whole["properties"]["providers"]["additionalProperties"] = {"oneOf": [_typed(*kind) for kind in kinds.items()]}
    click.echo(json.dumps(whole, indent=2))


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
        asked = [found for found in broker.parts.providers.values() if provider in {"", found.name}]
        passed = all(steps(found.name, found.check(user)) for found in asked)
    if not asked or not passed:
        context.exit(FAILED)


def _typed(kind: str, own: dict[str, Any]) -> dict[str, Any]:
    """A provider's schema with its `type`, and each secret also as a file."""
    own["properties"]["type"] = {"const": kind}
    for name in [name for name, shape in own["properties"].items() if shape.get("format") == "password"]:
        own["properties"][f"{name}_file"] = {"type": "string", "description": f"Path of a file that holds {name}."}
        own["required"] = [key for key in own.get("required", ()) if key != name]
    return own


def _flat(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    """Every leaf with its dotted path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, (*path, str(key)))
    else:
        yield ".".join(path), value
