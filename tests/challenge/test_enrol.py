"""Who may enrol a second factor, and with what."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import NOW, a_group
from builders_factors import (
    ADA,
    BOB,
    STEP,
    Away,
    after_password,
    code_at,
    enrol,
    in_parallel,
    seed_on_page,
    with_settings,
    wrong_code,
)

from broker.authenticate.attempts import Attempts
from broker.authenticate.identity import PersonId
from broker.challenge.clock_check import ClockCheck
from broker.challenge.enrol import Asks, Enrolled, Enrolment
from broker.challenge.factor import EnrolmentCode, FactorReason, FactorRefused
from broker.challenge.proof import Method, Proof, Shown
from broker.challenge.recovery import RecoveryCodes
from broker.challenge.tools import FactorTools
from broker.challenge.totp import Totp
from broker.errors import BrokerError, InvalidRequest, TooManyAttempts, Unavailable
from broker.keys import Keyring, Purpose

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
TEAM = a_group("Team", rid=2001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An enrolment page in somebody's browser, with the seed in their app."""

    room: Enrolment
    proof: Proof
    sealed: str
    seed: bytes

    def submit(self, *, code: str = "", answer: str = "", at: datetime = NOW, label: str = "") -> Enrolled:
        typed = answer or code_at(self.seed, at)
        return self.room.complete(self.proof, self.sealed, typed, at, enrolment_code=code, label=label)

    def refused(self, *, code: str = "", answer: str = "", at: datetime = NOW) -> FactorReason:
        with pytest.raises(FactorRefused) as caught:
            self.submit(code=code, answer=answer, at=at)
        return caught.value.reason


def page(tools: FactorTools, proof: Proof | None = None, *, at: datetime = NOW) -> Page:
    room, proof = Enrolment(tools), proof or after_password()
    begun = room.begin(proof, at)
    return Page(room=room, proof=proof, sealed=begun.sealed, seed=seed_on_page(begun.text_key))


def account_code(tools: FactorTools, person: PersonId = ADA, *, now: datetime = NOW) -> str:
    identity = after_password(person).identity
    made = Enrolment(tools).create_code(
        provider=identity.provider, subject=identity.subject, created_by="operator:olga", now=now
    )
    return made.text


def group_code(tools: FactorTools, *, now: datetime = NOW) -> str:
    return Enrolment(tools).create_code(provider="corp-ad", group=TEAM.id, created_by="operator:olga", now=now).text


@pytest.fixture
def by_self(tools: FactorTools) -> FactorTools:
    return with_settings(tools, enrolment="self")


# With an operator's code


def test_a_fresh_password_and_a_code_enrol_a_first_factor(tools: FactorTools) -> None:
    ours = page(tools)
    assert ours.room.asks(ADA) is Asks.CODE
    done = ours.submit(code=account_code(tools), label="My phone")
    (kept,) = tools.factors.factors(ADA)
    assert done.shown == Shown(method=Method.TOTP, factor=kept.id, at=NOW)
    assert done.enrolment_code.startswith("enrolment-")
    assert (kept.label, kept.enrolled_at) == ("My phone", NOW)
    assert ours.room.asks(ADA) is Asks.FACTOR
    assert Totp(tools).check(ADA, code_at(ours.seed, NOW + STEP), NOW + STEP).factor == kept.id


def test_the_confirming_code_is_used_up(tools: FactorTools) -> None:
    ours = page(tools)
    ours.submit(code=account_code(tools))
    with pytest.raises(FactorRefused) as caught:
        Totp(tools).check(ADA, code_at(ours.seed, NOW), NOW)
    assert caught.value.reason is FactorReason.REPLAYED


@pytest.mark.parametrize("typed", ["", "nonsense", "00000-00000-00000-00000-000000", "A" * 1024])
def test_without_a_valid_code_nothing_is_enrolled(tools: FactorTools, typed: str) -> None:
    account_code(tools)
    assert page(tools).refused(code=typed) is FactorReason.ENROLMENT_CODE
    assert not tools.factors.factors(ADA)


def test_a_code_for_another_account_is_refused_and_stays_unused(tools: FactorTools) -> None:
    for_bob = account_code(tools, BOB)
    assert page(tools).refused(code=for_bob) is FactorReason.ENROLMENT_CODE
    assert page(tools, after_password(BOB)).submit(code=for_bob).shown.factor


