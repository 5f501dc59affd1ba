"""Tokens in place of the cookie: on the API alone, never both, and no CSRF token for them."""

from datetime import timedelta

import pytest
from builders import MINUTE
from corridor import URL, Browser, Corridor
from web.programs import Program, logged_in

from broker.record.event import Tag

ROLE = "payments-dev/power-user"
JSON = "application/json"


def test_every_view_of_the_api_takes_a_token_for_the_session_it_is(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    program = logged_in(corridor, person)
    who = program.call("GET", "/api/v1/whoami")
    assert (who.status_code, who.json["username"], who.json["factors"]) == (200, person.account, ["totp"])
    assert who.json["csrf_token"] is None
    assert [role["role"] for role in program.call("GET", "/api/v1/roles").json["roles"]] == [ROLE]
    answer = program.credentials(ROLE)
    assert answer.status_code == 200
    decided, issued = corridor.events(answer)
    assert decided.actor == issued.actor == person.id


def test_whoever_brings_a_token_is_asked_for_no_csrf_token_and_whoever_brings_a_cookie_is(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    program, browser = logged_in(corridor, person), corridor.signed_in(person)
    assert program.credentials(ROLE).status_code == 200
    body = f'{{"role": "{ROLE}"}}'
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"X-CSRFToken": program.access}):
        answer = browser.open(
            "POST", "/api/v1/credentials", headers={"Origin": URL, **headers}, data=body, content_type=JSON
        )
        assert (answer.status_code, answer.json["type"]) == (400, "urn:aws-federation-broker:problem:csrf")
        assert corridor.tags(answer) == []


@pytest.mark.parametrize("cookie", ["live", "ended", "nonsense", "empty"])
@pytest.mark.parametrize("token", ["good", "bad"])
def test_a_token_and_a_cookie_together_are_refused(corridor: Corridor, cookie: str, token: str) -> None:
    person = corridor.person(enrolled=True)
    program, browser = logged_in(corridor, person), corridor.signed_in(person)
    kept = browser.token
    if cookie == "ended":
        browser.visit("/")
        browser.submit("/sign-out")
    value = {"live": kept, "ended": kept, "nonsense": "x", "empty": ""}[cookie]
    headers = {"Cookie": f"__Host-broker={value}"}
    bearer = program.access if token == "good" else "x"
    for method, path in (("GET", "/api/v1/whoami"), ("POST", "/api/v1/credentials"), ("GET", "/api/v1/openapi.json")):
        answer = program.call(method, path, token=bearer, headers=headers, data="{}", content_type=JSON)
        assert (answer.status_code, answer.json["type"]) == (400, "urn:aws-federation-broker:problem:invalid-request")
        assert corridor.tags(answer) == []
    assert program.call("GET", "/api/v1/whoami").status_code == 200


@pytest.mark.parametrize("path", ["/", "/go-on", "/oauth/authorize", "/sign-out", "/enrol", "/challenge"])
def test_a_token_opens_no_page(corridor: Corridor, path: str) -> None:
    program = logged_in(corridor)
    url = Program(corridor).url() if path == "/oauth/authorize" else path
    methods = {"/sign-out": ["POST"], "/oauth/authorize": ["GET", "POST"]}.get(path, ["GET"])
    for method in methods:
        with_token = program.call(method, url)
        without = Browser(corridor.app).open(method, url)
        assert with_token.status_code == without.status_code
        assert with_token.headers.get("Location") == without.headers.get("Location")
        assert "Sign out" not in with_token.text
        assert with_token.status_code in {303, 400, 401}
        assert corridor.tags(with_token) == []
    assert program.line.set_cookies == []


