"""`HandOffs`: what the `aws-broker` program wants to open in the browser of the same person, on its way there. Once.

A hand-off is a `Session` of the door HANDOFF. It says who wants which role and which page of the console, and carries
nothing that is worth stealing: whoever opens it must be signed in as the same person in that browser, and everything
is decided there anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from broker.authenticate.identity import PersonId
from broker.sessions.session import Door, Limits, Session, SessionStore, keep_from, key_of

MOST = 5
"""For each person; the oldest goes."""
ROLE, SERVICE, REGION = "role", "service", "region"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be opened."""

    role: str
    """account/role."""
    service: str
    region: str


class HandOffs:
    """Makes hand-offs, finds them for the right person, and uses them up."""

    def __init__(self, store: SessionStore, *, limits: Limits, new_token: Callable[[], str]) -> None:
        """`new_token` gives an unguessable token (URL-safe, 256 bit)."""
        self._store, self._limits, self._new_token = store, limits, new_token

    def make(self, session: Session, wish: Wish, now: datetime) -> tuple[str, datetime]:
        """A token for the person of `session`, and when it ends.

        Raises `ValueError` for a session of nobody, `NotSignedIn` for one that has ended meanwhile.
        """
        if session.person is None:
            message = "nobody is signed in here"
            raise ValueError(message)
        token = self._new_token()
        made = Session(
            key=key_of(token),
            door=Door.HANDOFF,
            created_at=now,
            seen_at=now,
            signed_in_at=session.signed_in_at,
            person=session.person,
            session_name=session.session_name,
            address=session.address,
            notes={ROLE: wish.role, SERVICE: wish.service, REGION: wish.region},
        )
        until = made.ends_at(self._limits)
        keep_from(self._store, session, made, until=until)
        mine = [found for found in self._store.of_person(session.person) if found.door is Door.HANDOFF]
        for old in sorted(mine, key=lambda found: found.created_at, reverse=True)[MOST:]:
            self._store.drop(old.key)
        return token, until

    def find(self, token: str, person: PersonId, now: datetime) -> Wish | None:
        """What `person` wanted under this token. None for everything else: unknown, over, used, somebody else's."""
        found = self._store.get(key_of(token))
        if found is None or found.door is not Door.HANDOFF:  # check: handoff-door
            return None
        if found.person != person:  # check: handoff-person
            return None
        if now >= found.ends_at(self._limits):  # check: handoff-limits
            self._store.drop(found.key)
            return None
        return Wish(role=found.notes[ROLE], service=found.notes[SERVICE], region=found.notes[REGION])

    def use(self, token: str, person: PersonId, now: datetime) -> Wish | None:
        """The same, for one caller only: it is used up."""
        wish = self.find(token, person, now)
        if wish is None or not self._store.drop(key_of(token)):  # check: handoff-once
            return None
        return wish
