"""Who may call what: every route declares it, and what is not declared is not there."""

from collections.abc import Iterator

import pytest
from builders import MINUTE
from corridor import HOST, MONITOR, URL, Browser, Corridor
from flask import Flask
from sqlalchemy import inspect, text

from broker.web.guard import Audience

ROUTES = {
    ("GET", "/"): Audience.SIGNED_IN,
    ("GET", "/go-on"): Audience.ANYBODY,
    ("GET", "/sign-in"): Audience.ANYBODY,
    ("POST", "/sign-in"): Audience.ANYBODY,
    ("GET", "/enrol"): Audience.HALF,
    ("POST", "/enrol"): Audience.HALF,
    ("GET", "/challenge"): Audience.HALF,
    ("POST", "/challenge"): Audience.HALF,
    ("POST", "/sign-out"): Audience.HALF,
    ("GET", "/healthz"): Audience.PROBES,
    ("GET", "/readyz"): Audience.PROBES,
    ("GET", "/metrics"): Audience.OPERATIONS,
    ("GET", "/api/v1/openapi.json"): Audience.ANYBODY,
    ("GET", "/api/v1/whoami"): Audience.SIGNED_IN,
    ("GET", "/api/v1/roles"): Audience.SIGNED_IN,
    ("POST", "/api/v1/credentials"): Audience.SIGNED_IN,
    ("POST", "/api/v1/console-links"): Audience.SIGNED_IN,
    ("GET", "/console"): Audience.SIGNED_IN,
    ("POST", "/console"): Audience.SIGNED_IN,
    ("GET", "/console/link/<token>"): Audience.SIGNED_IN,
    ("POST", "/console/link/<token>"): Audience.SIGNED_IN,
    ("GET", "/oauth/authorize"): Audience.SIGNED_IN,
    ("POST", "/oauth/authorize"): Audience.SIGNED_IN,
    ("POST", "/oauth/token"): Audience.ANYBODY,
    ("POST", "/oauth/revoke"): Audience.ANYBODY,
    ("GET", "/.well-known/oauth-authorization-server"): Audience.ANYBODY,
    ("GET", "/sessions"): Audience.SIGNED_IN,
    ("POST", "/sessions/end"): Audience.SIGNED_IN,
    ("POST", "/api/v1/sign-out-everywhere"): Audience.SIGNED_IN,
    ("POST", "/favourites"): Audience.SIGNED_IN,
    ("GET", "/access-keys"): Audience.SIGNED_IN,
    ("POST", "/access-keys"): Audience.SIGNED_IN,
    ("GET", "/why"): Audience.SIGNED_IN,
    ("GET", "/api/v1/why"): Audience.SIGNED_IN,
    ("GET", "/cli"): Audience.SIGNED_IN,
    ("GET", "/cli/aws-broker.pyz"): Audience.ANYBODY,
    ("GET", "/static/<path:filename>"): None,
}
"""Everything that can be called. A new route is put here too, by somebody who thought about who it is for."""


def declared(app: Flask) -> Iterator[tuple[tuple[str, str], object]]:
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield (method, rule.rule), getattr(app.view_functions[rule.endpoint], "audience", None)


def test_every_route_is_known_and_declares_its_audience(corridor: Corridor) -> None:
    assert dict(declared(corridor.app)) == ROUTES


def test_a_route_that_declares_nothing_is_not_there_for_anybody(corridor: Corridor) -> None:
    app = corridor.app_of(corridor.parts)
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret", methods=["GET", "POST"])
    browser = corridor.signed_in(corridor.person(enrolled=True))
    for visitor in (Browser(app), Browser(app, token=browser.token)):
        for method in ("GET", "POST", "HEAD", "OPTIONS"):
            answer = visitor.open(method, "/forgotten", headers={"Origin": URL})
            assert answer.status_code == 404
            assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path"), [key for key, who in ROUTES.items() if who is Audience.SIGNED_IN and key[1].startswith("/api/")]
)
def test_half_a_session_opens_nothing_that_needs_a_whole_one(corridor: Corridor, method: str, path: str) -> None:
    person = corridor.person(enrolled=True)
    half = corridor.half_signed_in(person)
    csrf = half.csrf
    for visitor in (corridor.browser(), half):
        answer = visitor.open(method, path, headers={"Origin": URL, "X-CSRFToken": csrf}, data="{}")
        assert answer.status_code == 401, answer.text
        assert answer.json["type"].endswith(":not-signed-in")
    whole = corridor.signed_in(person)
    assert whole.open(method, path).status_code != 401


@pytest.mark.parametrize(("method", "path"), [key for key, who in ROUTES.items() if who is Audience.HALF])
def test_what_comes_after_the_password_is_not_there_before_it(corridor: Corridor, method: str, path: str) -> None:
    visitor = corridor.browser()
    visitor.visit("/sign-in")
    answer = visitor.open(method, path, headers={"Origin": URL}, data={"csrf_token": visitor.csrf, "answer": "1"})
    assert answer.status_code == 401
    assert "Nobody is signed in here." in answer.text


