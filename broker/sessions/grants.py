"""`Grants`: what the `aws-broker` programs hold. A code, once and at once; then an access and a refresh token.

A grant is a `Session` of the door CLI, kept under its *family* until the browser's sign-in would have ended. A token
is `<family>.<secret>`, both random and of 256 bits; kept is only the SHA-256 of the two tokens that count now. The
family is made from the code, so that a code that comes a second time finds the grant that it became (RFC 9700, 2.1.1),
and a refresh token that comes a second time finds its own (4.14.2). Both are the end of it, for one of the two who came
is a thief. `flow.grants` writes that down first: a grant that is to end is named here, and ended by `end`.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hmac import compare_digest

from broker.authenticate.identity import PersonId
from broker.errors import BrokerError, NotSignedIn
from broker.sessions.session import Door, Limits, Session, SessionStore, keep_from, key_of

ACCESS = timedelta(minutes=15)
"""How long an access token lasts: so long a copy of it would be of use."""
MOST_GRANTS, MOST_CODES = 20, 5
"""For each person; the oldest ends."""
TOKEN = re.compile(r"([A-Za-z0-9_-]{43})\.[A-Za-z0-9_-]{43}", re.ASCII)

DEVICE = "device"
"""The note with the label under which the person knows the program's machine. `cnf` is a name to keep free: for the
key that a token is bound to (RFC 7800)."""
CHALLENGE, REDIRECT_URI, GRANT = "challenge", "redirect_uri", "grant"
ACCESS_HASH, ACCESS_UNTIL, REFRESH_HASH = "access", "access_until", "refresh"


class Why(StrEnum):
    """Why there are no tokens; for the trail only."""

    UNKNOWN = "unknown"
    """Nothing of ours, or it ended: nobody can be named."""
    TOO_LATE = "too late"
    OTHER_ADDRESS = "other redirect address"
    WRONG_VERIFIER = "wrong code verifier"
    REUSED = "used twice"
    """A code or a refresh token that does not count any more. The grant is still there: it must be ended."""


class GrantRefused(BrokerError):
    """No tokens. What it says is the same for every reason."""

    code = "grant-refused"

    def __init__(self, reason: Why, session: Session | None = None) -> None:
        """`session`: whose code or grant it was, where that is known."""
        super().__init__("The sign-in of this program has ended.", remedy="Run `aws-broker login`.")
        self.reason = reason
        self.session = session


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What the program gets, and what is kept of it."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    access_until: datetime
    grant: Session
    displaced: tuple[Session, ...] = ()
    """Older grants of the person, more than one may have: they are still there and must be ended."""


def grant_id(session: Session) -> str:
    """What people and the trail call a grant, also while it is only a code; no secret."""
    return session.notes.get(GRANT) or session.key[:8]


def family_of(code: str) -> str:
    """The family of the grant that a code becomes."""
    digest = hashlib.sha256(b"the family of the code " + code.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Grants:
    """Makes, finds, renews and ends the grants of the CLI. Raises `errors.Unavailable` when a store is away."""

    def __init__(self, store: SessionStore, *, limits: Limits, new_token: Callable[[], str]) -> None:
        """`new_token` gives an unguessable text (URL-safe, 256 bit)."""
        self._store = store
        self._limits = limits
        self._new_token = new_token

    def ends_at(self, session: Session) -> datetime:
        """When a grant made from this browser's session would end at the latest: when that one would have."""
        return replace(session, door=Door.CLI).ends_at(self._limits)

    def code(
        self, session: Session, *, challenge: str, redirect_uri: str, device: str, now: datetime
    ) -> tuple[str, Session]:
        """A code for whoever has shown both factors in a browser.

        Raises `NotSignedIn` for everybody else, and for whoever was logged out meanwhile.
        """
        person = session.person
        if person is None or not session.shown or session.door is not Door.BROWSER:  # check: code-from-a-browser
            message = "A program is signed in from a browser."
            raise NotSignedIn(message, remedy="Sign in first.")
        for old in self._too_many(person, Door.CODE, MOST_CODES):
            self._store.drop(old.key)
        code = self._new_token()
        grant = key_of(family_of(code))[:8]
        notes = {CHALLENGE: challenge, REDIRECT_URI: redirect_uri, DEVICE: device, GRANT: grant}
        errand = replace(session, key=key_of(code), door=Door.CODE, created_at=now, seen_at=now, notes=notes)
        keep_from(self._store, session, errand, until=errand.ends_at(self._limits))
        return code, errand

    def redeem(
        self, code: str, *, verifier_challenge: str, redirect_uri: str, now: datetime, address: str = ""
    ) -> Tokens:
        """The first tokens. A code is worth one try: right or wrong, it is gone. Raises `GrantRefused`.

        Checks, in this order: (1) it is a code, and not used before, (2) not too old, (3) of the same redirect address,
        (4) of the same program: the challenge made from the verifier, (5) nobody else is using it in this moment.
        """
        kept, family = self._store.get(key_of(code)), family_of(code)
        if kept is None or kept.person is None:
            raise self._second_use(family)
        if kept.door is not Door.CODE:  # check: code-door
            raise GrantRefused(Why.UNKNOWN)
        wrong = None
        if now >= kept.ends_at(self._limits):  # check: code-limits
            wrong = Why.TOO_LATE
        if not _same(redirect_uri, kept.notes[REDIRECT_URI]):  # check: code-redirect-address
            wrong = wrong or Why.OTHER_ADDRESS
        if not _same(verifier_challenge, kept.notes[CHALLENGE]):  # check: code-verifier
            wrong = wrong or Why.WRONG_VERIFIER
        if wrong:
            self._store.drop(kept.key)
            raise GrantRefused(wrong, kept)
        notes = {DEVICE: kept.notes[DEVICE]}
        grant = replace(
            kept, key=key_of(family), door=Door.CLI, created_at=now, address=address or kept.address, notes=notes
        )
        tokens = self._tokens(grant, family, now)
        moved = self._store.move(kept.key, tokens.grant, until=grant.ends_at(self._limits))
        if not moved:  # check: code-once
            raise self._second_use(family)
        return replace(tokens, displaced=self._too_many(kept.person, Door.CLI, MOST_GRANTS, but=grant.key))

    def refresh(self, token: str, now: datetime, *, address: str = "") -> Tokens:
        """New tokens for a refresh token; the old ones are worth nothing from now on. Raises `GrantRefused`.

        Whoever comes with a token of a live grant that is not the one that counts now is refused for `REUSED`. The one
        step that can be taken once is the change of the grant itself, from this token to the next: so a store that is
        away leaves the token as good as it was, and the program may try again.
        """
        family = self._family(token)
        grant = None if family is None else self._live(key_of(family), now)
        if grant is None or family is None:
            raise GrantRefused(Why.UNKNOWN)
        tokens, until = self._tokens(grant, family, now), grant.ends_at(self._limits)

        def renew(kept: Session) -> tuple[Session, datetime]:
            if not _same(key_of(token), kept.notes[REFRESH_HASH]):  # check: refresh-token-once
                return kept, until
            return replace(kept, seen_at=now, address=address or kept.address, notes=tokens.grant.notes), until

        renewed = self._store.change(grant.key, renew)
        if renewed is None:  # check: refresh-of-an-ended-grant
            raise GrantRefused(Why.UNKNOWN)
        if renewed.notes[REFRESH_HASH] != tokens.grant.notes[REFRESH_HASH]:  # check: refresh-token-foreign
            raise GrantRefused(Why.REUSED, renewed)
        return tokens

    def find(self, access_token: str, now: datetime) -> Session | None:
        """The live grant of an access token."""
        family = self._family(access_token)
        grant = None if family is None else self._live(key_of(family), now)
        if grant is None:
            return None
        if not _same(key_of(access_token), grant.notes[ACCESS_HASH]):  # check: access-token
            return None
        if now >= datetime.fromisoformat(grant.notes[ACCESS_UNTIL]):  # check: access-token-time
            return None
        return grant

    def named_by(self, token: str, now: datetime) -> Session | None:
        """The live grant of a token, old or new, access or refresh. Good for ending it, and for nothing else."""
        family = self._family(token)
        return None if family is None else self._live(key_of(family), now)

    def end(self, grant: Session) -> None:
        """End a grant, where it has not ended already."""
        self._store.drop(grant.key)

    def _family(self, token: str) -> str | None:
        found = TOKEN.fullmatch(token)
        return found[1] if found else None

    def _live(self, key: str, now: datetime) -> Session | None:
        grant = self._store.get(key)
        if grant is None:
            return None
        if grant.door is not Door.CLI:  # check: grant-door
            return None
        if now >= grant.ends_at(self._limits):  # check: grant-limits
            self._store.drop(key)
            return None
        return grant

    def _tokens(self, grant: Session, family: str, now: datetime) -> Tokens:
        access, refresh = f"{family}.{self._new_token()}", f"{family}.{self._new_token()}"
        until = min(now + ACCESS, grant.ends_at(self._limits))
        notes = {
            **grant.notes,
            ACCESS_HASH: key_of(access),
            ACCESS_UNTIL: until.isoformat(),
            REFRESH_HASH: key_of(refresh),
        }
        return Tokens(
            access=access, refresh=refresh, access_until=until, grant=replace(grant, seen_at=now, notes=notes)
        )

    def _second_use(self, family: str) -> GrantRefused:
        """What a code that came again became is to end, if it is still there."""
        grant = self._store.get(key_of(family))
        if grant is None or grant.door is not Door.CLI:
            return GrantRefused(Why.UNKNOWN)
        return GrantRefused(Why.REUSED, grant)

    def _too_many(self, person: PersonId, door: Door, most: int, *, but: str = "") -> tuple[Session, ...]:
        """The oldest, without which there are `most` with the new one (`but`, if it is there already)."""
        theirs = [held for held in self._store.of_person(person) if held.door is door and held.key != but]
        return tuple(theirs[most - 1 :])


def _same(one: str, other: str) -> bool:
    """In a time that tells nothing of how much is the same."""
    return compare_digest(one.encode(), other.encode())
