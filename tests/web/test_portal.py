"""The home page: my roles, found fast, with what is in their way; favourites; and nothing issued by looking."""

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from builders import MINUTE
from corridor import ROOT, SID, URL, Answer, Browser, Corridor, World, a_corridor

from broker.errors import Unavailable
from broker.record.event import Tag

ROW = re.compile(r'<li class="role".*?</li>', re.DOTALL)
BIG = f"""
version: 1
groups:
  sre: {{provider: corp-ad, dn: "CN=SRE,OU=Groups,{ROOT}", id: "{SID}-2000"}}
accounts:
ACCOUNTS
roles:
ROLES
mappings:
  - {{name: all, groups: [sre], accounts: all, roles: all}}
tests: []
...
"""


def rows(page: str) -> list[str]:
    return ROW.findall(page)


def section(page: str, title: str) -> list[str]:
    """The roles below one heading."""
    found = re.search(rf"<h2>{title}</h2>(.*?)</section>", page, re.DOTALL)
    return re.findall(r'name="(?:un)?star" value="([^"]+)"', found[1]) if found else []


def keys(page: str) -> set[str]:
    """Each role once: one of those lent here may have been used in another test, and be recent."""
    return set(re.findall(r'name="(?:un)?star" value="([^"]+)"', page))


def row_of(page: str, key: str) -> str:
    return next(row for row in rows(page) if f'value="{key}"' in row)


@pytest.fixture
def sre(corridor: Corridor) -> Browser:
    corridor.until_office_hours()
    return corridor.signed_in(corridor.person("sre", enrolled=True))


def press(browser: Browser, name: str, role: str, **more: str) -> Answer:
    """A star, as the page's form sends it."""
    browser.visit("/")
    return browser.submit("/favourites", follow=False, **{name: role}, **more)


def test_every_role_with_its_account_and_three_ways_to_use_it(sre: Browser) -> None:
    page = sre.visit("/").text
    assert len(keys(page)) == 7
    row = row_of(page, "payments-prod/read-only")
    for way in ("/console", "/access-keys", "/cli"):
        assert f'href="{way}?role=payments-prod/read-only"' in row
    assert "Look, do not touch" in row
    assert "up to 8 hours" in row
    heading = page.partition('<span class="account-name">payments-prod</span>')[2].partition("</summary>")[0]
    assert '<span class="badge env-prod">prod</span>' in heading, "by word and by colour"
    assert "012345678901" in heading


def test_rows_carry_what_is_searched(sre: Browser) -> None:
    page = sre.visit("/").text
    assert re.search(r'<input type="search"[^>]* data-filter-input', page)
    text = html.unescape(re.search(r'data-filter-text="([^"]+)"', row_of(page, "payments-prod/read-only"))[1])  # type: ignore[index]
    assert text == "payments-prod prod payments read-only arn:aws:iam::012345678901:role/federated/ReadOnly"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("prod", {"payments-prod/power-user", "payments-prod/read-only"}),
        ("  PAYMENTS   read ", {"payments-prod/read-only", "payments-dev/read-only"}),
        ("987654321098", {"untrusting/read-only"}),
        ("arn:aws:iam::210987654321:role/federated/Fresh", {"payments-dev/fresh"}),
        ("do not touch", {"payments-prod/read-only", "payments-dev/read-only", "untrusting/read-only"}),
        ("nothing-like-it", set()),
        ("<script>alert(1)</script>", set()),
        ("x" * 5000, set()),
    ],
    ids=lambda value: str(value)[:20],
)
def test_without_javascript_the_form_finds_the_same(sre: Browser, query: str, found: set[str]) -> None:
    answer = sre.get("/?" + urlencode({"q": query}))
    assert answer.status_code == 200
    assert keys(answer.text) == found
    assert ("No role fits" in answer.text.partition("data-filter-none")[2]) is True
    assert "<script>alert" not in answer.text
    assert f"{len(found)} role" in answer.text


