"""The daily way by keyboard alone: no pointer is ever used, and what is focused can be seen."""

from journeys.live import DEV_ROLE, Live
from neighbours.chromium import Tab
from playwright.sync_api import Page, expect

MOST = 60
"""Presses of Tab until something that is there must have been reached."""


def tab_to(page: Page, name: str, role: str = "") -> None:
    """Press Tab until the element with this accessible name is focused; each one on the way can be seen to be."""
    for _ in range(MOST):
        page.keyboard.press("Tab")
        here = page.evaluate(
            """() => {
                const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
                const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
                const seen = box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight;
                return { name: (one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent || "")
                           .trim().replace(/\\s+/g, " "),
                         tag: one.tagName, marked: outlined || style.boxShadow !== "none", seen };
            }"""
        )
        if here["tag"] != "BODY":
            assert here["marked"], f"that {here} is focused cannot be seen"
            assert here["seen"], f"{here} is focused out of sight"
        if here["name"] == name and here["tag"] in {role.upper(), here["tag"] if not role else ""}:
            return
    message = f"{name} cannot be reached"
    raise AssertionError(message)


def press(page: Page, name: str, role: str = "") -> None:
    tab_to(page, name, role)
    page.keyboard.press("Enter")


def test_from_the_password_to_the_console_and_the_keys_and_out_again(live: Live, tab: Tab) -> None:
    visitor = live.person()
    assert visitor.app is not None
    page = tab.page
    page.goto(live.url)
    page.keyboard.type(visitor.name)
    page.keyboard.press("Tab")
    page.keyboard.type(visitor.password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/challenge")
    page.keyboard.type(visitor.app.code())
    page.keyboard.press("Enter")
    page.wait_for_url(f"{live.url}/")
    page.keyboard.type("payments")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console?role=**")
    press(page, "Open the console", "button")
    expect(page.get_by_text("This is not AWS")).to_be_visible()
    page.goto(f"{live.url}/access-keys?role={DEV_ROLE}")
    tab_to(page, "Recommended: automatic")
    page.keyboard.press("ArrowRight")
    press(page, "Show access keys", "button")
    expect(page.get_by_text("Treat them as you would your password")).to_be_visible()
    for name in ("Set up CLI", "Why not?", "Sessions", "Roles"):
        press(page, name, "a")
        expect(page.get_by_role("link", name=name, exact=True).first).to_have_attribute("aria-current", "page")
    press(page, "Sign out", "button")
    page.wait_for_url("**/sign-in")


def test_the_first_thing_that_tab_reaches_skips_the_navigation(live: Live, tab: Tab) -> None:
    page = tab.page
    page.goto(f"{live.url}/nothing")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
