"""The style guide in a real browser: what each component does, with the script and without."""

from datetime import timedelta
from pathlib import Path

import pytest
from journeys.live import Live, enter
from neighbours.chromium import NewTab, Tab
from playwright.sync_api import Page, expect

from broker.clock import utc_now
from broker.sandbox.authenticator import code_of


@pytest.fixture
def guide(live: Live, tab: Tab) -> Page:
    tab.page.goto(f"{live.url}/styleguide")
    return tab.page


def rows(page: Page) -> int:
    return page.locator("[data-filter-text]:visible").count()


def test_a_search_narrows_at_once_says_how_many_are_left_and_is_taken_back(guide: Page) -> None:
    count = guide.locator("[data-filter-count]")
    guide.locator("h1").click()
    guide.keyboard.press("/")
    guide.keyboard.type("DEV  read")
    assert rows(guide) == 1
    expect(count).to_have_text("1 role")
    guide.keyboard.type("-nothing")
    assert rows(guide) == 0
    expect(guide.get_by_text("No role fits.")).to_be_visible()
    guide.keyboard.press("Escape")
    assert rows(guide) == 3
    expect(count).to_have_text("3 roles")
    guide.keyboard.type("012345678901")
    assert rows(guide) == 1, "by number"


def test_a_chip_leaves_one_environment_and_is_pressed_again_for_all(guide: Page) -> None:
    chip = guide.get_by_role("button", name="prod", exact=True)
    chip.click()
    assert rows(guide) == 1
    expect(chip).to_have_attribute("aria-pressed", "true")
    chip.click()
    assert rows(guide) == 3


def test_arrow_keys_walk_the_rows_and_enter_takes_the_first(guide: Page) -> None:
    guide.get_by_role("searchbox").focus()
    for _ in range(2):
        guide.keyboard.press("ArrowDown")
    expect(guide.locator("[data-go]").nth(1)).to_be_focused()
    for _ in range(2):
        guide.keyboard.press("ArrowUp")
    expect(guide.get_by_role("searchbox")).to_be_focused()
    guide.keyboard.type("power")
    guide.keyboard.press("Enter")
    assert guide.url.endswith("#badges")


def test_a_secret_is_copied_without_being_shown(live: Live, new_tab: NewTab) -> None:
    tab = new_tab(permissions=["clipboard-read", "clipboard-write"])
    tab.page.goto(f"{live.url}/styleguide")
    block = tab.page.get_by_role("group", name="A secret, closed until somebody opens it")
    block.get_by_role("button", name="Copy").click()
    expect(block.get_by_role("button")).to_have_text("Copied")
    expect(tab.page.locator("#said")).to_have_text("Copied")
    assert "AWS_SECRET_ACCESS_KEY=example" in tab.page.evaluate("navigator.clipboard.readText()")
    expect(block.locator("pre")).to_be_hidden()
    block.locator("summary").click()
    expect(block.locator("pre")).to_be_visible()


def test_a_password_is_shown_when_asked_and_sent_as_a_password(guide: Page) -> None:
    secret = guide.locator("#secret")
    secret.fill("correct horse")
    switch = guide.get_by_role("button", name="Show", exact=True)
    switch.click()
    expect(secret).to_have_attribute("type", "text")
    guide.evaluate("document.querySelector('.swatch-form').addEventListener('submit', (sent) => sent.preventDefault())")
    guide.locator("#name").fill("x")
    guide.get_by_role("button", name="Send").click()
    expect(secret).to_have_attribute("type", "password")


def test_tabs_show_one_panel_and_move_by_arrow_keys(guide: Page) -> None:
    shell, text = guide.get_by_role("tab", name="bash"), guide.get_by_role("tab", name="JSON")
    expect(guide.locator("#guide-json")).to_be_hidden()
    shell.focus()
    guide.keyboard.press("ArrowRight")
    expect(text).to_be_focused()
    expect(text).to_have_attribute("aria-selected", "true")
    expect(guide.locator("#guide-json")).to_be_visible()
    expect(guide.locator("#guide-bash")).to_be_hidden()
    guide.keyboard.press("Home")
    expect(shell).to_be_focused()


