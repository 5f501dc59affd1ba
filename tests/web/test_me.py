"""The page of my sessions, and the way out everywhere."""

import html
import re

import pytest
from builders import HOUR, MINUTE
from corridor import Browser, Corridor
from web.programs import Program, logged_in

from broker.flow.sessions import ID_LENGTH
from broker.record.event import Tag
from broker.sessions.session import key_of

ROW = re.compile(r"<tr>(.*?)</tr>", re.DOTALL)


def rows(browser: Browser) -> list[str]:
    return [row for row in ROW.findall(browser.visit("/sessions").text) if "<td" in row]


def button(row: str) -> str:
    found = re.search(r'name="end" value="([0-9a-f]+)"', row)
    assert found
    return found[1]


def alive(browser: Browser) -> bool:
    return browser.get("/api/v1/whoami").status_code == 200


def test_the_page_shows_this_browser_the_others_and_the_programs(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    corridor.signed_in(person, address="192.0.2.77")
    browser = corridor.signed_in(person)
    Program(corridor, device="buero <b>1</b>").login(browser)
    first, second, third = rows(browser)
    assert "this one" in first
    assert "10.1.2.3" in first
    assert "192.0.2.77" in second
    assert "this one" not in second + third
    assert html.escape("buero <b>1</b>") in third
    assert button(first) == key_of(browser.token)[:ID_LENGTH]
    assert key_of(browser.token) not in browser.text
    assert browser.last is not None
    assert browser.last.headers["Cache-Control"] == "no-store"


def test_one_is_ended_by_its_button_and_the_page_comes_again(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    other, browser = corridor.signed_in(person), corridor.signed_in(person)
    program = Program(corridor).login(browser)
    for number in (1, 1):
        browser.submit("/sessions/end", end=button(rows(browser)[number]))
        assert browser.path == "/sessions"
    assert len(rows(browser)) == 1
    assert not alive(other)
    assert program.call("GET", "/api/v1/whoami").status_code == 401
    assert program.renew().status_code == 400
    assert alive(browser)


def test_to_end_this_one_is_to_sign_out(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    old = browser.token
    browser.submit("/sessions/end", end=button(rows(browser)[0]))
    assert (browser.path, alive(corridor.browser(token=old))) == ("/sign-in", False)


def test_all_others_at_once(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    others, browser = [corridor.signed_in(person) for _ in range(2)], corridor.signed_in(person)
    program = Program(corridor).login(browser)
    rows(browser)
    browser.submit("/sessions/end", end="others")
    assert browser.path == "/sessions"
    assert [alive(other) for other in others] == [False, False]
    assert program.call("GET", "/api/v1/whoami").status_code == 401
    assert alive(browser)
    assert "End all others" not in browser.visit("/sessions").text


def test_everywhere_is_this_one_too(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    other, browser = corridor.signed_in(person), corridor.signed_in(person)
    rows(browser)
    answer = browser.submit("/sessions/end", end="everywhere", follow=False)
    assert answer.location == "/sign-in"
    assert browser.token == ""
    assert not alive(other)
    assert corridor.tags(answer) == [Tag.SESSION_ENDED, Tag.SESSION_ENDED]
    assert browser.known, "that the browser is known opens nothing, and stays"


def test_somebody_elses_session_is_not_ended(corridor: Corridor) -> None:
    victim, browser = (corridor.signed_in(corridor.person(enrolled=True)) for _ in range(2))
    rows(browser)
    answer = browser.submit("/sessions/end", end=key_of(victim.token)[:ID_LENGTH], follow=False)
    assert (answer.status_code, answer.location) == (303, "/sessions")
    assert corridor.tags(answer) == []
    assert alive(victim)


@pytest.mark.parametrize("end", ["", "all", "0" * 64, ["others", "everywhere"]], ids=str)
def test_what_no_button_sends_is_refused(corridor: Corridor, end: object) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    rows(browser)
    assert browser.submit("/sessions/end", end=end).status_code == 400
    assert alive(browser)


def test_a_program_ends_everything(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    browser, program = corridor.signed_in(person), logged_in(corridor, person)
    answer = program.call("POST", "/api/v1/sign-out-everywhere")
    assert (answer.status_code, answer.json) == (200, {"ended": 3})
    assert program.call("GET", "/api/v1/whoami").status_code == 401
    assert not alive(browser)


def test_a_page_of_ours_may_do_the_same_with_its_csrf_token(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    assert browser.post("/api/v1/sign-out-everywhere", {}, csrf="").status_code == 400
    answer = browser.post("/api/v1/sign-out-everywhere", {})
    assert answer.json == {"ended": 1}
    assert browser.token == ""


def test_who_owns_the_broker_is_signed_out_after_a_quarter_of_an_hour(corridor: Corridor) -> None:
    owner, other = (corridor.signed_in(corridor.person(kind, enrolled=True)) for kind in ("owner", "sre"))
    corridor.clock.advance(14 * MINUTE)
    assert [alive(owner), alive(other)] == [True, True]
    corridor.clock.advance(15 * MINUTE)
    assert [alive(owner), alive(other)] == [False, True]


def test_who_becomes_an_owner_is_one_from_the_next_look_on(corridor: Corridor) -> None:
    """By the groups as they are, not as they were at the sign-in; and the other way round."""
    person = corridor.person("sre", enrolled=True, for_good=True)
    browser = corridor.signed_in(person)
    corridor.world.directory.add_to_group(person.account, "Broker-Owners")
    corridor.clock.advance(2 * MINUTE)
    browser.visit("/")
    corridor.clock.advance(16 * MINUTE)
    assert not alive(browser)
    browser = corridor.signed_in(person)
    corridor.world.directory.remove_from_group(person.account, "Broker-Owners")
    corridor.clock.advance(2 * MINUTE)
    browser.visit("/")
    corridor.clock.advance(HOUR - MINUTE)
    assert alive(browser)


def test_in_the_store_too_it_ends_then(corridor: Corridor) -> None:
    owner = corridor.signed_in(corridor.person("owner", enrolled=True))
    corridor.clock.advance(16 * MINUTE)
    assert corridor.broker.storage.sessions.get(key_of(owner.token)) is None
