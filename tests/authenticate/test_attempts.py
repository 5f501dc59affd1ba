"""The arithmetic of how often somebody may try."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.authenticate.attempts import FORGOTTEN_AFTER, AttemptRule, Attempts, succeeded, take, wait_after

some = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RULES = st.builds(
    AttemptRule,
    tries=st.integers(1, 10),
    window=st.integers(1, 3600).map(lambda seconds: timedelta(seconds=seconds)),
    longest_wait=st.integers(1, 86400).map(lambda seconds: timedelta(seconds=seconds)),
    hard_stop=st.none() | st.integers(1, 200),
    doubles_every=st.none() | st.integers(1, 10),
)
GAPS = st.lists(st.integers(0, 4000), min_size=1, max_size=60)


def allowed_times(rule: AttemptRule, gaps: list[int]) -> list[datetime]:
    state, now, times = Attempts(), NOON, []
    for gap in gaps:
        now += timedelta(seconds=gap)
        state, taken = take(state, now, rule)
        if taken.allowed:
            times.append(now)
    return times


@some
@given(RULES, GAPS)
def test_no_stretch_as_long_as_the_window_holds_twice_the_tries(rule: AttemptRule, gaps: list[int]) -> None:
    """`tries` from the first one on; where the window rolls over, at most that again."""
    times = allowed_times(rule, gaps)
    for index, first in enumerate(times):
        assert sum(first <= time < first + rule.window for time in times[index:]) <= max(2 * rule.tries - 1, 1)


@some
@given(RULES, GAPS)
def test_where_it_slides_no_stretch_as_long_as_the_window_holds_more_than_the_tries(
    rule: AttemptRule, gaps: list[int]
) -> None:
    times = allowed_times(replace(rule, slides=True, longest_wait=max(rule.longest_wait, rule.window)), gaps)
    for index, first in enumerate(times):
        assert sum(first <= time < first + rule.window for time in times[index:]) <= rule.tries


def test_at_the_seam_of_two_windows_only_one_that_slides_holds() -> None:
    gaps = [0, 899, 1, 6, 6, 6]
    fixed, sliding = (allowed_times(AttemptRule(tries=3, slides=slides), gaps) for slides in (False, True))
    assert [(at - NOON).seconds for at in fixed] == [0, 899, 900, 906, 912]
    assert [(at - NOON).seconds for at in sliding] == [0, 899, 900]


@some
@given(RULES, GAPS)
def test_the_hard_stop_is_hard(rule: AttemptRule, gaps: list[int]) -> None:
    assert len(allowed_times(rule, gaps)) <= (rule.hard_stop or len(gaps))


@some
@given(RULES, st.integers(1, 300))
def test_after_that_many_at_once_there_is_a_wait(rule: AttemptRule, parallel: int) -> None:
    assert len(allowed_times(rule, [0] * parallel)) == min(parallel, rule.tries, rule.hard_stop or parallel)


@some
@given(RULES, GAPS)
def test_a_refusal_says_when_the_next_try_counts_and_it_does(rule: AttemptRule, gaps: list[int]) -> None:
    state, now = Attempts(), NOON
    for gap in gaps:
        now += timedelta(seconds=gap)
        before = state
        state, taken = take(state, now, rule)
        if taken.allowed:
            assert taken.retry_at is None
            continue
        assert state == before  # a refused try does not make it worse
        if taken.retry_at is None:
            assert rule.hard_stop is not None
            assert state.failures >= rule.hard_stop
        else:
            assert taken.retry_at > now
            assert take(state, taken.retry_at, rule)[1].allowed


@some
@given(RULES)
def test_the_wait_grows_to_its_limit_and_never_shrinks(rule: AttemptRule) -> None:
    waits = [wait_after(in_a_row, rule) for in_a_row in range(rule.tries, rule.tries * 20)]
    assert waits == sorted(waits)
    assert waits[0] >= min(rule.window, rule.longest_wait)
    assert waits[-1] <= max(rule.longest_wait, rule.window)


def tried(state: Attempts, now: datetime, rule: AttemptRule, times: int) -> tuple[Attempts, datetime]:
    """After so many wrong tries, each as early as it may be."""
    for _ in range(times):
        now = max(now, state.wait_until or now)
        state, taken = take(state, now, rule)
        assert taken.allowed
    return state, now


def test_without_a_hard_stop_there_is_always_a_next_try() -> None:
    state, now = tried(Attempts(), NOON, AttemptRule(hard_stop=None), 1_000)
    assert state.wait_until is not None
    assert state.wait_until - now == AttemptRule().longest_wait


def test_a_success_ends_the_waits_and_takes_back_only_its_own_try() -> None:
    rule = AttemptRule(tries=2)
    state, now = tried(Attempts(), NOON, rule, 6)
    after = succeeded(state)
    assert after == Attempts(failures=5, last_at=now)
    state, _ = tried(after, now, rule, 2)
    assert state.wait_until == now + rule.window  # the first wait again, though 7 have failed since a reset
    assert state.failures == 7


def test_a_success_without_failures_leaves_nothing() -> None:
    assert succeeded(take(Attempts(), NOON, AttemptRule())[0]) == Attempts()
    assert succeeded(Attempts()) == Attempts()


def test_successes_of_the_owner_do_not_keep_a_guesser_from_the_hard_stop() -> None:
    rule, state, now, guesses = AttemptRule(), Attempts(), NOON, 0
    for _ in range(200):
        now += timedelta(hours=2)
        for _ in range(2):
            state, taken = take(state, now, rule)
            guesses += taken.allowed
        state, taken = take(state, now, rule)
        if not taken.allowed:
            break
        state = succeeded(state)
    assert guesses == rule.hard_stop
    assert take(state, now + timedelta(hours=2), rule)[1].retry_at is None


def test_failures_are_forgotten_when_nobody_has_tried_for_long() -> None:
    rule = AttemptRule(tries=2)
    state, now = tried(Attempts(), NOON, rule, 7)
    for later, in_a_row in ((now + FORGOTTEN_AFTER, 8), (now + FORGOTTEN_AFTER + timedelta(seconds=1), 1)):
        counted, taken = take(state, later, rule)
        assert taken.allowed
        assert (counted.failures, counted.in_a_row) == (1, in_a_row)


def test_each_day_without_a_try_takes_one_failure_off_the_hard_stop() -> None:
    rule = AttemptRule(tries=2)
    state, _ = tried(Attempts(), NOON, rule, 7)
    assert state.last_at is not None
    assert take(state, state.last_at + timedelta(days=3), rule)[0].failures == 7 - 3 + 1
    assert take(state, state.last_at + timedelta(hours=23), rule)[0].failures == 7 + 1


def test_a_hard_stop_is_not_forgotten() -> None:
    rule = AttemptRule(hard_stop=3)
    state, now = tried(Attempts(), NOON, rule, 3)
    assert not take(state, now + 10 * FORGOTTEN_AFTER, rule)[1].allowed


def test_how_narrow_the_tries_are_does_not_show_in_the_wait() -> None:
    waits = {wait_after(7, AttemptRule(tries=tries, doubles_every=5)) for tries in range(1, 6)}
    assert waits == {AttemptRule().window}
    assert wait_after(7, AttemptRule(tries=1)) == AttemptRule().longest_wait
