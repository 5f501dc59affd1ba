"""The authorization server: what it asks of a question, and what a code and a token are worth."""

import base64
import html
import json
import logging
import secrets
from urllib.parse import urlencode

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from builders import HOUR, MINUTE
from corridor import URL, Browser, Corridor
from web.programs import FORM, Program, came_back, logged_in, s256

from broker.record.event import Event, Outcome, Tag

SECRET = "s" * 32


def refused_on_a_page(browser: Browser, program: Program, **changes: str | None) -> None:
    """By link and by form: a page that leads nowhere, and no event."""
    assert browser.visit(program.url()).status_code == 200, browser.text
    answers = [browser.get(program.url(**changes))]
    browser.visit(program.url())
    answers.append(browser.submit("/oauth/authorize", follow=False, answer="allow", **program.question(**changes)))
    for answer in answers:
        assert answer.status_code == 400
        assert answer.mimetype == "text/html"
        assert "This is not a question of the aws-broker program." in html.unescape(answer.text)
        assert "Location" not in answer.headers
        assert "form-action 'self'; " in answer.headers["Content-Security-Policy"]
        assert program.corridor.tags(answer) == []


def refused_to_the_program(browser: Browser, program: Program, error: str, **changes: str | None) -> None:
    """By link and by form: the program is told, with its state and our name, and nobody else."""
    answers = [browser.get(program.url(**changes))]
    browser.visit(program.url())
    answers.append(browser.submit("/oauth/authorize", follow=False, answer="allow", **program.question(**changes)))
    for answer in answers:
        assert answer.location.startswith(program.redirect_uri + "?")
        told = came_back(answer)
        assert (told["error"], told["state"], told["iss"]) == (error, program.state, URL)
        assert "code" not in told
        assert program.corridor.tags(answer) == []


# ---- the way through