def test_a_locked_role_says_why_and_when_it_opens(corridor: Corridor) -> None:
    corridor.until_office_hours()
    corridor.clock.now = corridor.clock().replace(hour=16, minute=50)
    sre = corridor.signed_in(corridor.person("sre", enrolled=True))
    assert "Locked" not in row_of(sre.visit("/").text, "payments-prod/power-user")
    corridor.clock.advance(15 * MINUTE)
    row = row_of(sre.visit("/").text, "payments-prod/power-user")
    assert "Locked" in row
    assert "This role can be used mon, tue, wed, thu, fri 08:00-18:00 (Europe/Berlin)." in row
    opens = re.search(r'Opens <time datetime="([^"]+)" data-local', row)
    assert opens is not None
    assert opens[1].endswith("T07:00:00+00:00")
    assert 'href="/why?role=payments-prod/power-user"' in row
    assert "/console?" not in row


def test_a_role_that_asks_for_a_fresh_factor_is_not_locked(corridor: Corridor, sre: Browser) -> None:
    corridor.clock.advance(6 * MINUTE)
    row = row_of(sre.visit("/").text, "payments-dev/fresh")
    assert "This role needs totp, shown in the last 5m." in row
    assert "Locked" not in row
    assert 'href="/console?role=payments-dev/fresh"' in row


def test_who_has_no_role_is_told_who_they_are_and_whom_to_ask(corridor: Corridor) -> None:
    person = corridor.person("stranger", enrolled=True)
    page = corridor.signed_in(person).visit("/").text
    assert "You have no AWS roles yet" in page
    assert f"(<bdi>{person.account}</bdi>)" in page
    assert "<script>" not in page.replace('<script src="', "")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page, "the control: the name that the directory has"
    assert re.search(r"read at <time datetime=", page)
    assert 'href="/why"' in page
    assert keys(page) == set()


def test_a_favourite_comes_first_and_goes_again(sre: Browser) -> None:
    answer = press(sre, "star", "payments-dev/critical")
    assert (answer.status_code, answer.location) == (303, "/")
    page = sre.visit("/").text
    assert section(page, "Favourites") == ["payments-dev/critical"]
    assert 'aria-pressed="true"' in row_of(page, "payments-dev/critical")
    assert 'aria-pressed="true"' not in row_of(page, "payments-dev/read-only")
    assert press(sre, "unstar", "payments-dev/critical").status_code == 303
    assert section(sre.visit("/").text, "Favourites") == []


def test_the_search_is_kept_when_a_star_is_pressed(sre: Browser) -> None:
    assert press(sre, "star", "payments-dev/fresh", q="payments & more").location == "/?q=payments+%26+more"
    press(sre, "unstar", "payments-dev/fresh")


def test_what_was_used_lately_is_recent_and_not_listed_there_twice(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person("sre", enrolled=True, for_good=True))
    for role in ("payments-dev/read-only", "payments-dev/critical", "payments-dev/read-only"):
        assert browser.credentials(role).status_code == 200
        corridor.clock.advance(11 * MINUTE)  # another use, and not the same again
    assert section(browser.visit("/").text, "Recent") == ["payments-dev/read-only", "payments-dev/critical"]
    press(browser, "star", "payments-dev/read-only")
    page = browser.visit("/").text
    assert section(page, "Recent") == ["payments-dev/critical"]
    assert section(page, "Favourites") == ["payments-dev/read-only"]
    assert browser.credentials("payments-dev/by-key").status_code == 403
    assert "payments-dev/by-key" not in section(browser.visit("/").text, "Recent"), "refused is not used"


def test_somebody_elses_favourites_make_no_difference(corridor: Corridor, sre: Browser) -> None:
    press(sre, "star", "payments-dev/fresh")
    other = corridor.signed_in(corridor.person("sre", enrolled=True))
    assert section(other.visit("/").text, "Favourites") == []
    press(sre, "unstar", "payments-dev/fresh")


@pytest.mark.parametrize("role", ["payments-prod/fresh", "nowhere/at-all", "payments-dev", "<script>", "x" * 200])
def test_only_roles_of_ones_own_are_marked(sre: Browser, role: str) -> None:
    answer = press(sre, "star", role)
    assert answer.status_code == 404
    assert role not in answer.text
    assert press(sre, "unstar", role).status_code == 303, "a mark on what is gone can be taken away"
    assert section(sre.visit("/").text, "Favourites") == []


