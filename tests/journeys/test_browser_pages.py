"""The other pages after a sign-in, in a real browser: access keys, why, set up the CLI, sessions, the styleguide."""

import hashlib
import json
import re
from contextlib import suppress
from datetime import timedelta

import pytest
from journeys.live import DEV_ROLE, FORBIDDEN_ROLE, LOCKED_ROLE, Live, enter, sign_in, sign_out
from journeys.visitor import Visitor
from neighbours.chromium import NewTab, Tab
from playwright.sync_api import Error, Page, expect

from broker.clock import utc_now
from broker.record.event import Tag
from broker.sandbox.sts.client import caller_identity

KEY_ID = re.compile(r"ASIA[A-Z0-9]{16}")


def ask_for_keys(page: Page) -> None:
    """On the access-keys page: the second tab, and the one button."""
    tab = page.get_by_role("tab", name="Keys to paste")
    if tab.count():
        tab.click()
    page.get_by_role("button", name="Show access keys").click()
    expect(page.get_by_text("Treat them as you would your password")).to_be_visible()


def content(page: Page) -> str:
    """What the page is once it has come to rest."""
    for _ in range(100):
        with suppress(Error):
            page.wait_for_load_state()
            return page.content()
        page.wait_for_timeout(50)
    message = "the page does not come to rest"
    raise AssertionError(message)


def issued(live: Live, visitor: Visitor) -> int:
    return len([event for event in live.events(visitor) if event.tag is Tag.CREDENTIALS_ISSUED])


def test_access_keys_are_masked_copied_and_work(live: Live, tab: Tab) -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live.url)
    visitor = live.person()
    page = sign_in(tab, visitor)
    page.get_by_role("link", name="Access keys").click()
    expect(page.get_by_role("tab", selected=True)).to_have_text("Recommended: automatic")
    expect(page.get_by_role("tabpanel")).to_contain_text("credential_process = ")
    tab.examine("access-keys")
    page.get_by_role("tab", name="Keys to paste").click()
    tab.examine("access-keys-to-paste")
    assert issued(live, visitor) == 0, "it was only looked at"
    ask_for_keys(page)
    tab.examine("access-keys-issued")
    assert issued(live, visitor) == 1
    page.get_by_role("tab", name="JSON").click()
    secret = json.loads(page.locator("#text-json").text_content() or "")["SecretAccessKey"]
    assert secret not in page.locator("body").inner_text(), "it shows before anybody asked to see it"
    panel = page.get_by_role("tabpanel")
    panel.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("status").filter(has_text="Copied").first).to_be_attached()
    found = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert found["SecretAccessKey"] == secret
    arn = caller_identity(live.demo.sts.url, "eu-central-1", found)
    assert arn == f"arn:aws:sts::210987654321:assumed-role/PowerUser/{visitor.name}"
    panel.get_by_text("Show", exact=True).click()
    expect(panel.locator("#text-json")).to_be_visible()
    tab.examine("access-keys-shown")


def test_the_tabs_of_the_keys_follow_the_arrow_keys(live: Live, tab: Tab) -> None:
    page = enter(tab, live.person(), f"/access-keys?role={DEV_ROLE}")
    ask_for_keys(page)
    first = page.get_by_role("tab").first
    first.focus()
    names = page.get_by_role("tab").all_inner_texts()
    assert {"bash", "PowerShell", "cmd", "fish", ".env", "JSON"} <= set(names)
    for name in [*names[1:], names[0]]:
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", selected=True)).to_have_text(name)
        expect(page.get_by_role("tab", selected=True)).to_be_focused()


def test_keys_that_have_expired_are_gone_from_the_page(live: Live, tab: Tab) -> None:
    page = enter(tab, live.person(), f"/access-keys?role={DEV_ROLE}")
    page.clock.install(time=utc_now())
    page.reload()
    ask_for_keys(page)
    assert KEY_ID.search(page.content())
    page.clock.fast_forward(int(timedelta(hours=1, seconds=5).total_seconds() * 1000))
    expect(page.get_by_text("These keys have expired.").first).to_be_visible()
    assert not KEY_ID.search(page.content())
    assert "AWS_SECRET_ACCESS_KEY" not in page.content()


def test_after_signing_out_the_way_back_shows_no_keys_and_asks_for_none(live: Live, tab: Tab) -> None:
    visitor = live.person()
    page = enter(tab, visitor, f"/access-keys?role={DEV_ROLE}")
    ask_for_keys(page)
    page.goto(live.url)
    sign_out(page)
    for _ in range(4):
        with suppress(Error):  # the answer to a form is kept nowhere: Chromium says so (ERR_CACHE_MISS)
            page.go_back()
        text = content(page)
        assert not KEY_ID.search(text)
        assert "AWS_SECRET_ACCESS_KEY" not in text
    assert issued(live, visitor) == 1


def test_without_scripts_every_block_of_the_keys_can_be_read(live: Live, new_tab: NewTab) -> None:
    page = enter(new_tab(java_script_enabled=False), live.person(), f"/access-keys?role={DEV_ROLE}")
    ask_for_keys(page)
    masked = page.locator("details.masked")
    assert masked.count() >= 7
    for block in masked.all():
        expect(block.locator("code")).not_to_be_visible()
        block.locator("summary").click()
        expect(block.locator("code")).to_be_visible()
        assert KEY_ID.search(block.locator("code").inner_text())