def test_the_home_page_leads_half_a_session_on_and_a_stranger_to_the_password(corridor: Corridor) -> None:
    assert corridor.browser().visit("/").request.path == "/sign-in"
    person = corridor.person()
    half = corridor.half_signed_in(person)
    assert half.visit("/").request.path == "/enrol"
    enrolled = corridor.half_signed_in(corridor.person(enrolled=True))
    assert enrolled.visit("/").request.path == "/challenge"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "BREW"])
def test_other_methods_lead_nowhere(corridor: Corridor, method: str) -> None:
    browser = corridor.browser()
    for path in ("/", "/sign-in", "/api/v1/credentials", "/metrics", "/static/broker.css"):
        assert browser.open(method, path, headers={"Origin": URL}).status_code in {404, 405}


def test_head_and_options_are_guarded_like_the_route_itself(corridor: Corridor) -> None:
    stranger, browser = corridor.browser(), corridor.signed_in(corridor.person(enrolled=True))
    for method in ("HEAD", "OPTIONS"):
        assert stranger.open(method, "/api/v1/whoami").status_code == 401
        assert stranger.open(method, "/metrics").status_code == 404
        answer = browser.open(method, "/api/v1/whoami")
        assert answer.status_code == 200
        assert answer.data == b""


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        f"{HOST}.evil.example",
        f"evil.{HOST}",
        f"{HOST}:8443",
        f"{HOST}:443@evil.example",
        f"user@{HOST}",
        f"{HOST}.",
        "127.0.0.1",
        "bad host",
        "[::1",
        "a" * 5000,
    ],
)
def test_no_other_host_is_served(corridor: Corridor, host: str) -> None:
    browser = corridor.browser()
    for path in ("/", "/sign-in", "/api/v1/whoami", "/static/broker.css", "/nothing"):
        answer = browser.get(path, host=host)
        assert answer.status_code == 400, path
        assert "evil" not in answer.text
        assert answer.headers["X-Request-Id"]
        assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("host", ["", "10.0.0.7:8400", "evil.example", "bad host"])
def test_probes_and_monitors_may_come_under_any_name(corridor: Corridor, host: str) -> None:
    monitor = Browser(corridor.app, address="", peer=MONITOR)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert monitor.get(path, host=host).status_code == 200


def test_the_own_host_is_served_however_its_case(corridor: Corridor) -> None:
    assert corridor.browser().get("/sign-in", host=HOST.upper()).status_code == 200


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        ("https://Broker.Corp.Example", "broker.corp.example", "https://broker.corp.example"),
        ("https://broker.corp.example:443", "broker.corp.example", "https://broker.corp.example"),
        ("https://broker.corp.example:8443", "broker.corp.example:8443", "https://broker.corp.example:8443"),
        ("http://localhost:80", "localhost", "http://localhost"),
    ],
)
def test_the_address_of_the_settings_is_what_browsers_make_of_it(
    corridor: Corridor, url: str, host: str, origin: str
) -> None:
    browser = Browser(corridor.app_of(corridor.parts, url=url))
    page = browser.get("/sign-in", host=host)
    assert page.status_code == 200
    data = {"csrf_token": browser.csrf, "provider": "corp-ad", "username": corridor.nobody(), "password": "x"}
    answer = browser.open("POST", "/sign-in", host=host, headers={"Origin": origin}, data=data)
    assert answer.status_code == 401


def rows(corridor: Corridor) -> dict[str, list[object]]:
    with corridor.broker.storage.database.read("test") as connection:
        tables = inspect(connection).get_table_names()
        return {table: list(connection.execute(text(f'select * from "{table}"'))) for table in tables}  # noqa: S608 (its own names)


def test_whoever_only_looks_leaves_no_trace_in_the_database(corridor: Corridor) -> None:
    """A crowd of strangers fills no table, and a page needs no write."""
    before = rows(corridor)
    visitor = corridor.browser()
    for method, path in ROUTES:
        if method == "GET":
            for looker in (visitor, corridor.browser(), corridor.browser(token="x" * 43), corridor.browser(token="y")):
                looker.get(path.replace("<path:filename>", "broker.css"))
                looker.open("HEAD", path)
    assert rows(corridor) == before


def test_looking_changes_nothing_but_the_sessions_own_row(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    browser, half = corridor.signed_in(person), corridor.half_signed_in(corridor.person())
    before = rows(corridor)
    corridor.clock.advance(MINUTE)
    for method, path in ROUTES:
        if method == "GET":
            browser.get(path)
            half.get(path)
    after = rows(corridor)
    assert [table for table, found in after.items() if found != before[table]] == ["sessions"]
    assert len(after["sessions"]) == len(before["sessions"])
