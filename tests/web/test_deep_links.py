"""A link into the broker survives the sign-in, and leads nowhere but here."""

import html
import re
from typing import Any
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import pytest
from builders import HOUR
from corridor import PROVIDER, URL, Browser, Corridor, Somebody
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from broker.web.deep_link import LONGEST, own_path
from broker.web.guard import Audience, audience

LINK = "/there?role=payments-dev%2Fpower-user&service=s3&x=%26y%3D1&x=caf%C3%A9"


ELSEWHERE = [
    "https://evil.example",
    "http://evil.example/x",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/\r\nSet-Cookie: a=b",
    "/\x00//evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "evil.example",
    "@evil.example",
    "?next=//evil.example",
    "#//evil.example",
    "",
    ".",
    "/\u2028//evil.example",
    "/\u00ad\u200b/",
    "https:evil.example",
    "https:/evil.example",
]


@pytest.fixture
def app(corridor: Corridor) -> Flask:
    """The broker with one page more, which has a form, and one that only takes forms."""
    app = corridor.app_of(corridor.parts)

    @audience(Audience.SIGNED_IN)
    def there() -> str:
        return "you are there"

    app.add_url_rule("/there", "there", there, methods=["GET", "POST"])
    app.add_url_rule("/there/<path:rest>", "there-with", audience(Audience.SIGNED_IN)(lambda rest: f"at {rest}"))
    app.add_url_rule("/done", "done", audience(Audience.SIGNED_IN)(lambda: "done"), methods=["POST"])
    return app


def complete(corridor: Corridor, browser: Browser, person: Somebody) -> Any:  # noqa: ANN401 (an answer)
    """Sign in on the page that is open, as its form is, and go where that leads."""
    assert browser.path == "/sign-in"
    fields = {"provider": PROVIDER, "username": person.account, "password": person.password, **hidden(browser)}
    browser.submit("/sign-in", **fields)
    assert browser.path == "/challenge"
    return browser.submit("/challenge", method="totp", answer=corridor.code(person))


def hidden(browser: Browser) -> dict[str, str]:
    """The link in the form of the last page."""
    _, found, rest = browser.text.partition('name="next" value="')
    return {"next": html.unescape(rest.partition('"')[0])} if found else {}


def there(browser: Browser) -> str:
    assert browser.last is not None
    request = browser.last.request
    path = quote(request.path)
    return f"{path}?{request.query_string.decode()}" if request.query_string else path


def rows(corridor: Corridor) -> int:
    with corridor.broker.storage.database.read("test") as connection:
        return int(connection.execute(text("SELECT count(*) FROM sessions")).scalar_one())


@pytest.mark.parametrize("link", [LINK, "/there", "/there/a%20b/%C3%A9?%C3%A9=%2F", "/?q=prod"])
def test_a_link_opened_by_somebody_signed_out_is_where_the_sign_in_ends(
    corridor: Corridor, app: Flask, link: str
) -> None:
    browser = Browser(app)
    answer = browser.get(link)
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.location).query)["next"] == [link]
    browser.visit(link)
    assert complete(corridor, browser, corridor.person(enrolled=True)).status_code == 200
    assert there(browser) == link
    assert browser.visit("/go-on").request.path == "/", "it is gone to once"


def test_a_wrong_password_does_not_lose_the_link(corridor: Corridor, app: Flask) -> None:
    browser = Browser(app)
    browser.visit(LINK)
    fields = hidden(browser)
    browser.submit("/sign-in", provider=PROVIDER, username=corridor.nobody(), password="x", **fields)
    assert hidden(browser) == fields == {"next": LINK}


def test_a_link_opened_between_password_and_factor_is_where_the_sign_in_ends(corridor: Corridor, app: Flask) -> None:
    person = corridor.person(enrolled=True)
    browser = Browser(app)
    browser.sign_in(person)
    assert browser.visit(LINK).request.path == "/challenge"
    browser.submit("/challenge", method="totp", answer=corridor.code(person))
    assert there(browser) == LINK


def test_the_page_of_a_session_that_ran_out_is_found_again(corridor: Corridor, app: Flask) -> None:
    person = corridor.person(enrolled=True)
    browser = Browser(app, token=corridor.signed_in(person).token)
    assert browser.get(LINK).get_data(as_text=True) == "you are there"
    corridor.clock.advance(2 * HOUR)
    assert browser.visit(LINK).request.path == "/sign-in"
    complete(corridor, browser, person)
    assert there(browser) == LINK


