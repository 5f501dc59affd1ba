"""The console's door: the corridor's own decision, and what is written down before a sign-in leaves."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from builders import MINUTE
from corridor import Corridor
from flow.failing import failing_trail

from broker.errors import NotFound, TooManyAttempts, Unavailable
from broker.evaluate.verdict import Refusal, StepUp
from broker.flow import Parts
from broker.flow.console import Link, console, hand_off, look, use, wish
from broker.issue.console import SignIn
from broker.issue.destination import Destination
from broker.issue.issuer import IssueRefused
from broker.record.event import Outcome, Tag
from broker.sessions.session import Session

ROLE = "payments-dev/power-user"
S3 = Destination(service="s3", region="eu-central-1")


@pytest.fixture
def session(corridor: Corridor) -> Session:
    return corridor.session(corridor.person(enrolled=True))


@pytest.fixture(autouse=True)
def calm(corridor: Corridor) -> Iterator[None]:
    corridor.world.sign_in.delay = 0
    yield
    corridor.world.sign_in.delay = 0


def go(corridor: Corridor, session: Session, role: str = ROLE, *, parts: Parts | None = None) -> object:
    return console(parts or corridor.parts, session, role=role, destination=S3, circumstances=corridor.moment())


def test_it_is_decided_issued_and_opened_under_one_lease(corridor: Corridor, session: Session) -> None:
    moment = corridor.moment()
    opened = console(corridor.parts, session, role=ROLE, destination=S3, circumstances=moment)
    assert isinstance(opened, SignIn)
    decided, issued, last = corridor.events(moment)
    assert (decided.tag, issued.tag) == (Tag.CREDENTIALS_DECIDED, Tag.CREDENTIALS_ISSUED)
    assert (last.tag, last.outcome) == (Tag.CONSOLE_OPENED, Outcome.ALLOWED)
    assert last.lease_id == issued.lease_id == decided.lease_id
    assert last.access_key_id == issued.access_key_id
    assert (last.account, last.role_arn, last.session_name) == (issued.account, issued.role_arn, issued.session_name)
    assert last.details == {"asked_for": ROLE, "service": "s3", "console_region": "eu-central-1"}
    assert last.actor == session.person
    assert opened.fields["SigninToken"] not in str([decided, issued, last])


def test_a_refusal_and_a_step_up_open_nothing(corridor: Corridor) -> None:
    sre = corridor.session(corridor.person("sre", enrolled=True))
    before = len(corridor.world.sts.calls)
    assert isinstance(go(corridor, sre, "payments-prod/admin"), Refusal)
    assert isinstance(go(corridor, sre, "payments-dev/by-key"), StepUp)
    assert len(corridor.world.sts.calls) == before


def test_what_aws_refuses_is_written_down_and_told(corridor: Corridor, session: Session) -> None:
    moment = corridor.moment()
    corridor.world.sign_in.fail_next(400)
    with pytest.raises(IssueRefused):
        console(corridor.parts, session, role=ROLE, destination=S3, circumstances=moment)
    last = corridor.events(moment)[-1]
    assert (last.tag, last.outcome, last.reason) == (Tag.CONSOLE_FAILED, Outcome.FAILED, "SignIn400")
    assert last.lease_id
    assert last.details["service"] == "s3"


def test_an_aws_that_is_away_is_written_down_and_told(corridor: Corridor, session: Session) -> None:
    moment = corridor.moment()
    corridor.world.sign_in.fail_next(503, times=2)
    with pytest.raises(Unavailable) as caught:
        console(corridor.parts, session, role=ROLE, destination=S3, circumstances=moment)
    assert caught.value.neighbour == "AWS sign-in"
    assert corridor.tags(moment)[-1] is Tag.CONSOLE_FAILED


def test_a_lease_for_the_console_counts_as_one(corridor: Corridor, session: Session) -> None:
    """The limit is on leases, through whichever door."""
    limit = corridor.parts.lease_limit
    one = replace(corridor.parts, lease_limit=replace(limit, rule=replace(limit.rule, tries=1)))
    assert isinstance(go(corridor, session, parts=one), SignIn)
    with pytest.raises(TooManyAttempts):
        go(corridor, session, parts=one)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_without_the_trail_nothing_opens(corridor: Corridor, session: Session, at: int) -> None:
    with failing_trail(corridor, at=at) as parts, pytest.raises(Unavailable) as caught:
        go(corridor, session, parts=parts)
    assert "audit" in caught.value.neighbour
    with failing_trail(corridor, at=4) as parts:
        assert isinstance(go(corridor, session, parts=parts), SignIn)


def test_looking_says_what_would_be_decided_and_writes_nothing(corridor: Corridor) -> None:
    sre = corridor.session(corridor.person("sre", enrolled=True))
    moment = corridor.moment()
    found, verdict = look(corridor.parts, sre, role="payments-dev/critical", circumstances=moment)
    assert found is not None
    assert found.key == "payments-dev/critical"
    assert not isinstance(verdict, Refusal | StepUp)
    for role in ("payments-prod/admin", "nosuch/role", "payments-dev/", "", "*/*"):
        assert look(corridor.parts, sre, role=role, circumstances=moment)[0] is None
        assert isinstance(look(corridor.parts, sre, role=role, circumstances=moment)[1], Refusal)
    assert corridor.events(moment) == []


def test_a_link_is_for_its_own_person_once(corridor: Corridor, session: Session) -> None:
    moment = corridor.moment()
    made = hand_off(corridor.parts, session, role=ROLE, destination=S3, circumstances=moment)
    assert isinstance(made, Link)
    assert made.ends_at == corridor.clock() + MINUTE
    (event,) = corridor.events(moment)
    assert (event.tag, event.outcome) == (Tag.CONSOLE_LINK_CREATED, Outcome.DONE)
    assert event.details == {"asked_for": ROLE, "service": "s3", "console_region": "eu-central-1"}
    assert made.token not in str(event)
    other = corridor.session(corridor.person(enrolled=True))
    told = set()
    for whose, token in ((other, made.token), (session, "x" * 43)):
        for ask in (wish, use):
            with pytest.raises(NotFound) as caught:
                ask(corridor.parts, whose, token)
            told.add((caught.value.message, caught.value.remedy))
    assert wish(corridor.parts, session, made.token).role == ROLE
    assert use(corridor.parts, session, made.token).service == "s3"
    with pytest.raises(NotFound) as caught:
        use(corridor.parts, session, made.token)
    assert told == {(caught.value.message, caught.value.remedy)}


def test_a_link_that_would_be_of_no_use_is_not_made(corridor: Corridor) -> None:
    sre = corridor.session(corridor.person("sre", enrolled=True))
    moment = corridor.moment()
    for role in ("payments-prod/admin", "nosuch/role"):
        made = hand_off(corridor.parts, sre, role=role, destination=S3, circumstances=moment)
        assert isinstance(made, Refusal)
    assert corridor.events(moment) == []
    step_up = hand_off(corridor.parts, sre, role="payments-dev/by-key", destination=S3, circumstances=moment)
    assert isinstance(step_up, Link)


def test_without_the_trail_there_is_no_link(corridor: Corridor, session: Session) -> None:
    with failing_trail(corridor, at=1) as parts, pytest.raises(Unavailable):
        hand_off(parts, session, role=ROLE, destination=S3, circumstances=corridor.moment())
