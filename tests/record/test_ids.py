"""Identifiers sort by time and never collide."""

import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from record.trails import START

from broker.record.ids import new_event_id, uuid7

microseconds = st.integers(min_value=0, max_value=10**15)


@given(microseconds)
def test_it_is_a_version_7_uuid_that_carries_its_time(moment: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
    made = UUID(uuid7(at, secrets.token_bytes))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == moment // 1000


@given(microseconds, microseconds)
def test_they_sort_by_the_microsecond(one: int, two: int) -> None:
    ids = [uuid7(START + timedelta(microseconds=offset), secrets.token_bytes) for offset in (one, two)]
    if one != two:
        assert (ids[0] < ids[1]) == (one < two)


def test_a_thousand_of_one_instant_differ() -> None:
    assert len({new_event_id(lambda: START, secrets.token_bytes) for _ in range(1000)}) == 1000
