"""The pages of a sign-in, as a person meets them."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
from builders import MINUTE
from corridor import PROVIDER, SCRIPT, Answer, Browser, Corridor, Somebody, World, a_corridor

from broker.record.event import Tag

KEY = re.compile(r"<code id=\"key\">((?:[A-Z2-7]{4} ?){8})</code>")


def begin(corridor: Corridor) -> tuple[Somebody, Browser]:
    """Somebody at the enrolment page, who has just scanned the code."""
    person = corridor.person()
    browser = corridor.half_signed_in(person)
    found = KEY.search(browser.text)
    assert found
    return replace(person, key=found[1]), browser


def test_the_whole_way_from_the_first_page_to_the_first_role(corridor: Corridor) -> None:
    person, browser = begin(corridor)
    assert "<svg" in browser.text
    code = corridor.enrolment_code(person)
    browser.submit("/enrol", enrolment_code=code, answer=corridor.code(person))
    codes = re.findall(r"<li><code>([0-9A-Z-]+)</code></li>", browser.text)
    assert len(codes) == 10
    browser.visit("/go-on")
    assert (browser.path, "power-user" in browser.text, "payments-dev" in browser.text) == ("/", True, True)
    assert browser.credentials("payments-dev/power-user").status_code == 200
    assert "shown again" not in browser.visit("/go-on").text, "the codes are shown once"


def test_each_step_leads_back_to_the_one_that_is_due(corridor: Corridor) -> None:
    _, enrolling = begin(corridor)
    for path in ("/", "/go-on", "/sign-in", "/challenge"):
        assert enrolling.visit(path).request.path == "/enrol"
    challenged = corridor.half_signed_in(corridor.person(enrolled=True))
    for path in ("/", "/go-on", "/sign-in", "/enrol"):
        assert challenged.visit(path).request.path == "/challenge"
    whole = corridor.signed_in(corridor.person(enrolled=True))
    for path in ("/", "/go-on", "/sign-in", "/enrol"):
        assert whole.visit(path).request.path == "/"
    assert whole.visit("/challenge").request.path == "/challenge", "to step up"


def test_nobody_enrols_where_another_step_is_due(corridor: Corridor) -> None:
    """Whoever has a factor shows it; a password does not add another."""
    half = corridor.half_signed_in(corridor.person(enrolled=True))
    answer = half.submit("/enrol", follow=False, enrolment_code="x", answer="123456")
    assert (answer.status_code, answer.location) == (303, "/go-on")
    assert corridor.tags(answer) == []
    whole = corridor.signed_in(corridor.person(enrolled=True))
    answer = whole.submit("/enrol", follow=False, answer="123456")
    assert (answer.status_code, answer.location, corridor.tags(answer)) == (303, "/go-on", [])
    enrolling = begin(corridor)[1]
    answer = enrolling.submit("/challenge", follow=False, method="totp", answer="123456")
    assert (answer.status_code, answer.location, corridor.tags(answer)) == (303, "/go-on", [])


def test_a_typing_error_keeps_the_qr_code(corridor: Corridor) -> None:
    person, browser = begin(corridor)
    browser.submit("/enrol", enrolment_code="", answer="000000")
    assert browser.last is not None
    assert browser.last.status_code == 401
    found = KEY.search(browser.text)
    assert found
    assert found[1] == person.key
    browser.submit("/enrol", enrolment_code=corridor.enrolment_code(person), answer=corridor.code(person))
    assert browser.text.count("<li><code>") == 10


def test_an_enrolment_cannot_be_carried_to_another_session(corridor: Corridor) -> None:
    person, browser = begin(corridor)
    other = begin(corridor)[1]
    code = corridor.enrolment_code(person)
    answer = other.submit("/enrol", enrolment_code=code, answer=corridor.code(person))
    assert answer.status_code == 401
    assert browser.get("/enrol").status_code == 200


def test_a_password_too_old_to_enrol_leads_back_to_the_password(corridor: Corridor) -> None:
    """Not to an error page that leads to itself."""
    person = corridor.person()
    browser = corridor.browser()
    browser.visit("/sign-in")
    fields = {"provider": PROVIDER, "username": person.account, "password": person.password}
    browser.submit("/sign-in", follow=False, **fields)
    corridor.clock.advance(6 * MINUTE)
    answer = browser.visit("/go-on")
    assert answer.status_code == 401
    assert "Sign in again before you enrol." in answer.text
    assert browser.token == ""
    assert browser.visit("/go-on").request.path == "/sign-in"
    assert begin(corridor)[1].path == "/enrol", "the control: at once"


def test_an_enrolment_under_way_may_take_longer_than_the_password_is_fresh(corridor: Corridor) -> None:
    person, browser = begin(corridor)
    corridor.clock.advance(8 * MINUTE)
    browser.submit("/enrol", enrolment_code=corridor.enrolment_code(person), answer=corridor.code(person))
    assert browser.text.count("<li><code>") == 10


def test_sign_in_says_the_same_whatever_is_wrong_and_leaves_the_name_out(corridor: Corridor) -> None:
    browser = corridor.browser()
    browser.visit("/sign-in")
    answer = browser.submit("/sign-in", provider=PROVIDER, username="someone-else", password="x")
    assert answer.status_code == 401
    assert "The name or the password is not right, or the account cannot sign in." in answer.text
    assert "someone-else" not in answer.text
    assert browser.csrf, "the form is there again"


@pytest.mark.usefixtures("signing_time")
def test_guessing_codes_stops_at_five_for_a_person_however_many_browsers(world: World, tmp_path: Path) -> None:
    with a_corridor(world, tmp_path / "both") as here, a_corridor(world, tmp_path / "both") as there:
        person = here.person(enrolled=True)
        browsers = [place.half_signed_in(person, address=f"10.0.0.{n}") for n in range(4) for place in (here, there)]
        found = [guess(browser, f"{n:06}") for n, browser in enumerate(browsers)]
        assert found == [401] * 5 + [429] * 3
        right = here.code(person)
        assert guess(browsers[0], right) == 429, "even the right one"
        here.clock.advance(16 * MINUTE)
        again = there.half_signed_in(person)
        assert guess(again, here.code(person)) == 200


def guess(browser: Browser, code: str) -> int:
    return browser.submit("/challenge", method="totp", answer=code).status_code


def test_guessing_recovery_codes_counts_with_the_others(corridor: Corridor) -> None:
    browser = corridor.half_signed_in(corridor.person(enrolled=True))
    found = []
    for number in range(6):
        fields = ("totp", "000000") if number % 2 else ("recovery_code", "0" * 26)
        found.append(browser.submit("/challenge", method=fields[0], answer=fields[1]).status_code)
    assert found == [401] * 5 + [429]


def test_a_recovery_code_opens_the_door_once(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    first, *_ = person.recovery_codes
    browser = corridor.half_signed_in(person)
    assert "Use instead: Recovery code" in browser.text
    browser.visit("/challenge?method=recovery_code")
    assert "Use instead: Authenticator app" in browser.text
    browser.submit("/challenge", method="recovery_code", answer=first.lower())
    assert browser.path == "/"
    assert browser.get("/api/v1/whoami").json["factors"] == ["recovery_code"]
    assert browser.credentials("payments-dev/power-user").status_code == 200
    again = corridor.half_signed_in(person)
    assert again.submit("/challenge", method="recovery_code", answer=first).status_code == 401
    other = corridor.half_signed_in(corridor.person(enrolled=True))
    answer = other.submit("/challenge", method="recovery_code", answer=person.recovery_codes[1])
    assert answer.status_code == 401, "another person's code"


def test_an_unknown_method_is_the_persons_first(corridor: Corridor) -> None:
    browser = corridor.half_signed_in(corridor.person(enrolled=True))
    for method in ("webauthn", "hardware_token", "sms", ""):
        assert 'name="method" value="totp"' in browser.visit(f"/challenge?method={method}").text


def test_too_many_passwords_are_a_429_in_words_that_help(corridor: Corridor) -> None:
    person = corridor.person()
    browser, found = corridor.browser(), list[Answer]()
    for _ in range(6):
        browser.visit("/sign-in")
        found.append(browser.submit("/sign-in", provider=PROVIDER, username=person.account, password="not it"))
    assert [answer.status_code for answer in found] == [401] * 5 + [429]
    assert "There were too many attempts for this name." in found[-1].text
    assert "Wait, then try again." in found[-1].text
    assert found[-1].headers["Retry-After"]
    browser.visit("/sign-in")
    assert browser.sign_in(person).status_code == 429, "even the right one"


def test_what_the_directory_calls_people_stays_text(corridor: Corridor) -> None:
    """A display name is written by whoever can edit it in the directory."""
    person = corridor.person("stranger", enrolled=True)
    browser = corridor.browser()
    for page in (
        browser.sign_in(person),
        browser.submit("/challenge", method="totp", answer="000000"),
        browser.submit("/challenge", method="totp", answer=corridor.code(person)),
    ):
        assert page.text.lower().count("<script") == 1, "our own"
        assert html.escape(SCRIPT) in page.text
    told = browser.get("/api/v1/whoami")
    assert told.json["display_name"].endswith(SCRIPT)
    assert told.mimetype == "application/json"
    assert told.headers["X-Content-Type-Options"] == "nosniff"
    enrolling = corridor.half_signed_in(corridor.person("stranger"))
    assert enrolling.text.lower().count("<script") == 1
    assert html.escape(SCRIPT) in enrolling.text


def test_whoever_has_no_role_is_told_what_to_do(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person("stranger", enrolled=True))
    assert "You have no AWS roles yet" in browser.text
    assert "ask the owner of the AWS account" in browser.text
    assert "Sign out" in browser.text


def test_the_home_page_lists_roles_and_says_why_not(corridor: Corridor) -> None:
    corridor.until_office_hours()
    browser = corridor.signed_in(corridor.person("sre", enrolled=True))
    assert len(set(re.findall(r'/(?:console|why)\?role=([^"]+)" data-go', browser.text))) == 7
    assert browser.text.count('<a class="tool go" href="/console?role=') > 0
    assert "This role needs webauthn" in browser.text
    corridor.clock.now = corridor.clock().replace(hour=21)
    again = corridor.signed_in(corridor.person("sre", enrolled=True))
    assert re.search(r"Opens <time [^>]*>20\d\d-\d\d-\d\d \d\d:\d\d UTC", again.text)


def test_a_disabled_account_finds_its_home_page_closed_and_the_password_asked(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    browser = corridor.signed_in(person)
    corridor.world.directory.disable(person.account)
    corridor.clock.advance(2 * MINUTE)
    answer = browser.get("/")
    assert answer.status_code == 401
    assert "disabled" not in answer.text
    assert corridor.tags(answer) == [Tag.SESSION_ENDED]
    assert browser.visit("/").request.path == "/sign-in"


def test_signing_out_is_recorded_once_and_leads_to_the_password(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    answer = browser.submit("/sign-out", follow=False)
    (event,) = corridor.events(answer)
    assert (event.tag, event.reason) == (Tag.SESSION_ENDED, "signed out")
    assert browser.visit("/").request.path == "/sign-in"
