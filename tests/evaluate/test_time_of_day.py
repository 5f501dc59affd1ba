"""Around Europe/Berlin's changes: on 2027-03-28 02:00 becomes 03:00, on 2026-10-25 03:00 becomes 02:00."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from builders import MINUTE, NOW, a_proof, circumstances
from contracts.condition import ConditionContract
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from broker.evaluate.time_of_day import WEEK, TimeOfDay
from broker.evaluate.verdict import Refusal

BERLIN = "Europe/Berlin"
OFFICE = {"days": ["mon-fri"], "from": "08:00", "to": "18:00", "zone": BERLIN}
SPRING = "2027-03-28"
AUTUMN = "2026-10-25"


def window(**document: object) -> TimeOfDay:
    return TypeAdapter(TimeOfDay).validate_python({"zone": BERLIN} | document)


def at(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    assert instant.tzinfo is not None
    return instant.astimezone(UTC)


def refusal(condition: TimeOfDay, instant: datetime) -> Refusal | None:
    return condition.objection(a_proof(), circumstances(now=instant), rule="r")


def opens(condition: TimeOfDay, instant: datetime) -> datetime | None:
    answer = refusal(condition, instant)
    assert answer is not None, "it is open"
    return answer.opens_at


class TestContract(ConditionContract):
    condition = TimeOfDay
    documents = (
        OFFICE,
        {"days": ["mon", "wed"], "zone": BERLIN},
        {"from": "08:30", "zone": "UTC"},
        {"days": ["sun-mon"], "from": "00:00", "to": "24:00", "zone": "America/Argentina/Buenos_Aires"},
    )
    fails = (a_proof(), circumstances(now=at("2026-11-24T03:00:00-03:00")))
    not_known = fails


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-11-23T07:59:59.999999+01:00", False),
        ("2026-11-23T08:00:00+01:00", True),
        ("2026-11-23T17:59:59.999999+01:00", True),
        ("2026-11-23T18:00:00+01:00", False),
        ("2026-11-22T12:00:00+01:00", False),  # Sunday
        ("2026-11-21T12:00:00+01:00", False),  # Saturday
        ("2026-11-27T12:00:00+01:00", True),  # Friday
        ("2027-07-05T08:00:00+02:00", True),  # the same wall clock in summer
        ("2027-07-05T07:59:00+02:00", False),
    ],
)
def test_the_window_begins_with_from_and_ends_before_to(instant: str, *, expected: bool) -> None:
    assert (refusal(window(**OFFICE), at(instant)) is None) is expected


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-11-27T22:00:00+01:00", True),  # Friday night
        ("2026-11-28T05:59:00+01:00", True),  # belongs to Friday
        ("2026-11-28T06:00:00+01:00", False),
        ("2026-11-28T22:30:00+01:00", False),  # Saturday night is nobody's
        ("2026-11-29T03:00:00+01:00", False),
        ("2026-11-27T05:00:00+01:00", False),  # belongs to Thursday
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(instant: str, *, expected: bool) -> None:
    nights = window(days=["fri"], **{"from": "22:00", "to": "06:00"})
    assert (refusal(nights, at(instant)) is None) is expected


def test_to_at_midnight_may_be_written_in_two_ways() -> None:
    for end in ("24:00", "00:00"):
        late = window(days=["mon"], **{"from": "18:00", "to": end})
        assert refusal(late, at("2026-11-23T23:59:59+01:00")) is None
        assert refusal(late, at("2026-11-24T00:00:00+01:00")) is not None


def test_days_alone_are_whole_days() -> None:
    weekend = window(days=["sat-sun"])
    assert refusal(weekend, at("2026-11-28T00:00:00+01:00")) is None
    assert refusal(weekend, at("2026-11-29T23:59:59+01:00")) is None
    assert opens(weekend, at("2026-11-30T00:00:00+01:00")) == at("2026-12-05T00:00:00+01:00")


def test_a_range_of_days_may_run_over_the_end_of_the_week() -> None:
    assert window(days=["fri-mon"]).days == (0, 4, 5, 6)
    assert window(days=["mon-fri"]).days == (0, 1, 2, 3, 4)
    assert window(days=["wed-wed"]).days == (2,)
    assert window(days=["wed", "mon-tue"]) == window(days=["mon-wed"])


def test_a_refusal_says_when_it_opens_next_in_utc() -> None:
    condition = window(**OFFICE)
    assert opens(condition, at("2026-11-23T06:00:00+01:00")) == datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
    assert opens(condition, at("2026-11-27T18:00:00+01:00")) == datetime(2026, 11, 30, 7, 0, tzinfo=UTC)
    answer = refusal(condition, at("2026-11-23T06:00:00+01:00"))
    assert answer is not None
    assert answer.opens_at is not None
    assert answer.opens_at.tzinfo is UTC
    assert answer.reason == "This role can be used mon, tue, wed, thu, fri 08:00-18:00 (Europe/Berlin)."


def test_it_opens_an_hour_earlier_in_utc_after_the_change_to_summer_time() -> None:
    friday_evening = at("2027-03-26T20:00:00+01:00")
    assert opens(window(**OFFICE), friday_evening) == datetime(2027, 3, 29, 6, 0, tzinfo=UTC)
    assert opens(window(**OFFICE), at("2026-10-23T20:00:00+02:00")) == datetime(2026, 10, 26, 7, 0, tzinfo=UTC)


def test_a_window_that_begins_in_the_skipped_hour_opens_at_the_jump() -> None:
    condition = window(**{"from": "02:30", "to": "05:00"})
    jump = at(f"{SPRING}T03:00:00+02:00")
    assert jump - at(f"{SPRING}T01:59:00+01:00") == MINUTE
    assert refusal(condition, jump) is None
    assert opens(condition, at(f"{SPRING}T01:00:00+01:00")) == jump


def test_a_window_inside_the_skipped_hour_does_not_open_that_day() -> None:
    condition = window(days=["sun"], **{"from": "02:00", "to": "03:00"})
    assert opens(condition, at(f"{SPRING}T01:00:00+01:00")) == at("2027-04-04T02:00:00+02:00")


def test_the_hour_that_comes_twice_counts_both_times() -> None:
    condition = window(days=["sun"], **{"from": "02:00", "to": "02:30"})
    assert refusal(condition, at(f"{AUTUMN}T02:15:00+02:00")) is None
    assert refusal(condition, at(f"{AUTUMN}T02:15:00+01:00")) is None
    assert refusal(condition, at(f"{AUTUMN}T02:45:00+02:00")) is not None
    assert opens(condition, at(f"{AUTUMN}T02:45:00+02:00")) == at(f"{AUTUMN}T02:00:00+01:00")


def test_a_window_that_ends_in_the_hour_that_comes_twice_opens_once_more() -> None:
    condition = window(days=["sun"], **{"from": "01:00", "to": "02:30"})
    assert opens(condition, at(f"{AUTUMN}T02:30:00+02:00")) == at(f"{AUTUMN}T02:00:00+01:00")
    assert refusal(condition, at(f"{AUTUMN}T02:29:00+01:00")) is None
    assert refusal(condition, at(f"{AUTUMN}T02:30:00+01:00")) is not None


def test_a_window_that_begins_within_the_hour_that_comes_twice_opens_at_its_first_coming() -> None:
    condition = window(days=["sun"], **{"from": "02:30", "to": "05:00"})
    assert opens(condition, at(f"{AUTUMN}T01:00:00+02:00")) == at(f"{AUTUMN}T02:30:00+02:00")
    assert opens(condition, at(f"{AUTUMN}T02:10:00+01:00")) == at(f"{AUTUMN}T02:30:00+01:00")


def test_a_zone_that_changes_at_midnight_has_days_that_begin_late() -> None:
    condition = window(days=["fri"], zone="Africa/Cairo")  # 2027-04-30 begins at 01:00
    assert opens(condition, at("2027-04-29T12:00:00+02:00")) == at("2027-04-29T22:00:00+00:00")


zones = st.sampled_from([BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"])
clocks = st.integers(0, 23 * 60 + 59)


@settings(max_examples=60, deadline=None)
@given(
    days=st.sets(st.sampled_from(WEEK), min_size=1),
    begin=clocks,
    end=clocks,
    zone=zones,
    start=st.datetimes(datetime(2026, 10, 20), datetime(2027, 4, 5), timezones=st.just(UTC)),  # noqa: DTZ001 (hypothesis adds the zone)
)
@example(days={"sun"}, begin=150, end=300, zone=BERLIN, start=datetime(2027, 3, 27, 22, tzinfo=UTC))
@example(days={"sun"}, begin=60, end=150, zone=BERLIN, start=datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
@example(days={"sun"}, begin=120, end=180, zone=BERLIN, start=datetime(2027, 3, 28, 0, 30, tzinfo=UTC))
def test_opens_at_is_the_first_open_minute(days: set[str], begin: int, end: int, zone: str, start: datetime) -> None:
    if begin == end:
        return
    written = {"days": sorted(days), "zone": zone}
    written |= {"from": f"{begin // 60:02}:{begin % 60:02}", "to": f"{end // 60:02}:{end % 60:02}"}
    condition = TypeAdapter(TimeOfDay).validate_python(written)
    start = start.replace(second=0, microsecond=0)
    if refusal(condition, start) is None:
        return
    found = opens(condition, start)
    assert found is not None
    assert refusal(condition, found) is None
    assert found - start <= timedelta(days=15)
    local = ZoneInfo(zone)
    minute = start
    while minute < min(found, start + timedelta(days=2)):
        wall = minute.astimezone(local)
        inside = _by_hand(wall, {WEEK.index(day) for day in days}, begin, end)
        assert not inside, f"open at {wall} already"
        minute += MINUTE


def _by_hand(wall: datetime, days: set[int], begin: int, end: int) -> bool:
    minute, day = wall.hour * 60 + wall.minute, wall.weekday()
    if begin < end:
        return day in days and begin <= minute < end
    return (day in days and minute >= begin) or ((day + 6) % 7 in days and minute < end)


def test_the_example_of_the_document_holds_on_a_monday_noon() -> None:
    assert refusal(window(**OFFICE), NOW) is None


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ({"zone": BERLIN}, "says nothing"),
        ({"days": ["mon-sun"], "zone": BERLIN}, "says nothing"),
        ({"days": ["mon"]}, "zone"),
        ({"days": ["monday"], "zone": BERLIN}, "not a day"),
        ({"days": ["mon-"], "zone": BERLIN}, "not a day"),
        ({"days": ["mon-xyz"], "zone": BERLIN}, "not a day"),
        ({"days": "mon", "zone": BERLIN}, "not a list"),
        ({"from": "8:00", "zone": BERLIN}, "in quotes"),
        ({"from": 480, "zone": BERLIN}, "in quotes"),
        ({"from": "08:00\n", "zone": BERLIN}, "in quotes"),
        ({"to": "24:01", "zone": BERLIN}, "in quotes"),
        ({"from": "24:00", "to": "06:00", "zone": BERLIN}, "no window"),
        ({"from": "08:00", "to": "08:00", "zone": BERLIN}, "no window"),
        ({"from": "08:00", "zone": "Berlin"}, "Europe/Berlin"),
        ({"from": "08:00", "zone": "Europe"}, "Europe/Berlin"),
        ({"from": "08:00", "zone": "Europe/Nowhere"}, "Europe/Berlin"),
        ({"from": "08:00", "zone": "localtime"}, "Europe/Berlin"),
        ({"from": "08:00", "zone": "America/Argentina"}, "Europe/Berlin"),
        ({"from": "08:00", "zone": "../../etc/passwd"}, "Europe/Berlin"),
        ({"from": "08:00", "zone": 1}, "Europe/Berlin"),
    ],
)
def test_a_mistake_in_the_document_is_refused_with_a_hint(document: dict[str, object], hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        TypeAdapter(TimeOfDay).validate_python(document)