def test_a_code_for_the_same_subject_or_group_at_another_provider_is_refused(tools: FactorTools) -> None:
    subject = after_password().identity.subject
    room = Enrolment(tools)
    for bound in ({"subject": subject}, {"group": TEAM.id}):
        other = room.create_code(provider="partner-ad", created_by="operator:olga", now=NOW, **bound)
        ours = page(tools, after_password(groups=(TEAM,)))
        assert ours.refused(code=other.text) is FactorReason.ENROLMENT_CODE


def test_a_code_expires(tools: FactorTools) -> None:
    old, nearly = account_code(tools, now=NOW - DAY), account_code(tools, now=NOW - DAY + timedelta(seconds=1))
    assert page(tools).refused(code=old) is FactorReason.ENROLMENT_CODE
    assert page(tools).submit(code=nearly).shown.factor


def test_a_code_works_once(tools: FactorTools) -> None:
    code = account_code(tools)
    page(tools).submit(code=code)
    Enrolment(tools).reset(ADA, NOW - MINUTE)
    assert page(tools).refused(code=code) is FactorReason.ENROLMENT_CODE


def test_a_groups_code_works_once_for_each_member_and_for_nobody_else(tools: FactorTools) -> None:
    code = group_code(tools)
    for person in (ADA, BOB):
        assert page(tools, after_password(person, groups=(TEAM,))).submit(code=code).shown.factor
    outsider = page(tools, after_password(PersonId("p-eve")))
    assert outsider.refused(code=code) is FactorReason.ENROLMENT_CODE
    Enrolment(tools).reset(ADA, NOW - MINUTE)
    assert page(tools, after_password(groups=(TEAM,))).refused(code=code) is FactorReason.ENROLMENT_CODE


def test_a_wrong_totp_code_does_not_use_up_the_enrolment_code(tools: FactorTools) -> None:
    code, ours = account_code(tools), page(tools)
    assert ours.refused(code=code, answer=wrong_code(ours.seed, NOW)) is FactorReason.WRONG
    assert not tools.factors.factors(ADA)
    assert ours.submit(code=code).shown.factor


def test_fifty_at_once_with_one_code_enrol_one_factor(tools: FactorTools) -> None:
    code, ours = account_code(tools), page(tools)
    outcomes = in_parallel(lambda: ours.submit(code=code))
    assert len([outcome for outcome in outcomes if isinstance(outcome, Enrolled)]) == 1
    assert all(isinstance(outcome, Enrolled | BrokerError) for outcome in outcomes)
    assert len(tools.factors.factors(ADA)) == 1


def test_several_pages_at_once_with_several_codes_enrol_one_factor(tools: FactorTools) -> None:
    pages = [(page(tools), account_code(tools)) for _ in range(4)]
    todo = iter(pages)

    def one() -> Enrolled:
        ours, code = next(todo)
        return ours.submit(code=code)

    outcomes = in_parallel(one, 4)
    assert len([outcome for outcome in outcomes if isinstance(outcome, Enrolled)]) == 1
    assert len(tools.factors.factors(ADA)) == 1


def test_a_code_is_for_exactly_one_account_or_group(tools: FactorTools) -> None:
    room = Enrolment(tools)
    wrong = (
        {"provider": "corp-ad"},
        {"provider": "corp-ad", "subject": "s", "group": "g"},
        {"provider": "", "subject": "s"},
    )
    for bound in wrong:
        with pytest.raises(InvalidRequest):
            room.create_code(created_by="operator:olga", now=NOW, **bound)


def test_a_code_is_kept_as_a_mac_and_told_once(tools: FactorTools) -> None:
    made = Enrolment(tools).create_code(provider="corp-ad", subject="s", created_by="operator:olga", now=NOW)
    assert made.text not in repr(made)
    assert tools.enrolment_codes.find_code(made.code.id) == made.code
    assert made.code.expires_at == NOW + DAY
    planted = replace(tools, keyring=Keyring.generate(now=NOW))
    assert page(tools).refused(code=account_code(planted)) is FactorReason.ENROLMENT_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Altered:
    """An `EnrolmentStore` that somebody else writes to."""

    code: EnrolmentCode

    def find_code(self, code: str) -> EnrolmentCode | None:
        return self.code if code == self.code.id else None

    def add_code(self, code: EnrolmentCode) -> None:
        raise AssertionError(code.id)


