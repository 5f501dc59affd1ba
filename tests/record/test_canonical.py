"""The canonical text: one for each event, nothing in it acts on a line or a screen, and no secret gets in."""

import json
import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record.trails import START, an_event

from broker.record.canonical import (
    LONG_LIMIT,
    MOST_DETAILS,
    REDACTED,
    TEXT_LIMIT,
    InvalidEvent,
    as_json,
    canonical,
    instant,
    parse,
    tidy,
    visible,
)
from broker.record.event import Event, Outcome, Tag

TEXTS = [
    name for name in Event.__dataclass_fields__ if name not in {"tag", "outcome", "at", "details", "id", "actor_name"}
]
NASTY = "\x00\t\n\r\x1b\x7f\x85\x9b\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff\U000e0041"

texts = st.text(max_size=40) | st.text(alphabet=NASTY + '"\\,:{}=', max_size=12)
names = st.text(alphabet=string.ascii_lowercase, min_size=1, max_size=3).map("x{}".format)
instants = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 (hypothesis adds the zone)
    max_value=datetime(2999, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
events = st.builds(
    Event,
    tag=st.sampled_from(Tag),
    outcome=st.sampled_from(Outcome),
    at=instants,
    id=st.uuids().map(str),
    actor_name=texts,
    subject=texts,
    address=texts,
    reason=texts,
    details=st.dictionaries(names, texts, max_size=3),
).map(tidy)


@given(events)
def test_the_event_comes_back(event: Event) -> None:
    assert parse(canonical(event)) == event


@given(events, events)
def test_different_events_have_different_texts(one: Event, two: Event) -> None:
    assert (canonical(one) == canonical(two)) == (one == two)


@given(events, st.sampled_from(["subject", "address", "reason"]), st.sampled_from(["subject", "address", "reason"]))
def test_moving_a_text_from_one_field_to_another_changes_the_text(event: Event, one: str, two: str) -> None:
    moved = replace(event, **{one: getattr(event, two), two: getattr(event, one)})
    assert (canonical(moved) == canonical(event)) == (moved == event)


@given(events)
def test_nothing_in_the_text_acts_on_a_line_or_a_screen(event: Event) -> None:
    text = canonical(event)
    assert len(text.splitlines()) == 1
    assert not set(NASTY) & set(text)
    assert text.encode().decode() == text


@given(events)
def test_tidying_twice_changes_nothing_more(event: Event) -> None:
    assert tidy(event) is event


def test_the_same_instant_in_another_zone_is_the_same_text() -> None:
    event = an_event(START)
    assert canonical(replace(event, at=START.astimezone(timezone(timedelta(hours=-3))))) == canonical(event)
    assert instant(START) == "2026-11-23T10:00:00.000000Z"


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidEvent):
        canonical(an_event(START.replace(tzinfo=None)))


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        as_json({"x": float("nan")})


def test_an_ordinary_name_stays_readable() -> None:
    assert '"actor_name":"Åsa Öberg"' in canonical(an_event())


def test_a_lone_surrogate_cannot_pose_as_a_pair() -> None:
    halves = an_event(actor_name="\ud83d\ude00", id="1", at=START)
    with pytest.raises(InvalidEvent):
        canonical(halves)
    assert tidy(halves).actor_name == "\N{REPLACEMENT CHARACTER}" * 2


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_from_outside_is_cut_to_its_bound_and_says_so(name: str) -> None:
    limit = LONG_LIMIT if name in {"reason", "role_arn"} else TEXT_LIMIT
    exact: dict[str, Any] = {name: "é" * limit}
    over: dict[str, Any] = {name: "é" * (limit + 1)}
    assert getattr(tidy(an_event(**exact)), name) == exact[name]
    cut = getattr(tidy(an_event(**over)), name)
    assert len(cut) <= limit
    assert cut.endswith("…(+25 characters)")


def test_the_text_of_the_largest_event_is_bounded() -> None:
    fields: dict[str, Any] = dict.fromkeys([*TEXTS, "actor_name", "id"], "\u202e" * 9999)
    details = {f"x{number}": "\u202e" * 9999 for number in range(MOST_DETAILS)}
    assert len(canonical(tidy(an_event(**fields, details=details)))) < 1 << 19


def test_more_details_than_the_bound_are_refused() -> None:
    with pytest.raises(InvalidEvent):
        tidy(an_event(details={f"x{number}": "" for number in range(MOST_DETAILS + 1)}))


@pytest.mark.parametrize("name", ["", "X", "1x", "a b", "a\n", "é", "x" * 65])
def test_a_detail_with_a_strange_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidEvent):
        tidy(an_event(details={name: "value"}))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"v":"1"', '"v":"2"'),
        lambda text: text.replace(",", ", ", 1),
        lambda text: text.replace('"outcome":"allowed"', '"outcome":"perhaps"'),
        lambda text: text[:-1] + ',"z":"1"}',
        lambda text: text[:-1] + ',"z":null}',
        lambda text: text.replace('"mfa passed"', "7"),
        lambda text: text.replace('"mfa passed"', '""'),
        lambda text: text.replace('"eu-central-1"', "7"),
        lambda text: text.replace("Å", "\\u00c5"),
        lambda text: text.replace("2026-11-23T10:00:00.000000Z", "0001-01-01T00:00:00+23:00"),
        lambda _: "[]",
        lambda _: "7",
        lambda _: "[" * 99_999,
        lambda _: "",
    ],
)
def test_any_other_text_is_no_event(change: object) -> None:
    text = canonical(an_event(START))
    assert canonical(parse(text)) == text
    with pytest.raises(ValueError, match=r".*"):
        parse(change(text))  # type: ignore[operator]


def test_payloads_are_json_for_everybody() -> None:
    members = json.loads(canonical(an_event(subject="a\u2028b")))
    assert members["subject"] == "a\u2028b"
    assert list(members) == sorted(members)


def test_text_for_a_terminal_shows_what_acts_on_it() -> None:
    assert visible("a\u202eb\x1b[2J\nü\udcff") == "a\\u202eb\\u001b[2J\\u000aü\\udcff"


def test_a_name_that_looks_like_a_secret_is_redacted_and_the_event_kept() -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    event = tidy(an_event(actor_name=secret, reason=f"said {secret}", details={"asked_for": secret}))
    assert (event.actor_name, event.reason, event.details["asked_for"]) == (REDACTED, REDACTED, REDACTED)
    assert secret not in canonical(event)
