"""The headers of every answer: pages, problems, errors, redirects, files."""

import pytest
from corridor import URL, Browser, Corridor

from broker.errors import ConfigurationError, Problem
from broker.web.guard import Audience, audience

ALWAYS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
PLACES = [
    ("GET", "/", 303),
    ("GET", "/sign-in", 200),
    ("POST", "/sign-in", 400),
    ("GET", "/challenge", 401),
    ("GET", "/nothing", 404),
    ("GET", "/static/nothing", 404),
    ("GET", "/static/../../../etc/passwd", 404),
    ("GET", "/static/%2e%2e/%2e%2e/wsgi.py", 404),
    ("GET", "/api/v1/whoami", 401),
    ("GET", "/api/v1/nothing", 404),
    ("GET", "/api/v1/openapi.json", 200),
    ("GET", "/healthz", 200),
    ("GET", "/metrics", 404),
    ("DELETE", "/sign-in", 404),
    ("GET", "/boom", 500),
    ("GET", "/misconfigured", 500),
]


@pytest.fixture
def browser(corridor: Corridor) -> Browser:
    app = corridor.app_of(corridor.parts)

    @audience(Audience.ANYBODY)
    def boom() -> str:
        message = "secret-inside"
        raise RuntimeError(message)

    @audience(Audience.ANYBODY)
    def misconfigured() -> str:
        raise ConfigurationError([Problem(where="/etc/broker/secret-inside.yaml", what="secret-inside")])

    app.add_url_rule("/boom", "boom", boom)
    app.add_url_rule("/misconfigured", "misconfigured", misconfigured)
    return Browser(app)


@pytest.mark.parametrize(("method", "path", "status"), PLACES)
def test_every_answer_is_dressed(browser: Browser, method: str, path: str, status: int) -> None:
    answer = browser.open(method, path, headers={"Origin": URL})
    assert answer.status_code == status
    for name, value in ALWAYS.items():
        assert answer.headers.getlist(name) == [value], name
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy == POLICY
    assert answer.headers["Cache-Control"] == "no-store"
    assert "geolocation=()" in answer.headers["Permissions-Policy"]
    assert answer.headers["X-Request-Id"]
    assert "secret-inside" not in answer.text + str(answer.headers)


def test_whatever_went_wrong_inside_is_logged_under_the_id_that_the_page_tells(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/boom", "/misconfigured"):
        caplog.clear()
        answer = browser.get(path)
        assert answer.headers["X-Request-Id"] in answer.text
        assert answer.headers["X-Request-Id"] in caplog.text
        assert "secret-inside" in caplog.text


def test_a_file_may_be_kept_for_an_hour_and_is_dressed_too(browser: Browser) -> None:
    answer = browser.get("/static/broker.css")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=3600")
    assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS
    assert "Set-Cookie" not in answer.headers
    again = browser.get("/static/broker.css", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.headers["Cache-Control"]) == (304, "public, max-age=3600")


def test_a_broker_without_tls_promises_none(corridor: Corridor) -> None:
    """On localhost only; there HSTS would lock out the next thing that listens there."""
    browser = Browser(corridor.app_of(corridor.parts, url="http://localhost:8400"))
    answer = browser.get("/sign-in", host="localhost:8400")
    assert "Strict-Transport-Security" not in answer.headers
    assert "Secure" in browser.set_cookies[0]


def test_the_request_id_is_our_own_and_new_each_time(corridor: Corridor) -> None:
    browser = corridor.browser()
    found = {browser.get("/sign-in", headers={"X-Request-Id": "mine"}).headers["X-Request-Id"] for _ in range(5)}
    assert len(found) == 5
    assert "mine" not in found


def test_a_request_that_dies_before_anything_else_is_still_answered_properly(
    corridor: Corridor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the session could be opened: the last resort has an id, headers, and tells nothing."""
    app = corridor.app_of(corridor.parts)

    def dies(*_: object) -> None:
        message = "secret-inside"
        raise RuntimeError(message)

    monkeypatch.setattr(app.session_interface, "open_session", dies)
    answer = Browser(app).get("/sign-in")
    assert answer.status_code == 500
    assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS
    assert answer.headers["X-Request-Id"]
    assert "secret-inside" not in answer.text
