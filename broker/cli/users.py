"""`broker users`: the people that the broker has seen, their factors and sessions. Every change is recorded."""

import click

from broker.app import Broker
from broker.authenticate.identity import PersonId
from broker.cli.opened import here, opened, operator
from broker.errors import NotFound
from broker.flow.operate import create_enrolment_code, end_sessions, forgive_attempts, reset_factors
from broker.sessions.people import Person

PAGE = 200
REASON = click.option("--reason", required=True, help="Why; it goes into the audit trail.")
PROVIDER = click.option("--provider", default="", help="The identity provider, where there are several.")


@click.group()
def users() -> None:
    """People: list, enrol, reset, unlock, sign out."""


@users.command("list")
@click.pass_context
def list_users(context: click.Context) -> None:
    """Everybody who has signed in, by session name."""
    with opened(context) as broker:
        last = ""
        while page := broker.parts.people.people(limit=PAGE, after=last):
            for person in page:
                click.echo(f"{person.session_name}\t{person.display_name}\t{person.last_seen.isoformat()}")
            last = page[-1].session_name


@users.command()
@click.argument("user")
@click.pass_context
def show(context: click.Context, user: str) -> None:
    """One person (by session name): when seen, factors, sessions."""
    with opened(context) as broker:
        person = _person(broker, user)
        click.echo(f"{person.session_name}\t{person.display_name}\tid {person.id}")
        click.echo(f"seen\tfirst {person.first_seen.isoformat()}\tlast {person.last_seen.isoformat()}")
        for factor in broker.storage.factors.factors(person.id):
            click.echo(f"factor\t{factor.method}\t{factor.label}\tsince {factor.enrolled_at.isoformat()}")
        click.echo(f"recovery codes left\t{broker.storage.factors.recovery_codes_left(person.id)}")
        for session in broker.parts.sessions.of_person(person.id):
            click.echo(f"session\t{session.door}\tfrom {session.address}\tlast {session.seen_at.isoformat()}")


@users.command("enrol-code")
@click.argument("user", required=False)
@click.option("--group", default="", help="Instead of USER: the immutable id of a group (AD: its SID).")
@PROVIDER
@click.pass_context
def enrol_code(context: click.Context, user: str | None, group: str, provider: str) -> None:
    """A one-time code with which USER (or each member of a group) enrols a first second factor."""
    if bool(user) == bool(group):
        message = "name a USER, or a --group, not both"
        raise click.UsageError(message)
    with opened(context) as broker:
        name = provider or _only_provider(broker)
        subject = broker.parts.providers[name].lookup(user).subject if user else ""
        made = create_enrolment_code(
            broker.parts, here(), operator=operator(), provider=name, subject=subject, group=group
        )
        click.echo(made.text)
        click.echo(f"valid until {made.code.expires_at.isoformat()}; it is not shown again", err=True)


@users.command("reset-mfa")
@click.argument("user")
@REASON
@click.pass_context
def reset_mfa(context: click.Context, user: str, reason: str) -> None:
    """Forget USER's factors and recovery codes and end their sessions; enrolling again needs a code."""
    with opened(context) as broker:
        removed = reset_factors(broker.parts, here(), _person(broker, user), operator=operator(), reason=reason)
        click.echo(f"{removed} factors removed; next: broker users enrol-code {user}")


@users.command()
@click.argument("user")
@REASON
@click.pass_context
def unlock(context: click.Context, user: str, reason: str) -> None:
    """Forget USER's wrong passwords and codes that the broker has counted. AD's own lockout is AD's."""
    with opened(context) as broker:
        forgive_attempts(broker.parts, here(), _person(broker, user), operator=operator(), reason=reason)
        click.echo("The next attempt counts from zero.")


@users.command()
@click.argument("user")
@REASON
@click.pass_context
def revoke(context: click.Context, user: str, reason: str) -> None:
    """End all of USER's sessions. Credentials that AWS has issued live until they expire."""
    with opened(context) as broker:
        ended = end_sessions(broker.parts, here(), _person(broker, user), operator=operator(), reason=reason)
        click.echo(f"{ended} sessions ended")


def _person(broker: Broker, name: str) -> Person:
    """By session name, else by our own id."""
    found = broker.parts.people.by_session_name(name) or broker.parts.people.by_id(PersonId(name))
    if found is None:
        message = "Nobody of that name has signed in here."
        raise NotFound(message, remedy="See: broker users list")
    return found


def _only_provider(broker: Broker) -> str:
    names = list(broker.parts.providers)
    if len(names) != 1:
        message = f"--provider is one of {', '.join(names)}"
        raise click.UsageError(message)
    return names[0]
