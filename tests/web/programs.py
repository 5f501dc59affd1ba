"""The `aws-broker` program as the broker sees it: it has no cookie, and speaks OAuth."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from corridor import URL, Answer, Browser, Corridor, Somebody

FORM = "application/x-www-form-urlencoded"


def s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


@dataclass
class Program:
    """One run of `aws-broker login`."""

    corridor: Corridor
    device: str = "laptop of mine"
    redirect_uri: str = field(default_factory=lambda: f"http://127.0.0.1:49152/callback/{secrets.token_urlsafe(24)}")
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    access: str = ""
    refresh: str = ""

    def __post_init__(self) -> None:
        self.line = Browser(self.corridor.app)
        """Its connection to the broker; keeps cookies, if it is ever given one."""

    def question(self, **changes: str | None) -> dict[str, str]:
        """The parameters of the page to open; None leaves one out."""
        asked = {
            "response_type": "code",
            "client_id": "aws-broker",
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": s256(self.verifier),
            "code_challenge_method": "S256",
            "device": self.device,
        }
        return {name: value for name, value in (asked | changes).items() if value is not None}

    def url(self, **changes: str | None) -> str:
        return "/oauth/authorize?" + urlencode(self.question(**changes))

    def consent(self, browser: Browser, answer: str = "allow", **changes: str | None) -> Answer:
        """Open the page and press a button on it."""
        page = browser.visit(self.url())
        assert page.status_code == 200, browser.text
        return browser.submit("/oauth/authorize", follow=False, answer=answer, **self.question(**changes))

    def code(self, browser: Browser) -> str:
        return came_back(self.consent(browser))["code"]

    def post(self, path: str, fields: Mapping[str, Any] | str, **headers: str) -> Answer:
        data = fields if isinstance(fields, str) else urlencode(fields, doseq=True)
        return self.line.open("POST", path, headers=headers, data=data, content_type=FORM)

    def redeem(self, code: str, /, **changes: str) -> Answer:
        fields = {
            "grant_type": "authorization_code",
            "client_id": "aws-broker",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        return self._kept(self.post("/oauth/token", fields | changes))

    def renew(self, token: str = "", **changes: str) -> Answer:
        fields = {"grant_type": "refresh_token", "client_id": "aws-broker", "refresh_token": token or self.refresh}
        return self._kept(self.post("/oauth/token", fields | changes))

    def revoke(self, token: str, /, **changes: str) -> Answer:
        return self.post("/oauth/revoke", {"client_id": "aws-broker", "token": token} | changes)

    def login(self, browser: Browser) -> "Program":
        answer = self.redeem(self.code(browser))
        assert answer.status_code == 200, answer.text
        return self

    def call(self, method: str, path: str, *, token: str | None = None, **more: Any) -> Answer:  # noqa: ANN401 (passed on)
        headers = {"Authorization": f"Bearer {self.access if token is None else token}", **more.pop("headers", {})}
        return self.line.open(method, path, headers=headers, **more)

    def credentials(self, role: str, **more: Any) -> Answer:  # noqa: ANN401 (passed on)
        body = f'{{"role": "{role}"}}'
        return self.call("POST", "/api/v1/credentials", data=body, content_type="application/json", **more)

    def _kept(self, answer: Answer) -> Answer:
        if answer.status_code == 200:
            self.access, self.refresh = answer.json["access_token"], answer.json["refresh_token"]
        return answer


def came_back(answer: Answer) -> dict[str, str]:
    """What the program's listener is told by a redirect of the browser."""
    assert answer.status_code == 303, answer.text
    found = parse_qs(urlsplit(answer.location).query, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values())
    assert not urlsplit(answer.location).fragment
    return {name: values[0] for name, values in found.items()}


def logged_in(corridor: Corridor, person: Somebody | None = None) -> Program:
    """A program that somebody has let in."""
    return Program(corridor).login(corridor.signed_in(person or corridor.person(enrolled=True)))


__all__ = ["FORM", "URL", "Program", "came_back", "logged_in", "s256"]
