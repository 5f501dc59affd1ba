"""The one dispatcher, for every state that a session can be in."""

from dataclasses import replace

import pytest
from builders import MINUTE
from corridor import PROVIDER, Corridor
from sqlalchemy import update

from broker.challenge.factor import FactorRefused
from broker.challenge.proof import Method
from broker.errors import NotFound, NotSignedIn
from broker.evaluate.verdict import StepUp
from broker.flow import Next, enrolment, factors, lease, next_step, roles, show_factor, sign_in
from broker.flow.operate import reset_factors
from broker.keys import KeyringError
from broker.record.event import Outcome, Tag
from broker.storage.tables import people


def test_without_a_session_the_password_comes_next(corridor: Corridor) -> None:
    assert next_step(corridor.parts, None) is Next.SIGN_IN
    blank = corridor.parts.sessions.blank(corridor.clock(), address="")
    assert next_step(corridor.parts, blank) is Next.SIGN_IN
    with pytest.raises(NotSignedIn):
        factors(corridor.parts, blank)


def test_after_the_password_somebody_without_a_factor_enrols(corridor: Corridor) -> None:
    session = corridor.password_shown(corridor.person())
    assert next_step(corridor.parts, session) is Next.ENROL


def test_after_the_password_somebody_with_a_factor_shows_it(corridor: Corridor) -> None:
    session = corridor.password_shown(corridor.person(enrolled=True))
    assert next_step(corridor.parts, session) is Next.CHALLENGE
    assert [factor.method for factor in factors(corridor.parts, session)] == [Method.TOTP, Method.RECOVERY_CODE]


def test_after_both_the_way_is_free(corridor: Corridor) -> None:
    assert next_step(corridor.parts, corridor.session(corridor.person(enrolled=True))) is Next.GO_ON


def test_an_identity_without_a_person_is_nobody(corridor: Corridor) -> None:
    session = corridor.session(corridor.person(enrolled=True))
    assert next_step(corridor.parts, replace(session, person=None)) is Next.SIGN_IN
    assert next_step(corridor.parts, replace(session, identity=None)) is Next.SIGN_IN


def test_after_an_operators_reset_the_next_sign_in_enrols(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    session = corridor.session(person)
    assert session.person is not None
    known = corridor.parts.people.by_id(session.person)
    assert known is not None
    reset_factors(corridor.parts, corridor.moment(), known, operator="test", reason="lost phone")
    assert corridor.reload(session) is None
    assert next_step(corridor.parts, corridor.password_shown(person)) is Next.ENROL


def test_a_person_altered_in_the_store_is_refused_and_written_down(own_corridor: Corridor) -> None:
    corridor, person = own_corridor, own_corridor.person()
    corridor.password_shown(person)
    with corridor.broker.storage.database.write("test") as connection:
        connection.execute(update(people).values(session_name="root"))
    blank, moment = corridor.parts.sessions.blank(corridor.clock(), address=""), corridor.moment()
    with pytest.raises(KeyringError):
        sign_in(
            corridor.parts,
            blank,
            provider=PROVIDER,
            username=person.account,
            password=person.password,
            circumstances=moment,
        )
    (event,) = corridor.events(moment)
    assert (event.tag, event.outcome, event.actor_name) == (Tag.SIGN_IN_REFUSED, Outcome.FAILED, person.account)
    assert event.reason == "keyring-error"


def test_a_password_alone_opens_no_role(corridor: Corridor) -> None:
    """Whatever door leads to the corridor, its built-in condition asks for the factor."""
    half = corridor.password_shown(corridor.person(enrolled=True))
    verdict = lease(corridor.parts, half, role="payments-dev/power-user", asked=None, circumstances=corridor.moment())
    assert isinstance(verdict, StepUp)
    found = roles(corridor.parts, half, corridor.moment())
    assert found
    assert all(isinstance(verdict, StepUp) for _, verdict in found)


def test_what_is_not_offered_here_is_not_found(corridor: Corridor) -> None:
    half = corridor.password_shown(corridor.person(enrolled=True))
    with pytest.raises(NotFound):
        show_factor(corridor.parts, half, method=Method.WEBAUTHN, answer="1", circumstances=corridor.moment())
    blank = corridor.parts.sessions.blank(corridor.clock(), address="")
    moment = corridor.moment()
    with pytest.raises(NotFound):
        sign_in(corridor.parts, blank, provider="okta", username="a", password="b", circumstances=moment)


def test_a_factor_before_the_password_is_refused(corridor: Corridor) -> None:
    blank = corridor.parts.sessions.blank(corridor.clock(), address="")
    with pytest.raises(NotSignedIn):
        show_factor(corridor.parts, blank, method=Method.TOTP, answer="123456", circumstances=corridor.moment())


def test_a_password_too_old_to_enrol_ends_the_session_so_that_it_is_asked_for_again(corridor: Corridor) -> None:
    session = corridor.password_shown(corridor.person())
    enrolment(corridor.parts, session, "", corridor.moment())
    corridor.clock.advance(6 * MINUTE)
    moment = corridor.moment()
    with pytest.raises(FactorRefused):
        enrolment(corridor.parts, session, "", moment)
    assert corridor.reload(session) is None
    (event,) = corridor.events(moment)
    assert (event.tag, event.reason) == (Tag.SESSION_ENDED, "password-not-fresh")
