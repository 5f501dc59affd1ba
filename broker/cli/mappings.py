"""`broker mappings` and `broker explain`: is the document right; why does somebody get a role, or not."""

import json
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import click

from broker.authenticate.identity import Group, Identity, PersonId
from broker.challenge.proof import Method, Proof, Shown
from broker.cli.opened import opened
from broker.clock import utc_now
from broker.duration import parse_duration
from broker.entitle.pin import Unpinned, pin, unpinned
from broker.entitle.schema import mapping_schema
from broker.entitle.snapshot import Snapshot
from broker.evaluate import CONDITIONS
from broker.evaluate.condition import Circumstances
from broker.evaluate.verdict import StepUp
from broker.flow.explain import Explanation
from broker.flow.explain import explain as explain_role
from broker.flow.mapping import read_mapping
from broker.settings import find_file, load, read_mapping_files, replace_mapping_file

DENIED = 5
STEP_UP = 6
SHOWN_NOW = "totp:0s"


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
        settings = load(context.obj or find_file()).settings
        files, providers = settings.mappings.files, dict.fromkeys(settings.providers, True)
    snapshot = read_mapping(read_mapping_files(files), providers=providers, now=utc_now())
    for warning in snapshot.warnings:
        click.echo(f"warning: {warning}", err=True)
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
    loaded = load(context.obj or find_file())
    missing = 0
    with opened(context) as broker:
        providers = broker.parts.providers

        def id_of(group: Unpinned) -> str:
            found = providers[group.provider].group(group.dn) if group.provider in providers else None
            return found.id if found else ""

        for name, text in read_mapping_files(loaded.settings.mappings.files).items():
            pinned, written = pin(text, name, id_of)
            for group, group_id in written:
                click.echo(f"{name}: {group}: id: {group_id}")
            for left in unpinned(pinned, name):
                missing += 1
                click.echo(f"{name}: {left.name}: the directory has no security group {left.dn}", err=True)
            if written and not dry_run:
                replace_mapping_file(Path(name), pinned)
    context.exit(1 if missing else 0)


@click.command()
@click.option("--user", required=True, help="Whose groups to read from the directory.")
@click.option("--role", required=True, help="account/role")
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="The moment; now by default.")
@click.option("--from", "address", default="", help="The client's address.")
@click.option(
    "--mfa", default=SHOWN_NOW, show_default=True, help="What was shown and how long ago; `none` for nothing."
)
@click.option("--tls", default="1.3", show_default=True, help="The TLS version of the client.")
@click.option("--groups", default="", help="Instead of the directory: DNs, names or SIDs, one a semicolon.")
@click.option("--provider", default="", help="The identity provider, where there are several.")
@click.pass_context
def explain(  # noqa: PLR0913, PLR0917 (the options)
    context: click.Context,
    user: str,
    role: str,
    at: datetime | None,
    address: str,
    mfa: str,
    tls: str,
    groups: str,
    provider: str,
) -> None:
    """Why USER gets ROLE, or does not: every rule's part in it. Exit code 5 when denied, 6 for a stronger factor."""
    now = at or utc_now()
    with opened(context) as broker:
        name = provider or next(iter(broker.parts.providers))
        snapshot = broker.parts.mapping()
        identity = _pasted(user, name, groups, snapshot, now) if groups else broker.parts.providers[name].lookup(user)
    moment = Circumstances(now=now, address=ip_address(address) if address else None, tls_version=tls)
    proof = Proof(person=PersonId("explain"), session_name="explain", identity=identity, shown=_shown(mfa, now))
    explanation = explain_role(snapshot, proof, role=role, circumstances=moment)
    _tell(user, explanation)
    if isinstance(explanation.objection, StepUp):
        context.exit(STEP_UP)
    if not explanation.allowed:
        context.exit(DENIED)


def _tell(user: str, explanation: Explanation) -> None:
    """Print the verdict, then every rule and every condition."""
    objection = explanation.objection
    click.echo(f"{user} -> {explanation.role}: {'ALLOWED' if explanation.allowed else 'REFUSED'}")
    if objection is not None:
        click.echo(f"  because: {objection.reason}" + (f" ({objection.rule})" if objection.rule else ""))
        opens = getattr(objection, "opens_at", None)
        click.echo(f"  opens:   {opens.isoformat()}" if opens else "  opens:   not by waiting")
    else:
        click.echo(f"  because: mapping {explanation.grant}")
    for line in explanation.trace.lines:
        by = ", ".join(sorted(group.name for group in line.by))
        needs = " or ".join(line.needs)
        told = f" by {by}" if by else f" (needs {needs})" if needs else ""
        click.echo(f"  {line.part}: {line.rule.name}{told}" + (f"  [{line.rule.where}]" if line.rule.where else ""))
    for answer in explanation.answers:
        click.echo(f"  {answer.rule}: {answer.condition}: {answer.objection.reason if answer.objection else 'holds'}")


def _shown(text: str, now: datetime) -> tuple[Shown, ...]:
    """`totp:5m` as a factor shown five minutes before."""
    if text == "none":
        return ()
    method, _, age = text.partition(":")
    try:
        return (Shown(method=Method(method), factor="explain", at=now - parse_duration(age or "0s")),)
    except ValueError as error:
        message = f"--mfa is METHOD:AGE, such as totp:5m; methods are {', '.join(Method)}"
        raise click.UsageError(message) from error


def _pasted(user: str, provider: str, groups: str, snapshot: Snapshot, now: datetime) -> Identity:
    """An identity in groups that were typed; a DN that the document knows gets the id that stands there."""
    known = {ref.dn.lower(): ref.id for ref in snapshot.groups if ref.provider == provider and ref.dn and ref.id}
    found = []
    for text in filter(None, (part.strip() for part in groups.split(";"))):
        is_dn = "=" in text
        name = text.split(",")[0].partition("=")[2] if is_dn else text
        found.append(Group(provider=provider, id=known.get(text.lower(), text), name=name, dn=text if is_dn else ""))
    return Identity(
        provider=provider,
        subject="",
        username=user,
        display_name=user,
        groups=frozenset(found),
        authenticated_at=now,
        read_at=now,
    )
