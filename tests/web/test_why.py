"""Why don't I have that role? The page, and the same in the API."""

import html
import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

import pytest
from corridor import Browser, Corridor
from hypothesis import given
from hypothesis import strategies as st

from broker.authenticate.identity import Group
from broker.entitle.entitlement import Rule
from broker.entitle.trace import Line, Part
from broker.flow.why import Standing, Why
from broker.web.shown import shown
from broker.web.why import WhyNot, next_step, sentences


def reasons(page: str) -> list[str]:
    """The lines of the page, as they are read."""
    found = re.findall(r'<li class="reason-(good|bad)">.*?</span>\s*(.*?)</li>', page, re.DOTALL)
    return [f"{mark}: {html.unescape(re.sub(r'<[^>]+>', '', text)).strip()}" for mark, text in found]


@pytest.fixture
def sre(corridor: Corridor) -> Browser:
    corridor.until_office_hours()
    return corridor.signed_in(corridor.person("sre", enrolled=True))


def test_without_a_role_the_page_asks_for_one_and_shows_the_groups(corridor: Corridor, sre: Browser) -> None:
    page = sre.visit("/why").text
    assert '<input id="role" name="role"' in page
    assert re.findall(r'<option value="([^"]+)">', page)[0] == "payments-dev/by-key"
    assert "<li><bdi>SRE</bdi></li>" in page
    assert "reason-" not in page
    read = re.search(r'read at <time datetime="([^"]+)"', page)
    assert read is not None
    assert datetime.fromisoformat(read[1]) <= corridor.clock()


def test_a_role_that_is_ready(sre: Browser) -> None:
    page = sre.visit("/why?role=payments-prod/read-only").text
    assert "You have this role, and nothing stands in its way." in page
    assert reasons(page) == [
        "good: The mapping sre-reads gives it to members of SRE, and you are one.",
        "good: The second factor is fresh and strong enough (built-in).",
    ]
    assert 'href="/console?role=payments-prod/read-only"' in page


def test_a_role_that_is_locked_says_which_condition_and_when_it_opens(corridor: Corridor) -> None:
    corridor.until_office_hours()
    corridor.clock.now = corridor.clock().replace(hour=21)
    browser = corridor.signed_in(corridor.person("sre", enrolled=True))
    page = browser.visit("/why?role=payments-prod/power-user").text
    assert "You have this role, but not now, or not from here." in page
    rule = "sre-mends-prod-in-office-hours"
    assert f"bad: This role can be used mon, tue, wed, thu, fri 08:00-18:00 (Europe/Berlin). ({rule})" in reasons(page)
    assert f"good: Your network address is one of those that may ({rule})." in reasons(page)
    assert re.search(r'It opens: <time datetime="[^"]+T07:00:00\+00:00"', page)
    assert "Wait until it opens." in page


def test_a_role_that_other_groups_give_names_them(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    page = browser.visit("/why?role=payments-dev/read-only").text
    assert "None of your groups gives you this role." in page
    assert reasons(page) == ["bad: The mapping sre-reads gives it to members of sre. You are not one."]
    assert "Ask the owner of the AWS account." in page


def test_a_deny_is_told(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person("leaver", enrolled=True))
    page = browser.visit("/why?role=payments-dev/read-only").text
    assert "One of your groups is kept from this role." in page
    denied = "bad: The rule leavers keeps members of AWS-Blocked from it, whatever else gives it."
    assert reasons(page)[0] == denied


@pytest.mark.parametrize(
    "role", ["payments-prod/read-only", "payments-prod/made-up", "nowhere/x", "012345678901/read-only"]
)
def test_page_and_api_say_the_same_of_what_is_hidden_and_what_is_not_there(corridor: Corridor, role: str) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))

    def seen(asked: str) -> tuple[str, dict[str, object]]:
        page, told = browser.visit(f"/why?role={asked}"), browser.get(f"/api/v1/why?role={asked}").json
        times = r'datetime="[^"]+"|data-ends-at="[^"]+"|value="[^"]{40,}"|\d\d:\d\d UTC'
        plain = re.sub(times, "", page.text.replace(page.headers["X-Request-Id"], "")).replace(asked, "ROLE")
        return plain, told | {"role": "", "groups_read_at": ""}

    assert seen(role) == seen("never/heard-of")


