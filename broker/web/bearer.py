"""The access token of an `aws-broker` program in place of the cookie: on the API alone, and never both at once.

The grant that a token belongs to is put where the session of a cookie stands, so that no view has to know the
difference. A browser never adds this header by itself, so no CSRF token is asked of whoever sends it (RFC 6750, 2.1).
"""

from http import HTTPStatus

from flask import Flask, Response, g, request
from flask_wtf.csrf import CSRFProtect

from broker.errors import InvalidRequest, NotSignedIn
from broker.flow import Parts
from broker.web.cookie import COOKIE

API = "/api/"
CHALLENGE = 'Bearer realm="aws-broker"'


def accept(parts: Parts) -> None:
    """Let in whoever brings a token. Raises `InvalidRequest` beside a cookie, `NotSignedIn` for a token of nobody."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return
    if not request.path.startswith(API):  # check: bearer-on-the-api-alone
        return
    if COOKIE in request.cookies:  # check: bearer-beside-a-cookie
        message = "A request brings a token or a cookie, not both."
        raise InvalidRequest(message, remedy="Leave one of them out.")
    g.bearer = True
    g.session = parts.grants.find(token, parts.clock())
    if g.session is None:
        message = "The sign-in of this program has ended."
        raise NotSignedIn(message, remedy="Run `aws-broker login`.")


class CookieCsrf(CSRFProtect):  # type: ignore[misc]  # flask_wtf ships no types
    """Asked of every change but one that a token brings, which `accept` has found good before this."""

    def protect(self, apply_exemptions: bool = False) -> None:  # noqa: FBT001, FBT002 (Flask-WTF's own)
        """Raise what Flask-WTF raises."""
        if not g.bearer:  # check: csrf-of-cookie-callers
            super().protect(apply_exemptions)


def install(app: Flask) -> None:
    """Tell whoever is refused on the API how to come (RFC 9110, 15.5.2; RFC 6750, 3)."""

    def challenge(response: Response) -> Response:
        if response.status_code == HTTPStatus.UNAUTHORIZED and request.path.startswith(API):
            error = ', error="invalid_token"' if g.get("bearer") else ""
            response.headers["WWW-Authenticate"] = CHALLENGE + error
        return response

    app.after_request(challenge)
