"""What the demo's visitor does, over HTTP and as a browser would: sign in, prove it, ask for credentials."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from broker.clock import utc_now
from broker.errors import ConfigurationError, Denied, NotSignedIn, Problem, Unavailable
from broker.sandbox.authenticator import Authenticator
from broker.sandbox.browser import Browser, Page

CODES = (-1, 0, 1)
"""A code counts once. The broker takes the one before and the one after too, so that three visits in a row work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A running demo, as somebody on this machine finds it."""

    url: str
    sts: str
    region: str
    people: dict[str, str]
    authenticator: Authenticator


def find(folder: Path) -> Visit:
    """The demo that runs with `--state folder`."""
    try:
        word = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what, remedy = "no demo keeps its state here", "start one: broker demo --state DIR"
        raise ConfigurationError([Problem(where=str(folder), what=what, remedy=remedy)]) from error
    return Visit(**word, authenticator=Authenticator(folder / "authenticator.json"))


def leased(visit: Visit, account: str, role: str) -> Mapping[str, str]:
    """Credentials for `role`, as `credential_process` has them.

    Raises `Denied` with what the broker says, `NotSignedIn`, and `Unavailable` when the demo does not run any more.
    """
    try:
        answer = credentials(signed_in(visit, account), role)
    except OSError as error:
        neighbour = f"the demo at {visit.url}"
        raise Unavailable(neighbour, remedy="Start it again: broker demo --state DIR") from error
    found = answer.json()
    if "credentials" not in found:
        raise Denied(" ".join(filter(None, (found["title"], found.get("detail", "")))))
    credential: Mapping[str, str] = found["credentials"]
    return credential


def signed_in(visit: Visit, account: str) -> Browser:
    """A browser in which `account` has shown password and code. Raises `NotSignedIn` with what the page says."""
    browser = Browser(visit.url)
    browser.get("/")
    page = browser.submit("/sign-in", provider="corp-ad", username=account, password=visit.people.get(account, ""))
    if page.path == "/enrol":
        message = f"{account} has no authenticator app yet."
        raise NotSignedIn(message, remedy=f"Sign in at {visit.url} and set one up.")
    for ahead in CODES:
        if page.path != "/challenge":
            break
        page = browser.submit(
            "/challenge", method="totp", answer=visit.authenticator.code(account, utc_now(), steps_ahead=ahead)
        )
    if page.path != "/":
        message = f"{account} could not sign in: the page {page.path} answered {page.status}."
        raise NotSignedIn(message, remedy="Each code counts once: try again in half a minute.")
    return browser


def credentials(browser: Browser, role: str) -> Page:
    """What the API answers to a request for credentials."""
    token = browser.get("/api/v1/whoami").json()["csrf_token"]
    return browser.post_json("/api/v1/credentials", {"role": role}, csrf_token=token)


def environment(credential: Mapping[str, str]) -> dict[str, str]:
    """The variables that the AWS CLI and SDKs read."""
    return {
        "AWS_ACCESS_KEY_ID": credential["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credential["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credential["SessionToken"],
    }