@pytest.mark.parametrize(
    "change",
    [
        {"provider": "corp-ad", "subject": after_password().identity.subject, "group": ""},
        {"provider": "corp-ad", "subject": "", "group": TEAM.id},
        {"made_at": NOW + MINUTE},
        {"expires_at": NOW + 365 * DAY},
    ],
    ids=["account", "group", "made later", "longer life"],
)
def test_what_a_code_is_bound_to_cannot_be_altered_in_the_store(tools: FactorTools, change: dict[str, Any]) -> None:
    subject = "somebody else's" if "subject" in change else after_password().identity.subject
    made = Enrolment(tools).create_code(provider="corp-ad", subject=subject, created_by="operator:olga", now=NOW)
    altered = replace(tools, enrolment_codes=Altered(code=replace(made.code, **change)))
    proof = after_password(groups=(TEAM,))
    assert page(altered, proof).refused(code=made.text) is FactorReason.ENROLMENT_CODE
    as_it_was = replace(tools, enrolment_codes=Altered(code=made.code))
    if subject == proof.identity.subject:
        assert page(as_it_was, proof).submit(code=made.text).enrolment_code == made.code.id


def test_a_code_made_before_a_key_rotation_still_works(tools: FactorTools) -> None:
    code = account_code(tools)
    rotated = replace(tools, keyring=tools.keyring.rotate(Purpose.SEED, now=NOW))
    assert page(rotated).submit(code=code).shown.factor


# By oneself, and after a reset


def test_under_policy_self_a_fresh_password_is_enough(by_self: FactorTools) -> None:
    assert Enrolment(by_self).asks(ADA) is Asks.NOTHING
    assert page(by_self).submit().enrolment_code == ""


def test_a_reset_never_reopens_self(by_self: FactorTools) -> None:
    page(by_self).submit()
    assert Enrolment(by_self).reset(ADA, NOW - MINUTE) == 1
    assert not Totp(by_self).enrolled(ADA)
    assert Enrolment(by_self).asks(ADA) is Asks.CODE
    assert page(by_self).refused() is FactorReason.ENROLMENT_CODE
    assert page(by_self).submit(code=account_code(by_self)).shown.factor


def test_a_reset_voids_the_persons_codes_from_before_it(tools: FactorTools) -> None:
    """Whoever had the old code, and now has the password, must not enrol after the lost phone was reported."""
    old = (account_code(tools, now=NOW - MINUTE), group_code(tools, now=NOW - MINUTE))
    Enrolment(tools).reset(ADA, NOW - MINUTE)
    for code in old:
        assert page(tools, after_password(groups=(TEAM,))).refused(code=code) is FactorReason.ENROLMENT_CODE
    assert page(tools, after_password(BOB, groups=(TEAM,))).submit(code=old[1]).shown.factor
    assert page(tools).submit(code=account_code(tools)).shown.factor


def test_a_reset_of_somebody_without_factors_counts_too(by_self: FactorTools) -> None:
    assert Enrolment(by_self).reset(ADA, NOW - MINUTE) == 0
    assert Enrolment(by_self).asks(ADA) is Asks.CODE
    assert Enrolment(by_self).asks(BOB) is Asks.NOTHING


def test_a_reset_between_the_look_and_the_keeping_is_noticed(by_self: FactorTools) -> None:
    """Whoever asked before the reset must not enrol after it without a code."""

    class ResetLate:
        def __getattr__(self, name: str) -> object:
            return getattr(by_self.factors, name)

        def was_reset(self, person: PersonId) -> bool:
            before = by_self.factors.was_reset(person)
            by_self.factors.remove_factors(person, NOW - MINUTE)
            return before

    raced = replace(by_self, factors=ResetLate())  # type: ignore[arg-type]  # a stand-in
    ours = page(by_self)
    late = replace(ours, room=Enrolment(raced))
    assert late.refused() is FactorReason.ENROLMENT_CODE
    assert not by_self.factors.factors(ADA)


def test_a_reset_removes_recovery_codes_and_forgives_failures(by_self: FactorTools) -> None:
    proof, _ = enrol(by_self, at=NOW)
    RecoveryCodes(by_self).renew(proof, NOW)
    by_self.count_attempt(ADA, NOW)
    Enrolment(by_self).reset(ADA, NOW - MINUTE)
    assert not RecoveryCodes(by_self).enrolled(ADA)
    assert by_self.attempts.read("factor:p-ada") == Attempts()


def test_fifty_at_once_by_themselves_enrol_one_factor(by_self: FactorTools) -> None:
    outcomes = in_parallel(page(by_self).submit)
    assert len([outcome for outcome in outcomes if isinstance(outcome, Enrolled)]) == 1
    assert len(by_self.factors.factors(ADA)) == 1


