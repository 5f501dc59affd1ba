"""Browsers that somebody has signed in with before: a cookie that moves their password tries to a count of their own.

So strangers who guess at a name do not keep its owner out. The cookie grants nothing else: it is no factor, opens no
session, and whoever steals it can guess as slowly as anybody, at the accounts it was made for and no others.

It holds up to five entries `v1.<browser id>.<issued>.<mac>`. The MAC is over provider, account (the directory's
immutable id), browser id and time of issue: an entry names nobody, and fits one account alone.
"""

import base64
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Flask, Response, current_app, g, request

from broker.authenticate.identity import Identity
from broker.authenticate.provider import Known
from broker.clock import Clock
from broker.keys import Keyring, Purpose, framed

COOKIE = "__Host-known"
LASTS = timedelta(days=180)
MOST = 5
"""Accounts of one browser; the oldest makes room."""
ID_BYTES = 16
SEPARATOR = "~"
ENTRY = re.compile(r"v1\.(?P<id>[A-Za-z0-9_-]{22})\.(?P<issued>[0-9]{10})\.(?P<mac>[A-Za-z0-9_-]{43})", re.ASCII)
LONGEST = MOST * 128
EXTENSION = "broker-known-browsers"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBrowsers:
    """Makes and reads the cookie."""

    keyring: Keyring
    clock: Clock
    randomness: Callable[[int], bytes]

    def install(self, app: Flask) -> None:
        """Give the application this one, and its answers the cookie where a sign-in was completed."""

        def dress(response: Response) -> Response:
            if "known_cookie" in g:
                age = int(LASTS.total_seconds())
                response.set_cookie(
                    COOKIE, g.known_cookie, max_age=age, secure=True, httponly=True, samesite="Lax", path="/"
                )
            return response

        app.extensions[EXTENSION] = self
        app.after_request(dress)

    def id_in(self, cookie: str, provider: str, subject: str) -> str:
        """The id under which the cookie's browser is known for this account; empty where it is not."""
        return next((found["id"] for found in self._fitting(cookie, provider, subject)), "")

    def with_entry(self, cookie: str, provider: str, subject: str) -> str:
        """The cookie with a fresh entry for this account in the place of its old one, before those of others."""
        own = {found[0] for found in self._fitting(cookie, provider, subject)}
        others = [found[0] for found in _entries(cookie) if found[0] not in own and not self._is_old(found)]
        name, issued = _text(self.randomness(ID_BYTES)), f"{int(self.clock().timestamp()):010}"
        mac = _text(self.keyring.mac(Purpose.BROWSER, _said(provider, subject, name, issued)))
        return SEPARATOR.join([f"v1.{name}.{issued}.{mac}", *others][:MOST])

    def _fitting(self, cookie: str, provider: str, subject: str) -> Iterator[re.Match[str]]:
        """The entries made for this account, by any key that is not retired yet."""
        for found in _entries(cookie):
            if self._is_old(found):  # check: known-browser-age
                continue
            macs = self.keyring.macs(Purpose.BROWSER, _said(provider, subject, found["id"], found["issued"]))
            if any(hmac.compare_digest(found["mac"], _text(mac)) for mac in macs):  # check: known-browser-mac
                yield found

    def _is_old(self, found: re.Match[str]) -> bool:
        issued = datetime.fromtimestamp(int(found["issued"]), tz=self.clock().tzinfo)
        return self.clock() - issued >= LASTS


def of_request(provider: str) -> Known:
    """What the cookie of this request knows of the provider's accounts."""
    cookie, browsers = request.cookies.get(COOKIE, ""), _browsers()
    return lambda subject: browsers.id_in(cookie, provider, subject)


def remember(identity: Identity) -> None:
    """A sign-in is complete: with the answer its browser becomes known."""
    g.known_cookie = _browsers().with_entry(request.cookies.get(COOKIE, ""), identity.provider, identity.subject)


def _browsers() -> KnownBrowsers:
    found: KnownBrowsers = current_app.extensions[EXTENSION]
    return found


def _entries(cookie: str) -> list[re.Match[str]]:
    """What has the shape of an entry; nothing is computed for anything else."""
    if len(cookie) > LONGEST:
        return []
    return [found for one in cookie.split(SEPARATOR)[:MOST] if (found := ENTRY.fullmatch(one))]


def _said(provider: str, subject: str, name: str, issued: str) -> bytes:
    return framed(["known browser", provider, subject, name, issued])


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
