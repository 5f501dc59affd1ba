"""The demo's authenticator app, as a page on a port of its own: who has which code now, and how long it counts.

Without JavaScript: the page comes again by itself when the codes change. A person who is not enrolled yet is added with
the text key of the enrolment page, as an app takes it when the QR code cannot be scanned. On loopback, and only under
its own name, so that no page of elsewhere can read it through a name that points here.
"""

import base64
import html
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Self
from urllib.parse import parse_qs, urlsplit

from broker.clock import Clock
from broker.sandbox.authenticator import STEP_SECONDS, Authenticator

LARGEST = 4096
SHORTEST_KEY = 16
"""Bytes of a key: what RFC 4226 asks for."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with less, browsers would call the form's origin null
    "X-Content-Type-Options": "nosniff",
}
FADING = "\n".join(
    f".left-{left} {{ animation-delay: -{STEP_SECONDS - left}s }}" for left in range(1, STEP_SECONDS + 1)
)
"""The bar below a code starts as far on as its time has gone."""
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · demo authenticator</title><link rel="stylesheet" href="/style.css"></head>
<body><main>
{body}
</main></body>
</html>
"""
CODES = """<h1>Demo authenticator</h1>
<p>What the phones of the demo's people show now. Each code counts once; the page brings the next ones by itself.</p>
<ul>
{rows}
</ul>
<p><a href="/add">Add a key</a>, for somebody who sets up their app now.</p>"""
ROW = """<li><div><strong>{name}</strong><div class="soft">{account}</div></div>
<div><div class="code">{code}</div><div class="until left-{left}"></div></div>
<div class="bar left-{left}"></div></li>"""
ADD = """<h1>Add a key</h1>
<p>Copy the text key from the enrolment page of the broker. The code that it asks for then stands on the other page.</p>
{told}
<form method="post" action="/add">
<label for="account">Whose app</label><select id="account" name="account">{options}</select>
<label for="key">Text key, or the otpauth:// address</label>
<input id="key" name="key" autocomplete="off" spellcheck="false" maxlength="512" required>
<button>Add</button>
</form>
<p><a href="/">Back to the codes</a></p>"""
BAD_KEY = "This is not a key of an authenticator app. Copy the letters and digits below the QR code, all of them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """Somebody who could have an app."""

    account: str
    name: str


class AuthenticatorPage:
    """The page, from the beginning to the end of the block. `people` may be added; everybody with a key is shown."""

    def __init__(self, authenticator: Authenticator, people: Sequence[Phone], *, clock: Clock, port: int = 0) -> None:
        self._server = _Server(authenticator, people, clock, port)
        self.url = self._server.url
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, authenticator: Authenticator, people: Sequence[Phone], clock: Clock, port: int) -> None:
        super().__init__(("localhost", port), _Handler)
        self.host = f"localhost:{self.server_address[1]}"
        self.url = f"http://{self.host}"
        self._authenticator, self._people, self._clock = authenticator, people, clock
        self._lock = threading.Lock()

    def codes(self) -> tuple[str, int]:
        """The page, and the seconds until it is stale."""
        now = self._clock()
        left, keys = _left(now), self._authenticator.keys()
        known = [phone for phone in self._people if phone.account in keys]
        rows = "\n".join(
            ROW.format(
                name=html.escape(phone.name),
                account=html.escape(phone.account),
                code=self._authenticator.code(phone.account, now),
                left=left,
            )
            for phone in known
        )
        return PAGE.format(title="Codes", body=CODES.format(rows=rows or "<li>Nobody has an app yet.</li>")), left

    def adding(self, told: str = "") -> str:
        """The page with the form."""
        keys = self._authenticator.keys()
        new_first = sorted(self._people, key=lambda phone: phone.account in keys)
        options = "".join(f"<option>{html.escape(phone.account)}</option>" for phone in new_first)
        alert = f'<p role="alert">{told}</p>' if told else ""
        return PAGE.format(title="Add a key", body=ADD.format(told=alert, options=options))

    def add(self, account: str, typed: str) -> bool:
        """Whether that was somebody's key; it is kept then."""
        key = key_in(typed)
        if not key or account not in {phone.account for phone in self._people}:
            return False
        with self._lock:
            self._authenticator.remember(account, key)
        return True


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "demo-authenticator", ""
    timeout = 30

    def do_GET(self) -> None:
        if self._foreign():  # check: authenticator-host
            self._send(HTTPStatus.FORBIDDEN, "Not under this name.")
        elif self.path == "/":
            page, left = self.server.codes()
            self._send(HTTPStatus.OK, page, Refresh=str(left))
        elif self.path == "/add":
            self._send(HTTPStatus.OK, self.server.adding())
        elif self.path == "/style.css":
            style = files("broker.sandbox").joinpath("authenticator.css").read_text("utf-8")
            self._send(HTTPStatus.OK, style + FADING, kind="text/css")
        else:
            self._send(HTTPStatus.NOT_FOUND, "There is nothing at this address.")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self._foreign() or self.headers.get("Origin") != self.server.url:  # check: authenticator-origin
            self._send(HTTPStatus.FORBIDDEN, "Not from another page.")
        elif self.path != "/add" or not length.isdecimal() or int(length) > LARGEST:
            self._send(HTTPStatus.BAD_REQUEST, "Not like this.")
        else:
            fields = parse_qs(self.rfile.read(int(length)).decode("utf-8", "replace"))
            if self.server.add(fields.get("account", [""])[0], fields.get("key", [""])[0]):
                self._send(HTTPStatus.SEE_OTHER, "", Location="/")
            else:
                self._send(HTTPStatus.BAD_REQUEST, self.server.adding(BAD_KEY))

    def _foreign(self) -> bool:
        return self.headers.get("Host", "").lower() != self.server.host  # a name of elsewhere that points here

    def _send(self, status: HTTPStatus, text: str, *, kind: str = "text/html", **headers: str) -> None:
        body = text.encode()
        self.send_response(status)
        told = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body)), **HEADERS, **headers}
        for name, value in told.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def key_in(typed: str) -> str:
    """The base32 key in what somebody copied: the key with or without spaces, or an otpauth:// address; else ""."""
    text = typed.strip()
    if text.lower().startswith("otpauth://totp/"):
        text = parse_qs(urlsplit(text).query).get("secret", [""])[0]
    key = re.sub(r"[\s-]", "", text).upper().rstrip("=")
    try:
        raw = base64.b32decode(key + "=" * (-len(key) % 8))
    except ValueError:  # also for letters that are none of ASCII
        return ""
    return key if len(raw) >= SHORTEST_KEY else ""


def _left(now: datetime) -> int:
    return STEP_SECONDS - int(now.timestamp()) % STEP_SECONDS
