"""What people see of their own sessions, and what ends all of them, through whichever door they came."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import MINUTE
from corridor import Corridor, Somebody

from broker.authenticate.identity import PersonId
from broker.authenticate.provider import Reason, SignInRefused
from broker.errors import NotSignedIn
from broker.flow import present
from broker.flow.operate import end_sessions, reset_factors
from broker.flow.sessions import (
    BY_PERSON,
    DISPLACED,
    EVERYWHERE,
    ID_LENGTH,
    MOST_HALF,
    end_everywhere,
    end_one,
    end_others,
    mine,
)
from broker.record.event import Outcome, Tag
from broker.record.trail import Query
from broker.sessions.grants import Tokens
from broker.sessions.handoff import Wish
from broker.sessions.session import Door, Session

ROUND = timedelta(seconds=61)
"""After so long who somebody is is read again."""
HOME = "http://127.0.0.1:50000/callback/" + "s" * 32


def code(corridor: Corridor, session: Session) -> tuple[str, Session]:
    now = corridor.clock()
    return corridor.parts.grants.code(session, challenge="c" * 43, redirect_uri=HOME, device="ada's laptop", now=now)


def program(corridor: Corridor, session: Session) -> Tokens:
    """A program that was let in from this browser."""
    now = corridor.clock()
    return corridor.parts.grants.redeem(
        code(corridor, session)[0], verifier_challenge="c" * 43, redirect_uri=HOME, now=now
    )


def every_door(corridor: Corridor, person: Somebody) -> tuple[Session, list[Session]]:
    """One session of the person for each door; the browser's is the first."""
    session = corridor.session(person)
    assert session.person is not None
    program(corridor, session)
    code(corridor, session)
    corridor.parts.hand_offs.make(session, Wish(role="a/b", service="", region=""), corridor.clock())
    found = corridor.parts.sessions.of_person(session.person)
    assert {one.door for one in found} == set(Door)
    return session, found


ENDS: dict[str, Callable[[Corridor, Somebody, Session], object]] = {
    "password change": lambda corridor, person, _: corridor.world.directory.set_password(person.account, "new-1"),
    "disabled": lambda corridor, person, _: corridor.world.directory.disable(person.account),
    "reset": lambda corridor, _, session: reset_factors(
        corridor.parts, corridor.moment(), owner(corridor, session), operator="olga", reason="lost"
    ),
    "operator": lambda corridor, _, session: end_sessions(
        corridor.parts, corridor.moment(), owner(corridor, session), operator="olga", reason="lost"
    ),
    "everywhere": lambda corridor, _, session: end_everywhere(corridor.parts, session, corridor.moment()),
}


def owner(corridor: Corridor, session: Session) -> object:
    assert session.person is not None
    found = corridor.parts.people.by_id(session.person)
    assert found is not None
    return found


@pytest.mark.parametrize("what", ENDS)
def test_what_ends_a_person_ends_what_came_through_every_door(corridor: Corridor, what: str) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    other = every_door(corridor, corridor.person(enrolled=True, for_good=True))[1]
    corridor.clock.advance(ROUND)
    session, held = every_door(corridor, person)
    corridor.clock.advance(timedelta(seconds=10))
    ENDS[what](corridor, person, session)
    if what in {"password change", "disabled"}:
        corridor.clock.advance(ROUND - timedelta(seconds=1))
        session = corridor.reload(session) or session
        with pytest.raises(SignInRefused):
            present(corridor.parts, replace(session), replace(corridor.moment()), grace=MINUTE)
    assert [corridor.reload(one) for one in held] == [None] * len(held)
    assert any(corridor.reload(one) for one in other), "nobody else's"


def test_a_program_notices_the_change_of_a_password_by_itself(corridor: Corridor) -> None:
    """No browser need be open."""
    person = corridor.person(enrolled=True, for_good=True)
    session = corridor.session(person)
    grant = program(corridor, session).grant
    corridor.parts.sessions.end(session)
    corridor.clock.advance(timedelta(seconds=10))
    corridor.world.directory.set_password(person.account, "new-1")
    corridor.clock.advance(ROUND)
    moment = corridor.moment()
    with pytest.raises(SignInRefused) as refused:
        present(corridor.parts, grant, moment, grace=MINUTE)
    assert refused.value.reason is Reason.PASSWORD_CHANGED
    (event,) = corridor.events(moment)
    assert (event.tag, event.outcome, event.reason) == (
        Tag.CLI_ENDED,
        Outcome.DENIED,
        "password-changed-since-sign-in",
    )
    assert corridor.reload(grant) is None


