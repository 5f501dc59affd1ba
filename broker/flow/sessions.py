"""What people see of their own sessions, and how they end them. What has ended is ended before it is written down.

Keys of AWS that were issued before live on until they expire: no session keeps them, so none takes them along.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from broker.evaluate.condition import Circumstances
from broker.flow.parts import Parts, proof_of, record
from broker.record.event import Outcome, Tag
from broker.sessions.grants import DEVICE, grant_id
from broker.sessions.session import Door, Session

ID_LENGTH = 16
BY_PERSON = "ended by the person"
EVERYWHERE = "signed out everywhere"


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
    theirs = parts.sessions.of_person(proof_of(session).person)
    found = [one for one in theirs if len(which) == ID_LENGTH and one.key.startswith(which)]
    for one in found:
        parts.sessions.end(one)
    _note(parts, found, circumstances, BY_PERSON)
    return any(one.key == session.key for one in found)


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


def _note(parts: Parts, ended: Iterable[Session], circumstances: Circumstances, reason: str) -> None:
    """One event for each browser and program; what was on its way between them is not worth one."""
    for one in ended:
        if one.door is Door.CLI:
            note = {"device": one.notes.get(DEVICE, ""), "grant": grant_id(one), "reason": reason}
            record(parts, Tag.CLI_ENDED, Outcome.DONE, circumstances, one.proof, note)
        elif one.door is Door.BROWSER:
            record(parts, Tag.SESSION_ENDED, Outcome.DONE, circumstances, one.proof, {"reason": reason})
