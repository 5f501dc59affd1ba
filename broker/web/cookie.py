"""The cookie and the server-side session behind it, as Flask's `session`.

The cookie carries a random token and nothing else. Flask's `session` (where Flask-WTF keeps its CSRF token) is the
`notes` of our own `Session`; what a view changes there is written back when the answer leaves.

Before the password there is a cookie and no session: nothing is kept for whoever only looks. The CSRF token of a
sign-in form is then tied to the cookie's token itself.
"""

import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from flask import Flask, Request, Response, g, request, session
from flask.sessions import SessionInterface, SessionMixin

from broker.clock import Clock
from broker.errors import NotSignedIn, Unavailable
from broker.sessions.session import Session, Sessions
from broker.web.client import Proxies, client_address
from broker.web.errors import COOKIELESS, of_error

COOKIE = "__Host-broker"
CSRF = "csrf_token"
"""The name under which Flask-WTF keeps its token, here and in `g`."""
GO_ON = "go-on"
"""The note that says where to go after signing in."""
NOTE_EVERY = timedelta(minutes=1)
"""How exactly the idle time is kept: a write for each request would buy nothing."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

log = logging.getLogger(__name__)


class Notes(dict[str, str], SessionMixin):
    """Flask's view of a session."""

    def __init__(self, notes: Mapping[str, str]) -> None:
        super().__init__(notes)
        self.before = dict(notes)

    @property
    def modified(self) -> bool:  # type: ignore[override]  # SessionMixin has a plain attribute
        """Whether a view changed something."""
        return dict(self) != self.before

    accessed = True


class CookieSessions(SessionInterface):
    """Opens the session of a request and writes it back."""

    def __init__(self, sessions: Sessions, *, clock: Clock, proxies: Proxies) -> None:
        self._sessions = sessions
        self._clock = clock
        self._proxies = proxies

    def open_session(self, app: Flask, request: Request) -> Notes:
        """The session of the request's cookie. Where there is none, `g` has the token of a cookie to come."""
        del app
        g.token, g.session, g.session_error, g.ended, g.bearer = "", None, None, False, False
        g.admitted = False
        if request.path.startswith(COOKIELESS):
            return Notes({})
        sent = request.cookies.get(COOKIE, "")
        g.visitor = sent if TOKEN.fullmatch(sent) else ""
        if g.visitor:
            try:
                g.session = self._sessions.find(g.visitor, self._clock())
            except Unavailable as error:
                g.session_error = error
        if g.session is not None:
            return Notes(g.session.notes)
        if not g.visitor:
            g.visitor = g.token = self._sessions.new_token()
        return Notes({CSRF: hashlib.sha256(f"csrf of {g.visitor}".encode()).hexdigest()})

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write back what changed, and set the cookie where the token is new and worth something."""
        del app
        if not isinstance(session, Notes) or g.session_error or g.bearer or request.path.startswith(COOKIELESS):
            return
        if g.ended:
            response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Lax", path="/")
            return
        try:
            self._write(session)
        except Unavailable as error:
            told = of_error(error)
            response.status_code, response.mimetype = told.status_code, told.mimetype or ""
            response.headers["Retry-After"] = told.headers["Retry-After"]
            response.headers.pop("Location", None)
            response.set_data(told.get_data())
            return
        if g.token and (g.session is not None or CSRF in g):
            response.set_cookie(COOKIE, g.token, secure=True, httponly=True, samesite="Lax", path="/")

    def _write(self, session: Notes) -> None:
        now = self._clock()
        if g.session is None:
            if set(session) - {CSRF}:
                blank = self._sessions.blank(now, address=self._address())
                g.token, g.session = self._sessions.start(replace(blank, notes=dict(session)))
        elif session.modified or g.token:
            self._note(session, now)
        elif _is_use() and now - g.session.seen_at >= NOTE_EVERY:
            try:
                self._note(session, now)
            except Unavailable as error:  # it only ends a little earlier: no reason to take the answer back
                log.warning("%s: %s", error.code, error.message)

    def _note(self, session: Notes, now: datetime) -> None:
        """What another request wrote meanwhile (who it is, read anew) stays; what has ended stays ended."""
        notes, address, is_use = dict(session), self._address(), _is_use()

        def noted(kept: Session) -> Session:
            kept = replace(kept, notes=notes)
            if not is_use:  # check: idle-time-of-use
                return kept
            return replace(kept, seen_at=now, address=address)

        self._sessions.change(g.session, noted)

    def _address(self) -> str:
        return str(client_address(self._proxies) or "")


def _is_use() -> bool:
    """Whether this request says that the person is there: admitted to a page, and not sent by a page of elsewhere."""
    return g.admitted and request.headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}


def current_session() -> Session | None:
    """The session of this request. Raises `errors.Unavailable` when the store could not be asked."""
    if g.session_error is not None:
        raise g.session_error
    session: Session | None = g.session
    return session


def live_session() -> Session:
    """The same where the audience saw to it that there is one. Raises `NotSignedIn` after a race with a log-out."""
    session = current_session()
    if session is None:
        raise _ended()
    return session


def advance(sessions: Sessions, changed: Session) -> None:
    """Go on with `changed` under a new token: at every step, so that a token known before is worth nothing after.

    The notes (CSRF token, enrolment under way) stay behind, but for where to go on.
    """
    rotated = sessions.rotate(changed)
    if rotated is None:
        raise _ended()
    g.token, g.session = rotated
    g.pop(CSRF, None)
    for key in set(session) - {GO_ON}:
        del session[key]


def leave() -> None:
    """This browser's session has ended: its cookie goes with the answer."""
    g.ended = True
    session.clear()


def _ended() -> NotSignedIn:
    message = "This session has ended."
    return NotSignedIn(message, remedy="Sign in again.")
