from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from broker.duration import Duration, Instant, format_duration, parse_duration, parse_instant


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("90s", 90), ("15m", 900), ("8h", 28800), ("2d", 172800), ("999999s", 999999)]
)
def test_a_duration_is_a_number_and_its_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "8", "h", "8 h", "1h30m", "-5m", "05m", "1.5h", "8H", "PT8H", "1w", "9999999s", "5m\n", "٣m", 8, None, True],
)
def test_nothing_else_is_a_duration(text: object) -> None:
    with pytest.raises(ValueError, match="a whole number and its unit"):
        parse_duration(text)
    with pytest.raises(ValidationError, match="a whole number and its unit"):
        TypeAdapter(Duration).validate_python(text)


@given(st.integers(0, 999_999))
def test_what_is_written_reads_back(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration
    assert TypeAdapter(Duration).dump_python(duration) == format_duration(duration)


def test_a_duration_is_written_in_the_largest_unit_that_fits() -> None:
    assert [format_duration(timedelta(seconds=s)) for s in (0, 90, 900, 5400, 7200, 86400)] == [
        "0s",
        "90s",
        "15m",
        "90m",
        "2h",
        "1d",
    ]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2027-06-30", datetime(2027, 6, 30, tzinfo=UTC)),
        ("2027-06-30T18:00:00Z", datetime(2027, 6, 30, 18, tzinfo=UTC)),
        ("2027-06-30T18:00+02:00", datetime(2027, 6, 30, 16, tzinfo=UTC)),
    ],
)
def test_an_instant_is_a_day_or_has_a_zone(text: str, instant: datetime) -> None:
    assert parse_instant(text) == instant
    assert parse_instant(text).tzinfo is UTC
    assert TypeAdapter(Instant).validate_python(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "2027-06-31",
        "2027-06-30T18:00:00",
        "20270630",
        "2027-W26-3",
        "30.06.2027",
        "9999-12-31T23:59:59-12:00",
        2027,
        "",
    ],
)
def test_nothing_else_is_an_instant(text: object) -> None:
    with pytest.raises(ValueError, match="a day like"):
        parse_instant(text)
