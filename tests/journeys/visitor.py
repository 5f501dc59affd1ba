"""Somebody at a browser with a password and an authenticator app."""

import re
import time
from datetime import UTC, datetime
from typing import Any

from contracts.cast import PASSWORD
from journeys.place import PROVIDER

from broker.app import Broker
from broker.challenge.proof import Proof
from broker.clock import utc_now
from broker.evaluate.condition import Circumstances
from broker.flow.operate import create_enrolment_code
from broker.sandbox.authenticator import STEP_SECONDS, code_of
from broker.sandbox.browser import Browser, Page
from broker.sessions.people import recognise

KEY = re.compile(r"<code[^>]*>((?:[A-Z2-7]{4} ?)+)</code>")


class App:
    """An authenticator app whose owner never types a code twice: each is of a later step than the one before."""

    def __init__(self, key: str, *, used: int) -> None:
        self.key, self._used = key, used

    def code(self) -> str:
        """The next code that the broker takes. It takes the next step's already, so that one seldom waits."""
        while True:
            here = _step()
            step = max(here, self._used + 1)
            if step <= here + 1:
                self._used = step
                return code_of(self.key, datetime.fromtimestamp(step * STEP_SECONDS, UTC))
            time.sleep(0.2)

    def wrong(self) -> str:
        """Six digits that no step around now has."""
        near = {code_of(self.key, utc_now(), steps_ahead=ahead) for ahead in range(-3, 4)}
        return next(code for code in map("{:06d}".format, range(100)) if code not in near)


class Visitor:
    """One person; `browsers` come and go."""

    def __init__(self, name: str, url: str, *, app: App | None = None, password: str = PASSWORD) -> None:
        self.name, self.url, self.password, self.app = name, url, password, app
        self.browser, self._token = Browser(url), ""

    def open(self) -> Page:
        """The first page."""
        return self.browser.get("/")

    def send_password(self, password: str = "") -> Page:
        """From the sign-in page that is open."""
        typed = password or self.password
        return self.browser.submit("/sign-in", provider=PROVIDER, username=self.name, password=typed)

    def show_password(self, password: str = "") -> Page:
        """To the sign-in page and through it."""
        self.open()
        return self.send_password(password)

    def show_code(self, code: str = "") -> Page:
        assert self.app is not None
        return self.browser.submit("/challenge", method="totp", answer=code or self.app.code())

    def sign_in(self) -> "Visitor":
        """All the way, in a fresh browser."""
        self.browser, self._token = Browser(self.url), ""
        page = self.show_password()
        assert page.path == "/challenge", (page.path, page.status, page.text)
        page = self.show_code()
        assert page.path == "/", (page.path, page.status, page.text)
        return self

    def enrol(self, enrolment_code: str) -> Page:
        """On the enrolment page: type the key into the app, and its code into the page."""
        found = KEY.search(self.browser.page.text)
        assert found, self.browser.page.text
        self.app = App(found[1], used=_step() - 2)
        return self.browser.submit("/enrol", enrolment_code=enrolment_code, answer=self.app.code())

    def whoami(self) -> Page:
        return self.browser.get("/api/v1/whoami")

    def roles(self) -> dict[str, str]:
        """Role -> whether it can be had now."""
        return {role["role"]: role["available"] for role in self.browser.get("/api/v1/roles").json()["roles"]}

    def lease(self, role: str, **more: Any) -> Page:  # noqa: ANN401 (JSON)
        """Ask for credentials, as a script of our own page would that has asked for the session's token before."""
        if not self._token:
            self._token = self.whoami().json()["csrf_token"]
        return self.browser.post_json("/api/v1/credentials", {"role": role, **more}, csrf_token=self._token)


def _step(at: datetime | None = None) -> int:
    return int((at or utc_now()).timestamp()) // STEP_SECONDS


def with_app(broker: Broker, name: str, url: str) -> Visitor:
    """A person whose app is set up already, through the same steps as the enrolment page."""
    parts, now = broker.parts, utc_now()
    identity = parts.providers[PROVIDER].lookup(name)
    person, _ = recognise(parts.people, identity, new_id=parts.new_id)
    proof = Proof(person=person.id, session_name=person.session_name, identity=identity)
    pending = parts.enrolment.begin(proof, now)
    made = create_enrolment_code(
        parts, Circumstances(now=now), operator="test", provider=PROVIDER, subject=identity.subject
    )
    code = code_of(pending.text_key, now, steps_ahead=-1)
    parts.enrolment.complete(proof, pending.sealed, code, now, enrolment_code=made.text)
    return Visitor(name, url, app=App(pending.text_key, used=_step(now) - 1))


def environment(page: Page) -> dict[str, str]:
    """What the AWS CLI and SDKs read, from the API's answer."""
    found = page.json()["credentials"]
    return {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        "AWS_SESSION_TOKEN": found["SessionToken"],
    }


def holds_credentials(page: Page) -> bool:
    """Whether anything in the answer could be used at AWS."""
    return "SecretAccessKey" in page.text or "SessionToken" in page.text or "ASIA" in page.text
