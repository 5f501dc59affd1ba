"""The main job: what leaves, what does not, and what is written down about it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from builders import HOUR, MINUTE
from corridor import Corridor, World, a_corridor
from flow.failing import failing_trail

from broker.challenge.factor import FactorRefused
from broker.challenge.proof import Method
from broker.errors import BrokerError, TooManyAttempts, Unavailable
from broker.evaluate.verdict import Refusal, StepUp
from broker.flow import Parts, enrol, enrolment, lease, show_factor, sign_in, sign_out
from broker.issue.issuer import IssueRefused, Lease
from broker.record.event import Event, Outcome, Tag
from broker.sessions.session import Session

ROLE = "payments-dev/power-user"


def ask(corridor: Corridor, session: Session, role: str = ROLE, parts: Parts | None = None) -> object:
    return lease(parts or corridor.parts, session, role=role, asked=None, circumstances=corridor.moment())


def test_a_lease_is_decided_and_issued_in_the_trail_under_one_id(corridor: Corridor) -> None:
    session = corridor.session(corridor.person(enrolled=True))
    moment = corridor.moment(address="10.9.8.7")
    leased = lease(corridor.parts, session, role=ROLE, asked=HOUR, circumstances=moment)
    assert isinstance(leased, Lease)
    decided, issued = corridor.events(moment)
    assert (decided.tag, decided.outcome) == (Tag.CREDENTIALS_DECIDED, Outcome.ALLOWED)
    assert (issued.tag, issued.outcome) == (Tag.CREDENTIALS_ISSUED, Outcome.ALLOWED)
    for event in (decided, issued):
        assert event.lease_id == leased.id
        assert event.mapping_revision == corridor.parts.mapping().revision
        assert (event.account, event.role_arn) == (leased.account, leased.role_arn)
        assert event.details["asked_for"] == ROLE
        assert (event.actor, event.session_name) == (session.person, session.session_name)
        assert (event.address, event.request_id) == ("10.9.8.7", moment.request_id)
        assert session.identity is not None
        assert (event.provider, event.subject) == ("corp-ad", session.identity.subject)
        assert event.actor_name == session.identity.username
        assert event.at == corridor.clock()
    assert decided.details["rule"] == "teams-own-their-dev"
    assert (decided.access_key_id, issued.access_key_id) == ("", leased.access_key_id)
    assert issued.details["expires_at"] == leased.expires_at.isoformat()
    told = str([decided, issued])
    assert leased.secret_access_key not in told
    assert leased.session_token not in told


def test_aws_is_asked_under_the_persons_name_for_no_longer_than_wanted(corridor: Corridor) -> None:
    session = corridor.session(corridor.person(enrolled=True))
    leased = lease(corridor.parts, session, role=ROLE, asked=timedelta(minutes=20), circumstances=corridor.moment())
    assert isinstance(leased, Lease)
    assert leased.expires_at == corridor.clock() + timedelta(minutes=20)
    assert leased.session_name == leased.source_identity == session.session_name


REFUSED = {
    "not entitled": ("sre", "payments-prod/fresh", "", "", Refusal),
    "no such account": ("sre", "nowhere/read-only", "", "", Refusal),
    "denied by name": ("leaver", "payments-dev/read-only", "", "", Refusal),
    "from elsewhere": ("sre", "payments-prod/power-user", "192.0.2.1", "1.3", Refusal),
    "from nobody knows where": ("sre", "payments-prod/power-user", None, "1.3", Refusal),
    "over old tls": ("sre", "payments-prod/power-user", "10.1.1.1", "1.1", Refusal),
    "another kind of factor": ("sre", "payments-dev/by-key", "10.1.1.1", "1.3", StepUp),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_says_why_here_and_in_the_trail_and_aws_is_not_asked(corridor: Corridor, case: str) -> None:
    kind, role, address, tls_version, expected = REFUSED[case]
    session = corridor.session(corridor.person(kind, enrolled=True))
    calls = len(corridor.world.sts.calls)
    moment = corridor.moment(address=address or None, tls_version=tls_version)
    verdict = lease(corridor.parts, session, role=role, asked=None, circumstances=moment)
    assert isinstance(verdict, expected)
    assert not isinstance(verdict, Lease)
    assert verdict.reason
    (event,) = corridor.events(moment)
    assert (event.tag, event.outcome) == (Tag.CREDENTIALS_REFUSED, Outcome.DENIED)
    assert (event.reason, event.details["rule"]) == (verdict.reason, verdict.rule)
    assert event.details["asked_for"] == role
    assert event.lease_id
    assert event.mapping_revision
    assert event.actor == session.person
    assert len(corridor.world.sts.calls) == calls


def test_the_same_role_is_given_in_office_hours_and_refused_at_night_until_it_opens(corridor: Corridor) -> None:
    person = corridor.person("sre", enrolled=True)
    corridor.until_office_hours()
    assert isinstance(ask(corridor, corridor.session(person), "payments-prod/power-user"), Lease)
    while 7 <= corridor.clock().hour < 18:
        corridor.clock.advance(HOUR)
    verdict = ask(corridor, corridor.session(person), "payments-prod/power-user")
    assert isinstance(verdict, Refusal)
    assert verdict.opens_at is not None
    corridor.clock.now = verdict.opens_at + MINUTE
    assert isinstance(ask(corridor, corridor.session(person), "payments-prod/power-user"), Lease)


def test_a_factor_that_has_grown_old_is_asked_for_again_and_then_it_is_given(corridor: Corridor) -> None:
    person = corridor.person("sre", enrolled=True)
    session = corridor.session(person)
    assert isinstance(ask(corridor, session, "payments-dev/fresh"), Lease)
    corridor.clock.advance(6 * MINUTE)
    verdict = ask(corridor, session, "payments-dev/fresh")
    assert isinstance(verdict, StepUp)
    assert (verdict.methods, verdict.max_age) == (frozenset({Method.TOTP}), 5 * MINUTE)
    code = corridor.code(person)
    shown = show_factor(corridor.parts, session, method=Method.TOTP, answer=code, circumstances=corridor.moment())
    assert isinstance(ask(corridor, corridor.kept(shown), "payments-dev/fresh"), Lease)


def test_so_many_leases_a_minute_over_all_sessions_and_no_more(world: World, tmp_path: Path) -> None:
    aws = {"regions": ["eu-central-1"], "access_key_file": "aws-key", "leases_per_minute": 3}
    with a_corridor(world, tmp_path / "one", aws=aws) as corridor:
        person, another = corridor.person(enrolled=True), corridor.person(enrolled=True)
        sessions = [corridor.session(person) for _ in range(2)]
        begun = corridor.clock()
        assert isinstance(ask(corridor, sessions[0], "payments-prod/power-user"), Refusal), (
            "what is refused is no lease"
        )
        for number in range(3):
            assert isinstance(ask(corridor, sessions[number % 2]), Lease)
        calls, moment = len(world.sts.calls), corridor.moment()
        for session in sessions:
            with pytest.raises(TooManyAttempts) as refused:
                lease(corridor.parts, session, role=ROLE, asked=None, circumstances=moment)
            assert refused.value.retry_at == begun + MINUTE
        assert len(world.sts.calls) == calls, "AWS is not asked"
        for event in corridor.events(moment):
            assert (event.tag, event.outcome) == (Tag.CREDENTIALS_RATE_LIMITED, Outcome.DENIED)
            assert (event.actor, event.session_name) == (person.id, sessions[0].session_name)
            assert (event.reason, event.details["asked_for"]) == ("too-many-attempts", ROLE)
            assert event.lease_id
        assert len(corridor.events(moment)) == 2
        assert isinstance(ask(corridor, corridor.session(another)), Lease), "the control: somebody else"
        corridor.clock.now = begun + MINUTE
        for number in range(3):
            assert isinstance(ask(corridor, sessions[number % 2]), Lease)
        with pytest.raises(TooManyAttempts):
            ask(corridor, sessions[0])


def test_whose_leases_cannot_be_counted_gets_none(corridor: Corridor, monkeypatch: pytest.MonkeyPatch) -> None:
    session = corridor.session(corridor.person(enrolled=True))
    calls, moment = len(corridor.world.sts.calls), corridor.moment()

    def away(*_: object) -> None:
        message = "the store of attempts"
        raise Unavailable(message)

    with monkeypatch.context() as patch:
        patch.setattr(type(corridor.parts.lease_limit.attempts), "take", away)
        with pytest.raises(Unavailable):
            lease(corridor.parts, session, role=ROLE, asked=None, circumstances=moment)
    assert (corridor.tags(moment), len(corridor.world.sts.calls)) == ([], calls)
    assert isinstance(ask(corridor, session), Lease)


def test_without_the_decision_in_the_trail_aws_is_not_even_asked(own_corridor: Corridor) -> None:
    corridor = own_corridor
    session = corridor.session(corridor.person(enrolled=True))
    calls = len(corridor.world.sts.calls)
    with failing_trail(corridor, at=1) as parts, pytest.raises(Unavailable) as refused:
        ask(corridor, session, parts=parts)
    assert refused.value.neighbour == "audit trail"
    assert len(corridor.world.sts.calls) == calls
    assert isinstance(ask(corridor, session), Lease), "the same with a trail that works"


def test_without_the_issue_in_the_trail_the_credentials_do_not_leave(own_corridor: Corridor) -> None:
    corridor = own_corridor
    session = corridor.session(corridor.person(enrolled=True))
    calls = len(corridor.world.sts.calls)
    with failing_trail(corridor, at=2) as parts, pytest.raises(Unavailable):
        ask(corridor, session, parts=parts)
    assert len(corridor.world.sts.calls) > calls, "AWS was asked: it was the second write that failed"


def test_a_refusal_that_cannot_be_recorded_is_unavailable(own_corridor: Corridor) -> None:
    corridor = own_corridor
    session = corridor.session(corridor.person("stranger", enrolled=True))
    with failing_trail(corridor, at=1) as parts, pytest.raises(Unavailable):
        ask(corridor, session, parts=parts)


def test_nobody_is_signed_in_unrecorded(own_corridor: Corridor) -> None:
    corridor = own_corridor
    person = corridor.person(enrolled=True)
    half = corridor.password_shown(person)
    with failing_trail(corridor, at=1) as parts, pytest.raises(Unavailable):
        sign_in(
            parts,
            corridor.parts.sessions.blank(corridor.clock(), address=""),
            provider="corp-ad",
            username=person.account,
            password=person.password,
            circumstances=corridor.moment(),
        )
    code = corridor.code(person)
    with failing_trail(corridor, at=1) as parts, pytest.raises(Unavailable):
        show_factor(parts, half, method=Method.TOTP, answer=code, circumstances=corridor.moment())
    kept = corridor.reload(half)
    assert kept is not None
    assert kept.shown == ()


def test_a_log_out_is_a_log_out_even_unrecorded(own_corridor: Corridor) -> None:
    corridor = own_corridor
    session = corridor.session(corridor.person(enrolled=True))
    with failing_trail(corridor, at=1) as parts, pytest.raises(Unavailable):
        sign_out(parts, session, corridor.moment())
    assert corridor.reload(session) is None


def refuse(corridor: Corridor) -> None:
    del corridor


def throttle(corridor: Corridor) -> None:
    corridor.world.sts.fail_next("Throttling", status=400, times=2)


def lose(corridor: Corridor) -> None:
    corridor.world.sts.down()


FAILURES: dict[str, tuple[Callable[[Corridor], None], str, type[BrokerError], str]] = {
    "AWS refuses": (refuse, "untrusting/read-only", IssueRefused, "AccessDenied"),
    "AWS throttles": (throttle, "payments-dev/read-only", Unavailable, "unavailable"),
    "AWS is away": (lose, "payments-dev/read-only", Unavailable, "unavailable"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_aws_does_not_give_is_recorded_as_failed(corridor: Corridor, case: str) -> None:
    harm, role, expected, reason = FAILURES[case]
    session = corridor.session(corridor.person("sre", enrolled=True))
    assert isinstance(ask(corridor, session, "payments-dev/read-only"), Lease)
    moment = corridor.moment()
    harm(corridor)
    try:
        with pytest.raises(expected):
            lease(corridor.parts, session, role=role, asked=None, circumstances=moment)
    finally:
        corridor.world.sts.stop()
        corridor.world.sts.up()
    decided, failed = corridor.events(moment)
    assert (decided.tag, failed.tag) == (Tag.CREDENTIALS_DECIDED, Tag.CREDENTIALS_FAILED)
    assert (failed.outcome, failed.reason) == (Outcome.FAILED, reason)
    assert failed.lease_id == decided.lease_id
    assert failed.access_key_id == ""


def sign_in_as(corridor: Corridor, username: str, password: str) -> tuple[BrokerError, list[Event]]:
    moment = corridor.moment()
    blank = corridor.parts.sessions.blank(corridor.clock(), address="")
    with pytest.raises(BrokerError) as refused:
        sign_in(corridor.parts, blank, provider="corp-ad", username=username, password=password, circumstances=moment)
    return refused.value, corridor.events(moment)


def test_a_refused_sign_in_is_recorded_with_who_it_was_as_far_as_the_directory_knows(corridor: Corridor) -> None:
    person = corridor.person()
    _, (event,) = sign_in_as(corridor, person.account, "not it")
    assert (event.tag, event.outcome, event.reason) == (Tag.SIGN_IN_REFUSED, Outcome.DENIED, "wrong-password")
    assert (event.actor_name, event.provider) == (person.account, "corp-ad")
    assert event.subject
    assert event.address == "10.1.2.3"


def test_what_was_typed_where_nobody_has_that_name_is_not_kept(corridor: Corridor) -> None:
    """It may be a password, typed into the wrong field."""
    _, (event,) = sign_in_as(corridor, "hunter2-typed-here", "x")
    assert event.reason == "unknown-user"
    assert "hunter2" not in str(event)


def test_too_many_passwords_are_a_refusal_by_rule_and_the_trail_says_for_whom(corridor: Corridor) -> None:
    person = corridor.person()
    errors = [sign_in_as(corridor, person.account.upper(), "not it") for _ in range(6)]
    assert [isinstance(error, TooManyAttempts) for error, _ in errors] == [False] * 5 + [True]
    ((event,),) = [events for error, events in errors if isinstance(error, TooManyAttempts)]
    assert (event.tag, event.outcome, event.reason) == (Tag.SIGN_IN_REFUSED, Outcome.DENIED, "too-many-attempts")
    (wrong,) = errors[0][1]
    assert wrong.subject
    assert (event.subject, event.actor_name) == (wrong.subject, wrong.actor_name) == (wrong.subject, person.account)


def test_too_many_passwords_for_a_name_that_nobody_has_do_not_keep_what_was_typed(corridor: Corridor) -> None:
    errors = [sign_in_as(corridor, "hunter3-typed-here", "x") for _ in range(6)]
    assert isinstance(errors[-1][0], TooManyAttempts)
    (event,) = errors[-1][1]
    assert (event.reason, event.subject, event.actor_name) == ("too-many-attempts", "", "")
    assert "hunter3" not in str(event)


def test_a_refused_factor_is_recorded_with_its_reason(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    half = corridor.password_shown(person)
    code, seen = corridor.code(person), []
    show_factor(corridor.parts, half, method=Method.TOTP, answer=code, circumstances=corridor.moment())
    for answer in (code, "abc", "000000", "000000", "000000", "000000", "000000", "000000"):
        moment = corridor.moment()
        with pytest.raises((FactorRefused, TooManyAttempts)):
            show_factor(corridor.parts, half, method=Method.TOTP, answer=answer, circumstances=moment)
        (event,) = corridor.events(moment)
        assert (event.tag, event.outcome) == (Tag.FACTOR_REFUSED, Outcome.DENIED)
        assert (event.actor, event.details["method"]) == (half.person, "totp")
        seen.append(event.reason)
    assert seen[:3] == ["code-used-before", "malformed-code", "wrong-code"]
    assert seen[-1] == "too-many-attempts"


def test_an_enrolment_leaves_its_trace_from_the_code_to_the_recovery_codes(corridor: Corridor) -> None:
    person = corridor.person()
    half = corridor.password_shown(person)
    pending, _ = enrolment(corridor.parts, half, "", corridor.moment())
    person = replace(person, key=pending.text_key)
    refused = corridor.moment()
    answer = corridor.code(person)
    with pytest.raises(FactorRefused):
        enrol(corridor.parts, half, sealed=pending.sealed, answer=answer, enrolment_code="", circumstances=refused)
    started, event = corridor.events(refused)
    assert started.tag is Tag.FACTOR_ENROLMENT_STARTED
    assert (event.tag, event.reason) == (Tag.FACTOR_ENROLMENT_REFUSED, "enrolment-code-not-valid")
    allowed = corridor.moment()
    session, codes = enrol(
        corridor.parts,
        half,
        sealed=pending.sealed,
        answer=answer,
        enrolment_code=corridor.enrolment_code(person),
        circumstances=allowed,
    )
    assert session.proof is not None
    assert session.proof.latest() is not None
    assert len(codes) == 10
    started, enrolled, renewed = corridor.events(allowed)
    assert started.tag is Tag.FACTOR_ENROLMENT_STARTED, "before anything is kept"
    assert (enrolled.tag, renewed.tag) == (Tag.FACTOR_ENROLLED, Tag.RECOVERY_CODES_CREATED)
    assert enrolled.details["enrolment_code"].startswith("enrolment-")
    assert not any(secret in str([started, enrolled, renewed]) for secret in (*codes, answer, pending.text_key))


def test_a_first_sign_in_makes_a_person_and_later_ones_do_not(corridor: Corridor) -> None:
    person, seen = corridor.person(), []
    for _ in range(2):
        moment = corridor.moment()
        blank = corridor.parts.sessions.blank(corridor.clock(), address="")
        sign_in(
            corridor.parts,
            blank,
            provider="corp-ad",
            username=person.account,
            password=person.password,
            circumstances=moment,
        )
        seen.append(corridor.tags(moment))
    assert seen == [[Tag.PERSON_CREATED, Tag.SIGN_IN_SUCCEEDED], [Tag.SIGN_IN_SUCCEEDED]]