def test_what_has_expired_is_gone_from_the_page(live: Live, tab: Tab) -> None:
    page = tab.page
    page.clock.install()
    page.goto(f"{live.url}/styleguide")
    expect(page.locator("#guide-secret")).to_have_count(1)
    expect(page.locator("[data-countdown]")).to_contain_text("left")
    page.clock.fast_forward(timedelta(hours=1, seconds=5).total_seconds() * 1000)
    expect(page.locator("#guide-secret")).to_have_count(0)
    expect(page.get_by_text("These have expired.")).to_be_visible()
    expect(page.locator("[data-countdown]")).to_have_text("expired")
    assert "AWS_SECRET_ACCESS_KEY" not in page.content()


def test_a_wide_change_asks_first_and_forgets_it_when_it_is_cancelled(guide: Page) -> None:
    button = guide.get_by_role("button", name="End all sessions", exact=True)
    button.click()
    dialog = guide.get_by_role("dialog", name="End all sessions?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    guide.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    button.click()
    with guide.expect_navigation():
        dialog.get_by_role("button", name="End all sessions").click()


def test_the_end_of_a_session_is_told_two_minutes_before(live: Live, tab: Tab) -> None:
    page = tab.page
    page.clock.install()
    enter(tab, live.person())
    expect(page.get_by_role("alert")).to_have_count(0)
    page.clock.fast_forward(timedelta(minutes=58, seconds=40).total_seconds() * 1000)
    expect(page.get_by_role("alert")).to_contain_text("Your session ends in")
    expect(page.get_by_role("link", name="Stay signed in")).to_be_visible()
    page.clock.fast_forward(timedelta(minutes=3).total_seconds() * 1000)
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended.")


def test_times_are_the_readers_own_with_utc_beside_them(live: Live, new_tab: NewTab) -> None:
    tab = new_tab(timezone_id="Asia/Tokyo")
    tab.page.goto(f"{live.url}/styleguide")
    time = tab.page.locator("time[data-local]").first
    expect(time).to_contain_text("GMT+9")
    assert (time.get_attribute("title") or "").endswith("UTC")


def test_without_the_script_everything_is_there_and_nothing_that_would_not_work(live: Live, new_tab: NewTab) -> None:
    page = new_tab(java_script_enabled=False).page
    page.goto(f"{live.url}/styleguide")
    for name in ("guide-bash", "guide-json"):
        expect(page.locator(f"#{name}")).to_be_visible()
    assert page.locator("button:visible", has_text="Copy").count() == 0
    expect(page.locator("[data-shows]")).to_be_hidden()
    block = page.get_by_role("group", name="A secret, closed until somebody opens it")
    expect(block.locator("pre")).to_be_hidden()
    block.locator("summary").click()
    expect(block.locator("pre")).to_be_visible()
    expect(page.locator("time[data-local]").first).to_contain_text("UTC")


def test_every_component_is_accessible_in_both_themes_and_widths(live: Live, tab: Tab) -> None:
    tab.page.goto(f"{live.url}/styleguide")
    tab.examine("styleguide")


def test_recovery_codes_go_into_a_file(live: Live, tab: Tab, tmp_path: Path) -> None:
    visitor, enrolment_code = live.newcomer()
    page = tab.page
    page.goto(live.url)
    page.get_by_label("User name").fill(visitor.name)
    page.get_by_label("Password", exact=True).fill(visitor.password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/enrol")
    page.get_by_text("Can't scan it?").click()
    key = (page.locator("#key").text_content() or "").replace(" ", "")
    page.get_by_label("Enrolment code").fill(enrolment_code)
    page.locator("#answer").fill(code_of(key, utc_now()))
    page.get_by_role("button", name="Finish").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    file = tmp_path / "codes.txt"
    download.value.save_as(file)
    lines = file.read_text("utf-8").splitlines()
    assert lines[0] == "Recovery codes for AWS access. Each works once."
    assert lines[2:] == page.locator("#codes li").all_text_contents()
    page.get_by_role("button", name="Go on").click()
    assert "/enrol" in page.url, "not before they are ticked as saved"
    page.get_by_label("I have saved them").check()
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(f"{live.url}/")
