"""The server's clock against its neighbours' clocks."""

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread

import pytest

from broker.challenge.clock_check import ClockCheck
from broker.challenge.factor import FactorReason, FactorRefused
from broker.errors import Unavailable


def seconds(offset: float) -> Callable[[], timedelta | None]:
    return lambda: timedelta(seconds=offset)


def away() -> timedelta | None:
    raise Unavailable("dc1")  # noqa: EM101 (a name)


def unknown() -> timedelta | None:
    return None


def at_zero() -> float:
    return 0.0


@pytest.mark.parametrize("offset", [0, 30, -30])
def test_a_clock_within_thirty_seconds_is_trusted(offset: float) -> None:
    ClockCheck({"dc1": seconds(offset)}, monotonic=at_zero).require()


@pytest.mark.parametrize("offset", [30.1, -30.1, 3600])
def test_a_clock_further_off_than_any_one_neighbour_is_refused_loudly(
    offset: float, caplog: pytest.LogCaptureFixture
) -> None:
    check = ClockCheck({"sts": seconds(0), "dc1": seconds(offset)}, monotonic=at_zero)
    with pytest.raises(FactorRefused) as caught:
        check.require()
    assert caught.value.reason is FactorReason.CLOCK_OFF
    assert "dc1" in caught.value.remedy
    assert "time synchronisation" in caught.value.remedy
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_neighbours_that_do_not_say_are_no_reason_to_refuse(caplog: pytest.LogCaptureFixture) -> None:
    check = ClockCheck({"dc1": away, "sts": unknown}, monotonic=at_zero)
    check.require()
    assert check.offsets() == {"dc1": None, "sts": None}
    assert len(caplog.records) == 2
    ClockCheck({}, monotonic=at_zero).require()


def test_the_answer_is_kept_for_five_minutes_and_no_longer() -> None:
    time, offset, asked = 1000.0, 0.0, 0

    def source() -> timedelta:
        nonlocal asked
        asked += 1
        return timedelta(seconds=offset)

    check = ClockCheck({"dc1": source}, monotonic=lambda: time)
    check.require()
    time, offset = 1299.9, 60.0
    check.require()
    assert asked == 1
    time = 1300.0
    with pytest.raises(FactorRefused):
        check.require()
    offset = 0.0
    time = 1600.0
    check.require()
    assert asked == 3


def test_while_one_thread_asks_again_the_others_go_on_with_the_last_answer() -> None:
    time, asking, go_on = 0.0, Event(), Event()
    answers = iter([timedelta(0)])

    def source() -> timedelta | None:
        first = next(answers, None)
        if first is None:
            asking.set()
            go_on.wait(30)
        return first

    check = ClockCheck({"dc1": source}, monotonic=lambda: time)
    assert check.offsets() == {"dc1": timedelta(0)}
    time = 301.0
    slow = Thread(target=check.offsets)
    slow.start()
    assert asking.wait(30)
    assert check.offsets() == {"dc1": timedelta(0)}
    go_on.set()
    slow.join(30)
    assert check.offsets() == {"dc1": None}
