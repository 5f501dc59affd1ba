"""`broker demo --check`: the whole journey, by itself, over HTTP. Prints each step; the first that fails ends it."""

import re
from collections.abc import Callable, Iterator

import click

from broker.cli.demo.client import credentials
from broker.cli.demo.doors import console, pages, workstation
from broker.cli.demo.world import Demo, enrolment_code
from broker.clock import utc_now
from broker.record.verify import verify
from broker.sandbox.authenticator import code_of
from broker.sandbox.browser import Browser
from broker.sandbox.sts.client import caller_identity

ACCOUNT = "ada"
ROLE = "payments-dev/power-user"
FORBIDDEN = "payments-prod/admin"
KEY = re.compile(r"<code[^>]*>((?:[A-Z2-7]{4} ?)+)</code>")

Steps = Iterator[tuple[str, bool, str]]


def walk(demo: Demo) -> bool:
    """Whether every step passed."""
    steps: tuple[Callable[[Demo, Browser, dict[str, str]], Steps], ...] = (_sign_in, _enrol, _challenge, _roles, _lease)
    browser, memory = Browser(demo.url), dict[str, str]()
    for part in (*steps, _denied, _doors, _audited):
        for name, passed, detail in part(demo, browser, memory):
            click.echo(f"{'ok ' if passed else 'BAD'} {name}: {detail}")
            if not passed:
                return False
    return True


def _password(demo: Demo) -> str:
    return next(person.password for person in demo.seed.people if person.account == ACCOUNT)


def _sign_in(demo: Demo, browser: Browser, _: dict[str, str]) -> Steps:
    page = browser.get("/")
    yield "the way in", page.path == "/sign-in", f"{demo.url} leads to {page.path}"
    page = browser.submit("/sign-in", provider="corp-ad", username=ACCOUNT, password="not it")  # noqa: S106 (wrong on purpose)
    yield "wrong password", page.status == 401, "refused, in words that tell nothing"  # noqa: PLR2004
    page = browser.submit("/sign-in", provider="corp-ad", username=ACCOUNT, password=_password(demo))
    yield "sign in", page.path == "/enrol", f"{ACCOUNT} by password over LDAPS; a second factor is missing"
    early = Browser(demo.url)
    early.cookies.update(browser.cookies)
    answer = early.get("/api/v1/roles")
    yield "no way round", answer.status == 401, "the API wants the second factor first"  # noqa: PLR2004


def _enrol(demo: Demo, browser: Browser, memory: dict[str, str]) -> Steps:
    found = KEY.search(browser.page.text)
    memory["key"] = found[1] if found else ""
    memory["code"] = code = code_of(memory["key"], utc_now())
    page = browser.submit("/enrol", enrolment_code="", answer=code)
    yield "enrolment without a code", page.status == 401, "refused: an operator's one-time code is needed"  # noqa: PLR2004
    page = browser.submit("/enrol", enrolment_code=enrolment_code(demo, ACCOUNT), answer=code)
    yield "enrol", page.text.count("<li><code>") == 10, "authenticator app set up; ten recovery codes shown"  # noqa: PLR2004
    demo.authenticator.remember(ACCOUNT, memory["key"])


def _challenge(demo: Demo, browser: Browser, memory: dict[str, str]) -> Steps:
    browser.get("/")
    page = browser.submit("/sign-out")
    yield "sign out", page.path == "/sign-in", "the session is gone"
    browser.submit("/sign-in", provider="corp-ad", username=ACCOUNT, password=_password(demo))
    page = browser.submit("/challenge", method="totp", answer=memory["code"])
    yield "replay", page.status == 401, "the code of the enrolment does not count again"  # noqa: PLR2004
    page = browser.submit("/challenge", method="totp", answer=code_of(memory["key"], utc_now(), steps_ahead=1))
    yield "challenge", page.path == "/", "password and code: signed in"


def _roles(_: Demo, browser: Browser, __: dict[str, str]) -> Steps:
    found = browser.get("/api/v1/roles").json()["roles"]
    told = ", ".join(f"{role['role']} ({role['available']})" for role in found)
    yield "roles", [role["role"] for role in found if role["available"] == "now"] == [ROLE], told


def _lease(demo: Demo, browser: Browser, memory: dict[str, str]) -> Steps:
    answer = credentials(browser, ROLE)
    yield "credentials", answer.status == 200, f"{ROLE} answered {answer.status}"  # noqa: PLR2004
    leased = answer.json()
    memory["lease"] = leased["lease"]
    memory["arn"] = arn = caller_identity(demo.sts.url, leased["region"], leased["credentials"])
    expected = leased["role_arn"].replace(":iam:", ":sts:").replace(":role/federated/", ":assumed-role/")
    yield "caller identity", arn == f"{expected}/{ACCOUNT}", f"AWS sees {arn}"


def _denied(_: Demo, browser: Browser, __: dict[str, str]) -> Steps:
    answer = credentials(browser, FORBIDDEN)
    yield "denied", answer.status == 403, f"{FORBIDDEN}: {answer.json().get('detail', '')}"  # noqa: PLR2004


def _doors(demo: Demo, browser: Browser, memory: dict[str, str]) -> Steps:
    yield from pages(browser, ROLE)
    yield from console(demo, browser, ROLE, ACCOUNT)
    yield from workstation(demo, browser, ROLE, memory["arn"])


def _audited(demo: Demo, _: Browser, memory: dict[str, str]) -> Steps:
    trail = demo.broker.storage.trail
    report = verify(trail, demo.broker.keyring, now=utc_now())
    links = [link for writer in trail.writers() for link in trail.links(writer)]
    noted = [link for link in links if link.payload and memory["lease"] in link.payload]
    yield "recorded", len(noted) == 2, "the decision and the issue are both in the audit trail"  # noqa: PLR2004
    yield "audit verified", report.intact, f"{len(links)} events, chain and signatures intact"
