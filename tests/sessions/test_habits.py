"""What comes first in a list: often and lately."""

from datetime import timedelta

from builders import NOW

from broker.sessions.habits import HALF_LIFE, Habit


def used(times: int, ago: timedelta) -> float:
    return Habit(role="a/b", starred=False, uses=times, last_used=NOW - ago).weight(NOW)


def test_a_use_counts_half_after_the_half_life() -> None:
    assert used(1, timedelta()) == 1
    assert used(1, HALF_LIFE) == 0.5
    assert used(8, 3 * HALF_LIFE) == used(1, timedelta())


def test_often_and_lately_both_count() -> None:
    assert used(10, timedelta(days=1)) > used(2, timedelta(days=1)) > used(1, timedelta(days=2))
    assert used(3, timedelta(days=40)) < used(1, timedelta(hours=1))


def test_what_was_never_used_weighs_nothing_and_a_clock_that_goes_back_makes_nothing_heavier() -> None:
    assert Habit(role="a/b", starred=True, uses=0, last_used=None).weight(NOW) == 0
    assert used(1, -timedelta(days=900)) == 1
    assert used(1, timedelta(days=365_000)) == 0