@pytest.mark.parametrize(("role", "kind", "name"), [(LOCKED_ROLE, "sre", "locked"), (FORBIDDEN_ROLE, "dev", "refused")])
def test_keys_of_a_role_that_cannot_be_had_now_are_not_offered(
    live: Live, tab: Tab, role: str, kind: str, name: str
) -> None:
    visitor = live.person(kind)
    page = enter(tab, visitor, f"/access-keys?role={role}")
    expect(page.get_by_role("button", name="Show access keys")).to_have_count(0)
    expect(page.get_by_role("alert").first).to_be_visible()
    tab.examine(f"access-keys-{name}")
    assert issued(live, visitor) == 0


@pytest.mark.parametrize(
    ("kind", "role", "says", "name"),
    [
        ("sre", "payments-prod/read-only", "payments-prod/read-only", "ready"),
        ("sre", LOCKED_ROLE, "08:00", "locked"),
        ("dev", FORBIDDEN_ROLE, FORBIDDEN_ROLE, "not-given"),
        ("dev", "no-such/role", "no-such/role", "unknown"),
    ],
)
def test_why_says_why_and_which_groups_were_seen(
    live: Live, tab: Tab, kind: str, role: str, says: str, name: str
) -> None:
    page = enter(tab, live.person(kind), "/why")
    expect(page.get_by_label("Role")).to_be_focused()
    page.get_by_label("Role").fill(role)
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("region").filter(has_text=role).first).to_be_visible()
    assert says in page.get_by_role("main").inner_text()
    groups = page.get_by_role("region", name="Groups we saw for you")
    expect(groups).to_contain_text({"sre": "SRE", "dev": "payments-developers"}[kind])
    tab.examine(f"why-{name}")


def test_the_cli_page_leads_to_the_program_it_names(live: Live, tab: Tab) -> None:
    visitor = live.person()
    page = enter(tab, visitor, "/cli")
    expect(page.get_by_role("main")).to_contain_text(f"login --server {live.url}")
    tab.examine("cli")
    with page.expect_download() as download:
        page.get_by_role("link", name="aws-broker.pyz").click()
    content = download.value.path().read_bytes()
    assert hashlib.sha256(content).hexdigest() in page.get_by_role("main").inner_text()
    assert content.startswith((b"#!", b"PK"))
    page.get_by_role("tab", name="Windows").click()
    tab.examine("cli-windows")


def test_somebody_without_roles_finds_no_profile_to_paste(live: Live, tab: Tab) -> None:
    page = enter(tab, live.person("nobody"), "/cli")
    expect(page.get_by_text("You have no AWS roles yet")).to_be_visible()
    tab.examine("cli-without-roles")


def test_sessions_are_listed_and_the_others_can_be_ended(live: Live, new_tab: NewTab) -> None:
    mine, other = new_tab(), new_tab(width=390)
    visitor = live.person()
    enter(other, visitor)
    page = enter(mine, visitor, "/sessions")
    browsers = page.get_by_role("region", name="Browsers")
    expect(browsers.get_by_role("row")).to_have_count(3)
    expect(browsers).to_contain_text("this one")
    mine.examine("sessions")
    page.get_by_role("button", name="End all others").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    mine.examine("sessions-dialog")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(browsers.get_by_role("row")).to_have_count(3)
    page.get_by_role("button", name="End all others").click()
    dialog.get_by_role("button", name="End them").click()
    expect(browsers.get_by_role("row")).to_have_count(2)
    other.page.goto(live.url)
    other.page.wait_for_url("**/sign-in")
    page.goto(f"{live.url}/sessions")
    expect(page.get_by_role("heading", level=1)).to_have_text("My sessions")


def test_signing_out_everywhere_needs_no_scripts(live: Live, new_tab: NewTab) -> None:
    mine, other = new_tab(java_script_enabled=False), new_tab()
    visitor = live.person()
    enter(other, visitor)
    page = enter(mine, visitor, "/sessions")
    page.get_by_role("button", name="Sign out everywhere").click()
    page.wait_for_url("**/sign-in")
    other.page.goto(live.url)
    other.page.wait_for_url("**/sign-in")


def test_the_styleguide_of_the_demo_shows_every_component(live: Live, tab: Tab) -> None:
    page = tab.page
    page.goto(f"{live.url}/styleguide")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    tab.examine("styleguide")


def test_the_demos_authenticator_gives_a_newcomer_a_code(live: Live, new_tab: NewTab) -> None:
    """The whole first sign-in with nothing but two browser windows, as the demo's visitor does it."""
    phone, tab = new_tab(java_script_enabled=False), new_tab()
    visitor, enrolment_code = live.newcomer()
    page = tab.page
    page.goto(live.url)
    page.get_by_label("User name").fill(visitor.name)
    page.get_by_label("Password", exact=True).fill(visitor.password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.get_by_text(re.compile(r"scan it\?")).click()
    phone.page.goto(f"{live.demo.phones}/add")
    phone.page.get_by_label("Whose app").select_option(visitor.name)
    phone.page.get_by_label(re.compile("Text key")).fill(page.locator("#key").inner_text())
    phone.page.get_by_role("button", name="Add").click()
    shown = phone.page.get_by_role("listitem").filter(has=phone.page.get_by_text(visitor.name, exact=True))
    page.get_by_label("Enrolment code").fill(enrolment_code)
    page.get_by_label("The code that the app shows now").fill(shown.locator(".code").inner_text())
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")


def test_the_demos_authenticator_can_be_read_by_everybody(live: Live, tab: Tab) -> None:
    live.demo.authenticator.remember("ada", "A" * 32)
    for path, name in (("/", "demo-authenticator"), ("/add", "demo-authenticator-add")):
        tab.page.goto(live.demo.phones + path)
        tab.examine(name)