def test_the_whole_way_from_the_question_to_aws(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    browser, program = corridor.signed_in(person), Program(corridor)
    page = browser.visit(program.url())
    assert page.status_code == 200
    assert "Did you just run aws-broker login on this device?" in html.unescape(page.text)
    for shown in ("laptop of mine", person.account):
        assert shown in page.text
    answer = program.consent(browser)
    told = came_back(answer)
    assert answer.location.startswith(program.redirect_uri + "?")
    assert set(told) == {"code", "state", "iss"}
    assert (told["state"], told["iss"]) == (program.state, URL)
    assert corridor.tags(answer) == [Tag.CLI_AUTHORIZED]
    got = program.redeem(told["code"])
    assert (got.status_code, got.mimetype, got.headers["Cache-Control"]) == (200, "application/json", "no-store")
    assert set(got.json) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (got.json["token_type"], got.json["expires_in"]) == ("Bearer", 900)
    assert corridor.tags(got) == [Tag.CLI_SIGNED_IN]
    leased = program.credentials("payments-dev/power-user")
    assert leased.status_code == 200
    assert leased.json["session_name"] == person.account
    assert corridor.tags(leased) == [Tag.CREDENTIALS_DECIDED, Tag.CREDENTIALS_ISSUED]


def test_somebody_who_is_not_signed_in_signs_in_and_comes_back_to_the_question(corridor: Corridor) -> None:
    person, program, browser = corridor.person(enrolled=True), Program(corridor), corridor.browser()
    assert browser.visit(program.url()).request.path == "/sign-in"
    onward = {"next": html.unescape(browser.text.partition('name="next" value="')[2].partition('"')[0])}
    browser.submit("/sign-in", provider="corp-ad", username=person.account, password=person.password, **onward)
    assert browser.path == "/challenge"
    browser.submit("/challenge", method="totp", answer=corridor.code(person))
    assert browser.path == "/oauth/authorize"
    answer = browser.submit("/oauth/authorize", follow=False, answer="allow", **program.question())
    assert program.redeem(came_back(answer)["code"]).status_code == 200


def test_the_page_issues_nothing_and_its_form_says_all_again(corridor: Corridor) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    for method in ("GET", "HEAD"):
        answer = browser.open(method, program.url())
        assert (answer.status_code, corridor.tags(answer)) == (200, [])
    page = browser.visit(program.url())
    for name, value in program.question().items():
        assert f'name="{name}" value="{html.escape(value)}"' in page.text


@pytest.mark.parametrize(("host", "source"), [("127.0.0.1", "http://127.0.0.1:50123"), ("[::1]", "http:")])
def test_the_page_may_lead_to_the_programs_address_and_to_no_other(corridor: Corridor, host: str, source: str) -> None:
    """Chromium holds the redirect of a form against the page's `form-action`; CSP cannot say an IPv6 address."""
    browser = corridor.signed_in(corridor.person(enrolled=True))
    program = Program(corridor, redirect_uri=f"http://{host}:50123/callback/{SECRET}")
    policy = browser.get(program.url()).headers["Content-Security-Policy"]
    assert f"form-action 'self' {source};" in policy
    assert browser.get("/").headers["Content-Security-Policy"].count("http") == 0


def test_the_person_says_no(corridor: Corridor) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    answer = program.consent(browser, "deny")
    told = came_back(answer)
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", program.state, URL)
    assert "code" not in told
    (event,) = corridor.events(answer)
    assert (event.tag, event.outcome, event.reason) == (Tag.CLI_REFUSED, Outcome.DENIED, "the person said no")
    assert event.details["device"] == "laptop of mine"


@pytest.mark.parametrize("said", ["", "yes", "ALLOW", "allow "])
def test_an_answer_that_is_neither_yes_nor_no_is_none(corridor: Corridor, said: str) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    answer = program.consent(browser, said)
    assert (answer.status_code, corridor.tags(answer)) == (400, [])


def test_a_form_that_was_not_on_our_page_is_refused(corridor: Corridor) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    browser.visit(program.url())
    fields = {**program.question(), "answer": "allow"}
    for csrf, origin in ((None, URL), ("x", URL), (browser.csrf, "https://evil.example")):
        sent = {**fields, **({"csrf_token": csrf} if csrf else {})}
        answer = browser.open("POST", "/oauth/authorize", headers={"Origin": origin}, data=sent)
        assert answer.status_code in {400, 403}
        assert corridor.tags(answer) == []


def test_half_a_session_lets_no_program_in(corridor: Corridor) -> None:
    half, program = corridor.half_signed_in(corridor.person(enrolled=True)), Program(corridor)
    assert half.visit(program.url()).request.path == "/challenge"
    answer = half.submit("/oauth/authorize", follow=False, answer="allow", **program.question())
    assert answer.status_code == 401
    assert corridor.tags(answer) == []


# ---- the question

BAD_ADDRESSES = [
    "",
    f"https://127.0.0.1:50000/callback/{SECRET}",
    f"HTTP://127.0.0.1:50000/callback/{SECRET}",
    f"http://localhost:50000/callback/{SECRET}",
    f"http://127.0.0.2:50000/callback/{SECRET}",
    f"http://127.1:50000/callback/{SECRET}",
    f"http://2130706433:50000/callback/{SECRET}",
    f"http://0x7f.0.0.1:50000/callback/{SECRET}",
    f"http://0.0.0.0:50000/callback/{SECRET}",
    f"http://[::]:50000/callback/{SECRET}",
    f"http://[::ffff:127.0.0.1]:50000/callback/{SECRET}",
    f"http://[0:0:0:0:0:0:0:1]:50000/callback/{SECRET}",
    f"http://::1:50000/callback/{SECRET}",
    f"http://127.0.0.1.evil.example:50000/callback/{SECRET}",
    f"http://evil.example:50000/callback/{SECRET}",
    f"http://127.0.0.1@evil.example:50000/callback/{SECRET}",
    f"http://user:pw@127.0.0.1:50000/callback/{SECRET}",
    f"http://127.0.0.1/callback/{SECRET}",
    f"http://127.0.0.1:/callback/{SECRET}",
    f"http://127.0.0.1:80/callback/{SECRET}",
    f"http://127.0.0.1:1023/callback/{SECRET}",
    f"http://127.0.0.1:65536/callback/{SECRET}",
    f"http://127.0.0.1:050000/callback/{SECRET}",
    f"http://127.0.0.1:\uff15\uff10\uff10\uff10\uff10/callback/{SECRET}",
    f"http://127.0.0.1:50000/callback/{SECRET}?x=1",
    f"http://127.0.0.1:50000/callback/{SECRET}?",
    f"http://127.0.0.1:50000/callback/{SECRET}#x",
    f"http://127.0.0.1:50000/callback/{SECRET}/",
    f"http://127.0.0.1:50000/callback/{SECRET}/../x",
    f"http://127.0.0.1:50000/callback/{SECRET}%2f",
    f"http://127.0.0.1:50000/callback/{SECRET}\n",
    f"http://127.0.0.1:50000/callback/{SECRET} ",
    f" http://127.0.0.1:50000/callback/{SECRET}",
    f"http://127.0.0.1:50000//callback/{SECRET}",
    f"http://127.0.0.1:50000/{SECRET}",
    "http://127.0.0.1:50000/callback/",
    "http://127.0.0.1:50000/callback/" + "s" * 21,
    "http://127.0.0.1:50000/callback/" + "s" * 65,
    "http://127.0.0.1:50000\\callback/" + SECRET,
    f"javascript:alert(1)//127.0.0.1:50000/callback/{SECRET}",
    "urn:ietf:wg:oauth:2.0:oob",
    "http://127.0.0.1:50000/callback/" + '"' * 22,
    "ä" * 30,
]


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_only_a_literal_loopback_address_with_a_secret_path_is_ever_gone_to(corridor: Corridor, address: str) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    refused_on_a_page(browser, Program(corridor), redirect_uri=address)


@pytest.mark.parametrize(
    "address",
    [
        f"http://127.0.0.1:1024/callback/{'s' * 22}",
        f"http://127.0.0.1:65535/callback/{'A-_9' * 16}",
        f"http://[::1]:50000/callback/{SECRET}",
    ],
)
def test_what_a_program_can_listen_at_is_gone_to(corridor: Corridor, address: str) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor, redirect_uri=address)
    answer = program.consent(browser)
    assert answer.location.startswith(address + "?code=")
    assert program.redeem(came_back(answer)["code"]).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": ""},
        {"client_id": "aws-broker "},
        {"client_id": "AWS-BROKER"},
        {"client_id": "somebody-else"},
        {"redirect_uri": None},
        {"state": None},
        {"state": ""},
        {"state": "s" * 15},
        {"state": "s" * 257},
        {"state": "s" * 20 + "\x00"},
        {"state": "s" * 20 + "\n"},
        {"state": "ä" * 20},
        {"state": '"' * 20},
        {"response_type": "c\u00f6de"},
        {"code_challenge": "\n" * 43},
    ],
    ids=str,
)
def test_what_no_program_of_ours_asks_is_told_to_the_person_alone(
    corridor: Corridor, changes: dict[str, str | None]
) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    refused_on_a_page(browser, Program(corridor), **changes)


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("unsupported_response_type", {"response_type": None}),
        ("unsupported_response_type", {"response_type": "token"}),
        ("unsupported_response_type", {"response_type": "code token"}),
        ("unsupported_response_type", {"response_type": "CODE"}),
        ("invalid_scope", {"scope": "admin"}),
        ("invalid_request", {"code_challenge_method": None}),
        ("invalid_request", {"code_challenge_method": ""}),
        ("invalid_request", {"code_challenge_method": "plain"}),
        ("invalid_request", {"code_challenge_method": "s256"}),
        ("invalid_request", {"code_challenge": None}),
        ("invalid_request", {"code_challenge": None, "code_challenge_method": None}),
        ("invalid_request", {"code_challenge": ""}),
        ("invalid_request", {"code_challenge": "c" * 42}),
        ("invalid_request", {"code_challenge": "c" * 44}),
        ("invalid_request", {"code_challenge": "c" * 42 + "."}),
        ("invalid_request", {"code_challenge": "c" * 42 + "="}),
        ("invalid_request", {"device": "d" * 65}),
        ("invalid_request", {"device": "laptop\u202egnp"}),
        ("invalid_request", {"device": "two\nlines"}),
        ("invalid_request", {"device": "\x1b[31m"}),
    ],
    ids=str,
)
def test_what_a_program_asks_wrongly_it_is_told(corridor: Corridor, error: str, changes: dict[str, str | None]) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    refused_to_the_program(browser, Program(corridor), error, **changes)


