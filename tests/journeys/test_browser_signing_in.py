"""Signing in with a real browser: password, app, recovery codes, and out again. Every page is examined."""

import re

import pytest
from journeys.live import Live, enter, sign_in, sign_out, type_code, type_password
from journeys.visitor import App, Visitor
from neighbours.chromium import NewTab, Tab
from playwright.sync_api import Page, expect

KEY = re.compile(r"(?:[A-Z2-7]{4} ?){8}")


def read_key(page: Page) -> str:
    """The text key of the enrolment page, where the QR code cannot be scanned."""
    if not page.get_by_text(KEY).is_visible():
        page.get_by_text(re.compile(r"scan it\?")).click()
    return page.get_by_text(KEY).inner_text()


def finish(page: Page, enrolment_code: str, code: str) -> None:
    """The enrolment page's form."""
    page.get_by_label("Enrolment code").fill(enrolment_code)
    page.get_by_label("The code that the app shows now").fill(code)
    page.get_by_role("button", name="Finish").click()


def enrol(page: Page, visitor: Visitor, enrolment_code: str) -> list[str]:
    """From the enrolment page to the recovery codes."""
    page.wait_for_url("**/enrol")
    visitor.app = App(read_key(page), used=0)
    finish(page, enrolment_code, visitor.app.code())
    return page.get_by_role("listitem").filter(has=page.locator("code")).all_inner_texts()


def test_the_first_sign_in_sets_up_an_app_and_ends_at_the_roles(live: Live, tab: Tab) -> None:
    visitor, enrolment_code = live.newcomer()
    page = tab.page
    page.goto(live.url)
    page.wait_for_url("**/sign-in")
    expect(page.get_by_label("User name")).to_be_focused()
    tab.examine("sign-in")
    type_password(page, visitor, "not it")
    expect(page.get_by_role("alert")).to_be_visible()
    assert visitor.name not in page.get_by_role("main").inner_text(), (
        "whether there is such a name is nobody's business"
    )
    tab.examine("sign-in-refused")
    type_password(page, visitor)
    page.wait_for_url("**/enrol")
    tab.examine("enrol")
    key = read_key(page)
    visitor.app = App(key, used=0)
    finish(page, enrolment_code, visitor.app.wrong())
    expect(page.get_by_role("alert")).to_be_visible()
    assert read_key(page) == key, "the app that was set up already must not be set up again"
    tab.examine("enrol-refused")
    finish(page, enrolment_code, visitor.app.code())
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    assert page.get_by_role("main").locator("code").count() == 10
    tab.examine("recovery-codes")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    page.get_by_label("I have saved them").check()
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(f"{live.url}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your roles")
    expect(page.get_by_role("banner")).to_contain_text(visitor.name.replace("dev", "Dev No "))


def test_the_next_sign_in_asks_for_a_code_and_a_wrong_one_is_refused(live: Live, tab: Tab) -> None:
    visitor = live.person()
    assert visitor.app is not None
    page = tab.page
    page.goto(live.url)
    type_password(page, visitor)
    page.wait_for_url("**/challenge")
    expect(page.locator("#answer")).to_be_focused()
    tab.examine("challenge")
    type_code(page, visitor.app.wrong())
    expect(page.get_by_role("alert")).to_be_visible()
    tab.examine("challenge-refused")
    code = visitor.app.code()
    type_code(page, f"{code[:3]} {code[3:]}")
    page.wait_for_url(f"{live.url}/")


def test_a_recovery_code_opens_the_door_once(live: Live, tab: Tab) -> None:
    visitor, enrolment_code = live.newcomer()
    page = tab.page
    page.goto(live.url)
    type_password(page, visitor)
    code, *_ = enrol(page, visitor, enrolment_code)
    for again in (False, True):
        tab.context.clear_cookies()
        page.goto(live.url)
        type_password(page, visitor)
        page.wait_for_url("**/challenge")
        page.get_by_role("link", name=re.compile("recovery code", re.IGNORECASE)).click()
        expect(page.get_by_label("Recovery code")).to_be_focused()
        if not again:
            tab.examine("challenge-recovery-code")
        type_code(page, code)
        expect(page.get_by_role("alert") if again else page.get_by_role("heading", name="Your roles")).to_be_visible()


