"""The cookie and the server-side session behind it, as Flask's `session`.

The cookie carries a random token and nothing else. Flask's `session` (where Flask-WTF keeps its CSRF token) is the
`notes` of our own `Session`; what a view changes there is written back when the answer leaves.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from flask import Flask, Request, Response, g, session
from flask.sessions import SessionInterface, SessionMixin

from broker.clock import Clock
from broker.errors import NotSignedIn, Unavailable
from broker.sessions.session import Session, Sessions
from broker.web.client import Proxies, client_address

COOKIE = "__Host-broker"
GO_ON = "go-on"
"""The note that says where to go after signing in."""
NOTE_EVERY = timedelta(minutes=1)
"""How exactly the idle time is kept: a write for each request would buy nothing."""


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
        """The session of the request's cookie; an empty one where there is none. A store that is away is a 503."""
        del app
        g.token, g.session, g.session_error = "", None, None
        token = request.cookies.get(COOKIE, "")
        if token:
            try:
                g.session = self._sessions.find(token, self._clock())
            except Unavailable as error:
                g.session_error = error
        return Notes(g.session.notes if g.session else {})

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write back what changed, and set the cookie where the token is new."""
        del app
        if not isinstance(session, Notes) or g.session_error or (g.session is None and not session.modified):
            return
        try:
            self._write(session)
        except Unavailable as error:
            response.status_code, response.headers["Retry-After"] = (
                HTTPStatus.SERVICE_UNAVAILABLE,
                str(error.retry_after),
            )
            response.set_data(f"{error.message}. {error.remedy}")
            return
        if g.token:
            response.set_cookie(COOKIE, g.token, secure=True, httponly=True, samesite="Lax", path="/")

    def _write(self, session: Notes) -> None:
        now = self._clock()
        if g.session is None:
            g.token, g.session = self._sessions.open(now, address=str(client_address(self._proxies) or ""))
        if session.modified or g.token or now - g.session.seen_at >= NOTE_EVERY:
            self._sessions.keep(replace(g.session, notes=dict(session), seen_at=now))


def current_session() -> Session | None:
    """The session of this request. Raises `errors.Unavailable` when the store could not be asked."""
    if g.session_error is not None:
        raise g.session_error
    session: Session | None = g.session
    return session


def advance(sessions: Sessions, changed: Session) -> None:
    """Go on with `changed` under a new token: at every step, so that a token known before is worth nothing after.

    The notes (CSRF token, enrolment under way) stay behind, but for where to go on.
    """
    rotated = sessions.rotate(changed)
    if rotated is None:
        message = "This session has ended."
        raise NotSignedIn(message, remedy="Sign in again.")
    g.token, g.session = rotated
    for key in set(session) - {GO_ON}:
        del session[key]
