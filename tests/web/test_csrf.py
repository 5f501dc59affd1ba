"""A change comes from the broker's own pages, in the same session, or it does not happen."""

import itertools
from typing import Any

import pytest
from corridor import PROVIDER, URL, Answer, Browser, Corridor

FORMS = {
    "/sign-in": {"provider": PROVIDER, "password": "x"},
    "/enrol": {"answer": "123456", "enrolment_code": "x"},
    "/challenge": {"answer": "123456", "method": "totp"},
    "/sign-out": {},
    "/api/v1/credentials": {},
    "/access-keys": {"role": "payments-dev/power-user"},
    "/oauth/authorize": {"answer": "deny"},
    "/sessions/end": {"end": "everywhere"},
    "/api/v1/sign-out-everywhere": {},
}
"""Every route that changes something and is in the trail (`test_routes` has the list; `test_portal` has favourites)."""

NUMBERS = itertools.count()
QUESTION = {
    "client_id": "aws-broker",
    "response_type": "code",
    "redirect_uri": f"http://127.0.0.1:50000/callback/{'s' * 22}",
    "state": "s" * 16,
    "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
}
"""What the aws-broker program asks."""


def visitor(corridor: Corridor, path: str) -> Browser:
    """Somebody who may call this route, with its page open."""
    if path == "/enrol":
        return corridor.half_signed_in(corridor.person())
    if path == "/challenge":
        return corridor.half_signed_in(corridor.person(enrolled=True))
    if path != "/sign-in":
        return corridor.signed_in(corridor.person(enrolled=True))
    stranger = corridor.browser()
    stranger.visit("/sign-in")
    return stranger


def send(browser: Browser, path: str, token: str | None, **headers: str) -> Answer:
    """A POST with this CSRF token, or none."""
    sent = {"Origin": URL, **headers}
    if path.startswith("/api/"):
        sent |= {"X-CSRFToken": token} if token is not None else {}
        body = '{"role": "payments-dev/power-user"}'
        return browser.open("POST", path, headers=sent, data=body, content_type="application/json")
    fields: dict[str, Any] = {"username": f"nobody{next(NUMBERS)}", **FORMS[path]}
    if path == "/oauth/authorize":
        fields |= QUESTION
    if token is not None:
        fields["csrf_token"] = token
    return browser.open("POST", path, headers=sent, data=fields)


@pytest.mark.parametrize("path", FORMS)
def test_without_the_right_token_nothing_happens(corridor: Corridor, path: str) -> None:
    browser = visitor(corridor, path)
    other = corridor.signed_in(corridor.person(enrolled=True))
    stranger = corridor.browser()
    stranger.visit("/sign-in")
    own = browser.csrf
    assert own
    assert len({own, other.csrf, stranger.csrf}) == 3
    before = browser.token
    for token in (None, "", "x", own[:-1], own + "A", own.swapcase(), other.csrf, stranger.csrf):
        answer = send(browser, path, token)
        assert answer.status_code == 400, token
        assert "This page was open for too long." in answer.text
        assert corridor.tags(answer) == []
    assert browser.token == before
    answer = send(browser, path, own)
    assert answer.status_code != 400, "the control: the same with the right token"
    assert corridor.tags(answer)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": URL + ".evil.example"},
        {"Origin": URL + ":444"},
        {"Origin": URL.replace("https", "http")},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "nonsense"},
    ],
    ids=str,
)
def test_what_another_origin_sends_is_refused_even_with_the_right_token(
    corridor: Corridor, path: str, headers: dict[str, str]
) -> None:
    browser = corridor.browser()
    browser.visit("/sign-in")
    answer = send(browser, path, browser.csrf, **headers)
    assert answer.status_code == 403
    assert "evil" not in answer.text
    assert corridor.tags(answer) == []


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}, {"Referer": "https://else.example/"}]
)
def test_our_own_pages_are_not_refused(corridor: Corridor, headers: dict[str, str]) -> None:
    """Also by a browser that sends no Referer, or one that says nothing at all."""
    browser = corridor.browser()
    browser.visit("/sign-in")
    assert send(browser, "/sign-in", browser.csrf, **headers).status_code == 401


def test_a_browser_too_old_to_tell_its_origin_is_held_to_the_token(corridor: Corridor) -> None:
    browser = corridor.browser()
    browser.visit("/sign-in")
    csrf, fields = browser.csrf, {"provider": PROVIDER, "username": corridor.nobody(), "password": "x"}
    assert browser.open("POST", "/sign-in", data=fields).status_code == 400
    assert browser.open("POST", "/sign-in", data={**fields, "csrf_token": csrf}).status_code == 401


def test_the_token_of_the_sign_in_page_is_the_cookies_own_and_works_in_every_tab(corridor: Corridor) -> None:
    """Nothing is kept before the password; still the form of one browser is worth nothing in another."""
    browser = corridor.browser()
    browser.visit("/sign-in")
    first = browser.csrf
    browser.visit("/sign-in")
    assert send(browser, "/sign-in", first).status_code == 401
    assert send(browser, "/sign-in", browser.csrf).status_code == 401
    without = corridor.browser()
    assert send(without, "/sign-in", first).status_code == 400
    assert send(corridor.browser(token="A" * 43), "/sign-in", first).status_code == 400


def test_the_token_changes_at_every_step(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    browser = corridor.browser()
    browser.visit("/sign-in")
    seen = [browser.csrf]
    browser.sign_in(person)
    seen.append(browser.csrf)
    browser.submit("/challenge", method="totp", answer=corridor.code(person))
    seen.append(browser.csrf)
    assert len(set(seen)) == 3
    for old in seen[:2]:
        assert send(browser, "/sign-out", old).status_code == 400
    assert send(browser, "/sign-out", seen[2]).status_code == 303


def test_a_form_with_the_token_in_it_twice_or_under_another_name_is_no_way_round(corridor: Corridor) -> None:
    browser = corridor.browser()
    browser.visit("/sign-in")
    data = f"xcsrf_token=nonsense&csrf_token=nonsense&provider={PROVIDER}&username=a&password=b"
    form = "application/x-www-form-urlencoded"
    assert browser.open("POST", "/sign-in", data=data, content_type=form).status_code == 400


def test_a_json_body_as_a_simple_cross_site_form_would_send_it_is_refused(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    csrf = browser.get("/api/v1/whoami").json["csrf_token"]
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = browser.open(
            "POST",
            "/api/v1/credentials",
            headers={"Origin": URL, "X-CSRFToken": csrf},
            data='{"role": "payments-dev/power-user"}',
            content_type=kind,
        )
        assert answer.status_code == 400, kind
