"""A browser of sorts: keeps cookies, follows redirects on its own origin, fills in forms. For the demo and tests."""

import html
import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

MAX_REDIRECTS = 10
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
FORM = re.compile(r'<form[^>]* action="([^"]*)"[^>]*>(.*?)</form>', re.DOTALL)
HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What came back, after redirects."""

    url: str
    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """By name in lower case; of a name that came twice the last."""

    @property
    def path(self) -> str:
        """The path of the last address."""
        return urlsplit(self.url).path

    @property
    def away(self) -> str:
        """Where this answer sends the browser, if that is another origin; else empty."""
        return self.headers.get("location", "")

    def form(self, action: str) -> tuple[str, dict[str, str]]:
        """Address and hidden fields of the first form whose address begins so. Raises `KeyError`."""
        for where, body in FORM.findall(self.text):
            address = html.unescape(where)
            if address.startswith(action):
                return address, {html.unescape(name): html.unescape(value) for name, value in HIDDEN.findall(body)}
        raise KeyError(action)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        found: dict[str, Any] = json.loads(self.text)
        return found


class Browser:
    """One browser with one cookie jar, on one origin. It does not follow to another: that answer is the page then."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.cookies: dict[str, str] = {}
        self.page = Page(url=origin, status=0, text="")

    def get(self, path: str) -> Page:
        """Load a page."""
        return self._go("GET", urljoin(self._origin, path), b"", {})

    def submit(self, path: str, **fields: str) -> Page:
        """Send a form with the CSRF token of the page that is open."""
        token = TOKEN.search(self.page.text)
        return self.post_form(path, {"csrf_token": token[1] if token else "", **fields})

    def post_form(self, path: str, fields: Mapping[str, str]) -> Page:
        """Send a form with these fields alone."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._go("POST", urljoin(self._origin, path), urlencode(fields).encode(), kind)

    def post_json(self, path: str, body: dict[str, Any], *, csrf_token: str) -> Page:
        """Call the API as a script of our own page would."""
        headers = {"Content-Type": JSON, "X-CSRFToken": csrf_token}
        return self._go("POST", urljoin(self._origin, path), json.dumps(body).encode(), headers)

    def _go(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> Page:
        for _ in range(MAX_REDIRECTS):
            page = self._once(method, url, body, headers)
            location = page.headers.get("location")
            if not location or not self._ours(urljoin(url, location)):
                self.page = page
                return page
            method, url, body, headers = "GET", urljoin(url, location), b"", {}
        message = "too many redirects"
        raise RuntimeError(message)

    def _ours(self, url: str) -> bool:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}" == self._origin

    def _once(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> Page:
        parts = urlsplit(url)
        if not self._ours(url):
            message = f"{url} leads away from {self._origin}"
            raise RuntimeError(message)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        if method == "POST":
            sent |= {"Origin": self._origin, "Sec-Fetch-Site": "same-origin", "Referer": self.page.url}
        try:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, path or "/", body, headers | sent)
            answer = connection.getresponse()
            self._keep(answer.headers.get_all("Set-Cookie") or [])
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Page(url=url, status=answer.status, text=answer.read().decode(), headers=told)
        finally:
            connection.close()

    def _keep(self, lines: list[str]) -> None:
        for line in lines:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
