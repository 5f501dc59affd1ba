"""The console's door in a real browser: what its content policy lets through, and what it keeps of the token."""

import re
from dataclasses import replace

import pytest
from journeys.live import DEV_ROLE, Live, enter
from neighbours.chromium import NewTab, Tab
from playwright.sync_api import Page, Request

from broker.issue.console import SignIn

PAGE = f"/console?role={DEV_ROLE}&service=s3&region=eu-central-1"
ARRIVED = re.compile(r"/s3/home\?region=eu-central-1$")


def open_console(page: Page) -> None:
    page.get_by_role("button", name="Open the console").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
def test_one_button_leads_to_the_console(live: Live, new_tab: NewTab, scripts: bool) -> None:  # noqa: FBT001 (parameter)
    """And without scripts a second one: the form is on the page either way."""
    tab = new_tab(java_script_enabled=scripts)
    page = enter(tab, live.person(), PAGE)
    open_console(page)
    if not scripts:
        page.get_by_role("button", name="Continue to AWS").click()
    page.wait_for_url(ARRIVED)
    assert page.get_by_text("210987654321").is_visible()


def test_the_token_is_in_no_address_and_the_way_back_does_not_lead_through_it(live: Live, tab: Tab) -> None:
    page = enter(tab, live.person(), PAGE)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 (Playwright marks its handlers)
    open_console(page)
    page.wait_for_url(ARRIVED)
    federation = next(request for request in asked if request.url.endswith("/federation"))
    assert federation.method == "POST"
    assert "SigninToken=" in (federation.post_data or "")
    assert not any("SigninToken" in request.url for request in asked)
    assert "referer" not in federation.all_headers()
    page.go_back()
    page.wait_for_url(live.url + PAGE)
    assert page.get_by_role("button", name="Open the console").is_visible()


def test_the_page_on_the_way_is_whole_without_scripts(live: Live, new_tab: NewTab) -> None:
    tab = new_tab()
    tab.context.route("**/static/broker.js*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page = enter(tab, live.person(), PAGE)
    open_console(page)
    page.get_by_role("button", name="Continue to AWS").wait_for()
    tab.examine("console-on-the-way")


def test_a_form_of_that_page_goes_to_aws_and_nowhere_else(
    live: Live, tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser asks the policy at each redirect: without the console's origin it would stop there."""
    console = live.demo.broker.parts.console
    real = console.open

    def narrow(*args: object) -> SignIn:
        opened = real(*args)  # type: ignore[arg-type]  # as they came
        return replace(opened, origins=opened.origins[:1])

    monkeypatch.setattr(console, "open", narrow)
    page = enter(tab, live.person(), PAGE)
    open_console(page)
    page.wait_for_timeout(1000)
    assert page.url == f"{live.url}/console"
    assert any("form-action" in complaint for complaint in tab.forgive())