def test_everything_can_be_done_without_javascript(live: Live, new_tab: NewTab) -> None:
    tab = new_tab(java_script_enabled=False)
    visitor, enrolment_code = live.newcomer()
    page = tab.page
    page.goto(live.url)
    type_password(page, visitor)
    codes = enrol(page, visitor, enrolment_code)
    assert len(codes) == 10
    page.get_by_label("I have saved them").check()
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(f"{live.url}/")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    sign_out(page)
    type_password(page, visitor)
    assert visitor.app is not None
    type_code(page, visitor.app.code())
    page.wait_for_url(f"{live.url}/")


def test_a_password_can_be_pasted_shown_and_hidden(live: Live, tab: Tab) -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live.url)
    page = tab.page
    page.goto(live.url)
    page.get_by_label("User name").fill("ada")
    page.evaluate("navigator.clipboard.writeText('pasted-password')")
    password = page.get_by_label("Password", exact=True)
    password.focus()
    page.keyboard.press("Control+V")
    expect(password).to_have_value("pasted-password")
    expect(password).to_have_attribute("type", "password")
    page.get_by_role("button", name="Show").click()
    expect(password).to_have_attribute("type", "text")
    page.get_by_role("button", name="Hide").click()
    expect(password).to_have_attribute("type", "password")


def test_a_link_survives_the_sign_in(live: Live, tab: Tab) -> None:
    page = sign_in(tab, live.person(), "/why?role=payments-prod/admin")
    assert page.url == f"{live.url}/why?role=payments-prod/admin"


def test_after_signing_out_the_back_button_shows_nothing_of_anybody(live: Live, tab: Tab) -> None:
    visitor = live.person("sre")
    name = visitor.name.replace("sre", "Sre No ")
    page = sign_in(tab, visitor)
    page.goto(f"{live.url}/why")
    page.goto(f"{live.url}/sessions")
    expect(page.get_by_role("banner")).to_contain_text(name)
    sign_out(page)
    for _ in range(5):
        page.go_back()
        assert name not in page.content()
        assert "payments-" not in page.content()
    assert tab.context.cookies() == [] or all(len(cookie["value"]) > 0 for cookie in tab.context.cookies())
    page.goto(live.url)
    page.wait_for_url("**/sign-in")


def test_a_cookie_that_somebody_kept_is_worth_nothing_after_the_sign_out(live: Live, new_tab: NewTab) -> None:
    mine, thief = new_tab(), new_tab()
    page = sign_in(mine, live.person())
    thief.context.add_cookies(
        [{**cookie, "url": live.url.replace("http:", "https:"), "domain": None, "path": None} for cookie in ()]
    )
    kept = mine.context.cookies()
    thief.context.add_cookies(kept)
    thief.page.goto(live.url)
    expect(thief.page.get_by_role("heading", level=1)).to_have_text("Your roles")  # the control
    sign_out(page)
    thief.page.goto(live.url)
    thief.page.wait_for_url("**/sign-in")


def test_a_cookie_that_somebody_planted_before_the_sign_in_is_not_the_one_after(live: Live, new_tab: NewTab) -> None:
    attacker, victim = new_tab(), new_tab()
    attacker.page.goto(live.url)
    planted = attacker.context.cookies()
    assert planted
    victim.context.add_cookies(planted)
    sign_in(victim, live.person())
    assert {cookie["value"] for cookie in victim.context.cookies()}.isdisjoint(cookie["value"] for cookie in planted)
    attacker.page.goto(live.url)
    attacker.page.wait_for_url("**/sign-in")


@pytest.mark.parametrize("more", [{"forced_colors": "active"}, {"reduced_motion": "reduce"}], ids=str)
def test_forced_colours_and_reduced_motion_change_nothing_that_matters(
    live: Live, new_tab: NewTab, more: dict[str, str]
) -> None:
    tab = new_tab(**more)
    page = sign_in(tab, live.person("sre"))
    expect(page.get_by_role("link", name="Roles")).to_be_visible()
    moving = "[...document.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).animationDuration) > 0.01)"
    assert "reduced_motion" not in more or page.evaluate(f"{moving}.length") == 0
    assert list(tab.problems()) == []
    sign_out(page)


def test_an_address_that_is_not_there_says_so(live: Live, tab: Tab) -> None:
    page = enter(tab, live.person(), "/nothing")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    tab.examine("error-404")


def test_a_form_of_a_session_that_has_ended_says_so_and_leads_back(live: Live, tab: Tab) -> None:
    page = enter(tab, live.person("sre"))
    tab.context.clear_cookies()
    page.get_by_role("button", name=re.compile("^Favourite")).first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    tab.examine("session-ended")
    page.get_by_role("main").get_by_role("link").first.click()
    page.wait_for_url("**/sign-in*")
