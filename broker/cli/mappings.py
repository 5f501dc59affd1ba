"""`broker mappings`: the role-mapping document."""

import json
from pathlib import Path

import click

from broker.app import open_directories
from broker.cli.chosen import loaded
from broker.cli.opened import stand
from broker.cli.printed import near
from broker.clock import utc_now
from broker.entitle.pin import Unpinned, pin, unpinned
from broker.entitle.schema import mapping_schema
from broker.evaluate import CONDITIONS
from broker.flow.mapping import read_mapping
from broker.settings import read_mapping_files, replace_mapping_file


@click.group()
def mappings() -> None:
    """The role-mapping document."""


@mappings.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.pass_context
def validate(context: click.Context, files: tuple[Path, ...]) -> None:
    """Read FILES (or those of broker.yaml) as one document, every problem at once, and run its own tests."""
    providers = None
    if not files:
        settings = loaded(context).settings
        files, providers = settings.mappings.files, settings.group_forms
    snapshot = read_mapping(read_mapping_files(files), providers=providers, now=utc_now())
    for warning in snapshot.warnings:
        click.echo(f"warning: {near(str(warning))}", err=True)
    catalogue = snapshot.catalogue
    click.echo(
        f"ok: {len(snapshot.mappings)} mappings, {len(catalogue.accounts)} accounts, {len(catalogue.roles)} roles, "
        f"{len(snapshot.tests)} tests passed; revision {snapshot.revision[:12]}"
    )


@mappings.command()
def schema() -> None:
    """The JSON Schema of the document, for editors."""
    click.echo(json.dumps(mapping_schema(CONDITIONS), indent=2, ensure_ascii=False))


@mappings.command("pin")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.pass_context
def pin_groups(context: click.Context, *, dry_run: bool) -> None:
    """Write the immutable ids of groups that are named by DN alone into the document, and nothing else."""
    settings, missing = loaded(context).settings, 0
    with open_directories(settings, stand(context)) as providers:

        def id_of(group: Unpinned) -> str:
            known = providers[group.provider].group(group.dn) if group.provider in with_ids else None
            return known.id if known else ""

        with_ids = {name for name, form in settings.group_forms.items() if form.has_ids}
        for name, text in read_mapping_files(settings.mappings.files).items():
            pinned, written = pin(text, name, id_of)
            for group, group_id in written:
                click.echo(f"{name}: {group}: id: {group_id}")
            for left in unpinned(pinned, name):
                missing += 1
                why = f"the directory has no security group {left.dn}"
                if left.provider not in with_ids:
                    why = f"the groups of {left.provider} have no ids"
                click.echo(f"{name}: {left.name}: {why}", err=True)
            if written and not dry_run:
                replace_mapping_file(Path(name), pinned)
    context.exit(1 if missing else 0)
