"""`Session`: what the broker remembers of one browser between two requests, and of whatever else is short-lived.

Everything short-lived that belongs to a person is a `Session`, told apart by its `Door`: so a log-out everywhere, a
reset and a disabled account end them all at once. Who comes holds a random 256-bit token; the store holds only its
SHA-256. A browser's token changes at every step.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from broker.authenticate.identity import Group, Identity, PersonId
from broker.challenge.proof import Proof, Shown
from broker.errors import NotSignedIn

TOKEN_BYTES = 32
ROUNDS = 5
"""How often sessions that were put under a new key meanwhile are looked for again."""


class Door(StrEnum):
    """Which door the session came through. A token of one door opens no other."""

    BROWSER = "browser"
    CLI = "cli"
    """The grant of one `aws-broker` program. Its tokens are in `grants.py`; it ends with the browser's absolute limit,
    whether that browser signs out earlier or not."""
    CODE = "code"
    """An authorization code: on its way from the browser to the program, once."""
    HANDOFF = "handoff"
    """A console link: on its way from the program to the browser of the same person, once."""


ERRANDS = frozenset({Door.CODE, Door.HANDOFF})
"""What is on its way, once and at once."""


def nobody(groups: frozenset[Group]) -> bool:
    """Of a broker that has no owners."""
    del groups
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a session lives."""

    absolute: timedelta = timedelta(hours=12)
    idle: timedelta = timedelta(hours=1)
    admin_idle: timedelta = timedelta(minutes=15)
    """The same, where it is shorter, for whoever owns the broker: by their groups as they were read last."""
    is_owner: Callable[[frozenset[Group]], bool] = nobody
    half: timedelta = timedelta(minutes=10)
    """From the password to the second factor: long enough to install an authenticator app."""
    anonymous: timedelta = timedelta(minutes=30)
    """Before the password: how long a sign-in page may stay open."""
    errand: timedelta = timedelta(seconds=60)
    """What goes from the browser to the program, or back: once, and at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser's from the first page on; before the password there is no identity in it. Others have one."""

    key: str
    """SHA-256 (hex) of the token; empty: nothing is kept of it yet."""
    door: Door
    created_at: datetime
    seen_at: datetime
    signed_in_at: datetime | None = None
    person: PersonId | None = None
    session_name: str = ""
    identity: Identity | None = None
    shown: tuple[Shown, ...] = ()
    address: str = ""
    """Where it was last seen from, for people to read."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Small things of `web/` between two pages (CSRF token, an enrolment under way, where to go on). Sealed where
    secret."""

    @property
    def proof(self) -> Proof | None:
        """What the person has established so far; None before the password."""
        if self.person is None or self.identity is None:
            return None
        return Proof(person=self.person, session_name=self.session_name, identity=self.identity, shown=self.shown)

    def signed_in(self, *, person: PersonId, session_name: str, identity: Identity, now: datetime) -> "Session":
        """After the password. The absolute lifetime starts here."""
        return replace(
            self, person=person, session_name=session_name, identity=identity, shown=(), signed_in_at=now, seen_at=now
        )

    def ends_at(self, limits: Limits) -> datetime:
        """When it dies if nothing happens until then. None outlives the sign-in that it comes from."""
        start = self.signed_in_at or self.created_at
        if self.door in ERRANDS:
            return min(start + limits.absolute, self.created_at + limits.errand)
        if self.door is Door.CLI:
            return start + limits.absolute
        if self.identity is None:
            return min(start + limits.absolute, self.seen_at + limits.anonymous)
        if not self.shown:
            return start + limits.half
        idle = limits.idle
        if limits.is_owner(self.identity.groups):  # check: admin-idle
            idle = min(idle, limits.admin_idle)
        return min(start + limits.absolute, self.seen_at + idle)


class SessionStore(Protocol):
    """Keeps sessions by key; raises `errors.Unavailable` when away, and never answers with another key's session."""

    def add(self, session: Session, *, until: datetime) -> None:
        """Keep a new one; forgotten at `until`."""

    def change(self, key: str, change: Callable[[Session], tuple[Session, datetime]]) -> Session | None:
        """Overwrite with what `change` makes of the session as it is kept, forgotten at the instant that comes with it.

        Atomic: nothing that another wrote in between is lost; for that, `change` may be called again. It never raises.
        What is kept then; None: it ended meanwhile and stays ended.
        """

    def get(self, key: str) -> Session | None:
        """The session under this key, if it is still kept."""

    def move(self, old: str, session: Session, *, until: datetime) -> bool:
        """Replace the session under `old` by this one under its new key, atomically; False: `old` is gone already."""

    def drop(self, key: str) -> bool:
        """End one; False: it is gone already."""

    def drop_all(self, person: PersonId) -> int:
        """End all of a person's sessions; how many there were."""

    def of_person(self, person: PersonId) -> list[Session]:
        """A person's live sessions, newest first."""