def test_a_plain_challenge_is_worth_nothing_however_it_is_asked(corridor: Corridor) -> None:
    """Without the method, RFC 7636 and Authlib take the challenge for the verifier itself."""
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    plain = secrets.token_urlsafe(32)
    program.verifier = plain
    for method in (None, "plain", ""):
        answer = program.consent(browser, code_challenge=plain, code_challenge_method=method)
        assert came_back(answer)["error"] == "invalid_request"
    code = came_back(program.consent(browser, code_challenge=plain))["code"]
    assert program.redeem(code).json["error"] == "invalid_grant", "with S256 the plain text does not fit"
    assert program.redeem(program.code(browser)).status_code == 200


@pytest.mark.parametrize(
    "name", ["client_id", "redirect_uri", "state", "code_challenge", "device", "response_type", "x"]
)
def test_a_parameter_that_stands_there_twice_is_refused(corridor: Corridor, name: str) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    question = program.question()
    twice = [*question.items(), (name, question.get(name, "1"))] + ([("x", "2")] if name == "x" else [])
    assert browser.get("/oauth/authorize?" + urlencode(twice)).status_code == 400
    browser.visit(program.url())
    body = urlencode([*twice, ("answer", "allow"), ("csrf_token", browser.csrf)])
    answer = browser.open("POST", "/oauth/authorize", headers={"Origin": URL}, data=body, content_type=FORM)
    assert (answer.status_code, corridor.tags(answer)) == (400, [])
    assert browser.get(program.url(x="1")).status_code == 200, "the control: what nobody knows is left alone, once"


