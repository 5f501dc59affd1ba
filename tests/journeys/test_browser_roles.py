"""The roles page and the console's door, in a real browser: as somebody with roles and as somebody without."""

import json
import re

import pytest
from journeys.live import DEV_ROLE, FORBIDDEN_ROLE, LOCKED_ROLE, Live, enter, sign_in
from neighbours.chromium import NewTab, Tab
from playwright.sync_api import Locator, Page, expect

from broker.record.event import Tag

READ_PROD = "payments-prod/read-only"


def row(page: Page, role: str) -> Locator:
    """The first line of this role; its star says which one it is."""
    star = page.get_by_role("button", name=f"Favourite: {role}", exact=True)
    return page.get_by_role("listitem").filter(has=star, visible=True).first


def shown(page: Page) -> list[str]:
    """The roles that can be seen now, in their order, each once."""
    stars = page.get_by_role("button", name=re.compile("^Favourite: "))
    return list(dict.fromkeys(stars.evaluate_all("stars => stars.map(star => star.value)")))


def test_roles_are_found_by_typing_and_opened_by_enter(live: Live, tab: Tab) -> None:
    page = enter(tab, live.person("sre"))
    tab.examine("roles")
    assert READ_PROD in shown(page)
    search = page.get_by_role("searchbox")
    expect(search).to_be_focused()
    page.keyboard.press("Tab")
    expect(search).not_to_be_focused()
    page.keyboard.press("/")
    expect(search).to_be_focused()
    page.keyboard.type("prod read")
    assert shown(page) == [READ_PROD]
    expect(page.get_by_role("status").filter(has_text="1 role")).to_be_visible()
    for words, found in (("012345678901 READONLY", [READ_PROD]), ("no such role", [])):
        search.fill(words)
        assert shown(page) == found
    expect(page.get_by_text("No role fits")).to_be_visible()
    tab.examine("roles-nothing-fits")
    page.keyboard.press("Escape")
    assert len(shown(page)) == 5
    page.keyboard.type("payments-prod read")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{live.url}/console?role=payments-prod/read-only")


def test_chips_narrow_by_environment(live: Live, tab: Tab) -> None:
    page = enter(tab, live.person("sre"))
    page.get_by_role("button", name="prod", exact=True).click()
    assert {role.partition("/")[0] for role in shown(page)} == {"payments-prod"}
    page.get_by_role("button", name="prod", exact=True).click()
    assert len(shown(page)) == 5


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
def test_a_favourite_comes_first_and_stays(live: Live, new_tab: NewTab, scripts: bool) -> None:  # noqa: FBT001 (parameter)
    tab = new_tab(java_script_enabled=scripts)
    page = enter(tab, live.person("sre"))
    row(page, READ_PROD).get_by_role("button", name=re.compile("Favourite")).click()
    expect(page.get_by_role("heading", name="Favourites")).to_be_visible()
    assert shown(page)[0] == READ_PROD
    page.reload()
    assert shown(page)[0] == READ_PROD
    if scripts:
        tab.examine("roles-favourite")
    row(page, READ_PROD).get_by_role("button", name=re.compile("Favourite")).click()
    expect(page.get_by_role("heading", name="Favourites")).to_have_count(0)


def test_without_scripts_the_search_is_a_form(live: Live, new_tab: NewTab) -> None:
    page = enter(new_tab(java_script_enabled=False), live.person("sre"))
    page.get_by_role("searchbox").fill("PROD read")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=*")
    assert shown(page) == [READ_PROD]


def test_from_a_role_into_the_console_as_oneself(live: Live, tab: Tab) -> None:
    visitor = live.person("sre")
    page = sign_in(tab, visitor)
    row(page, READ_PROD).get_by_role("link", name="Console").click()
    page.wait_for_url("**/console?role=**")
    for fact in ("payments-prod", "012345678901", "read-only", visitor.name, "Console home"):
        expect(page.get_by_role("main")).to_contain_text(fact)
    tab.examine("console")
    page.get_by_text("Go to another service or region").click()
    page.get_by_label("Service").select_option("s3")
    page.get_by_label("Region").fill("eu-central-1")
    tab.examine("console-elsewhere")
    page.get_by_role("button", name="Choose").click()
    page.wait_for_url("**service=s3**")
    assert not [event for event in live.events(visitor) if event.tag.value.startswith("console:")], (
        "it was only looked at"
    )
    visited: list[str] = []
    page.on("request", lambda request: visited.append(request.url))
    page.get_by_role("button", name="Open the console").click()
    expect(page.get_by_text("This is not AWS")).to_be_visible()
    facts = page.get_by_role("main").inner_text()
    for fact in ("012345678901", "federated/ReadOnly", visitor.name, "eu-central-1"):
        assert fact in facts
    assert re.search(rf"Source identity\s+{visitor.name}\b", facts)
    tab.examine("sandbox-console")
    tags = [event.tag for event in live.events(visitor)]
    assert tags.count(Tag("console:opened")) == 1
    assert not [url for url in visited if re.search("SigninToken=|Session=|ASIA", url)], "the token is in an address"
    page.go_back()
    page.wait_for_load_state()
    assert [event.tag for event in live.events(visitor)].count(Tag("console:opened")) == 1, (
        "the way back opened another"
    )


