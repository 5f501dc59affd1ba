"""`login`: the browser signs in, and this program gets tokens. OAuth 2.0 for native apps (RFC 8252), PKCE (RFC 7636).

No password is ever typed into this program. The checks on what comes back, in this order: (1) the metadata is the
broker's own (RFC 8414, 3.3), (2) its addresses are at the broker, (3) it does PKCE with S256; then on the browser's
request, behind those of `listener`: (4) our state, (5) our broker's `iss` (RFC 9207), (6) no error, (7) a code.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from hmac import compare_digest
from html import escape
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from . import private
from .checked import Checked
from .failure import CANCELLED, DENIED, FAILED, Failure, one_line
from .listener import Listener
from .server import Server
from .signedin import CLIENT_ID, PATH, Tokens, renewal
from .wire import Wire, refused

METADATA = "/.well-known/oauth-authorization-server"
CODE = re.compile(r"[\x21-\x7e]{8,1024}", re.ASCII)
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={url}"><title>aws-broker</title>
<p><a href="{url}">Go on to the broker</a></html>
"""
URL = re.compile(r"https?://[\x21-\x7e]{1,1000}", re.ASCII)


class Endpoints(NamedTuple):
    """Where the broker's authorization server is, as paths of the broker."""

    authorization: str
    token: str
    revocation: str


class Pkce(NamedTuple):
    """What only this program knows until it redeems the code."""

    verifier: str
    state: str

    @property
    def challenge(self) -> str:
        """S256 of the verifier."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def endpoints(wire: Wire) -> Endpoints:
    """The broker's own description of itself. Raises `Failure`."""
    server = wire.server
    answer = wire.get(METADATA)
    if answer.status != HTTPStatus.OK:
        raise refused(answer, server)
    body = Checked(answer.body, "metadata")
    # (1) whose it is
    if body.text("issuer", URL) != server.url:  # check: metadata-issuer
        wrong = f"issuer is not {server.url}"
        raise body.odd(wrong)
    # (3) S256
    if "S256" not in body.texts("code_challenge_methods_supported"):  # check: metadata-s256
        wrong = "code_challenge_methods_supported"
        raise body.odd(wrong)
    return Endpoints(
        authorization=_path(body, "authorization_endpoint", server),
        token=_path(body, "token_endpoint", server),
        revocation=_path(body, "revocation_endpoint", server),
    )


def _path(body: Checked, name: str, server: Server) -> str:
    url = body.text(name, URL)
    path = urlsplit(url).path
    # (2) where it leads
    if url != server.url + path or not PATH.fullmatch(path):  # check: metadata-origin
        wrong = f"{name} is not at {server.url}"
        raise body.odd(wrong)
    return path


def code_of(parameters: Mapping[str, str], *, expected_state: str, expected_issuer: str) -> str:
    """The code that the browser brought. Raises `Failure`."""
    again = "Run the command again."
    # (4) the state
    if not compare_digest(parameters.get("state", "").encode(), expected_state.encode()):  # check: callback-state
        raise Failure(FAILED, "What came back from the browser is not the answer to our question.", step=again)
    # (5) the issuer
    if parameters.get("iss") != expected_issuer:  # check: callback-issuer
        raise Failure(FAILED, "What came back from the browser is not from the broker that was asked.", step=again)
    # (6) an error
    error = parameters.get("error", "")
    if error == "access_denied":
        raise Failure(CANCELLED, "The sign-in was cancelled in the browser.", step=again)
    if error:
        told = one_line(parameters.get("error_description", error))[:200]
        raise Failure(DENIED, f"The broker does not sign this program in: {told}.", step=again)
    # (7) the code
    code = parameters.get("code", "")
    if not CODE.fullmatch(code):
        raise Failure(FAILED, "No code came back from the browser.", step=again)
    return code


