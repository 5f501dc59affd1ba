"""Who somebody is, is read again: a minute at most may pass between the directory and a grant."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from builders import MINUTE
from corridor import Corridor, Somebody

from broker.authenticate.provider import Reason, SignInRefused
from broker.errors import NotSignedIn, Unavailable
from broker.evaluate.condition import Circumstances
from broker.evaluate.verdict import Refusal
from broker.flow import enrol, enrolment, lease, present, roles
from broker.issue.issuer import Lease
from broker.record.event import Outcome, Tag
from broker.sessions.session import Session

ROLE = "payments-dev/power-user"
SECOND = timedelta(seconds=1)
CHANGES: dict[Reason, Callable[[Corridor, Somebody], None]] = {
    Reason.DISABLED: lambda corridor, person: corridor.world.directory.disable(person.account),
    Reason.GONE: lambda corridor, person: corridor.world.directory.delete(person.account),
    Reason.PASSWORD_CHANGED: lambda corridor, person: corridor.world.directory.set_password(person.account, "new-1"),
}


def ask(corridor: Corridor, session: Session, role: str = ROLE) -> object:
    return lease(corridor.parts, session, role=role, asked=None, circumstances=corridor.moment())


def read(session: Session | None) -> datetime:
    """When the identity in it was read."""
    assert session is not None
    assert session.identity is not None
    return session.identity.read_at


@contextmanager
def away(corridor: Corridor) -> Iterator[None]:
    """Every controller is off the network."""
    corridor.world.directory.stop()
    try:
        yield
    finally:
        corridor.world.directory.start()


@pytest.mark.parametrize("reason", CHANGES, ids=str)
def test_within_a_minute_what_was_read_counts_then_the_change_ends_every_session(
    corridor: Corridor, reason: Reason
) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    sessions = [corridor.session(person) for _ in range(2)]
    read_at = read(sessions[1])
    corridor.clock.advance(10 * SECOND)
    CHANGES[reason](corridor, person)
    corridor.clock.now = read_at + 60 * SECOND
    assert isinstance(ask(corridor, sessions[1]), Lease), "read less than a minute ago"
    corridor.clock.now = read_at + 61 * SECOND
    moment = corridor.moment()
    with pytest.raises(SignInRefused) as refused:
        lease(corridor.parts, sessions[1], role=ROLE, asked=None, circumstances=moment)
    assert refused.value.reason is reason
    assert [corridor.reload(session) for session in sessions] == [None, None]
    events = corridor.events(moment)
    assert len(events) == len(sessions), "each end is written down"
    for event in events:
        assert (event.tag, event.outcome, event.reason) == (Tag.SESSION_ENDED, Outcome.DENIED, reason.value)
        assert (event.actor, event.address) == (sessions[1].person, "10.1.2.3")


def test_a_group_that_is_taken_away_counts_no_more_after_a_minute(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    session = corridor.session(person)
    corridor.world.directory.remove_from_group(person.account, "Team-payments")
    corridor.clock.advance(30 * SECOND)
    assert isinstance(ask(corridor, session), Lease)
    corridor.clock.advance(31 * SECOND)
    verdict = ask(corridor, session)
    assert isinstance(verdict, Refusal)
    assert verdict.condition == "mapping"
    assert roles(corridor.parts, session, corridor.moment()) == []
    assert corridor.reload(session) is not None, "still signed in: only the role has gone"


def test_a_group_that_is_given_counts_after_a_minute(corridor: Corridor) -> None:
    person = corridor.person("stranger", enrolled=True, for_good=True)
    session = corridor.session(person)
    corridor.world.directory.add_to_group(person.account, "Team-payments")
    corridor.clock.advance(61 * SECOND)
    assert isinstance(ask(corridor, session), Lease)


def test_what_was_read_again_is_kept_for_the_next_minute(corridor: Corridor) -> None:
    session = corridor.session(corridor.person(enrolled=True))
    corridor.clock.advance(61 * SECOND)
    ask(corridor, session)
    again = corridor.reload(session)
    assert read(again) == corridor.clock()
    assert again is not None
    assert again.proof is not None
    assert again.proof.identity.authenticated_at == session.signed_in_at


def test_what_was_read_in_the_future_is_read_again(corridor: Corridor) -> None:
    """Another instance's clock is ahead, or ours was set back: nothing says how old it is."""
    person = corridor.person(enrolled=True, for_good=True)
    session = corridor.session(person)
    corridor.world.directory.remove_from_group(person.account, "Team-payments")
    corridor.clock.advance(-SECOND)
    assert not isinstance(ask(corridor, session), Lease)
    corridor.clock.advance(SECOND)


