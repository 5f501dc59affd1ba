"""Whom an operator means by USER: one person, or nobody; never the wrong one.

An account's name can be given to somebody else, a session name cannot: so a name may mean two people by now. Then the
command refuses and says how to name each.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from broker.app import Broker
from broker.authenticate.identity import PersonId
from broker.authenticate.provider import SignInRefused
from broker.errors import InvalidRequest, NotFound, TooManyAttempts, Unavailable
from broker.sessions.people import Person

SEE = "See: broker users list, and broker users show USER."


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account that has the name now."""

    provider: str
    subject: str
    person: Person | None
    """Who signed in with it; None: nobody yet."""


def person_named(broker: Broker, name: str) -> Person:
    """The person whom `name` means: by our own id, by the account that has the name now, or by session name.

    Raises `NotFound` for nobody, `InvalidRequest` where it could be two people. A directory that is away is not asked:
    then the session name alone decides.
    """
    by_id = broker.parts.people.by_id(PersonId(name))
    if by_id is not None:
        return by_id
    accounts = list(accounts_named(broker, name))
    named = broker.parts.people.by_session_name(name)
    seen = {account.person.id: account.person for account in accounts if account.person is not None}
    if named is not None:
        seen[named.id] = named
    somebody_else = bool(accounts) and named is not None and named.id not in _ids(accounts)
    if len(seen) > 1 or somebody_else:  # check: operator-means-one-person
        message = f"{name} is the session name of one person and the account name of another."
        told = ", ".join(f"{person.id} ({person.display_name})" for person in seen.values())
        raise InvalidRequest(message, remedy=f"Name the person by id: {told}. {SEE}")
    if not seen:
        message = "Nobody of that name has signed in here."
        raise NotFound(message, remedy=SEE)
    return next(iter(seen.values()))


def accounts_named(broker: Broker, name: str) -> Iterator[Account]:
    """The accounts, one a provider at most, that have this name now; also one that may not sign in."""
    for provider in broker.parts.providers.values():
        try:
            subject = provider.lookup(name).subject
        except SignInRefused as refused:
            subject = refused.subject
        except (TooManyAttempts, Unavailable):
            continue
        if subject:
            person = broker.parts.people.by_subject(provider.name, subject)
            yield Account(provider=provider.name, subject=subject, person=person)


def _ids(accounts: list[Account]) -> set[PersonId]:
    return {account.person.id for account in accounts if account.person is not None}
