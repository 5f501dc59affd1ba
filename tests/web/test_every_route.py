"""What holds for every route there is, also for those that are added later: asked of the application's own list.

A change needs the page's token, looking issues nothing, no parameter leads elsewhere, and no other name is answered.
"""

import itertools
import re
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest
from corridor import HOST, PROVIDER, URL, Answer, Browser, Corridor
from flask import Flask
from werkzeug.routing import Rule

from broker.record.event import Tag
from broker.web.guard import Audience

ROLE = "payments-dev/power-user"
EVERYTHING = {
    "role": ROLE,
    "service": "s3",
    "region": "eu-central-1",
    "provider": PROVIDER,
    "password": "x",
    "answer": "123456",
    "method": "totp",
    "star": "yes",
    "session": "x",
    "device": "laptop",
    "code": "x",
    "token": "x",
}
"""A field for every form there is."""
NO_COOKIE = frozenset({"/oauth/token", "/oauth/revoke"})
"""What a program calls with a code or a token of its own: a cookie is worth nothing there, so no page can misuse it."""
ISSUED = frozenset({Tag.CREDENTIALS_DECIDED, Tag.CREDENTIALS_ISSUED}) | {
    tag for tag in Tag if tag.value.startswith(("console:", "cli:"))
}
ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "/%5cevil.example",
    "/%2f/evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "http://127.0.0.1.evil.example/callback/AAAAAAAAAAAAAAAAAAAAAA",
    f"{URL}.evil.example/",
    f"{URL}@evil.example/",
    " //evil.example",
    "\t//evil.example",
)
NAMES = ("next", "url", "return", "return_to", "go", "to", "redirect", "redirect_uri", "destination", "issuer", "r")
KEY_ID = re.compile(rb"ASIA[A-Z0-9]{12}")
NUMBERS = itertools.count()


def routes(app: Flask, *, safe: bool) -> Iterator[tuple[str, Rule]]:
    """Method and rule of everything that can be called."""
    for rule in app.url_map.iter_rules():
        if getattr(app.view_functions[rule.endpoint], "audience", None) not in {Audience.PROBES, Audience.OPERATIONS}:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                if (method == "GET") is safe:
                    yield method, rule


def path_of(rule: Rule) -> str:
    """A path that the rule means."""
    words = dict.fromkeys(rule.arguments, "x" * 43) | {"filename": "broker.css"}
    built = rule.build(words, append_unknown=False)
    assert built is not None
    return built[1]


def send(browser: Browser, method: str, path: str, token: str | None = None, **more: str) -> Answer:
    """A change, as a page of ours would send it."""
    headers = {"Origin": URL, "Sec-Fetch-Site": "same-origin"}
    if path.startswith("/api/"):
        headers |= {"X-CSRFToken": token} if token else {}
        return browser.open(
            method, path, headers=headers, data=f'{{"role": "{ROLE}"}}', content_type="application/json"
        )
    fields = {"username": f"nobody{next(NUMBERS)}", **EVERYTHING, **more} | ({"csrf_token": token} if token else {})
    return browser.open(method, path, headers=headers, data=fields)


def test_every_change_needs_the_token_of_our_own_page(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    token, asked = browser.csrf, 0
    for method, rule in routes(corridor.app, safe=False):
        if rule.rule in NO_COOKIE:
            continue
        answer = send(browser, method, path_of(rule))
        assert (answer.status_code, corridor.tags(answer)) == (400, []), f"{method} {rule.rule}"
        asked += 1
    assert asked >= 5
    assert send(browser, "POST", "/api/v1/credentials", token).status_code == 200, "the control"


def test_where_no_token_is_asked_for_a_cookie_is_worth_nothing(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    for method, rule in routes(corridor.app, safe=False):
        if rule.rule in NO_COOKIE:
            with_cookie, without = send(browser, method, path_of(rule)), send(corridor.browser(), method, path_of(rule))
            assert with_cookie.status_code == without.status_code
            assert with_cookie.get_data() == without.get_data()
            assert not ISSUED & {tag for tag in corridor.tags(with_cookie) if not tag.value.endswith("refused")}
    assert browser.get("/api/v1/whoami").status_code == 200, "nor did it end the session"


def test_looking_issues_nothing_whatever_the_address_asks_for(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    before, token = len(corridor.world.sts.calls), browser.csrf
    for method, rule in routes(corridor.app, safe=True):
        for query in ("", f"?{urlencode({**EVERYTHING, 'csrf_token': token})}"):
            for verb in (method, "HEAD"):
                answer = browser.open(verb, path_of(rule) + query)
                assert not ISSUED & set(corridor.tags(answer)), f"{verb} {rule.rule}{query}"
                assert not KEY_ID.search(answer.data)
    assert len(corridor.world.sts.calls) == before, "AWS was asked"
    assert browser.get("/api/v1/whoami").status_code == 200, "somebody was signed out by looking"


@pytest.mark.parametrize("where", ELSEWHERE)
def test_no_parameter_of_any_route_leads_elsewhere(corridor: Corridor, where: str) -> None:
    stranger, person = corridor.browser(), corridor.person(enrolled=True)
    half, whole = corridor.half_signed_in(person), corridor.signed_in(person)
    token = whole.csrf
    query = "?" + urlencode(dict.fromkeys((*EVERYTHING, *NAMES), where))
    for browser in (stranger, half, whole):
        for _, rule in routes(corridor.app, safe=True):
            _stays(browser.get(path_of(rule) + query))
    stranger.visit("/sign-in")
    for browser, csrf in ((stranger, stranger.csrf), (whole, token)):
        for method, rule in sorted(routes(corridor.app, safe=False), key=lambda found: found[1].rule == "/sign-out"):
            _stays(send(browser, method, path_of(rule) + query, csrf, **dict.fromkeys(NAMES, where)))


def _stays(answer: Answer) -> None:
    location = answer.headers.get("Location", "")
    parts = urlsplit(location)
    assert (parts.scheme, parts.netloc) in {("", ""), ("https", HOST)}, f"{answer.request.path} led to {location}"
    assert not location.startswith(("//", "/\\", "\\")), f"{answer.request.path} led to {location}"
    assert "evil" not in answer.headers.get("Refresh", "")


def test_no_route_answers_under_another_name(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    for method, rule in [*routes(corridor.app, safe=True), *routes(corridor.app, safe=False)]:
        answer = browser.open(method, path_of(rule), host="evil.example", headers={"X-Forwarded-Host": HOST})
        assert (answer.status_code, b"evil" in answer.data) == (400, False), rule.rule
        forwarded = browser.open(method, path_of(rule), headers={"X-Forwarded-Host": "evil.example"})
        assert b"evil" not in forwarded.data + str(forwarded.headers).encode(), rule.rule
