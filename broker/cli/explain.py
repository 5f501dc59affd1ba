"""`broker explain`: why somebody gets a role, or does not, with every rule's part in it."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NoReturn

import click

from broker.authenticate.identity import Group, Identity, PersonId
from broker.authenticate.provider import Reason, SignInRefused
from broker.challenge.proof import Method, Proof, Shown
from broker.cli import EXIT_DENIED, EXIT_STEP_UP
from broker.cli.opened import opened, provider_of
from broker.cli.printed import moment, near, table
from broker.clock import utc_now
from broker.duration import parse_duration
from broker.entitle.dn import parse_dn
from broker.entitle.shape import FIRST, LAST, OLDEST
from broker.entitle.snapshot import Snapshot
from broker.entitle.trace import Line, Part
from broker.errors import NotFound
from broker.evaluate.condition import Circumstances
from broker.evaluate.verdict import StepUp
from broker.flow.explain import Explanation
from broker.flow.explain import explain as explain_role

SHOWN_NOW = "totp:0s"
TLS = click.Choice(["1.0", "1.1", "1.2", "1.3", "none"])
NOBODY = frozenset({Reason.UNKNOWN_USER, Reason.NAME_NOT_ALLOWED, Reason.AMBIGUOUS, Reason.EMPTY})
"""Not an account that may not sign in: no account at all."""


class Address(click.ParamType[IPv4Address | IPv6Address]):
    """An IP address."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 (click's signature)
        """Read it."""
        try:
            return ip_address(value)
        except ValueError:
            self.fail(f"{value!r} is not an IP address", param, ctx)


class Factor(click.ParamType[tuple[Method, timedelta] | None]):
    """What was shown, and how long ago."""

    name = "method:age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 (click's signature)
        """`totp:5m` -> (Method.TOTP, five minutes); `none` -> None."""
        if value == "none" or isinstance(value, tuple):
            return None if value == "none" else value
        method, _, text = str(value).partition(":")
        try:
            shown = Method(method), parse_duration(text or "0s")
        except ValueError:
            shown = None
        if shown is None or shown[1] > OLDEST:
            self.fail(f"{value!r} is not METHOD:AGE, such as totp:5m; methods are {', '.join(Method)}", param, ctx)
        return shown


@click.command()
@click.option("--user", required=True, help="Whose groups to read from the directory.")
@click.option("--role", required=True, help="account/role")
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="The moment; now by default.")
@click.option("--from", "address", type=Address(), help="The client's address; not known by default.")
@click.option(
    "--mfa",
    "factor",
    type=Factor(),
    default=SHOWN_NOW,
    show_default=True,
    help="What was shown and how long ago; `none` for nothing.",
)
@click.option("--tls", type=TLS, default="1.3", show_default=True, help="The TLS version of the client.")
@click.option("--groups", default="", help="Instead of the directory: DNs, ids or names, with `;` between them.")
@click.option("--provider", default="", help="The identity provider, where there are several.")
@click.pass_context
def explain(  # noqa: PLR0913, PLR0917 (the options)
    context: click.Context,
    user: str,
    role: str,
    at: datetime | None,
    address: IPv4Address | IPv6Address | None,
    factor: tuple[Method, timedelta] | None,
    tls: str,
    groups: str,
    provider: str,
) -> None:
    """Why USER gets ROLE, or does not: every rule's part in it. Exit code 5 when denied, 6 for a stronger factor."""
    now = at or utc_now()
    if not FIRST <= now <= LAST:
        message = f"between {FIRST:%Y} and {LAST:%Y}"
        raise click.BadParameter(message, param_hint="--at")
    with opened(context) as broker:
        asked = provider_of(broker, provider)
        snapshot = broker.parts.mapping()
        try:
            identity = _pasted(user, asked.name, groups, snapshot, now) if groups else asked.lookup(user)
        except SignInRefused as no:
            _refused(context, user, role, asked.name, no.reason)
    shown = (Shown(method=factor[0], factor="explain", at=now - factor[1]),) if factor else ()
    proof = Proof(person=PersonId("explain"), session_name="explain", identity=identity, shown=shown)
    circumstances = Circumstances(now=now, address=address, tls_version="" if tls == "none" else tls)
    explanation = explain_role(snapshot, proof, role=role, circumstances=circumstances)
    _tell(user, explanation)
    if isinstance(explanation.objection, StepUp):
        context.exit(EXIT_STEP_UP)
    if not explanation.allowed:
        context.exit(EXIT_DENIED)


def _refused(context: click.Context, user: str, role: str, provider: str, reason: Reason) -> NoReturn:
    """The directory itself says no: nothing needs to be decided."""
    if reason in NOBODY:
        message = f"{provider} has no such account: {reason.value}."
        raise NotFound(message, remedy=f"See: broker directory check {user}")
    click.echo(f"{user} -> {role}: REFUSED")
    click.echo(f"  because: {provider} does not let the account sign in: {reason.value}")
    context.exit(EXIT_DENIED)


def _tell(user: str, explanation: Explanation) -> None:
    """Print the verdict, then every rule and every condition."""
    objection = explanation.objection
    verdict = "ALLOWED" if objection is None else "STEP UP" if isinstance(objection, StepUp) else "REFUSED"
    click.echo(f"{user} -> {explanation.role}: {verdict}")
    if objection is None:
        click.echo(f"  because: mapping {explanation.grant}")
    else:
        click.echo(f"  because: {objection.reason}" + (f" ({objection.rule})" if objection.rule else ""))
        if not isinstance(objection, StepUp):
            click.echo(f"  opens:   {moment(objection.opens_at) or 'not by waiting'}")
    table(("", "", "", ""), _rows(explanation))


def _rows(explanation: Explanation) -> Iterator[tuple[str, str, str, str]]:
    for line in explanation.trace.lines:
        yield f"  {line.part.value}", line.rule.name, _why(line), near(line.rule.where)
    for answer in explanation.answers:
        said = answer.objection.reason if answer.objection else "holds"
        yield "  condition", f"{answer.rule}: {answer.condition}", said, near(answer.where)


def _why(line: Line) -> str:
    if line.by:
        return f"by {', '.join(sorted(group.name for group in line.by))}"
    if line.part is Part.GUARDS:
        return "always"
    return f"needs {' or '.join(line.needs)}" if line.needs else ""


def _pasted(user: str, provider: str, groups: str, snapshot: Snapshot, now: datetime) -> Identity:
    """An identity in groups that were typed. Nothing is asked: a group is what the document and the text say."""
    typed = filter(None, (part.strip() for part in groups.split(";")))
    return Identity(
        provider=provider,
        subject="",
        username=user,
        display_name=user,
        groups=frozenset(_group(text, provider, snapshot) for text in typed),
        authenticated_at=now,
        read_at=now,
    )


def _group(text: str, provider: str, snapshot: Snapshot) -> Group:
    """The group of a DN, of an id, or of the name that the document has for it; else one of that name."""
    if "=" not in text:
        for ref in snapshot.groups:
            if ref.provider == provider and text in {ref.name, ref.id}:
                return Group(provider=provider, id=ref.id or ref.dn, name=ref.plain or ref.name, dn=ref.dn)
        return Group(provider=provider, id=text, name=text)
    try:
        dn = parse_dn(text)
    except ValueError as error:
        message = f"--groups: {error}"
        raise click.UsageError(message) from error
    known = (ref.id for ref in snapshot.groups if ref.provider == provider and ref.dn == str(dn) and ref.id)
    name = re.split(r"(?<!\\),", text)[0].partition("=")[2].strip()
    return Group(provider=provider, id=next(known, text), name=name, dn=text)