def test_whoever_changed_the_password_minutes_before_stays_signed_in(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    corridor.world.directory.set_password(person.account, "new-1")
    corridor.clock.advance(2 * MINUTE)
    session = corridor.session(replace(person, password="new-1"))
    corridor.clock.advance(ROUND)
    assert present(corridor.parts, session, corridor.moment(), grace=MINUTE).person == session.person


@pytest.mark.parametrize("through", ["browser", "program"])
def test_what_is_left_of_an_old_password_ends_nothing_that_began_with_the_new_one(
    corridor: Corridor, through: str
) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    old = corridor.session(person)
    grant = program(corridor, old).grant
    corridor.clock.advance(2 * MINUTE)
    corridor.world.directory.set_password(person.account, "new-1")
    corridor.clock.advance(2 * MINUTE)
    new = corridor.session(replace(person, password="new-1"))
    moment = corridor.moment()
    with pytest.raises(SignInRefused):
        present(corridor.parts, old if through == "browser" else grant, moment, grace=MINUTE)
    assert [corridor.reload(one) for one in (old, grant)] == [None, None]
    assert corridor.reload(new) == new
    assert sorted(corridor.tags(moment)) == [Tag.CLI_ENDED, Tag.SESSION_ENDED]
    assert {event.reason for event in corridor.events(moment)} == {Reason.PASSWORD_CHANGED.value}


def test_an_account_that_may_no_longer_sign_in_takes_the_newest_session_along(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    old = corridor.session(person)
    corridor.clock.advance(2 * MINUTE)
    new = corridor.session(person)
    corridor.world.directory.disable(person.account)
    moment = corridor.moment()
    with pytest.raises(SignInRefused):
        present(corridor.parts, old, moment, grace=MINUTE)
    assert [corridor.reload(one) for one in (old, new)] == [None, None]
    assert corridor.tags(moment) == [Tag.SESSION_ENDED] * 2


def test_the_end_of_a_session_whose_provider_is_gone_is_written_down(corridor: Corridor) -> None:
    session = corridor.session(corridor.person(enrolled=True))
    corridor.clock.advance(ROUND)
    moment = corridor.moment()
    with pytest.raises(NotSignedIn):
        present(replace(corridor.parts, providers={}), session, moment, grace=MINUTE)
    assert corridor.reload(session) is None
    (event,) = corridor.events(moment)
    assert (event.tag, event.outcome, event.reason) == (Tag.SESSION_ENDED, Outcome.DENIED, "provider-not-configured")


def test_of_sign_ins_without_a_second_factor_the_oldest_goes_and_whole_ones_stay(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    whole = corridor.session(person)
    half = []
    for _ in range(MOST_HALF + 1):
        corridor.clock.advance(timedelta(seconds=1))
        half.append(corridor.password_shown(person))
    assert [corridor.reload(one) is not None for one in half] == [False] + [True] * MOST_HALF
    assert corridor.reload(whole) is not None
    events = corridor.search(Query(tag=Tag.SESSION_ENDED))
    assert [event.actor for event in events if event.reason == DISPLACED] == [whole.person]


# --- my sessions


def test_browsers_and_programs_are_shown_with_what_tells_them_apart(corridor: Corridor) -> None:
    session, _ = every_door(corridor, corridor.person(enrolled=True, for_good=True))
    first, second = mine(corridor.parts, session)
    assert (first.door, first.is_current, first.device, first.address) == (Door.BROWSER, True, "", "10.1.2.3")
    assert (second.door, second.is_current, second.device) == (Door.CLI, False, "ada's laptop")
    assert first.ends_at == corridor.parts.sessions.ends_at(session)
    assert [len(one.id) for one in (first, second)] == [ID_LENGTH] * 2


def test_somebody_who_knows_the_password_only_is_seen(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    session = corridor.session(person)
    corridor.password_shown(person)
    assert sorted(one.is_complete for one in mine(corridor.parts, session)) == [False, True]


def test_one_session_is_ended_and_recorded(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    session, other = corridor.session(person), corridor.session(person)
    grant = program(corridor, session).grant
    for which, tag in ((other, Tag.SESSION_ENDED), (grant, Tag.CLI_ENDED)):
        moment = corridor.moment()
        assert end_one(corridor.parts, session, which.key[:ID_LENGTH], moment) is False
        assert corridor.reload(which) is None
        (event,) = corridor.events(moment)
        assert (event.tag, event.outcome, event.reason) == (tag, Outcome.DONE, BY_PERSON)
        assert event.actor == session.person
    assert event.details["device"] == "ada's laptop"
    assert corridor.reload(session) is not None
    assert end_one(corridor.parts, session, session.key[:ID_LENGTH], corridor.moment()) is True
    assert corridor.reload(session) is None


def test_nobody_ends_what_is_somebody_elses_or_gone(corridor: Corridor) -> None:
    session = corridor.session(corridor.person(enrolled=True))
    other = corridor.session(corridor.person(enrolled=True))
    for which in (other.key[:ID_LENGTH], other.key, "", session.key[:4], session.key, secrets.token_hex(8)):
        moment = corridor.moment()
        assert end_one(corridor.parts, session, which, moment) is False
        assert corridor.tags(moment) == []
    assert corridor.reload(other)
    assert corridor.reload(session)


def test_one_that_ends_by_itself_meanwhile_takes_nothing_along(
    corridor: Corridor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The button was pressed twice: the second finds the session and it is gone before it is ended."""
    person = corridor.person(enrolled=True, for_good=True)
    session, other, lost = corridor.session(person), corridor.session(person), corridor.session(person)
    listed, real = list[int](), corridor.parts.sessions.of_person

    def late(owner: PersonId) -> list[Session]:
        found: list[Session] = real(owner)
        if not listed:
            listed.append(len(found))
            assert corridor.broker.storage.sessions.drop(lost.key)
        return found

    monkeypatch.setattr(corridor.parts.sessions, "of_person", late)
    moment = corridor.moment()
    assert end_one(corridor.parts, session, lost.key[:ID_LENGTH], moment) is False
    assert listed
    assert [corridor.reload(one) for one in (session, other)] == [session, other]
    assert corridor.tags(moment) == [], "who ended it wrote it down"


def test_one_that_is_put_under_a_new_key_meanwhile_does_not_escape(
    corridor: Corridor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knows the password shows a factor in the moment in which the session is ended."""
    person = corridor.person(enrolled=True, for_good=True)
    session, lost = corridor.session(person), corridor.session(person)
    moved, real = list[Session](), corridor.parts.sessions.of_person

    def late(owner: PersonId) -> list[Session]:
        found: list[Session] = real(owner)
        if not moved:
            rotated = corridor.parts.sessions.rotate(lost)
            assert rotated is not None
            moved.append(rotated[1])
        return found

    monkeypatch.setattr(corridor.parts.sessions, "of_person", late)
    moment = corridor.moment()
    assert end_one(corridor.parts, session, lost.key[:ID_LENGTH], moment) is False
    assert corridor.reload(moved[0]) is None
    assert corridor.reload(session) == session
    assert corridor.tags(moment) == [Tag.SESSION_ENDED]


def test_what_is_on_its_way_from_a_browser_ends_with_it_and_a_program_stays(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    session, held = every_door(corridor, person)
    corridor.clock.advance(timedelta(seconds=1))
    here = corridor.session(person)
    end_one(corridor.parts, here, session.key[:ID_LENGTH], corridor.moment())
    assert [one.door for one in held if corridor.reload(one)] == [Door.CLI]


def test_all_others_end_and_this_one_stays(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    session, held = every_door(corridor, person)
    corridor.session(person)
    moment = corridor.moment()
    assert end_others(corridor.parts, session, moment) == len(held)
    assert [one.is_current for one in mine(corridor.parts, session)] == [True]
    assert sorted(corridor.tags(moment)) == [Tag.CLI_ENDED, Tag.SESSION_ENDED]


def test_everywhere_is_everywhere(corridor: Corridor) -> None:
    session, held = every_door(corridor, corridor.person(enrolled=True, for_good=True))
    moment = corridor.moment()
    assert end_everywhere(corridor.parts, session, moment) == len(held)
    assert sorted(corridor.tags(moment)) == [Tag.CLI_ENDED, Tag.SESSION_ENDED]
    assert {event.reason for event in corridor.events(moment)} == {EVERYWHERE}


def test_nobody_has_sessions_before_the_password(corridor: Corridor) -> None:
    blank = corridor.parts.sessions.blank(corridor.clock(), address="")
    for act in (end_others, end_everywhere):
        with pytest.raises(NotSignedIn):
            act(corridor.parts, blank, corridor.moment())
    with pytest.raises(NotSignedIn):
        mine(corridor.parts, blank)