class Asker(NamedTuple):
    """How the person is asked."""

    browser: bool
    """Open the system's browser; else only say the URL."""
    seconds: float
    """How long to wait for the person."""
    page: str
    """The file that leads the browser to the URL."""
    clock: Callable[[], float]
    """Monotonic."""
    url: Callable[[str], None]
    """Say the URL, alone."""
    say: Callable[[str], None]
    """Say something else."""


def sign_in(wire: Callable[[], Wire], asker: Asker, *, environ: Mapping[str, str], now: Callable[[], float]) -> Tokens:
    """Tokens of a new sign-in. `wire` gives one that has not waited for the person. Raises `Failure`."""
    server, where = wire().server, endpoints(wire())
    pkce = Pkce(verifier=secrets.token_urlsafe(48), state=secrets.token_urlsafe(32))
    listener = Listener(secrets.token_urlsafe(32))
    try:
        question = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": listener.redirect_uri,
            "code_challenge": pkce.challenge,
            "code_challenge_method": "S256",
            "state": pkce.state,
            "device": device(),
        }
        _ask(f"{server.url}{where.authorization}?{urlencode(question)}", asker, listener.port, environ)
        parameters, tell = listener.wait(asker.clock, asker.clock() + asker.seconds)
    finally:
        listener.close()
        private.remove(asker.page)
    well = False
    try:
        code = code_of(parameters, expected_state=pkce.state, expected_issuer=server.url)
        redeemed = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": listener.redirect_uri,
            "client_id": CLIENT_ID,
            "code_verifier": pkce.verifier,
        }
        answer = wire().post_form(where.token, redeemed)
        if answer.status != HTTPStatus.OK:
            raise refused(answer, server)
        empty = Tokens(server.url, secrets.token_hex(8), "", 0, "", where.token, where.revocation)
        tokens = renewal(Checked(answer.body, "token"), empty, now())
        well = True
    finally:
        tell(well)
    return tokens


def _ask(url: str, asker: Asker, port: int, environ: Mapping[str, str]) -> None:
    if asker.browser and _has_browser(environ):
        asker.say(f"Opening your browser. If nothing opens, or it may not read the page, go to:\n  {url}")
        open_browser(url, environ, page=asker.page)
        return
    asker.say("Open this address in a browser on this machine:")
    asker.url(url)
    if environ.get("SSH_CONNECTION"):
        asker.say(f"If your browser is elsewhere, forward the port first: ssh -L {port}:127.0.0.1:{port} HOST")


def _has_browser(environ: Mapping[str, str]) -> bool:
    """Whether a browser can be expected to open: none that would take over the terminal."""
    graphical = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY") or environ.get("BROWSER")
    return bool(graphical) or sys.platform in {"darwin", "win32"} or "WSL_DISTRO_NAME" in environ


def open_browser(url: str, environ: Mapping[str, str], *, page: str, seconds: float = 0.0) -> bool:
    """Open the system's browser, if there is one; wait at most `seconds`: some return only when they are closed.

    In a process of its own, so that nothing that a browser prints gets into our data. Every user of this machine can
    read the arguments of all processes, and whoever has the URL could answer in the person's place: so they name the
    file `page`, which is the person's alone, and that leads there. The caller removes it.
    """
    import pathlib  # noqa: PLC0415 (as below)
    import subprocess  # noqa: PLC0415 (slow to import, and only needed with a browser)

    if not _has_browser(environ):
        return False
    private.write(page, PAGE.format(url=escape(url)).encode())
    command = [sys.executable, "-I", "-m", "webbrowser", pathlib.Path(page).as_uri()]
    nothing = subprocess.DEVNULL
    opening = subprocess.Popen(command, env=environ, stdin=nothing, stdout=nothing, stderr=nothing)  # noqa: S603 (ours)
    with suppress(subprocess.TimeoutExpired):
        opening.wait(seconds)
    return True


def device() -> str:
    """The name under which the person knows this machine; printable ASCII, as the broker wants it, at most 64."""
    name = "".join(c if c.isascii() and c.isprintable() else "-" for c in socket.gethostname())[:64].strip()
    return name or os.name