@pytest.mark.parametrize(
    "form", [{}, {"star": ""}, {"star": "x" * 201}, {"star": ["a/b", "c/d"]}, {"unstar": "a/\0"}], ids=str
)
def test_a_form_that_names_no_one_role_is_refused(sre: Browser, form: dict[str, str]) -> None:
    sre.visit("/")
    assert sre.submit("/favourites", follow=False, **form).status_code == 400


def test_a_star_needs_the_pages_own_token(corridor: Corridor, sre: Browser) -> None:
    sre.visit("/")
    own, stranger = sre.csrf, corridor.signed_in(corridor.person("sre", enrolled=True))
    stranger.visit("/")
    for token in ("", "x", own[:-1], stranger.csrf):
        data = {"star": "payments-dev/fresh", "csrf_token": token}
        assert sre.open("POST", "/favourites", headers={"Origin": URL}, data=data).status_code == 400
    elsewhere = {"Origin": "https://evil.example"}
    data = {"star": "payments-dev/fresh", "csrf_token": own}
    assert sre.open("POST", "/favourites", headers=elsewhere, data=data).status_code == 403
    assert section(sre.visit("/").text, "Favourites") == []
    assert press(sre, "star", "payments-dev/fresh").status_code == 303, "the control"
    press(sre, "unstar", "payments-dev/fresh")


class Away:
    """A store of favourites that is away."""

    def __getattr__(self, name: str) -> object:
        def call(*_: object) -> None:
            neighbour = "the store of favourites"
            raise Unavailable(neighbour)

        return call


@pytest.fixture
def without_habits(corridor: Corridor) -> Corridor:
    other = object.__new__(Corridor)
    other.__dict__.update(corridor.__dict__)
    other.parts = replace(corridor.parts, habits=Away())  # type: ignore[arg-type]  # every method of it raises
    other.app = corridor.app_of(other.parts)
    return other


def test_without_the_store_of_favourites_roles_are_listed_and_keys_issued(
    corridor: Corridor, without_habits: Corridor
) -> None:
    browser = corridor.signed_in(corridor.person("sre", enrolled=True))
    browser = Browser(without_habits.app, token=browser.token)
    assert len(keys(browser.visit("/").text)) == 7
    assert browser.submit("/favourites", star="payments-dev/fresh").status_code == 503
    browser.visit("/")
    answer = browser.credentials("payments-dev/read-only")
    assert answer.status_code == 200
    assert corridor.tags(answer) == [Tag.CREDENTIALS_DECIDED, Tag.CREDENTIALS_ISSUED]


@pytest.fixture
def many(world: World, tmp_path: Path) -> Iterator[Corridor]:
    accounts = "\n".join(f'  account-{n:02}: {{id: "{100000000000 + n}", env: dev}}' for n in range(40))
    roles = "\n".join(f"  role-{n}: {{iam_role: Role{n}, max_session: 1h}}" for n in range(10))
    with a_corridor(
        world, tmp_path / "many", mapping=BIG.replace("ACCOUNTS", accounts).replace("ROLES", roles)
    ) as made:
        yield made


def test_four_hundred_roles_are_all_there_in_accounts_that_begin_closed(many: Corridor) -> None:
    browser = many.signed_in(many.enrol(many.world.take("sre")))
    page = browser.visit("/").text
    assert len(rows(page)) == 400
    assert "400 roles" in page
    assert page.count('<details class="account"') == 40
    assert '<details class="account" open' not in page
    assert page.count('name="csrf_token"') == 2, "one for all the stars, one to sign out"
    assert len(page) < 300_000, "a row is small"
    found = browser.get("/?q=account-07+role-3").text
    assert len(rows(found)) == 1
    assert '<details class="account" open' in found


def test_looking_issues_nothing(corridor: Corridor, sre: Browser) -> None:
    for path in (
        "/",
        "/?q=prod",
        "/access-keys?role=payments-dev/read-only",
        "/why?role=payments-dev/read-only",
        "/cli",
    ):
        answer = sre.visit(path)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert corridor.tags(answer) == []
