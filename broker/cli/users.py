"""`broker users`: the people that the broker has seen, their factors and sessions. Every change is recorded."""

from collections.abc import Iterator

import click

from broker.app import Broker
from broker.cli.opened import here, looked_up, opened, operator, provider_of
from broker.cli.printed import moment, table
from broker.cli.whom import accounts_named, person_named
from broker.flow.operate import create_enrolment_code, end_sessions, forgive_account, forgive_attempts, reset_factors
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
        rows = [(one.session_name, one.display_name, moment(one.last_seen)) for one in _everybody(broker)]
    table(("SESSION NAME", "NAME", "LAST SEEN"), rows)


@users.command()
@click.argument("user")
@click.pass_context
def show(context: click.Context, user: str) -> None:
    """One person (by account or session name, or id): accounts, when seen, factors, sessions."""
    with opened(context) as broker:
        rows = list(_about(broker, person_named(broker, user)))
    table(("", ""), rows)


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
        found = provider_of(broker, provider)
        subject = looked_up(found, user).subject if user else ""
        made = create_enrolment_code(
            broker.parts, here(), operator=operator(), provider=found.name, subject=subject, group=group
        )
    click.echo(made.text)
    click.echo(f"Valid until {moment(made.code.expires_at)}. It is not shown again.", err=True)


@users.command("reset-mfa")
@click.argument("user")
@REASON
@click.pass_context
def reset_mfa(context: click.Context, user: str, reason: str) -> None:
    """Forget USER's factors and recovery codes and end their sessions; enrolling again needs a code."""
    with opened(context) as broker:
        removed = reset_factors(broker.parts, here(), person_named(broker, user), operator=operator(), reason=reason)
    click.echo(f"{removed} {'factor' if removed == 1 else 'factors'} removed")
    click.echo(f"Next: broker users enrol-code {user}", err=True)


@users.command()
@click.argument("user")
@REASON
@click.pass_context
def unlock(context: click.Context, user: str, reason: str) -> None:
    """Forget USER's wrong passwords and codes that the broker has counted. AD's own lockout is AD's."""
    with opened(context) as broker:
        unseen = [account for account in accounts_named(broker, user) if account.person is None]
        if unseen and broker.parts.people.by_session_name(user) is None:
            for account in unseen:
                forgive_account(
                    broker.parts, here(), account.provider, account.subject, operator=operator(), reason=reason
                )
        else:
            forgive_attempts(broker.parts, here(), person_named(broker, user), operator=operator(), reason=reason)
    click.echo("the next attempt counts from zero")


@users.command()
@click.argument("user")
@REASON
@click.pass_context
def revoke(context: click.Context, user: str, reason: str) -> None:
    """End all of USER's sessions. Credentials that AWS has issued live until they expire."""
    with opened(context) as broker:
        ended = end_sessions(broker.parts, here(), person_named(broker, user), operator=operator(), reason=reason)
    click.echo(f"{ended} {'session' if ended == 1 else 'sessions'} ended")


def _everybody(broker: Broker) -> Iterator[Person]:
    last = ""
    while page := broker.parts.people.people(limit=PAGE, after=last):
        yield from page
        last = page[-1].session_name


def _about(broker: Broker, person: Person) -> Iterator[tuple[str, str]]:
    yield "session name", person.session_name
    yield "name", person.display_name
    yield "id", person.id
    for provider, subject in broker.parts.people.subjects(person.id):
        yield "account", f"{provider} {subject}"
    yield "first seen", moment(person.first_seen)
    yield "last seen", moment(person.last_seen)
    factors = broker.storage.factors
    for factor in factors.factors(person.id):
        label = f" {factor.label!r}" if factor.label else ""
        used = f", used {moment(factor.last_used_at)}" if factor.last_used_at else ""
        yield "second factor", f"{factor.method.value}{label}, since {moment(factor.enrolled_at)}{used}"
    yield "recovery codes", f"{factors.recovery_codes_left(person.id)} left"
    for session in broker.parts.sessions.of_person(person.id):
        yield "session", f"{session.door.value}, from {session.address or 'nowhere'}, seen {moment(session.seen_at)}"