def test_the_form_counts_and_not_the_query_of_its_address(corridor: Corridor) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    browser.visit(program.url())
    fields = {"answer": "allow", "csrf_token": browser.csrf}
    answer = browser.open("POST", program.url(), headers={"Origin": URL}, data=fields)
    assert answer.status_code == 400
    evil = Program(corridor, redirect_uri=f"http://127.0.0.1:6666/callback/{SECRET}")
    answer = browser.open("POST", evil.url(), headers={"Origin": URL}, data={**fields, **program.question()})
    assert answer.location.startswith(program.redirect_uri + "?")


def test_a_label_is_text_and_may_be_left_out(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    named = browser.visit(Program(corridor, device='<script>alert(1)</script>" Juergens-Mac').url())
    assert named.status_code == 200
    assert "<script>alert" not in named.text
    assert "Juergens-Mac" in named.text
    assert browser.visit(Program(corridor).url(device=None)).status_code == 200
    assert "It gave no name" in browser.text


# ---- the token endpoint


def test_a_code_is_worth_one_try(corridor: Corridor) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    code = program.code(browser)
    wrong = program.redeem(code, code_verifier="w" * 43)
    assert (wrong.status_code, wrong.json["error"]) == (400, "invalid_grant")
    (event,) = corridor.events(wrong)
    assert (event.tag, event.outcome, event.reason) == (Tag.CLI_REFUSED, Outcome.DENIED, "wrong code verifier")
    again = program.redeem(code)
    assert (again.status_code, again.json["error"], corridor.tags(again)) == (400, "invalid_grant", [])


@pytest.mark.parametrize("address", [f"http://127.0.0.1:49153/callback/{SECRET}", "http://127.0.0.1:49152/callback/x"])
def test_the_redirect_address_is_the_same_to_the_letter(corridor: Corridor, address: str) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    answer = program.redeem(program.code(browser), redirect_uri=address)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert [event.reason for event in corridor.events(answer)] == ["other redirect address"]
    assert program.redeem(program.code(browser)).status_code == 200


def test_the_same_code_twice_ends_what_came_of_it_and_is_written_down(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    browser, program = corridor.signed_in(person), Program(corridor)
    code = program.code(browser)
    program.redeem(code)
    assert program.call("GET", "/api/v1/whoami").status_code == 200
    again = program.redeem(code)
    assert again.json["error"] == "invalid_grant"
    (event,) = corridor.events(again)
    assert (event.tag, event.outcome, event.actor) == (Tag.CLI_REUSE_DETECTED, Outcome.DENIED, person.id)
    assert program.call("GET", "/api/v1/whoami").status_code == 401
    assert program.renew().status_code == 400
    assert browser.get("/api/v1/whoami").status_code == 200, "the browser goes on"


def test_a_code_after_a_minute_is_none(corridor: Corridor) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    code = program.code(browser)
    corridor.clock.advance(MINUTE)
    assert program.redeem(code).json["error"] == "invalid_grant"


def test_refresh_and_reuse(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    program = logged_in(corridor, person)
    first, other = program.refresh, logged_in(corridor, person)
    answer = program.renew()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert corridor.tags(answer) == [], "a refresh gives nothing that the person has not said yes to"
    assert program.refresh != first
    assert program.call("GET", "/api/v1/whoami").status_code == 200
    thief = program.renew(first)
    assert (thief.status_code, thief.json["error"]) == (400, "invalid_grant")
    (event,) = corridor.events(thief)
    assert (event.tag, event.actor) == (Tag.CLI_REUSE_DETECTED, person.id)
    assert program.call("GET", "/api/v1/whoami").status_code == 401
    assert other.call("GET", "/api/v1/whoami").status_code == 200


def test_what_was_written_down_of_one_grant_carries_one_name(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    browser, program = corridor.signed_in(person), Program(corridor)
    consent = program.consent(browser)
    redeemed = program.redeem(came_back(consent)["code"])
    events: list[Event] = [*corridor.events(consent), *corridor.events(redeemed)]
    events += corridor.events(program.revoke(program.refresh))
    assert [event.tag for event in events] == [Tag.CLI_AUTHORIZED, Tag.CLI_SIGNED_IN, Tag.CLI_ENDED]
    assert {event.details["device"] for event in events} == {"laptop of mine"}
    (grant,) = {event.details["grant"] for event in events}
    assert len(grant) == 8
    assert {event.actor for event in events} == {person.id}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"),
        ({"client_id": "somebody-else"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"code": ""}, "invalid_request"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"code_verifier": "v" * 42}, "invalid_request"),
        ({"code_verifier": "v" * 129}, "invalid_request"),
        ({"code_verifier": "v" * 43 + "\n"}, "invalid_request"),
        ({"code_verifier": "\u00e4" * 43}, "invalid_request"),
        ({"code": ["x", "y"]}, "invalid_request"),
        ({"code": "ä" * 43}, "invalid_grant"),
        ({"code": "x" * 10_000}, "invalid_grant"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_what_a_program_sends_wrongly_is_told_in_json(corridor: Corridor, changes: dict[str, str], error: str) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    code = program.code(browser)
    answer = program.redeem(code, **changes)
    assert (answer.status_code, answer.mimetype, answer.json["error"]) == (400, "application/json", error)
    assert corridor.tags(answer) == []
    assert "x" * 50 not in answer.text
    assert program.redeem(code).status_code == 200, "the code was not touched"


@pytest.mark.parametrize("token", ["", "x", "\x00", "ä" * 87, "a" * 43 + "." + "a" * 43, "a" * 60_000])
def test_a_refresh_token_of_any_shape_is_refused_in_json(corridor: Corridor, token: str) -> None:
    program = Program(corridor)
    answer = program.post(
        "/oauth/token", {"grant_type": "refresh_token", "client_id": "aws-broker", "refresh_token": token}
    )
    assert (answer.status_code, answer.mimetype) == (400, "application/json")
    assert answer.json["error"] == ("invalid_grant" if token else "invalid_request")
    assert corridor.tags(answer) == []


def test_tokens_are_read_from_the_form_alone(corridor: Corridor) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    fields = {
        "grant_type": "authorization_code",
        "client_id": "aws-broker",
        "code": program.code(browser),
        "redirect_uri": program.redirect_uri,
        "code_verifier": program.verifier,
    }
    assert program.post("/oauth/token?" + urlencode(fields), "").status_code == 400
    as_json = program.line.open("POST", "/oauth/token", data=json.dumps(fields), content_type="application/json")
    assert as_json.status_code == 400
    assert program.line.get("/oauth/token?" + urlencode(fields)).status_code == 404
    assert program.post("/oauth/token", fields).status_code == 200


def test_a_body_has_a_bound(corridor: Corridor) -> None:
    for path in ("/oauth/token", "/oauth/revoke"):
        answer = Program(corridor).post(path, "x=" + "a" * 70_000)
        assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")
        assert answer.json["error"] == "invalid_request"


def test_the_program_needs_no_cookie_and_gets_none(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    browser = corridor.signed_in(person)
    program = logged_in(corridor, person)
    program.renew()
    program.call("GET", "/api/v1/whoami")
    program.credentials("payments-dev/power-user")
    program.line.get("/.well-known/oauth-authorization-server")
    program.revoke(program.refresh)
    assert program.line.set_cookies == []
    before, set_before = browser.token, list(browser.set_cookies)
    corridor.clock.advance(2 * MINUTE)
    (kept,) = [s for s in corridor.parts.sessions.of_person(person.id) if s.door == "browser"][:1]  # type: ignore[arg-type]
    browser.open("POST", "/oauth/token", data={"grant_type": "x"})
    browser.open("POST", "/oauth/revoke", data={"token": "x"})
    browser.get("/.well-known/oauth-authorization-server")
    assert (browser.token, browser.set_cookies) == (before, set_before)
    assert corridor.reload(kept) == kept, "it was not even noted that the browser was here"


def test_another_origin_reads_and_asks_nothing(corridor: Corridor) -> None:
    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    code = program.code(browser)
    evil = {"Origin": "http://127.0.0.1:49152", "Sec-Fetch-Site": "cross-site"}
    answer = program.post("/oauth/token", {"code": code}, **evil)
    assert (answer.status_code, answer.json["error"]) == (403, "invalid_request")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert program.redeem(code).status_code == 200


# ---- the end


def test_logging_out_ends_the_grant_and_what_is_unknown_is_answered_alike(corridor: Corridor) -> None:
    program = logged_in(corridor)
    answer = program.revoke(program.access, token_type_hint="refresh_token")
    assert (answer.status_code, answer.json, corridor.tags(answer)) == (200, {}, [Tag.CLI_ENDED])
    assert program.call("GET", "/api/v1/whoami").status_code == 401
    assert program.renew().status_code == 400
    for token in (program.access, program.refresh, "x", "ä", "a" * 60_000):
        again = program.revoke(token, token_type_hint="nonsense")
        assert (again.status_code, again.data, corridor.tags(again)) == (200, answer.data, [])


@pytest.mark.parametrize("changes", [{"token": ""}, {"client_id": "somebody-else"}, {"token": ["a", "b"]}], ids=str)
def test_a_revocation_that_says_too_little_ends_nothing(corridor: Corridor, changes: dict[str, str]) -> None:
    program = logged_in(corridor)
    assert program.revoke(program.refresh, **changes).status_code == 400
    assert program.call("GET", "/api/v1/whoami").status_code == 200


def test_a_grant_ends_with_the_browsers_sign_in(corridor: Corridor) -> None:
    program = logged_in(corridor)
    for _ in range(12):
        corridor.clock.advance(HOUR - MINUTE)
        assert program.renew().status_code == 200
    corridor.clock.advance(12 * MINUTE)
    assert program.renew().json["error"] == "invalid_grant"


def test_a_log_out_everywhere_ends_programs_and_codes(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    assert person.id is not None
    program, waiting = logged_in(corridor, person), Program(corridor)
    code = waiting.code(corridor.signed_in(person))
    corridor.parts.sessions.end_all(person.id)
    assert program.call("GET", "/api/v1/whoami").status_code == 401
    assert program.renew().status_code == 400
    assert waiting.redeem(code).status_code == 400


def test_the_twenty_first_program_ends_the_first_and_that_is_written_down(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True, for_good=True))
    first = Program(corridor, device="the first").login(browser)
    corridor.clock.advance(MINUTE)
    for _ in range(19):
        Program(corridor).login(browser)
    assert first.call("GET", "/api/v1/whoami").status_code == 200
    last = Program(corridor)
    answer = last.redeem(last.code(browser))
    assert answer.status_code == 200
    assert [(event.tag, event.details["device"]) for event in corridor.events(answer)] == [
        (Tag.CLI_ENDED, "the first"),
        (Tag.CLI_SIGNED_IN, "laptop of mine"),
    ]
    assert first.call("GET", "/api/v1/whoami").status_code == 401


def test_an_account_that_may_no_longer_sign_in_lets_no_program_in(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    browser, program, waiting = corridor.signed_in(person), logged_in(corridor, person), Program(corridor)
    browser.visit(waiting.url())
    corridor.world.directory.disable(person.account)
    corridor.clock.advance(MINUTE + MINUTE / 60)
    answer = browser.submit("/oauth/authorize", follow=False, answer="allow", **waiting.question())
    assert answer.status_code == 401
    assert set(corridor.tags(answer)) == {Tag.CLI_ENDED, Tag.SESSION_ENDED}, "each end is written down"
    assert program.call("GET", "/api/v1/whoami").status_code == 401, "it ended with all others"
    assert program.renew().status_code == 400


# ---- around it


def test_the_metadata_says_what_is_true(corridor: Corridor) -> None:
    path = get_well_known_url(URL)
    answer = corridor.browser().get(path)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    AuthorizationServerMetadata(answer.json).validate()
    told = answer.json
    assert told["issuer"] == URL
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["authorization_response_iss_parameter_supported"] is True
    adapter = corridor.app.url_map.bind("broker.corp.example")
    for name, method in (("authorization", "GET"), ("token", "POST"), ("revocation", "POST")):
        assert adapter.test(told[f"{name}_endpoint"].removeprefix(URL), method=method)


def test_no_token_code_or_verifier_is_ever_logged_or_recorded(
    corridor: Corridor, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where somebody turns every library's logging up."""
    caplog.set_level(logging.DEBUG)
    for name in ("authlib", "broker", "flask_wtf"):
        caplog.set_level(logging.DEBUG, logger=name)
    person = corridor.person(enrolled=True)
    browser, program = corridor.signed_in(person), Program(corridor)
    answers = [program.consent(browser)]
    code = came_back(answers[0])["code"]
    answers.append(program.redeem(code))
    old = (program.access, program.refresh)
    answers += [program.call("GET", "/api/v1/whoami"), program.renew(), program.renew(old[1]), program.redeem(code)]
    tokens = (*old, program.access, program.refresh)
    secret = {code, program.verifier, *(part for token in tokens for part in token.split("."))}
    assert len(secret) == 2 + 1 + 4
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "Validate authorization request" in logged, "the control: Authlib did log"
    recorded = repr([corridor.events(answer) for answer in answers])
    assert "cli:reuse-detected" in recorded
    for text in secret:
        assert text not in logged
        assert text not in recorded


def test_while_sessions_cannot_be_read_a_program_is_told_to_try_again(
    corridor: Corridor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from broker.errors import Unavailable  # noqa: PLC0415 (raised here only)

    def away(*_: object, **__: object) -> None:
        neighbour = "the store of sessions"
        raise Unavailable(neighbour)

    program = logged_in(corridor)
    monkeypatch.setattr(corridor.broker.storage.sessions, "get", away)
    for answer in (program.renew(), program.redeem("x" * 43), program.revoke(program.refresh)):
        assert answer.status_code == 503
        assert answer.mimetype == "application/problem+json"
        assert answer.json["error"] == "temporarily_unavailable"
        assert int(answer.headers["Retry-After"]) > 0
    assert program.call("GET", "/api/v1/whoami").status_code == 503
    monkeypatch.undo()
    assert program.renew().status_code == 200


def test_without_the_audit_trail_no_code_and_no_token_leaves(
    corridor: Corridor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from broker.errors import Unavailable  # noqa: PLC0415 (raised here only)

    def away(*_: object, **__: object) -> None:
        neighbour = "audit trail"
        raise Unavailable(neighbour)

    browser, program = corridor.signed_in(corridor.person(enrolled=True)), Program(corridor)
    code = program.code(browser)
    browser.visit(program.url())
    monkeypatch.setattr(corridor.broker.trail, "record", away)
    answer = browser.submit("/oauth/authorize", follow=False, answer="allow", **program.question())
    assert (answer.status_code, answer.headers.get("Location")) == (503, None)
    told = program.redeem(code)
    assert told.status_code == 503
    assert "access_token" not in told.text


def test_the_challenge_is_made_as_rfc_7636_says() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert s256(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert len(base64.urlsafe_b64decode(s256(verifier) + "=")) == 32
