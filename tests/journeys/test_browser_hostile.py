"""A hostile directory, a hostile site and a hostile colleague, against real pages in a real browser."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import quote

import pytest
from journeys.live import DEV_ROLE, HOSTILE, HOSTILE_ROLE, LOCKED_ROLE, MARKUP, Live, enter, sign_in
from neighbours.chromium import NewTab, Tab
from playwright.sync_api import Page, expect

from broker.record.event import Tag

PAGES = (
    "/",
    "/?q=%s",
    f"/?q={quote(MARKUP)}",
    "/why",
    f"/why?role={quote(MARKUP)}",
    f"/why?role={quote(HOSTILE)}",
    f"/why?role={LOCKED_ROLE}",
    "/cli",
    f"/cli?role={quote(MARKUP)}",
    "/sessions",
    f"/why?role={HOSTILE_ROLE}",
    f"/access-keys?role={HOSTILE_ROLE}",
    f"/access-keys?role={quote(MARKUP)}",
    f"/console?role={HOSTILE_ROLE}",
    f"/console?role={quote(MARKUP)}",
    f"/console?role={HOSTILE_ROLE}&service={quote(MARKUP)}",
    f"/console?role={HOSTILE_ROLE}&region={quote(MARKUP)}",
    f"/console/link/{quote(MARKUP, safe='')}",
    f"/sign-in?next={quote(MARKUP)}",
    f"/challenge?method={quote(MARKUP)}",
    f"/{quote(MARKUP)}",
)
"""Every page that shows something of the directory, of the mapping, or of the address itself."""
DESCRIBED = (f"/access-keys?role={HOSTILE_ROLE}", f"/console?role={HOSTILE_ROLE}")
REVERSING = "\u202e"


def nothing_ran(page: Page) -> None:
    """No element came of the text, and no template engine calculated it."""
    assert page.locator("img[onerror], img[src='x'], main script").count() == 0, page.url
    assert "{{49}}" not in page.content()
    assert not re.search(r">\s*49\s*<", page.content())


def isolated(page: Page) -> None:
    """What reverses the text is kept to itself: in an element of its own that ends what it began, or made visible."""
    loose = page.evaluate(
        """mark => {
            const found = [];
            const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walk.nextNode()) {
                if (!walk.currentNode.data.includes(mark)) continue;
                const inline = (one) => getComputedStyle(one).display.startsWith("inline")
                    && !getComputedStyle(one).display.includes("-");
                let one = walk.currentNode.parentElement;
                while (inline(one) && !getComputedStyle(one).unicodeBidi.includes("isolate")) one = one.parentElement;
                const text = one.textContent.trim();
                if (!inline(one) && text !== walk.currentNode.data.trim()) found.push(one.outerHTML);
            }
            return found;
        }""",
        REVERSING,
    )
    assert loose == [], page.url


def test_nothing_that_a_directory_or_an_address_says_becomes_more_than_text(live: Live, tab: Tab) -> None:
    visitor = live.person("hostile")
    page = sign_in(tab, visitor)
    for path in PAGES:
        page.goto(live.url + path)
        nothing_ran(page)
        isolated(page)
        assert MARKUP in page.locator("body").inner_text(), f"{path}: the person's name is not shown as it is"
        if path in DESCRIBED:
            assert MARKUP in (page.get_by_role("main").text_content() or ""), (
                f"{path}: the role's description is not shown as it is"
            )
    page.goto(f"{live.url}/why")
    assert MARKUP in page.get_by_role("region", name="Groups we saw for you").inner_text(), (
        "the group's name is not shown"
    )
    tab.examine("why-hostile")
    page.goto(live.url)
    tab.examine("roles-hostile")
    page.goto(f"{live.url}/access-keys?role={HOSTILE_ROLE}")
    page.get_by_role("tab", name="Keys to paste").click()
    page.get_by_role("button", name="Show access keys").click()
    expect(page.get_by_text("Treat them as you would your password")).to_be_visible()
    nothing_ran(page)


def test_nothing_that_somebody_types_comes_back_as_more_than_text(live: Live, tab: Tab) -> None:
    page = tab.page
    page.goto(live.url)
    page.get_by_label("User name").fill(MARKUP)
    page.get_by_label("Password", exact=True).fill(MARKUP)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    nothing_ran(page)
    enter(tab, live.person())
    page.get_by_role("searchbox").fill(MARKUP)
    nothing_ran(page)


def test_a_device_is_shown_by_the_name_that_it_gave_and_by_no_more(live: Live, tab: Tab) -> None:
    page = enter(tab, live.person())
    question = {
        "response_type": "code",
        "client_id": "aws-broker",
        "redirect_uri": "http://127.0.0.1:49152/callback/" + "A" * 43,
        "state": "B" * 43,
        "code_challenge": "C" * 43,
        "code_challenge_method": "S256",
        "device": MARKUP,
    }
    page.goto(f"{live.url}/oauth/authorize?" + "&".join(f"{name}={quote(value)}" for name, value in question.items()))
    assert MARKUP in page.get_by_role("main").inner_text()
    nothing_ran(page)


class Site(ThreadingHTTPServer):
    """Somebody else's site, on a name that browsers take for another one than the broker's."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.page = ""
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Pages(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        body = self.server.page.encode() if self.path == "/" else b""
        self.send_response(HTTPStatus.OK if body else HTTPStatus.NO_CONTENT)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def evil() -> Iterator[Site]:
    with Site() as site:
        thread = Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield site
        site.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/", "/sign-in", "/console?role=payments-dev/power-user", "/access-keys", "/nothing"])
def test_no_page_of_ours_is_shown_in_a_frame(live: Live, tab: Tab, evil: Site, path: str) -> None:
    enter(tab, live.person())
    evil.page = f'<!doctype html><title>x</title><iframe src="{live.url}{path}"></iframe>'
    tab.page.goto(evil.url)
    tab.page.wait_for_timeout(300)
    (frame,) = tab.page.frames[1:]
    assert "AWS access" not in frame.content()
    assert any("frame-ancestors" in told or "X-Frame-Options" in told for told in tab.forgive()), "the control"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/sign-out", {}),
        ("/console", {"role": DEV_ROLE}),
        ("/access-keys", {"role": DEV_ROLE}),
        ("/favourites", {"star": DEV_ROLE}),
        ("/sessions/end", {"end": "everywhere"}),
    ],
)
def test_a_form_of_another_site_does_nothing(
    live: Live, tab: Tab, evil: Site, path: str, fields: dict[str, str]
) -> None:
    """Also when it knows the token, and although the browser sends the cookie along where SameSite lets it."""
    visitor = live.person()
    page = enter(tab, visitor)
    token = page.locator("[name=csrf_token]").first.input_value()
    before = [event.tag for event in live.events(visitor)]
    inputs = "".join(
        f'<input name="{name}" value="{value}">' for name, value in {**fields, "csrf_token": token}.items()
    )
    form = f'<form method="post" action="{live.url}{path}">{inputs}<button>Win a prize</button></form>'
    evil.page = f"<!doctype html><title>x</title>{form}"
    page.goto(evil.url)
    page.get_by_role("button").click()
    page.wait_for_url(re.compile(re.escape(live.url)))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert "did not come from one of the broker" in page.locator("body").inner_text()
    assert [event.tag for event in live.events(visitor)] == before
    page.goto(live.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your roles")


def test_a_script_of_another_site_reads_nothing_and_does_nothing(live: Live, tab: Tab, evil: Site) -> None:
    visitor = live.person()
    enter(tab, visitor)
    evil.page = "<!doctype html><title>x</title>"
    tab.page.goto(evil.url)
    script = """async ([url, role]) => {
        const read = [];
        for (const path of ["/", "/api/v1/whoami", "/api/v1/roles"])
            for (const mode of ["cors", "no-cors"])
                try { read.push(await (await fetch(url + path, { credentials: "include", mode })).text()); }
                catch { read.push(""); }
        const asked = { method: "POST", credentials: "include", body: JSON.stringify({ role }) };
        for (const type of ["application/json", "text/plain"])
            try {
                const headers = { "Content-Type": type };
                read.push(await (await fetch(url + "/api/v1/credentials", { ...asked, headers })).text());
            } catch { read.push(""); }
        return read;
    }"""
    assert set(tab.page.evaluate(script, [live.url, DEV_ROLE])) == {""}
    assert Tag.CREDENTIALS_DECIDED not in [event.tag for event in live.events(visitor)]
    assert tab.forgive(), "the control: the browser said that it was blocked"


def test_a_window_opened_by_another_site_cannot_be_looked_into(live: Live, tab: Tab, evil: Site) -> None:
    enter(tab, live.person())
    evil.page = "<!doctype html><title>x</title>"
    tab.page.goto(evil.url)
    with tab.context.expect_page() as opened:
        tab.page.evaluate("url => { window.victim = window.open(url); }", live.url)
    opened.value.wait_for_load_state()
    assert opened.value.evaluate("window.opener") is None
    assert tab.page.evaluate("window.victim.closed || window.victim.length === 0")


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/\t/evil.example"])
def test_no_link_of_a_stranger_takes_a_sign_in_elsewhere(live: Live, new_tab: NewTab, where: str) -> None:
    tab = new_tab()
    visitor = live.person()
    assert visitor.app is not None
    left: list[str] = []
    tab.page.on("request", lambda request: left.append(request.url) if not request.url.startswith(live.url) else None)
    page = tab.page
    page.goto(f"{live.url}/sign-in?next={quote(where)}")
    page.get_by_label("User name").fill(visitor.name)
    page.get_by_label("Password", exact=True).fill(visitor.password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/challenge")
    page.locator("#answer").fill(visitor.app.code())
    page.get_by_role("main").get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your roles")
    assert left == []
