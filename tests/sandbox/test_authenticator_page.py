"""The page with everybody's codes: on this machine, under its own name, for its own form."""

import base64
import http.client
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from broker.sandbox.authenticator import Authenticator, code_of
from broker.sandbox.authenticator_page import AuthenticatorPage, Phone, key_in

KEY = base64.b32encode(bytes(range(20))).decode()
OTHER = base64.b32encode(bytes(range(20, 40))).decode()
NOW = datetime(2026, 12, 1, 9, 0, 13, tzinfo=UTC)
PEOPLE = (Phone(account="ada", name="Ada <b>Lovelace</b>"), Phone(account="alan", name="Alan Turing"))


@pytest.fixture
def authenticator(tmp_path: Path) -> Authenticator:
    found = Authenticator(tmp_path / "keys.json")
    found.remember("ada", KEY)
    return found


@pytest.fixture
def page(authenticator: Authenticator) -> Iterator[AuthenticatorPage]:
    with AuthenticatorPage(authenticator, PEOPLE, clock=lambda: NOW) as running:
        yield running


def ask(
    page: AuthenticatorPage, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers."""
    connection = http.client.HTTPConnection("localhost", urlsplit(page.url).port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


def add(page: AuthenticatorPage, account: str, key: str, **headers: str) -> int:
    form = urlencode({"account": account, "key": key})
    return ask(page, "POST", "/add", form, **{"Origin": page.url, **headers})[0]


def test_whoever_has_a_key_is_shown_with_the_code_and_the_page_comes_again_when_it_changes(
    page: AuthenticatorPage,
) -> None:
    status, text, headers = ask(page, "GET", "/")
    assert status == 200
    assert code_of(KEY, NOW) in text
    assert "Ada &lt;b&gt;Lovelace" in text
    assert "Alan" not in text
    assert headers["Refresh"] == "17"
    assert 'class="until left-17"' in text
    assert KEY not in text
    assert "<script" not in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "typed",
    [OTHER, OTHER.lower(), " ".join(OTHER[n : n + 4] for n in range(0, 32, 4)), f"otpauth://totp/x?secret={OTHER}"],
)
def test_a_key_that_was_copied_from_the_enrolment_page_gives_codes_at_once(
    page: AuthenticatorPage, authenticator: Authenticator, typed: str
) -> None:
    assert "Refresh" not in ask(page, "GET", "/add")[2], "it would take away what somebody types"
    assert add(page, "alan", typed) == 303
    assert code_of(OTHER, NOW) in ask(page, "GET", "/")[1]
    assert authenticator.keys() == {"ada": KEY, "alan": OTHER}


@pytest.mark.parametrize(
    "typed", ["", "AAAA", "not a key", "otpauth://totp/x", "1" * 32, OTHER[:-8], "<script>", "é" * 32]
)
def test_what_is_no_key_is_not_taken(page: AuthenticatorPage, authenticator: Authenticator, typed: str) -> None:
    assert key_in(typed) == ""
    assert add(page, "alan", typed) == 400
    assert authenticator.keys() == {"ada": KEY}


def test_nobody_of_elsewhere_is_added(page: AuthenticatorPage, authenticator: Authenticator) -> None:
    assert add(page, "nobody", OTHER) == 400
    assert authenticator.keys() == {"ada": KEY}


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost"])
@pytest.mark.parametrize("path", ["/", "/add", "/style.css"])
def test_a_foreign_name_that_points_here_reads_nothing(page: AuthenticatorPage, host: str, path: str) -> None:
    status, text, _ = ask(page, "GET", path, Host=host)
    assert (status, text) == (403, "Not under this name.")
    assert ask(page, "GET", path)[0] == 200, "the control"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_a_foreign_page_adds_nothing(page: AuthenticatorPage, authenticator: Authenticator, origin: str) -> None:
    assert add(page, "alan", OTHER, Origin=origin) == 403
    assert add(page, "alan", OTHER, Host="evil.example") == 403
    assert authenticator.keys() == {"ada": KEY}


def test_what_is_not_a_form_of_this_page_is_refused(page: AuthenticatorPage) -> None:
    for path, length in (("/add", "5000"), ("/add", "x"), ("/", "0")):
        assert ask(page, "POST", path, **{"Origin": page.url, "Content-Length": length})[0] == 400
    assert ask(page, "GET", "/nothing")[0] == 404
