"""The arithmetic of how often somebody may try."""

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.authenticate.attempts import AttemptRule, Attempts, take, wait_after

some = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RULES = st.builds(
    AttemptRule,
    tries=st.integers(1, 10),
    window=st.integers(1, 3600).map(lambda seconds: timedelta(seconds=seconds)),
    longest_wait=st.integers(1, 86400).map(lambda seconds: timedelta(seconds=seconds)),
    hard_stop=st.integers(1, 200),
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
def test_the_hard_stop_is_hard(rule: AttemptRule, gaps: list[int]) -> None:
    assert len(allowed_times(rule, gaps)) <= rule.hard_stop


@some
@given(RULES, st.integers(1, 300))
def test_after_that_many_at_once_there_is_a_wait(rule: AttemptRule, parallel: int) -> None:
    assert len(allowed_times(rule, [0] * parallel)) == min(parallel, rule.tries, rule.hard_stop)


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
            assert state.failures >= rule.hard_stop
        else:
            assert taken.retry_at > now
            assert take(state, taken.retry_at, rule)[1].allowed


@some
@given(RULES)
def test_the_wait_grows_to_its_limit_and_never_shrinks(rule: AttemptRule) -> None:
    waits = [wait_after(failures, rule) for failures in range(rule.tries, rule.tries * 20)]
    assert waits == sorted(waits)
    assert waits[0] >= min(rule.window, rule.longest_wait)
    assert waits[-1] <= max(rule.longest_wait, rule.window)