def test_the_api_says_the_same_in_plain_text(corridor: Corridor, sre: Browser) -> None:
    answer = sre.get("/api/v1/why?role=payments-prod/read-only")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    WhyNot.model_validate(answer.json)
    told = answer.json
    assert datetime.fromisoformat(told.pop("groups_read_at")) <= corridor.clock()
    assert told == {
        "role": "payments-prod/read-only",
        "granted": True,
        "available": "now",
        "summary": "You have this role, and nothing stands in its way.",
        "lines": [
            "The mapping sre-reads gives it to members of SRE, and you are one.",
            "The second factor is fresh and strong enough (built-in).",
        ],
        "opens_at": None,
        "next_step": "Open it from the list of your roles.",
    }
    assert corridor.tags(answer) == []


@pytest.mark.parametrize(
    ("role", "granted", "available"),
    [
        ("payments-dev/by-key", True, "step-up"),
        ("payments-prod/power-user", True, "refused"),
        ("payments-prod/fresh", False, "refused"),
        ("never/heard-of", False, "refused"),
        ("arn:aws:iam::012345678901:role/federated/ReadOnly", True, "now"),
    ],
)
def test_the_api_says_how_one_stands(sre: Browser, role: str, *, granted: bool, available: str) -> None:
    sre.address = "192.0.2.1"
    told = sre.get(f"/api/v1/why?role={role}").json
    assert (told["granted"], told["available"]) == (granted, available)
    assert told["next_step"]


def test_the_api_stays_english(sre: Browser) -> None:
    german = {"Accept-Language": "de"}
    assert "English" not in sre.get("/why?role=x/y", headers=german).text
    said = sre.get("/api/v1/why?role=x/y", headers=german).json["summary"]
    assert said == "None of your groups gives you a role of this name."


@pytest.mark.parametrize("query", ["", "?role=", "?role=" + "x" * 201, "?role=a/b&more=1"])
def test_the_api_wants_one_role(sre: Browser, query: str) -> None:
    assert sre.get(f"/api/v1/why{query}").status_code == 400


HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("asked", [HOSTILE, '"><script>alert(1)</script>', "a\u202eb/c", "x" * 5000, "a\x00b", "a\nb"])
def test_what_is_asked_for_is_text_and_nothing_else(sre: Browser, asked: str) -> None:
    answer = sre.get(f"/why?role={quote(asked)}")
    assert answer.status_code == 200
    assert "<img" not in answer.text.replace('<img src="/static', "")
    assert "<script>alert" not in answer.text
    assert "\x00" not in answer.text
    assert not re.search('\u202e(?![^<]*</bdi>)(?![^<]*")', answer.text), "what turns text round stays in its bdi"


def told(*rules: Line) -> Why:
    return Why(
        role="x/y",
        standing=Standing.NOT_GIVEN,
        objection=None,
        rules=rules,
        answers=(),
        groups=(),
        provider="corp-ad",
        read_at=datetime.fromisoformat("2026-11-24T10:00:00+00:00"),
        mine=(),
    )


@pytest.mark.usefixtures("in_a_request")
def test_names_of_groups_and_owners_are_text() -> None:
    group = Group(provider="corp-ad", id="1", name=HOSTILE)
    rule = Rule(name="r", where="", conditions=(), owner=f"{HOSTILE}%(rule)s")
    found = told(Line(rule=rule, part=Part.GIVES, by=(group,)))
    (line,) = sentences(found)
    assert "<img" not in line.text
    assert line.text.striptags() == f"The mapping r gives it to members of {HOSTILE}, and you are one."
    assert "<img" not in next_step(found)
    assert f"{HOSTILE}%(rule)s" in next_step(found).striptags()


@pytest.fixture
def in_a_request(corridor: Corridor) -> Iterator[None]:
    with corridor.app.test_request_context("/"):
        yield


@given(st.text(max_size=40))
def test_a_name_is_shown_whole_and_alone(name: str) -> None:
    made = str(shown(name))
    assert made.startswith("<bdi>")
    assert made.endswith("</bdi>")
    inner = made[5:-6]
    assert "<" not in inner
    assert ">" not in inner
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", inner)
    assert len(html.unescape(inner)) == len(name)