# The password's freshness, and the page's


@pytest.mark.parametrize("age", [timedelta(0), 5 * MINUTE, timedelta(seconds=-30)])
def test_a_password_of_the_last_five_minutes_is_fresh(by_self: FactorTools, age: timedelta) -> None:
    assert page(by_self, after_password(at=NOW - age)).submit().shown.factor


@pytest.mark.parametrize("age", [5 * MINUTE + timedelta(seconds=1), timedelta(hours=8), timedelta(seconds=-31)])
def test_an_older_password_is_asked_for_again(by_self: FactorTools, age: timedelta) -> None:
    with pytest.raises(FactorRefused) as caught:
        Enrolment(by_self).begin(after_password(at=NOW - age), NOW)
    assert caught.value.reason is FactorReason.PASSWORD_NOT_FRESH


def test_a_page_begun_with_another_sign_ins_password_does_not_count(by_self: FactorTools) -> None:
    ours = page(by_self)
    for at in (NOW - 6 * MINUTE, NOW + MINUTE):
        assert replace(ours, proof=after_password(at=at)).refused(at=NOW + MINUTE) is FactorReason.PASSWORD_NOT_FRESH


def test_there_are_ten_minutes_to_scan_and_confirm(by_self: FactorTools) -> None:
    ours = page(by_self)
    late = NOW + 10 * MINUTE + timedelta(seconds=1)
    assert ours.refused(at=late) is FactorReason.ENROLMENT_EXPIRED
    assert ours.refused(at=NOW - MINUTE) is FactorReason.ENROLMENT_EXPIRED
    assert ours.submit(at=NOW + 10 * MINUTE).shown.factor


def test_somebody_elses_page_cannot_be_completed(by_self: FactorTools) -> None:
    adas = page(by_self)
    stolen = replace(adas, proof=after_password(BOB))
    assert stolen.refused() is FactorReason.ENROLMENT_EXPIRED
    assert replace(adas, sealed="").refused() is FactorReason.ENROLMENT_EXPIRED
    assert replace(adas, sealed="\N{FULLWIDTH DIGIT ONE}").refused() is FactorReason.ENROLMENT_EXPIRED


def test_the_page_comes_back_after_a_typing_error(by_self: FactorTools) -> None:
    ours = page(by_self)
    assert seed_on_page(ours.room.resume(ours.proof, ours.sealed, NOW + MINUTE).text_key) == ours.seed


# A further factor


def test_a_further_factor_needs_an_existing_one_just_shown(by_self: FactorTools) -> None:
    proof, _ = enrol(by_self, at=NOW)
    assert page(by_self, proof).submit().shown.factor
    assert len(by_self.factors.factors(ADA)) == 2


def test_a_password_alone_or_a_code_enrols_no_further_factor(tools: FactorTools) -> None:
    enrol(tools)
    with pytest.raises(FactorRefused) as caught:
        page(tools)
    assert caught.value.reason is FactorReason.PROOF_NEEDED
    ours = page(tools, after_password().with_shown(Shown(method=Method.TOTP, factor="f", at=NOW)))
    assert replace(ours, proof=after_password()).refused(code=account_code(tools)) is FactorReason.PROOF_NEEDED
    assert len(tools.factors.factors(ADA)) == 1


@pytest.mark.parametrize("ago", [5 * MINUTE + timedelta(seconds=1), -MINUTE])
def test_a_factor_shown_longer_ago_is_asked_for_again(by_self: FactorTools, ago: timedelta) -> None:
    proof, _ = enrol(by_self)
    shown = replace(proof.shown[0], at=NOW - ago)
    with pytest.raises(FactorRefused) as caught:
        page(by_self, replace(proof, shown=(shown,)))
    assert caught.value.reason is FactorReason.PROOF_NEEDED


def test_a_factor_shown_before_a_reset_enrols_nothing_after_it(tools: FactorTools) -> None:
    """A session that was left open over a reset and a new enrolment."""
    before, _ = enrol(tools, at=NOW - MINUTE)
    Enrolment(tools).reset(ADA, NOW - MINUTE)
    page(tools).submit(code=account_code(tools))
    with pytest.raises(FactorRefused) as caught:
        page(tools, before)
    assert caught.value.reason is FactorReason.PROOF_NEEDED