def test_a_page_asked_with_a_cookie_does_not_look_at_a_token(corridor: Corridor) -> None:
    """Some proxies put an Authorization header of their own on everything."""
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), logged_in(corridor)
    for token in (program.access, "x"):
        assert browser.get("/", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize("where", ["query", "form", "json", "header", "cookie"])
def test_a_token_in_another_place_is_none(corridor: Corridor, where: str) -> None:
    program = logged_in(corridor)
    token, line = program.access, program.line
    answer = {
        "query": lambda: line.get(f"/api/v1/whoami?access_token={token}"),
        "form": lambda: line.open("POST", "/api/v1/credentials", data={"access_token": token, "role": ROLE}),
        "json": lambda: line.post("/api/v1/credentials", {"role": ROLE, "access_token": token}, csrf=""),
        "header": lambda: line.get("/api/v1/whoami", headers={"X-Access-Token": token}),
        "cookie": lambda: line.get("/api/v1/whoami", headers={"Cookie": f"__Host-broker={token}"}),
    }[where]()
    assert answer.status_code == 401
    assert corridor.tags(answer) == []


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer  {token}",
        "Bearer {token} ,",
        "Bearer {token},Bearer {token}",
        "Bearer {token}x",
        "Bearer {upper}",
        "Bearer " + "a" * 43 + "." + "a" * 43,
        "Bearer \u00e4",
        "Bearer " + "x" * 7000,
        "Bearer {refresh}",
    ],
)
def test_what_is_no_live_access_token_is_a_401_that_says_so(corridor: Corridor, header: str) -> None:
    program = logged_in(corridor)
    text = header.format(token=program.access, upper=program.access.upper(), refresh=program.refresh)
    for path in ("/api/v1/whoami", "/api/v1/openapi.json"):
        answer = program.line.get(path, headers={"Authorization": text})
        assert answer.status_code == 401
        assert answer.json["type"] == "urn:aws-federation-broker:problem:not-signed-in"
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="aws-broker", error="invalid_token"'
    assert program.call("GET", "/api/v1/whoami").status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_known_however_its_case(corridor: Corridor, scheme: str) -> None:
    program = logged_in(corridor)
    answer = program.line.get("/api/v1/whoami", headers={"Authorization": f"{scheme} {program.access}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Digest x"}], ids=str)
def test_whoever_brings_nothing_is_told_how_to_come(corridor: Corridor, headers: dict[str, str]) -> None:
    answer = corridor.browser().get("/api/v1/whoami", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="aws-broker"'
    page = corridor.browser().open("POST", "/sign-out", headers={"Origin": URL})
    assert "WWW-Authenticate" not in page.headers


def test_a_token_is_over_after_a_quarter_of_an_hour(corridor: Corridor) -> None:
    program = logged_in(corridor)
    corridor.clock.advance(15 * MINUTE - timedelta(seconds=1))
    assert program.call("GET", "/api/v1/whoami").status_code == 200
    corridor.clock.advance(timedelta(seconds=1))
    assert program.call("GET", "/api/v1/whoami").status_code == 401
    assert program.renew().status_code == 200
    assert program.call("GET", "/api/v1/whoami").status_code == 200


def test_another_origin_cannot_use_a_token_for_a_change(corridor: Corridor) -> None:
    answer = logged_in(corridor).credentials(ROLE, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, corridor.tags(answer)) == (403, [])


def test_a_call_with_a_token_writes_no_note_and_loses_no_token(corridor: Corridor) -> None:
    """What is kept of a grant are the hashes of its tokens: the notes of a page must never take their place."""
    person = corridor.person(enrolled=True)
    program = logged_in(corridor, person)
    assert person.id is not None
    before = next(held for held in corridor.parts.sessions.of_person(person.id) if held.door == "cli")
    corridor.clock.advance(5 * MINUTE)
    for _ in range(2):
        assert program.call("GET", "/api/v1/whoami").status_code == 200
        assert program.call("GET", "/api/v1/nothing").status_code == 404
        assert program.credentials("payments-dev/none").status_code == 403
    after = corridor.reload(before)
    assert after is not None
    assert after.notes == before.notes
    assert after.identity is not None
    assert before.identity is not None
    assert after.identity.read_at > before.identity.read_at, "who it is was read anew, and kept"
    assert program.renew().status_code == 200


def test_a_disabled_account_is_out_of_every_door(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    browser, program, other = corridor.signed_in(person), logged_in(corridor, person), logged_in(corridor, person)
    corridor.world.directory.disable(person.account)
    corridor.clock.advance(MINUTE + timedelta(seconds=1))
    answer = program.credentials(ROLE)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].endswith('error="invalid_token"')
    assert sorted(corridor.tags(answer)) == [Tag.CLI_ENDED] * 2 + [Tag.SESSION_ENDED] * 3, "each end is written down"
    assert browser.get("/api/v1/whoami").status_code == 401
    assert other.call("GET", "/api/v1/whoami").status_code == 401
    for held in (program, other):
        assert held.renew().status_code == 400


def test_conditions_hold_for_programs_too(corridor: Corridor) -> None:
    """The factor that was shown in the browser counts, and grows old, as it does there."""
    program = logged_in(corridor, corridor.person("sre", enrolled=True))
    assert program.credentials("payments-dev/fresh").status_code == 200
    corridor.clock.advance(6 * MINUTE)
    answer = program.credentials("payments-dev/fresh")
    assert (answer.status_code, answer.json["type"]) == (403, "urn:aws-federation-broker:problem:step-up")
