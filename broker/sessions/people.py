"""People: an id of our own behind every subject of every provider.

The session name is what AWS sees and CloudTrail keeps: readable, unique, fixed at first sight, never given to
somebody else, not even after the account is gone.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.authenticate.identity import Identity, PersonId

SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
"""What STS accepts as RoleSessionName and SourceIdentity (botocore's service model, with ASCII `\\w`)."""


LONGEST = 52
"""Of the readable part: a tail and a number fit behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody the broker has seen."""

    id: PersonId
    session_name: str
    display_name: str
    first_seen: datetime
    last_seen: datetime


class PeopleStore(Protocol):
    """Keeps people; raises `errors.Unavailable` when away."""

    def by_subject(self, provider: str, subject: str) -> Person | None:
        """The person behind a provider's subject."""

    def by_id(self, person: PersonId) -> Person | None:
        """The person with this id."""

    def by_session_name(self, session_name: str) -> Person | None:
        """The person who has (or once had) this session name, compared without case."""

    def add_person(self, person: Person, *, provider: str, subject: str) -> bool:
        """Keep a new person and their first subject; False when the subject or the session name is taken already."""

    def subjects(self, person: PersonId) -> list[tuple[str, str]]:
        """The (provider, subject) pairs that point to this person."""

    def seen(self, person: PersonId, display_name: str, now: datetime) -> None:
        """Note that they signed in, and what they are called now."""

    def people(self, *, limit: int, after: str = "") -> list[Person]:
        """By session name, those behind `after`."""


def readable(username: str) -> str:
    """`username` in the characters that STS accepts: accents dropped, the rest replaced by `-`, 2 to `LONGEST` long."""
    plain = unicodedata.normalize("NFKD", username).encode("ascii", "ignore").decode()
    cleaned = re.sub(r"[^\w+=,.@-]+", "-", plain, flags=re.ASCII).strip("-")[:LONGEST]
    if cleaned.lower().startswith("aws"):
        cleaned = "u-" + cleaned
    return cleaned if len(cleaned) >= 2 else f"user-{cleaned}"  # noqa: PLR2004 (the shortest that STS takes)


def recognise(store: PeopleStore, identity: Identity, *, new_id: Callable[[], str]) -> tuple[Person, bool]:
    """The person behind `identity`, made at first sight (then True comes with it).

    A name that STS does not take as it is gets a tail made of the account, so that `adä` is never `ada`; of two people
    whose names are the same, the second gets a number.
    """
    known = store.by_subject(identity.provider, identity.subject)
    if known is not None:
        store.seen(known.id, identity.display_name, identity.authenticated_at)
        return known, False
    base = readable(identity.username)
    if base != identity.username:  # check: session-name-squatting
        base += "-" + hashlib.sha256(f"{identity.provider}/{identity.subject}".encode()).hexdigest()[:6]
    for number in range(1, 10_000):
        name = base if number == 1 else f"{base}-{number}"
        if store.by_session_name(name) is not None:
            continue
        person = Person(
            id=PersonId(new_id()),
            session_name=name,
            display_name=identity.display_name,
            first_seen=identity.authenticated_at,
            last_seen=identity.authenticated_at,
        )
        if store.add_person(person, provider=identity.provider, subject=identity.subject):
            return person, True
        known = store.by_subject(identity.provider, identity.subject)
        if known is not None:
            return known, False
    message = f"no session name left for {base!r}"
    raise RuntimeError(message)
