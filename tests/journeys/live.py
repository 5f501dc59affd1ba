"""The demo's broker on loopback with people of our own: what browsers visit in journeys.

Real time, real sockets, the demo's own wiring. Every test takes people whom no other test has, so that all share one
broker and nobody waits for the next code.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from contracts.cast import PASSWORD
from journeys.visitor import Visitor, with_app
from neighbours.chromium import Tab
from playwright.sync_api import Page

from broker.cli.demo.world import Demo, enrolment_code, running
from broker.clock import utc_now
from broker.record.canonical import parse
from broker.record.event import Event
from broker.record.trail import Query
from broker.sandbox.browser import Browser
from broker.sandbox.directory import Seed, read_seed
from broker.settings import examples

DEV_ROLE = "payments-dev/power-user"
"""What a developer may have, now."""
LOCKED_ROLE = "platform-dev/power-user"
"""What an SRE may have, on a day that is not today."""
FORBIDDEN_ROLE = "payments-prod/admin"
MARKUP = "\"'><img src=x onerror=alert(1)>{{7*7}}"
"""Breaks out of attributes and elements, and asks a template engine to calculate."""
HOSTILE = f"{MARKUP}\u202egnp"
"""The same, and it reverses what stands behind it. (The mapping's reader refuses that, a directory does not.)"""
KINDS = {"dev": ("payments-developers",), "sre": ("SRE",), "owner": ("Broker-Owners", "SRE"), "nobody": ()}
HOW_MANY = 80
HOSTILE_RID = 5000
HOSTILE_ROLE = "payments-dev/hostile"
"""What the members of the group with the hostile name have beside what every SRE has."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A running broker and the people around it."""

    demo: Demo
    pool: dict[str, Iterator[str]]

    @property
    def url(self) -> str:
        return self.demo.url

    def person(self, kind: str = "dev") -> Visitor:
        """Somebody of that kind with an app that is set up already."""
        return with_app(self.demo.broker, next(self.pool[kind]), self.url)

    def newcomer(self, kind: str = "dev") -> tuple[Visitor, str]:
        """Somebody without an app, and the enrolment code that their help desk gave them."""
        account = next(self.pool[kind])
        return Visitor(account, self.url), enrolment_code(self.demo, account)

    def events(self, visitor: Visitor) -> list[Event]:
        """What the trail has about somebody, in the order of writing."""
        links = self.demo.broker.storage.trail.search(Query(), limit=5000)
        events = [parse(link.payload) for link in sorted(links, key=lambda link: link.number) if link.payload]
        return [event for event in events if event.actor_name == visitor.name]


@contextmanager
def live(folder: Path) -> Iterator[Live]:
    """Start everything, and stop it."""
    with running(folder, host="localhost", port=0, enrolled=(), seed=_seed(), mapping=_mapping()) as demo:
        pool = {kind: iter([f"{kind}{number}" for number in range(HOW_MANY)]) for kind in (*KINDS, "hostile")}
        yield Live(demo=demo, pool=pool)


def _seed() -> Seed:
    """The demo's people, and ours."""
    seed = read_seed().model_dump(mode="json")
    rids = itertools.count(HOSTILE_RID)
    seed["groups"].append({"name": HOSTILE, "account": "hostile-group", "unit": "Groups", "rid": next(rids)})
    for kind, groups in {**KINDS, "hostile": ("SRE", HOSTILE)}.items():
        for number in range(HOW_MANY):
            account = f"{kind}{number}"
            person = {
                "account": account,
                "given_name": kind.title(),
                "surname": f"No {number}",
                "common_name": f"{account} {HOSTILE}" if kind == "hostile" else account,
                "display_name": f"{HOSTILE}{number}" if kind == "hostile" else f"{kind.title()} No {number}",
                "unit": "Staff",
                "rid": next(rids),
                "password": PASSWORD,
                "groups": groups,
                "story": "for tests",
            }
            seed["people"].append(person)
    return Seed.model_validate(seed)


def _mapping() -> str:
    """The example document, with a role that opens on another day, and hostile words where words are free."""
    seed, day = read_seed(), DAYS[(utc_now() + timedelta(days=3)).weekday()]
    group = f'{{provider: corp-ad, dn: "CN=Hostile,OU=Groups,DC=corp,DC=example", id: {seed.domain.sid}-{HOSTILE_RID}}}'
    role = f"{{iam_role: federated/Hostile, max_session: 1h, description: {json.dumps(MARKUP)}}}"
    closed = f'{{time_of_day: {{days: [{day}], from: "08:00", to: "18:00", zone: UTC}}}}'
    mappings = f"""
  - name: sre-mends-platform-on-another-day
    groups: [sre]
    accounts: [platform-dev]
    roles: [power-user]
    conditions: {closed}
    owner: platform-leads@corp.example
  - {{name: hostile, groups: [hostile], accounts: [payments-dev], roles: [hostile]}}
"""
    text = (examples() / "mappings.yaml").read_text("utf-8")
    for heading, more in (
        ("groups", f"\n  hostile: {group}\n"),
        ("roles", f"\n  hostile: {role}\n"),
        ("mappings", mappings),
    ):
        text = text.replace(f"\n{heading}:\n", f"\n{heading}:{more}", 1)
    return text


def type_password(page: Page, visitor: Visitor, password: str = "") -> None:
    """On the sign-in page."""
    page.get_by_label("User name").fill(visitor.name)
    page.get_by_label("Password", exact=True).fill(password or visitor.password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def type_code(page: Page, code: str) -> None:
    """On the page that asks for the second factor."""
    page.locator("#answer").fill(code)
    page.get_by_role("main").get_by_role("button", name="Go on").click()


def sign_in(tab: Tab, visitor: Visitor, path: str = "/") -> Page:
    """Through the pages: password, code, and on to where somebody wanted to be."""
    assert visitor.app is not None
    page = tab.page
    page.goto(visitor.url + path)
    type_password(page, visitor)
    page.wait_for_url("**/challenge")
    type_code(page, visitor.app.code())
    page.wait_for_url(visitor.url + path)
    return page


def sign_out(page: Page) -> None:
    """From any page."""
    page.get_by_role("banner").get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")


def enter(tab: Tab, visitor: Visitor, path: str = "/") -> Page:
    """The same by HTTP, with the cookies handed to the browser: for tests that are about what comes after."""
    visitor.sign_in()
    hand_over(tab, visitor.browser, visitor.url)
    tab.page.goto(visitor.url + path)
    return tab.page


def hand_over(tab: Tab, browser: Browser, url: str) -> None:
    """The cookies of an HTTP client, into a real browser; called https, because a Secure cookie is set from there."""
    tab.context.add_cookies(
        [
            {
                "name": name,
                "value": value,
                "url": url.replace("http:", "https:"),
                "secure": True,
                "httpOnly": True,
                "sameSite": "Lax",
            }
            for name, value in browser.cookies.items()
        ]
    )
