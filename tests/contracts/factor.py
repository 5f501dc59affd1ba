"""What every second factor promises. A factor's tests derive from `FactorContract` and give it a `bench`."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from builders import NOW
from builders_factors import ADA, BOB, Away, in_parallel, with_settings

from broker.authenticate.attempts import Attempts
from broker.authenticate.identity import PersonId
from broker.challenge import FACTORS, build_factors
from broker.challenge.factor import Factor, FactorReason, FactorRefused
from broker.challenge.proof import Shown
from broker.challenge.tools import FactorTools
from broker.errors import TooManyAttempts, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A factor that Ada and Bob have enrolled, and how to answer it."""

    tools: FactorTools
    make: Callable[[FactorTools], Factor]
    right: Callable[[PersonId, datetime], str]
    """A right answer of that person at that instant, not used before."""
    wrong: str
    malformed: Sequence[str]

    @property
    def factor(self) -> Factor:
        """A new instance over the same stores."""
        return self.make(self.tools)


class FactorContract:
    """Derive, and override `bench`."""

    @pytest.fixture
    def bench(self) -> Bench:
        raise NotImplementedError

    def test_it_is_registered_and_says_how_to_ask(self, bench: Bench) -> None:
        assert bench.make in FACTORS
        assert type(build_factors(bench.tools)[bench.factor.method]) is bench.make
        assert bench.factor.title
        assert bench.factor.template.endswith(".html")

    def test_a_right_answer_is_shown_now_by_a_named_factor(self, bench: Bench) -> None:
        shown = bench.factor.check(ADA, bench.right(ADA, NOW), NOW)
        assert (shown.method, shown.at) == (bench.factor.method, NOW)
        assert shown.factor

    def test_a_wrong_answer_is_refused(self, bench: Bench) -> None:
        with pytest.raises(FactorRefused) as caught:
            bench.factor.check(ADA, bench.wrong, NOW)
        assert caught.value.reason is FactorReason.WRONG

    def test_somebody_elses_answer_is_refused(self, bench: Bench) -> None:
        with pytest.raises(FactorRefused) as caught:
            bench.factor.check(ADA, bench.right(BOB, NOW), NOW)
        assert caught.value.reason is FactorReason.WRONG

    def test_an_answer_counts_once(self, bench: Bench) -> None:
        answer = bench.right(ADA, NOW)
        bench.factor.check(ADA, answer, NOW)
        with pytest.raises(FactorRefused) as caught:
            bench.factor.check(ADA, answer, NOW)
        assert caught.value.reason in {FactorReason.REPLAYED, FactorReason.WRONG}

    def test_of_fifty_at_once_exactly_one_counts(self, bench: Bench) -> None:
        answer = bench.right(ADA, NOW)
        outcomes = in_parallel(lambda: bench.factor.check(ADA, answer, NOW))
        assert len([outcome for outcome in outcomes if isinstance(outcome, Shown)]) == 1
        assert all(isinstance(outcome, Shown | FactorRefused | TooManyAttempts) for outcome in outcomes)

    def test_of_fifty_guesses_at_once_five_are_looked_at(self, bench: Bench) -> None:
        outcomes = in_parallel(lambda: bench.factor.check(ADA, bench.wrong, NOW))
        assert len([outcome for outcome in outcomes if isinstance(outcome, FactorRefused)]) == 5
        assert len([outcome for outcome in outcomes if isinstance(outcome, TooManyAttempts)]) == 45

    def test_what_cannot_be_an_answer_is_refused_and_costs_nothing(self, bench: Bench) -> None:
        blind = bench.make(replace(bench.tools, keyring=Away(), attempts=Away(), factors=Away()))  # type: ignore[arg-type]  # a stand-in
        for answer in [*bench.malformed, "", " ", "\N{FULLWIDTH DIGIT ONE}" * 6, "1" * 1024, "A" * 1024, "\0" * 6]:
            with pytest.raises(FactorRefused) as caught:
                blind.check(ADA, answer, NOW)
            assert caught.value.reason is FactorReason.MALFORMED

    def test_after_five_wrong_answers_the_right_one_has_to_wait(self, bench: Bench) -> None:
        for _ in range(5):
            with pytest.raises(FactorRefused):
                bench.factor.check(ADA, bench.wrong, NOW)
        with pytest.raises(TooManyAttempts) as caught:
            bench.factor.check(ADA, bench.right(ADA, NOW), NOW)
        later = caught.value.retry_at
        assert later == NOW + bench.tools.settings.window
        assert bench.factor.check(ADA, bench.right(ADA, later), later).factor

    def test_failures_are_counted_by_person_over_all_sessions_and_factors(self, bench: Bench) -> None:
        for factor in [*(make(bench.tools) for make in FACTORS), bench.factor, bench.factor, bench.factor]:
            answer = bench.wrong if factor.method is bench.factor.method else WRONG_FOR[factor.method.value]
            with pytest.raises(FactorRefused):
                factor.check(ADA, answer, NOW)
        assert bench.tools.attempts.read("factor:p-ada").failures == 5
        with pytest.raises(TooManyAttempts):
            bench.factor.check(ADA, bench.right(ADA, NOW), NOW)

    def test_one_persons_failures_are_nobody_elses(self, bench: Bench) -> None:
        for _ in range(5):
            with pytest.raises(FactorRefused):
                bench.factor.check(ADA, bench.wrong, NOW)
        assert bench.factor.check(BOB, bench.right(BOB, NOW), NOW).factor

    def test_a_right_answer_ends_the_wait_and_the_wrong_ones_stay_counted(self, bench: Bench) -> None:
        for _ in range(4):
            with pytest.raises(FactorRefused):
                bench.factor.check(ADA, bench.wrong, NOW)
        bench.factor.check(ADA, bench.right(ADA, NOW), NOW)
        counted = bench.tools.attempts.read("factor:p-ada")
        assert (counted.failures, counted.in_a_row, counted.wait_until) == (4, 0, None)

    def test_a_guesser_does_not_live_on_the_owners_successes(self, bench: Bench) -> None:
        tools, now = with_settings(bench.tools, hard_stop=8), NOW
        for _ in range(2):
            for _ in range(4):
                with pytest.raises(FactorRefused):
                    bench.make(tools).check(ADA, bench.wrong, now)
            if now == NOW:
                bench.make(tools).check(ADA, bench.right(ADA, now), now)
            now += timedelta(hours=1)
        with pytest.raises(TooManyAttempts) as caught:
            bench.make(tools).check(ADA, bench.right(ADA, now), now)
        assert caught.value.retry_at is None

    def test_after_the_hard_stop_only_an_operator_helps(self, bench: Bench) -> None:
        tools = with_settings(bench.tools, hard_stop=3)
        for _ in range(3):
            with pytest.raises(FactorRefused):
                bench.make(tools).check(ADA, bench.wrong, NOW)
        with pytest.raises(TooManyAttempts) as caught:
            bench.make(tools).check(ADA, bench.right(ADA, NOW), NOW)
        assert caught.value.retry_at is None
        assert "unlock" in caught.value.remedy
        tools.forgive(ADA)
        assert bench.make(tools).check(ADA, bench.right(ADA, NOW), NOW).factor

    def test_who_has_not_enrolled_it_is_refused_and_not_counted(self, bench: Bench) -> None:
        nobody = PersonId("p-nobody")
        assert bench.factor.enrolled(ADA)
        assert not bench.factor.enrolled(nobody)
        with pytest.raises(FactorRefused) as caught:
            bench.factor.check(nobody, bench.right(ADA, NOW), NOW)
        assert caught.value.reason is FactorReason.NOT_ENROLLED
        assert bench.tools.attempts.read("factor:p-nobody") == Attempts()

    @pytest.mark.parametrize("store", ["factors", "attempts"])
    def test_while_a_store_is_away_nothing_counts_and_nobody_is_blamed(self, bench: Bench, store: str) -> None:
        broken = bench.make(replace(bench.tools, **{store: Away()}))  # type: ignore[arg-type]  # a stand-in
        answer = bench.right(ADA, NOW)
        with pytest.raises(Unavailable):
            broken.check(ADA, answer, NOW)
        assert bench.tools.attempts.read("factor:p-ada") == Attempts()
        assert bench.factor.check(ADA, answer, NOW).factor

    def test_no_answer_shows_in_an_error_or_a_log_line(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        told = [repr(bench.factor.check(ADA, bench.right(ADA, NOW), NOW))]
        for answer in [bench.wrong, *bench.malformed]:
            with pytest.raises(FactorRefused) as caught:
                bench.factor.check(ADA, answer, NOW)
            told += [str(caught.value), repr(caught.value), caught.value.message, caught.value.remedy]
        said = caplog.text + " ".join(told)
        assert not any(len(answer) > 3 and answer in said for answer in [bench.wrong, *bench.malformed])


WRONG_FOR = {"totp": "000000", "recovery_code": "00000-00000-00000-00000-000000"}
"""An answer of the right form that is hardly ever right, for counting over several factors."""
