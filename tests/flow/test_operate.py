"""What operators do to people: recorded before it is done, and done at once."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from corridor import PROVIDER, Corridor
from flow.failing import failing_trail

from broker.authenticate.provider import SignInRefused
from broker.challenge.factor import FactorRefused
from broker.challenge.proof import Method
from broker.errors import TooManyAttempts, Unavailable
from broker.evaluate.condition import Circumstances
from broker.flow import Parts, show_factor
from broker.flow.operate import create_enrolment_code, end_sessions, forgive_account, forgive_attempts, reset_factors
from broker.record.event import Outcome, Tag
from broker.sessions.people import Person
from broker.sessions.session import Session

Act = Callable[[Parts, Circumstances, Person], object]
ACTS: dict[Tag, Act] = {
    Tag.FACTOR_RESET: lambda parts, moment, who: reset_factors(parts, moment, who, operator="olga", reason="lost"),
    Tag.SESSION_ENDED: lambda parts, moment, who: end_sessions(parts, moment, who, operator="olga", reason="lost"),
    Tag.ATTEMPTS_RESET: lambda parts, moment, who: forgive_attempts(parts, moment, who, operator="olga", reason="lost"),
}


def person_of(corridor: Corridor, session: Session) -> Person:
    assert session.person is not None
    found = corridor.parts.people.by_id(session.person)
    assert found is not None
    return found


@pytest.mark.parametrize("tag", ACTS, ids=str)
def test_every_act_is_recorded_with_the_operator_the_person_and_the_reason(corridor: Corridor, tag: Tag) -> None:
    who = person_of(corridor, corridor.session(corridor.person(enrolled=True, for_good=True)))
    moment = corridor.moment()
    ACTS[tag](corridor.parts, moment, who)
    (event,) = corridor.events(moment)
    assert (event.tag, event.outcome) == (tag, Outcome.DONE)
    assert (event.actor, event.details["person"], event.reason) == ("operator:olga", who.id, "lost")


@pytest.mark.parametrize("tag", ACTS, ids=str)
def test_nothing_is_done_that_cannot_be_recorded(own_corridor: Corridor, tag: Tag) -> None:
    corridor = own_corridor
    person = corridor.person(enrolled=True, for_good=True)
    session = corridor.session(person)
    who = person_of(corridor, session)
    with failing_trail(corridor, at=1) as parts, pytest.raises(Unavailable):
        ACTS[tag](parts, corridor.moment(), who)
    assert corridor.reload(session) is not None
    assert corridor.parts.factors[Method.TOTP].enrolled(who.id)


def test_no_enrolment_code_is_made_that_cannot_be_recorded(own_corridor: Corridor) -> None:
    corridor = own_corridor
    before = corridor.broker.storage.enrolment
    with failing_trail(corridor, at=1) as parts, pytest.raises(Unavailable):
        create_enrolment_code(parts, corridor.moment(), operator="olga", provider="corp-ad", subject="s")
    assert before is corridor.broker.storage.enrolment


def test_an_enrolment_code_is_recorded_without_its_text(corridor: Corridor) -> None:
    moment = corridor.moment()
    made = create_enrolment_code(corridor.parts, moment, operator="olga", provider="corp-ad", group="S-1-5")
    (event,) = corridor.events(moment)
    assert (event.tag, event.actor, event.provider) == (Tag.ENROLMENT_CODE_CREATED, "operator:olga", "corp-ad")
    assert event.details["group"] == "S-1-5"
    assert made.text not in str(event)


def test_a_reset_ends_every_session_of_the_person_and_of_nobody_else(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    mine = [corridor.session(person), corridor.password_shown(person)]
    other = corridor.session(corridor.person(enrolled=True, for_good=True))
    who = person_of(corridor, mine[0])
    assert reset_factors(corridor.parts, corridor.moment(), who, operator="olga", reason="lost") == 1
    assert [corridor.reload(session) for session in mine] == [None, None]
    assert corridor.reload(other) is not None


def test_an_admin_kill_ends_the_sessions_and_keeps_the_factor(corridor: Corridor) -> None:
    session = corridor.session(corridor.person(enrolled=True, for_good=True))
    who = person_of(corridor, session)
    assert end_sessions(corridor.parts, corridor.moment(), who, operator="olga", reason="stolen laptop") == 1
    assert corridor.reload(session) is None
    assert corridor.parts.factors[Method.TOTP].enrolled(who.id)


def test_forgiving_opens_what_too_many_wrong_passwords_and_codes_closed(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    half = corridor.password_shown(person)
    who = person_of(corridor, half)
    for _ in range(5):
        with pytest.raises(FactorRefused):
            show_factor(corridor.parts, half, method=Method.TOTP, answer="000000", circumstances=corridor.moment())
    code = corridor.code(person)
    with pytest.raises(TooManyAttempts):
        show_factor(corridor.parts, half, method=Method.TOTP, answer=code, circumstances=corridor.moment())
    forgive_attempts(corridor.parts, corridor.moment(), who, operator="olga", reason="typed in the wrong row")
    shown = show_factor(corridor.parts, half, method=Method.TOTP, answer=code, circumstances=corridor.moment())
    assert shown.shown


def test_an_account_with_which_nobody_has_signed_in_yet_is_forgiven_too(corridor: Corridor) -> None:
    person = corridor.person()
    for _ in range(5):
        with pytest.raises(SignInRefused):
            corridor.password_shown(replace(person, password="not it"))
    with pytest.raises(TooManyAttempts):
        corridor.password_shown(person)
    subject, moment = corridor.parts.providers[PROVIDER].lookup(person.account).subject, corridor.moment()
    forgive_account(corridor.parts, moment, PROVIDER, subject, operator="olga", reason="new keyboard")
    (event,) = corridor.events(moment)
    assert (event.tag, event.actor, event.subject) == (Tag.ATTEMPTS_RESET, "operator:olga", subject)
    assert corridor.password_shown(person).person
