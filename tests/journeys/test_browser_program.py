"""Letting a program in with a real browser: the page, the loopback listener it leads to, and the person who says no."""

import http.server
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from journeys.live import Live, type_code, type_password
from neighbours.chromium import Tab
from playwright.sync_api import expect
from web.programs import s256


@dataclass
class Listener:
    """What `aws-broker login` listens with; keeps what it is told."""

    host: str
    port: int = 0
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    told: list[dict[str, list[str]]] = field(default_factory=list)
    referrers: list[str] = field(default_factory=list)

    @property
    def redirect_uri(self) -> str:
        return f"http://{self.host}:{self.port}/callback/{self.secret}"


@contextmanager
def listening(host: str) -> Iterator[Listener]:
    listener = Listener(host)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            if split.path == f"/callback/{listener.secret}":
                listener.told.append(parse_qs(split.query))
                listener.referrers.append(self.headers.get("Referer", ""))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>done</title><p>You can close this page.")

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    server = Server((host.strip("[]"), 0), Handler)
    listener.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_program_is_let_in(live: Live, tab: Tab, host: str) -> None:
    visitor, page = live.person(), tab.page
    assert visitor.app is not None
    with listening(host) as listener:
        page.goto(question(live, listener))
        page.wait_for_url("**/sign-in?**")
        type_password(page, visitor)
        type_code(page, visitor.app.code())
        page.wait_for_url("**/oauth/authorize?**")
        expect(page.get_by_role("main")).to_contain_text("Ada's laptop")
        tab.examine("authorize")
        page.get_by_role("button", name="Yes, sign it in").click()
        expect(page.get_by_text("You can close this page.")).to_be_visible()
        (told,) = listener.told
        assert set(told) == {"code", "state", "iss"}
        assert told["iss"] == [live.url]
        assert listener.referrers == [""]


def test_a_person_says_no(live: Live, tab: Tab) -> None:
    visitor, page = live.person(), tab.page
    assert visitor.app is not None
    with listening("127.0.0.1") as listener:
        page.goto(question(live, listener))
        type_password(page, visitor)
        type_code(page, visitor.app.code())
        page.get_by_role("button", name="No", exact=True).click()
        expect(page.get_by_text("You can close this page.")).to_be_visible()
        assert listener.told[0]["error"] == ["access_denied"]


def question(live: Live, listener: Listener) -> str:
    asked = {
        "response_type": "code",
        "client_id": "aws-broker",
        "redirect_uri": listener.redirect_uri,
        "state": "s" * 32,
        "code_challenge": s256("v" * 43),
        "code_challenge_method": "S256",
        "device": "Ada's laptop",
    }
    return f"{live.url}/oauth/authorize?{urlencode(asked)}"
