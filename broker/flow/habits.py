"""Favourites and use: what a person's page shows first. Never a reason to grant or to refuse anything."""

import logging
from collections.abc import Sequence

from broker.authenticate.identity import PersonId
from broker.entitle.resolve import resolve
from broker.errors import NotFound, Unavailable
from broker.flow.parts import Parts, proof_of
from broker.sessions.habits import Habit
from broker.sessions.session import Session

log = logging.getLogger(__name__)


def star(parts: Parts, session: Session, role: str) -> None:
    """Mark `account/role` as a favourite. Raises `NotFound` for one that the person is not given, `Unavailable`."""
    proof = proof_of(session)
    if not resolve(parts.mapping(), proof.identity.groups, now=parts.clock(), only=role):  # check: star-of-own-role
        message = "There is no such role among yours."
        raise NotFound(message, remedy="Load the list of your roles again.")
    parts.habits.star(proof.person, role)


def unstar(parts: Parts, session: Session, role: str) -> None:
    """Take the mark away, also from a role that is gone. Raises `Unavailable`."""
    parts.habits.unstar(proof_of(session).person, role)


def habits(parts: Parts, session: Session) -> Sequence[Habit]:
    """The person's habits; none while the store is away: a list of roles without favourites is better than none."""
    try:
        return parts.habits.of(proof_of(session).person)
    except Unavailable as error:
        log.warning("%s: %s; roles are listed without favourites", error.code, error.message)
        return ()


def note_use(parts: Parts, person: PersonId, role: str) -> None:
    """Count a use of `account/role`, as well as may be: what was issued already is not taken back for this."""
    try:
        parts.habits.used(person, role, parts.clock())
    except Unavailable as error:
        log.warning("%s: %s; a use is not counted", error.code, error.message)
