"""The cookie, and the session behind it."""

import threading
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from builders import HOUR, MINUTE
from corridor import CLOCK, PROVIDER, URL, Browser, Corridor, World, a_corridor
from flask import session as notes

from broker.sessions.session import key_of
from broker.web.cookie import COOKIE
from broker.web.guard import Audience, audience

SECOND = timedelta(seconds=1)


def attributes(line: str) -> set[str]:
    return {part.strip() for part in line.split(";")[1:]}


def test_the_cookie_says_all_that_a_cookie_can_say(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    browser = corridor.signed_in(person)
    browser.submit("/sign-out", follow=False)
    *made, deleted = [line for line in browser.set_cookies if line.startswith(f"{COOKIE}=")]
    assert len(made) == 3, "the sign-in page, the password, the factor"
    for line in made:
        assert line.startswith(f"{COOKIE}=")
        assert attributes(line) == {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"}
    assert {"Max-Age=0", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= attributes(deleted)
    assert not any("domain" in line.lower() for line in browser.set_cookies)


def test_a_stranger_gets_a_cookie_with_a_form_and_with_nothing_else(corridor: Corridor) -> None:
    stranger = corridor.browser()
    for path in ("/", "/go-on", "/nothing", "/challenge", "/static/broker.css", "/healthz", "/api/v1/whoami"):
        assert "Set-Cookie" not in stranger.get(path).headers, path
    assert "Set-Cookie" in stranger.get("/sign-in").headers
    assert "Set-Cookie" not in stranger.get("/sign-in").headers, "it has one"


def test_the_token_changes_at_sign_in_at_enrolment_and_at_the_challenge(corridor: Corridor) -> None:
    person = corridor.person()
    browser = corridor.browser()
    browser.visit("/sign-in")
    tokens = [browser.token]
    browser.sign_in(person)
    tokens.append(browser.token)
    key = browser.text.partition('<code id="key">')[2].partition("</code>")[0]
    person = type(person)(account=person.account, password=person.password, key=key)
    browser.submit("/enrol", enrolment_code=corridor.enrolment_code(person), answer=corridor.code(person))
    assert browser.text.count("<li><code>") == 10
    tokens.append(browser.token)
    browser.visit("/challenge")
    browser.submit("/challenge", method="totp", answer=corridor.code(person))
    tokens.append(browser.token)
    assert len(set(tokens)) == 4
    for old in tokens[:-1]:
        assert corridor.browser(token=old).get("/api/v1/whoami").status_code == 401
    assert browser.get("/api/v1/whoami").status_code == 200


def test_a_session_that_somebody_planted_before_is_worth_nothing_after_the_password(corridor: Corridor) -> None:
    attacker = corridor.browser()
    attacker.visit("/sign-in")
    victim = corridor.browser(token=attacker.token)
    victim.sign_in(corridor.person(enrolled=True))
    assert victim.path == "/challenge"
    assert victim.token != attacker.token
    assert attacker.visit("/").request.path == "/sign-in"
    assert attacker.get("/challenge").status_code == 401


@pytest.mark.parametrize(
    "token", ["A" * 43, "../../etc/passwd", "x", "é" * 43, "%00", "A" * 8000, "A" * 42 + "!", "'--"]
)
def test_a_token_of_somebodys_own_making_is_never_taken_over(corridor: Corridor, token: str) -> None:
    browser = corridor.browser(token=token)
    assert browser.visit("/sign-in").status_code == 200
    browser.sign_in(corridor.person(enrolled=True))
    assert browser.path == "/challenge"
    assert browser.token not in {token, ""}
    assert corridor.broker.storage.sessions.get(key_of(token)) is None


def test_after_signing_out_the_old_token_is_dead_and_the_browser_is_told_to_forget(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    old = browser.token
    csrf = browser.csrf
    answer = browser.submit("/sign-out", follow=False)
    assert (answer.status_code, answer.location) == (303, "/sign-in")
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert browser.token == ""
    thief = corridor.browser(token=old)
    assert thief.get("/api/v1/whoami").status_code == 401
    assert thief.post("/api/v1/credentials", {"role": "payments-dev/power-user"}, csrf=csrf).status_code == 401
    assert thief.visit("/").request.path == "/sign-in"


def test_a_late_write_back_does_not_revive_a_session(corridor: Corridor) -> None:
    """A slow request read the session before the log-out and writes it back after it."""
    person = corridor.person(enrolled=True)
    browser = corridor.signed_in(person)
    session = corridor.broker.storage.sessions.get(key_of(browser.token))
    assert session is not None
    app = corridor.app_of(corridor.parts)

    @audience(Audience.ANYBODY)
    def slow() -> str:
        notes["late"] = "yes"
        corridor.parts.sessions.end(session)
        return "done"

    app.add_url_rule("/slow", "slow", slow)
    corridor.clock.advance(2 * MINUTE)
    assert Browser(app, token=browser.token).get("/slow").status_code == 200
    assert corridor.broker.storage.sessions.get(session.key) is None
    assert browser.get("/api/v1/whoami").status_code == 401


def test_an_idle_session_ends_after_an_hour_and_a_used_one_does_not(corridor: Corridor) -> None:
    idle = corridor.signed_in(corridor.person(enrolled=True))
    used = corridor.signed_in(corridor.person(enrolled=True))
    for _ in range(4):
        corridor.clock.advance(20 * MINUTE)
        assert used.get("/api/v1/whoami").status_code == 200
    assert idle.get("/api/v1/whoami").status_code == 401
    assert idle.visit("/").request.path == "/sign-in"


@pytest.mark.parametrize(
    ("path", "site"),
    [
        ("/nothing/here", "same-origin"),
        ("/nothing/here", "same-site"),
        ("/static/broker.css", "same-origin"),
        ("/", "same-site"),
        ("/", "cross-site"),
        ("/sign-in?next=/sessions", "cross-site"),
    ],
)
def test_what_is_no_use_of_the_broker_does_not_keep_a_session_alive(corridor: Corridor, path: str, site: str) -> None:
    """No page, or one that a page of elsewhere asked for; the last of them also changes a note."""
    browsers = [corridor.signed_in(corridor.person(enrolled=True)) for _ in range(2)]
    for _ in range(2):
        corridor.clock.advance(40 * MINUTE)
        browsers[0].get(path, headers={"Sec-Fetch-Site": site})
        browsers[1].get("/", headers={"Sec-Fetch-Site": "same-origin"})
    assert [browser.get("/api/v1/whoami").status_code for browser in browsers] == [401, 200]


def test_twelve_hours_after_the_password_it_is_over_however_busy(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    session = corridor.broker.storage.sessions.get(key_of(browser.token))
    assert session is not None
    assert session.signed_in_at is not None
    while corridor.clock() < session.signed_in_at + 12 * HOUR - 30 * MINUTE:
        corridor.clock.advance(30 * MINUTE)
        assert browser.get("/api/v1/whoami").status_code == 200
    corridor.clock.now = session.signed_in_at + 12 * HOUR - SECOND
    assert browser.get("/api/v1/whoami").status_code == 200
    corridor.clock.advance(SECOND)
    assert browser.get("/api/v1/whoami").status_code == 401


def test_half_a_session_ends_ten_minutes_after_the_password(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    half = corridor.half_signed_in(person)
    corridor.clock.advance(9 * MINUTE)
    assert half.get("/challenge").status_code == 200
    corridor.clock.advance(2 * MINUTE)
    answer = half.submit("/challenge", method="totp", answer=corridor.code(person))
    assert answer.status_code == 401
    assert half.visit("/").request.path == "/sign-in"


def test_a_stepped_up_session_does_not_live_longer(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    browser = corridor.signed_in(person)
    began = corridor.clock()
    for _ in range(13):
        corridor.clock.advance(55 * MINUTE)
        if corridor.clock() - began >= 12 * HOUR:
            break
        browser.visit("/challenge")
        browser.submit("/challenge", method="totp", answer=corridor.code(person))
    corridor.clock.now = began + 12 * HOUR + MINUTE
    assert browser.get("/api/v1/whoami").status_code == 401


def test_what_one_request_read_anew_is_not_lost_when_it_notes_that_it_was_here(corridor: Corridor) -> None:
    """Else every request would go to the directory again, a minute after the sign-in."""
    browser = corridor.signed_in(corridor.person(enrolled=True))
    corridor.clock.advance(5 * MINUTE)
    assert browser.get("/api/v1/roles").status_code == 200
    kept = corridor.broker.storage.sessions.get(key_of(browser.token))
    assert kept is not None
    assert kept.identity is not None
    assert (kept.identity.read_at, kept.seen_at) == (corridor.clock(), corridor.clock())


def test_where_a_session_was_last_seen_from_is_noted(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    browser.address = "10.7.7.7"
    corridor.clock.advance(2 * MINUTE)
    browser.get("/api/v1/whoami")
    kept = corridor.broker.storage.sessions.get(key_of(browser.token))
    assert kept is not None
    assert kept.address == "10.7.7.7"


def test_one_session_may_be_used_by_many_requests_at_once(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    corridor.clock.advance(2 * MINUTE)
    start, found = threading.Barrier(8), list[int]()

    def ask() -> None:
        own = corridor.browser(token=browser.token)
        start.wait()
        found.append(own.get("/api/v1/roles").status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 8


def test_one_code_sent_twice_at_once_counts_once_and_ends_in_one_session(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    half = corridor.half_signed_in(person)
    code, start, found = corridor.code(person), threading.Barrier(4), list[int]()

    def show() -> None:
        own = corridor.browser(token=half.token)
        start.wait()
        data = {"csrf_token": half.csrf, "method": "totp", "answer": code}
        found.append(own.open("POST", "/challenge", headers={"Origin": URL}, data=data).status_code)

    threads = [threading.Thread(target=show) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [303, 401, 401, 401]
    session = corridor.broker.storage.sessions.get(key_of(half.token))
    assert session is None


@pytest.mark.usefixtures("signing_time")
def test_a_session_opened_on_one_instance_works_on_another_and_dies_on_both(world: World, tmp_path: Path) -> None:
    with a_corridor(world, tmp_path / "both") as here, a_corridor(world, tmp_path / "both") as there:
        person = here.person(enrolled=True)
        browser = here.signed_in(person)
        elsewhere = there.browser(token=browser.token)
        assert elsewhere.credentials("payments-dev/power-user").status_code == 200
        elsewhere.visit("/")
        elsewhere.submit("/sign-out")
        assert browser.get("/api/v1/whoami").status_code == 401
        tokens = [here.signed_in(person).token, there.signed_in(person).token]
        session = here.broker.storage.sessions.get(key_of(tokens[0]))
        assert session is not None
        assert session.person is not None
        there.parts.sessions.end_all(session.person)
        assert [here.browser(token=token).get("/api/v1/whoami").status_code for token in tokens] == [401, 401]


def test_where_to_go_on_survives_the_sign_in_and_nothing_else_does(corridor: Corridor) -> None:
    """What a page notes before the password is kept for it, in a row that ends by itself."""
    app = corridor.app_of(corridor.parts)

    @audience(Audience.ANYBODY)
    def begin() -> str:
        notes["go-on"], notes["other"] = "/api/v1/roles?x=1", "left behind"
        return "noted"

    app.add_url_rule("/begin", "begin", begin)
    person = corridor.person(enrolled=True)
    browser = Browser(app)
    assert browser.get("/begin").status_code == 200
    assert corridor.broker.storage.sessions.get(key_of(browser.token)) is not None
    browser.sign_in(person)
    answer = browser.submit("/challenge", follow=False, method="totp", answer=corridor.code(person))
    answer = browser.get(answer.location)
    assert (answer.status_code, answer.location) == (303, "/api/v1/roles?x=1")
    kept = corridor.broker.storage.sessions.get(key_of(browser.token))
    assert kept is not None
    assert not {"go-on", "other"} & set(kept.notes)


def test_a_note_before_the_password_is_forgotten_after_half_an_hour(corridor: Corridor) -> None:
    blank = corridor.parts.sessions.blank(CLOCK(), address="")
    token, _ = corridor.parts.sessions.start(blank)
    corridor.clock.advance(30 * MINUTE)
    assert corridor.parts.sessions.find(token, CLOCK()) is None


def test_signing_in_over_somebody_elses_open_session_leaves_nothing_of_them(corridor: Corridor) -> None:
    first, second = corridor.person(enrolled=True), corridor.person(enrolled=True)
    browser = corridor.signed_in(first)
    fields: dict[str, Any] = {"provider": PROVIDER, "username": second.account, "password": second.password}
    browser.submit("/sign-in", **fields)
    assert browser.path == "/challenge"
    assert browser.get("/api/v1/whoami").status_code == HTTPStatus.UNAUTHORIZED
    browser.visit("/challenge")
    browser.submit("/challenge", method="totp", answer=corridor.code(second))
    assert browser.get("/api/v1/whoami").json["username"] == second.account