def test_a_form_sent_after_the_session_ended_says_so_and_leads_back_to_its_page(corridor: Corridor, app: Flask) -> None:
    person = corridor.person(enrolled=True)
    browser = Browser(app, token=corridor.signed_in(person).token)
    assert browser.get(LINK).status_code == 200
    corridor.clock.advance(2 * HOUR)
    answer = browser.submit(LINK, follow=False)
    assert answer.status_code == 401
    assert "Sign in, then try again; nothing was done." in answer.text
    link = html.unescape(answer.text.partition('href="/sign-in')[2].partition('"')[0])
    browser.visit("/sign-in" + link)
    complete(corridor, browser, person)
    assert there(browser) == LINK


def test_what_is_no_page_is_never_a_link(app: Flask) -> None:
    browser = Browser(app)
    for method, path in (("GET", "/api/v1/whoami"), ("GET", "/api/v1/roles?x=1"), ("POST", "/api/v1/credentials")):
        answer = browser.open(method, path, headers={"Origin": URL})
        assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    answer = browser.open("POST", "/done?x=1", headers={"Origin": URL})
    assert answer.status_code == 401
    assert 'href="/sign-in"' in answer.text, "there is no page at that address"
    assert browser.get("/nothing?x=1").status_code == 404


def test_links_cost_nothing_before_the_password(corridor: Corridor, app: Flask) -> None:
    before = rows(corridor)
    for number in range(20):
        browser = Browser(app)
        browser.visit(f"{LINK}&n={number}")
        assert browser.path == "/sign-in"
    assert rows(corridor) == before
    browser.sign_in(corridor.person(enrolled=True))
    assert rows(corridor) == before + 1, "the control"


@pytest.mark.parametrize("path", ELSEWHERE)
def test_no_sign_in_ends_elsewhere(corridor: Corridor, app: Flask, path: str) -> None:
    person = corridor.person(enrolled=True)
    browser = Browser(app)
    browser.visit("/sign-in")
    fields = {"provider": PROVIDER, "username": person.account, "password": person.password}
    browser.submit("/sign-in", **fields, next=path)
    answer = browser.submit("/challenge", follow=False, method="totp", answer=corridor.code(person))
    assert (answer.location, browser.get(answer.location).location) == ("/go-on", "/")
    for step in ("/sign-in", "/challenge"):
        browser.get(f"{step}?next={quote(path)}")
        assert browser.get("/go-on").location == "/"


def test_a_host_that_hides_in_the_path_stays_a_path(app: Flask) -> None:
    browser = Browser(app)
    for path in ("//evil.example/there", "/%2Fevil.example/there", "/\\evil.example", "/there/..//evil.example"):
        location = browser.get(path).headers.get("Location", "/")
        onward = parse_qs(urlsplit(location).query).get("next", ["/"])[0]
        assert urlsplit(location).netloc == ""
        assert not onward.startswith(("//", "/\\"))


def test_a_link_too_long_to_be_carried_leads_to_the_home_page(app: Flask) -> None:
    browser = Browser(app)
    longest = "/there?x=" + "y" * (LONGEST - len("/there?x="))
    assert len(browser.get(longest).location) > LONGEST
    assert browser.get(longest + "y").location == "/sign-in"
    assert browser.get("/there?x=" + "%26" * (LONGEST // 3)).location == "/sign-in", "as it would be carried"
    browser.visit("/sign-in?next=" + longest + "y")
    assert hidden(browser) == {}


def test_stepping_up_leads_back_to_the_page_that_asked_for_it(corridor: Corridor, app: Flask) -> None:
    person = corridor.person(enrolled=True)
    browser = Browser(app, token=corridor.signed_in(person).token)
    browser.visit("/challenge?next=/there?role=x")
    browser.submit("/challenge", method="totp", answer=corridor.code(person))
    assert there(browser) == "/there?role=x"


@pytest.mark.parametrize("path", ELSEWHERE)
def test_only_a_path_of_ours_is_ever_gone_on_to(path: str) -> None:
    assert own_path(path) == "/"


@pytest.mark.parametrize("path", ["/", "/api/v1/roles", "/a/b?c=d&e=%2F%2Fevil", "/a//b", "/x?u=https://evil.example"])
def test_a_path_of_ours_is(path: str) -> None:
    assert own_path(path) == path


@given(st.text(alphabet=st.sampled_from("/\\:@.?#%\t\n\r evil.example\u2215\uff0f"), max_size=20))
def test_whatever_was_noted_a_browser_stays_here(path: str) -> None:
    """As a browser reads it (WHATWG URL): a backslash is a slash, tabs and line ends are dropped."""
    gone = own_path(path)
    as_read = re.sub(r"[\t\n\r]", "", gone.strip()).replace("\\", "/")
    assert urlsplit(urljoin("https://broker.corp.example/go-on", as_read)).netloc == "broker.corp.example"
    assert not as_read.startswith("//")