def test_while_all_controllers_are_away_what_was_read_counts_for_five_minutes(own_corridor: Corridor) -> None:
    corridor = own_corridor
    session = corridor.session(corridor.person("sre", enrolled=True))
    read_at = read(session)
    with away(corridor):
        corridor.clock.now = read_at + 5 * MINUTE
        assert isinstance(ask(corridor, session, "payments-dev/read-only"), Lease)
        assert roles(corridor.parts, session, corridor.moment())
        corridor.clock.now = read_at + 5 * MINUTE + SECOND
        with pytest.raises(Unavailable) as refused:
            ask(corridor, session, "payments-dev/read-only")
        assert refused.value.neighbour == "directory corp-ad"
        with pytest.raises(Unavailable):
            roles(corridor.parts, session, corridor.moment())
    assert corridor.reload(session) is not None, "nobody is blamed"


def test_a_role_may_have_no_grace_at_all(own_corridor: Corridor) -> None:
    corridor = own_corridor
    session = corridor.session(corridor.person("sre", enrolled=True))
    with away(corridor):
        corridor.clock.now = read(session) + 60 * SECOND
        assert isinstance(ask(corridor, session, "payments-dev/critical"), Lease), "not yet to be read again"
        corridor.clock.advance(SECOND)
        with pytest.raises(Unavailable):
            ask(corridor, session, "payments-dev/critical")
        assert isinstance(ask(corridor, session, "payments-dev/read-only"), Lease)


def test_the_grace_does_not_make_what_was_read_any_younger(own_corridor: Corridor) -> None:
    corridor = own_corridor
    session = corridor.session(corridor.person(enrolled=True))
    read_at = read(session)
    with away(corridor):
        for minute in range(2, 6):
            corridor.clock.now = read_at + minute * MINUTE
            ask(corridor, session)
        assert read(corridor.reload(session)) == read_at


def test_nobody_signs_in_while_all_controllers_are_away(own_corridor: Corridor) -> None:
    corridor = own_corridor
    person = corridor.person(enrolled=True)
    with away(corridor), pytest.raises(Unavailable):
        corridor.password_shown(person)


def test_whoever_was_disabled_since_the_password_enrols_nothing(corridor: Corridor) -> None:
    person = corridor.person()
    half, confirm = at_the_enrolment(corridor, person)
    corridor.world.directory.disable(person.account)
    moment = corridor.moment()
    with pytest.raises(SignInRefused) as refused:
        confirm(moment)
    assert refused.value.reason is Reason.DISABLED
    assert corridor.tags(moment) == [Tag.SESSION_ENDED]
    assert half.person is not None
    assert corridor.broker.storage.factors.factors(half.person) == []
    assert corridor.reload(half) is None


def test_while_all_controllers_are_away_nobody_enrols_whatever_the_grace(own_corridor: Corridor) -> None:
    corridor = own_corridor
    at_the_enrolment(corridor, corridor.person())[1](corridor.moment())  # the control: with a directory
    half, confirm = at_the_enrolment(corridor, corridor.person())
    assert half.person is not None
    with away(corridor), pytest.raises(Unavailable):
        confirm(corridor.moment())
    assert corridor.broker.storage.factors.factors(half.person) == []


def at_the_enrolment(corridor: Corridor, person: Somebody) -> tuple[Session, Callable[[Circumstances], object]]:
    """A session whose password was shown a little over a minute ago, and the way to confirm its new factor."""
    half, code = corridor.password_shown(person), corridor.enrolment_code(person)
    pending, _ = enrolment(corridor.parts, half, "", corridor.moment())
    corridor.clock.advance(61 * SECOND)

    def confirm(moment: Circumstances) -> object:
        answer = corridor.code(replace(person, key=pending.text_key))
        sealed = pending.sealed
        return enrol(
            corridor.parts,
            half,
            sealed=sealed,
            answer=answer,
            enrolment_code=code,
            circumstances=replace(moment, now=corridor.clock()),
        )

    return half, confirm


def test_a_provider_that_is_no_longer_configured_ends_the_session(corridor: Corridor) -> None:
    session = corridor.session(corridor.person(enrolled=True))
    corridor.clock.advance(61 * SECOND)
    without = replace(corridor.parts, providers={})
    with pytest.raises(NotSignedIn):
        lease(without, session, role=ROLE, asked=None, circumstances=corridor.moment())
    assert corridor.reload(session) is None


def test_a_log_out_while_the_directory_is_asked_wins(corridor: Corridor) -> None:
    """The answer comes back to a session that has ended meanwhile: nothing is granted, nothing revived."""
    session = corridor.session(corridor.person(enrolled=True))
    corridor.clock.advance(61 * SECOND)
    corridor.parts.sessions.end(session)
    with pytest.raises(NotSignedIn):
        present(corridor.parts, session, corridor.moment(), grace=MINUTE)
    assert corridor.reload(session) is None
