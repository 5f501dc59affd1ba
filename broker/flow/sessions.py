"""What people see of their own sessions, and how they end them. What has ended is ended before it is written down.

Keys of AWS that were issued before live on until they expire: no session keeps them, so none takes them along.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from broker.authenticate.provider import Reason
from broker.evaluate.condition import Circumstances
from broker.flow.parts import Parts, proof_of, record
from broker.record.event import Outcome, Tag
from broker.sessions.grants import DEVICE, grant_id
from broker.sessions.session import ERRANDS, Door, Session

ID_LENGTH = 16
BY_PERSON = "ended by the person"
EVERYWHERE = "signed out everywhere"
DISPLACED = "more sign-ins without a second factor than a person may have"
MOST_HALF = 20
"""Browsers of one person in which only the password was shown; the oldest ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One session, as its person sees it."""

    id: str
    """The beginning of its key; no secret: it opens nothing."""
    door: Door
    device: str
    """What the program calls the machine that it runs on; empty for browsers."""
    address: str
    began_at: datetime
    seen_at: datetime
    ends_at: datetime
    is_complete: bool
    """Whether the second factor was shown; else somebody knows the password, and no more."""
    is_current: bool


def mine(parts: Parts, session: Session) -> list[Held]:
    """The person's browsers and programs: this one first, then those seen last. Raises `NotSignedIn`."""
    now = parts.clock()
    held = [
        Held(
            id=one.key[:ID_LENGTH],
            door=one.door,
            device=one.notes.get(DEVICE, "") if one.door is Door.CLI else "",
            address=one.address,
            began_at=one.created_at if one.door is Door.CLI else one.signed_in_at or one.created_at,
            seen_at=one.seen_at,
            ends_at=parts.sessions.ends_at(one),
            is_complete=bool(one.shown),
            is_current=one.key == session.key,
        )
        for one in parts.sessions.of_person(proof_of(session).person)
        if one.door in {Door.BROWSER, Door.CLI} and parts.sessions.ends_at(one) > now
    ]
    return sorted(held, key=lambda one: (one.is_current, one.seen_at), reverse=True)


def end_one(parts: Parts, session: Session, which: str, circumstances: Circumstances) -> bool:
    """End the person's session of this id; whether it was the current one. Nobody else's ends, nor one that is gone."""
    person = proof_of(session).person
    theirs = parts.sessions.of_person(person)
    found = next((one for one in theirs if len(which) == ID_LENGTH and one.key.startswith(which)), None)
    if found is None:
        return False
    others = {one.key for one in theirs if one is not found}

    def it(one: Session) -> bool:
        """It, also under the key under which it was put meanwhile; and what is on its way from its sign-in."""
        if one.door in ERRANDS:
            return one.signed_in_at == found.signed_in_at
        return one.key not in others and (one.door, one.created_at) == (found.door, found.created_at)

    ended = parts.sessions.end_those(person, it)
    _note(parts, ended, circumstances, BY_PERSON)
    return any(one.key == session.key for one in ended)


def end_others(parts: Parts, session: Session, circumstances: Circumstances) -> int:
    """End all of the person's sessions but this one; how many there were."""
    proof_of(session)
    ended = parts.sessions.end_others(session)
    _note(parts, ended, circumstances, BY_PERSON)
    return len(ended)


def end_everywhere(parts: Parts, session: Session, circumstances: Circumstances) -> int:
    """End all of the person's sessions, this one too; how many there were."""
    person = proof_of(session).person
    theirs = parts.sessions.of_person(person)
    ended = parts.sessions.end_all(person)
    _note(parts, theirs, circumstances, EVERYWHERE)
    return ended


def end_here(parts: Parts, session: Session, circumstances: Circumstances, reason: str) -> None:
    """End this session, which may not go on; with what else has to end along with it."""
    _note(parts, parts.sessions.end(session), circumstances, reason, Outcome.DENIED)


def end_refused(parts: Parts, session: Session, circumstances: Circumstances, reason: Reason) -> None:
    """End the person's sessions, for the provider says no to this one. Those of a new password outlive the old one's.

    What another session of before the change is to see of it, it sees by itself, when it is used.
    """
    person, since = proof_of(session).person, session.signed_in_at
    if reason is Reason.PASSWORD_CHANGED and since is not None:  # check: newer-sign-ins-go-on
        ended = parts.sessions.end_those(person, lambda one: one.signed_in_at is None or one.signed_in_at <= since)
    else:
        ended = parts.sessions.end_those(person, lambda _: True)
    _note(parts, ended, circumstances, reason.value, Outcome.DENIED)


def make_room(parts: Parts, session: Session, circumstances: Circumstances) -> None:
    """Before another browser of this person begins with the password: end the oldest that never went further."""
    person = proof_of(session).person
    theirs = parts.sessions.of_person(person)
    half = [one for one in theirs if one.door is Door.BROWSER and not one.shown and one.key != session.key]
    old = {one.key for one in half[MOST_HALF - 1 :]}
    if old:  # check: half-sessions-are-few
        _note(parts, parts.sessions.end_those(person, lambda one: one.key in old), circumstances, DISPLACED)


def _note(
    parts: Parts, ended: Iterable[Session], circumstances: Circumstances, reason: str, outcome: Outcome = Outcome.DONE
) -> None:
    """One event for each browser and program; what was on its way between them is not worth one."""
    for one in ended:
        if one.door is Door.CLI:
            note = {"device": one.notes.get(DEVICE, ""), "grant": grant_id(one), "reason": reason}
            record(parts, Tag.CLI_ENDED, outcome, circumstances, one.proof, note)
        elif one.door is Door.BROWSER:
            record(parts, Tag.SESSION_ENDED, outcome, circumstances, one.proof, {"reason": reason})