def key_of(token: str) -> str:
    """The key under which the session of this token is kept."""
    return hashlib.sha256(token.encode()).hexdigest()


def keep_from(store: SessionStore, parent: Session, made: Session, *, until: datetime) -> None:
    """Keep what was made from `parent`. Raises `NotSignedIn` where that has ended since it was read; then it is gone.

    Kept first, and looked after the parent then. Whoever ends a session ends it before, or together with, what was
    made from it: so either they find this, or here it is seen that the parent is gone. A parent that a parallel request
    has put under a new key is taken for gone too: the next try finds it.
    """
    store.add(made, until=until)
    if store.get(parent.key) is None:  # check: made-from-an-ended-session
        store.drop(made.key)
        message = "This session has ended."
        raise NotSignedIn(message, remedy="Sign in again.")


class Sessions:
    """Opens, finds, rotates and ends sessions by their limits."""

    def __init__(self, store: SessionStore, *, limits: Limits, new_token: Callable[[], str]) -> None:
        """`new_token` gives an unguessable token (URL-safe, 256 bit)."""
        self._store = store
        self._limits = limits
        self._new_token = new_token

    def blank(self, now: datetime, *, address: str) -> Session:
        """A session with nobody in it. Nothing is kept of it, so that a look costs no room, until `start`."""
        return Session(key="", door=Door.BROWSER, created_at=now, seen_at=now, address=address)

    def new_token(self) -> str:
        """A token as sessions have them, worth nothing by itself."""
        return self._new_token()

    def start(self, session: Session) -> tuple[str, Session]:
        """Keep a blank one from now on, under a new token."""
        token = self._new_token()
        started = replace(session, key=key_of(token))
        self._store.add(started, until=started.ends_at(self._limits))
        return token, started

    def find(self, token: str, now: datetime) -> Session | None:
        """The live session of a browser's token; one that has run out is ended."""
        session = self._store.get(key_of(token))
        if session is None or session.door is not Door.BROWSER:  # check: session-door
            return None
        if now >= session.ends_at(self._limits):  # check: session-limits
            self._store.drop(session.key)
            return None
        return session

    def ends_at(self, session: Session) -> datetime:
        """When it dies if nothing happens until then."""
        return session.ends_at(self._limits)

    def change(self, session: Session, change: Callable[[Session], Session]) -> Session | None:
        """Apply `change` to the session as it is kept now, which another request may have changed since it was read.

        What it is then; None: it ended meanwhile (logged out) and stays ended.
        """

        def timed(kept: Session) -> tuple[Session, datetime]:
            changed = change(kept)
            return changed, changed.ends_at(self._limits)

        return self._store.change(session.key, timed)

    def rotate(self, session: Session) -> tuple[str, Session] | None:
        """The same session under a new token; None when the old one is gone (logged out meanwhile)."""
        if not session.key:
            return self.start(session)
        token = self._new_token()
        moved = replace(session, key=key_of(token))
        if not self._store.move(session.key, moved, until=moved.ends_at(self._limits)):
            return None
        return token, moved

    def end(self, session: Session) -> list[Session]:
        """Log out, and end what is on its way from this sign-in: codes and hand-offs, but no program that was let in.

        Where another request has just put it under a new key, all sessions of the person end. What ended is returned,
        but for what was on its way.
        """
        if not self._store.drop(session.key) and session.person:  # check: session-moved-while-ended
            return self._all(session.person)
        for one in self._store.of_person(session.person) if session.person else []:
            if one.door in ERRANDS and one.signed_in_at == session.signed_in_at:
                self._store.drop(one.key)
        return [session]

    def end_all(self, person: PersonId) -> int:
        """Log out everywhere; how many sessions there were."""
        return self._store.drop_all(person)

    def end_others(self, session: Session) -> list[Session]:
        """End all sessions of this one's person but this one; those that ended, as `end_those` does."""
        if session.person is None:
            return []
        return self.end_those(session.person, lambda one: one.key != session.key)

    def end_those(self, person: PersonId, which: Callable[[Session], bool]) -> list[Session]:
        """End the sessions of a person that `which` tells; those that ended.

        One that was put under a new key meanwhile is looked for again; whoever goes on escaping takes all others along.
        """
        ended: list[Session] = []
        for _ in range(ROUNDS):
            theirs = [one for one in self._store.of_person(person) if which(one)]
            if not theirs:
                return ended
            ended += [one for one in theirs if self._store.drop(one.key)]
        return ended + self._all(person)

    def _all(self, person: PersonId) -> list[Session]:
        theirs = self._store.of_person(person)
        self._store.drop_all(person)
        return theirs

    def of_person(self, person: PersonId) -> list[Session]:
        """A person's live sessions, newest first."""
        return self._store.of_person(person)
