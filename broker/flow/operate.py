"""What an operator does to people, through the same corridor: with a reason, and recorded first."""

from broker.authenticate.identity import PersonId
from broker.challenge.enrol import NewEnrolmentCode
from broker.evaluate.condition import Circumstances
from broker.flow.parts import Parts, record
from broker.record.event import Outcome, Tag
from broker.sessions.people import Person


def create_enrolment_code(
    parts: Parts, circumstances: Circumstances, *, operator: str, provider: str, subject: str = "", group: str = ""
) -> NewEnrolmentCode:
    """A one-time code for one account or for the members of a group, given by immutable id."""
    note = {"actor": f"operator:{operator}", "provider": provider, "subject": subject, "group": group}
    record(parts, Tag.ENROLMENT_CODE_CREATED, Outcome.DONE, circumstances, None, note)
    return parts.enrolment.create_code(
        provider=provider, subject=subject, group=group, created_by=operator, now=parts.clock()
    )


def reset_factors(parts: Parts, circumstances: Circumstances, person: Person, *, operator: str, reason: str) -> int:
    """Forget the person's factors and end their sessions; how many factors there were."""
    _note(parts, Tag.FACTOR_RESET, circumstances, person.id, operator, reason)
    removed = parts.enrolment.reset(person.id, parts.clock())
    parts.sessions.end_all(person.id)
    return removed


def end_sessions(parts: Parts, circumstances: Circumstances, person: Person, *, operator: str, reason: str) -> int:
    """Log the person out everywhere; how many sessions there were."""
    _note(parts, Tag.SESSION_ENDED, circumstances, person.id, operator, reason)
    return parts.sessions.end_all(person.id)


def forgive_attempts(parts: Parts, circumstances: Circumstances, person: Person, *, operator: str, reason: str) -> None:
    """Forget the wrong passwords and codes that were counted for this person."""
    _note(parts, Tag.ATTEMPTS_RESET, circumstances, person.id, operator, reason)
    parts.enrolment.forgive(person.id)
    for provider, subject in parts.people.subjects(person.id):
        if provider in parts.providers:
            parts.providers[provider].forgive(subject)


def forgive_account(
    parts: Parts, circumstances: Circumstances, provider: str, subject: str, *, operator: str, reason: str
) -> None:
    """Forget the wrong passwords that were counted for an account with which nobody has signed in yet."""
    note = {"actor": f"operator:{operator}", "provider": provider, "subject": subject, "reason": reason}
    record(parts, Tag.ATTEMPTS_RESET, Outcome.DONE, circumstances, None, note)
    parts.providers[provider].forgive(subject)


def _note(parts: Parts, tag: Tag, circumstances: Circumstances, person: PersonId, operator: str, reason: str) -> None:
    note = {"actor": f"operator:{operator}", "person": person, "reason": reason}
    record(parts, tag, Outcome.DONE, circumstances, None, note)