def test_without_scripts_the_hand_over_is_one_more_click(live: Live, new_tab: NewTab) -> None:
    tab = new_tab(java_script_enabled=False)
    visitor = live.person("sre")
    page = enter(tab, visitor, f"/console?role={READ_PROD}&service=s3")
    page.get_by_role("button", name="Open the console").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Opening the AWS console")
    page.get_by_role("button", name="Continue to AWS").click()
    expect(page.get_by_text("This is not AWS")).to_be_visible()
    assert visitor.name in page.get_by_role("main").inner_text()


def test_the_page_between_the_broker_and_the_console_can_be_read_where_it_stays(live: Live, tab: Tab) -> None:
    tab.page.route(f"{live.demo.sign_in.url}/**", lambda route: route.fulfill(status=204))
    page = enter(tab, live.person("sre"), f"/console?role={READ_PROD}")
    page.get_by_role("button", name="Open the console").click()
    expect(page.get_by_role("button", name="Continue to AWS")).to_be_visible()
    tab.examine("console-opening")


def test_a_role_that_is_locked_says_when_it_opens_and_does_not_open(live: Live, tab: Tab) -> None:
    visitor = live.person("sre")
    page = enter(tab, visitor)
    locked = row(page, LOCKED_ROLE)
    expect(locked).to_contain_text("Locked")
    expect(locked).to_contain_text("08:00")
    expect(locked.get_by_role("link", name="Console")).to_have_count(0)
    page.goto(f"{live.url}/console?role={LOCKED_ROLE}")
    expect(page.get_by_role("button", name="Open the console")).to_have_count(0)
    expect(page.get_by_role("alert")).to_contain_text("Not now")
    tab.examine("console-locked")
    _force(page, "/console", role=LOCKED_ROLE)
    expect(page.get_by_role("alert")).to_contain_text("Not now")
    assert Tag("console:opened") not in [event.tag for event in live.events(visitor)]
    page.get_by_role("main").get_by_role("link", name="Why?").click()
    page.wait_for_url("**/why?role=**")


def test_a_role_that_nobody_gave_does_not_open(live: Live, tab: Tab) -> None:
    visitor = live.person()
    page = enter(tab, visitor, f"/console?role={FORBIDDEN_ROLE}")
    expect(page.get_by_role("alert")).to_contain_text("Not granted")
    tab.examine("console-refused")
    _force(page, "/console", role=FORBIDDEN_ROLE)
    expect(page.get_by_role("alert")).to_contain_text("Not granted")
    assert Tag("console:opened") not in [event.tag for event in live.events(visitor)]


def _force(page: Page, path: str, **fields: str) -> None:
    """Send a form that the page does not offer, with the page's own token."""
    script = """([path, fields]) => {
        const form = document.createElement("form");
        form.method = "post";
        form.action = path;
        const token = document.querySelector("[name=csrf_token]").value;
        for (const [name, value] of Object.entries({ csrf_token: token, ...fields })) {
            const input = document.createElement("input");
            [input.name, input.value] = [name, value];
            form.append(input);
        }
        document.body.append(form);
        form.submit();
    }"""
    with page.expect_navigation():
        page.evaluate(script, [path, fields])


def test_whoever_has_no_role_is_told_why_and_what_to_do(live: Live, tab: Tab) -> None:
    page = sign_in(tab, live.person("nobody"))
    expect(page.get_by_text("You have no AWS roles yet")).to_be_visible()
    tab.examine("roles-none")
    page.get_by_role("main").get_by_role("link", name=re.compile("Why")).click()
    page.wait_for_url("**/why*")


def test_a_link_of_the_workstation_program_opens_the_console_once_in_the_same_persons_browser(
    live: Live, new_tab: NewTab
) -> None:
    mine, others = new_tab(), new_tab()
    visitor, other = live.person("sre"), live.person("sre")
    page = enter(mine, visitor)
    enter(others, other)
    token = visitor.whoami().json()["csrf_token"]
    made = visitor.browser.post_json("/api/v1/console-links", {"role": READ_PROD}, csrf_token=token)
    assert made.status == 200, made.text
    url = made.json()["url"]
    others.page.goto(url)
    expect(others.page.get_by_role("button", name="Open the console")).to_have_count(0)
    page.goto(url)
    mine.examine("console-link")
    page.get_by_role("button", name="Open the console").click()
    expect(page.get_by_text("This is not AWS")).to_be_visible()
    assert visitor.name in page.get_by_role("main").inner_text()
    page.goto(url)
    expect(page.get_by_role("button", name="Open the console")).to_have_count(0)
    mine.examine("console-link-used")
    assert json.dumps(url) not in page.content()


def test_who_was_in_another_directory_group_sees_only_their_own(live: Live, tab: Tab) -> None:
    page = enter(tab, live.person("dev"))
    assert shown(page) == [DEV_ROLE]