def test_a_page_completed_twice_enrols_one_factor(by_self: FactorTools) -> None:
    first, _ = enrol(by_self, at=NOW)
    ours = page(by_self, first)
    ours.submit()
    assert ours.refused(at=NOW + STEP) is FactorReason.ALREADY_ENROLLED
    assert len(by_self.factors.factors(ADA)) == 2


def test_two_first_pages_enrol_one_factor(by_self: FactorTools) -> None:
    """Whoever else knows the password, and has a page open, does not become the second factor."""
    ours, theirs = page(by_self), page(by_self)
    ours.submit()
    assert theirs.refused() is FactorReason.PROOF_NEEDED
    assert len(by_self.factors.factors(ADA)) == 1


def test_a_first_factor_added_meanwhile_stands_alone(by_self: FactorTools) -> None:
    """The same, when the other one is faster between our look and our keeping."""
    ours, theirs = page(by_self), page(by_self)

    class Slow:
        def __getattr__(self, name: str) -> object:
            return getattr(by_self.factors, name)

        def was_reset(self, person: PersonId) -> bool:
            theirs.submit()
            return by_self.factors.was_reset(person)

    slow = replace(ours, room=Enrolment(replace(by_self, factors=Slow())))  # type: ignore[arg-type]  # a stand-in
    assert slow.refused() is FactorReason.ALREADY_ENROLLED
    assert len(by_self.factors.factors(ADA)) == 1


# Guessing, the clock, outages


def test_guesses_at_enrolment_are_counted_with_all_others(tools: FactorTools) -> None:
    ours, code = page(tools), account_code(tools)
    for _ in range(3):
        assert ours.refused(code="00000-00000-00000-00000-000000") is FactorReason.ENROLMENT_CODE
    for _ in range(2):
        assert ours.refused(code=code, answer=wrong_code(ours.seed, NOW)) is FactorReason.WRONG
    with pytest.raises(TooManyAttempts):
        ours.submit(code=code)
    later = replace(ours, room=Enrolment(replace(tools, attempts=FreeAttempts())))  # type: ignore[arg-type]  # a stand-in
    assert later.submit(code=code).shown.factor


class FreeAttempts:
    """Lets everything through: the positive control."""

    def take(self, *_args: object) -> object:
        return type("Yes", (), {"allowed": True, "retry_at": None})

    def succeeded(self, _key: str) -> None:
        return None


@pytest.mark.parametrize("typed", ["1" * 1024, "\N{FULLWIDTH DIGIT ONE}" * 6, "12345"])
def test_what_cannot_be_a_code_costs_nothing(tools: FactorTools, typed: str) -> None:
    ours = page(tools)
    blind = replace(tools, factors=Away(), attempts=Away(), keyring=Away())  # type: ignore[arg-type]  # stand-ins
    assert replace(ours, room=Enrolment(blind)).refused(answer=typed) is FactorReason.MALFORMED


def test_while_the_clock_cannot_be_trusted_nothing_is_enrolled(by_self: FactorTools) -> None:
    ours = page(by_self)
    off = replace(by_self, clock_check=ClockCheck({"sts": lambda: timedelta(minutes=2)}, monotonic=lambda: 0.0))
    assert replace(ours, room=Enrolment(off)).refused() is FactorReason.CLOCK_OFF
    assert ours.submit().shown.factor


@pytest.mark.parametrize("store", ["factors", "attempts", "enrolment_codes"])
def test_while_a_store_is_away_nothing_is_enrolled_or_used_up(tools: FactorTools, store: str) -> None:
    ours, code = page(tools), account_code(tools)
    broken = replace(tools, **{store: Away()})  # type: ignore[arg-type]  # a stand-in
    with pytest.raises(Unavailable):
        replace(ours, room=Enrolment(broken)).submit(code=code)
    assert ours.submit(code=code).shown.factor


def test_no_secret_of_an_enrolment_is_ever_told(tools: FactorTools, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ours, code = page(tools), account_code(tools)
    told = []
    for typed, answer in ((code, wrong_code(ours.seed, NOW)), (code + "A", "")):
        with pytest.raises(FactorRefused) as caught:
            ours.submit(code=typed, answer=answer)
        told += [repr(caught.value), caught.value.message, caught.value.remedy]
    told += [repr(ours.submit(code=code)), repr(tools.factors.factors(ADA)), repr(tools), caplog.text]
    said = " ".join(told)
    for secret in (code, code.replace("-", ""), ours.seed.hex(), repr(ours.seed)[2:-1], code_at(ours.seed, NOW)):
        assert secret not in said
