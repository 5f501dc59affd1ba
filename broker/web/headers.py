"""The headers of every answer, and the request id."""

import re
from collections.abc import Callable
from http import HTTPStatus

from flask import Flask, Response, current_app, g, request

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
HSTS = "max-age=31536000; includeSubDomains"
LASTING = "public, max-age=31536000, immutable"
"""For a file whose address carries its content's hash."""
FORMS = "form-action 'self'"
ORIGIN = re.compile(r"https?://(\*\.)?([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(:[0-9]{1,5})?", re.ASCII)
"""What may stand in a `form-action` beside ourselves."""


NEW_ID = "broker-new-id"


def request_id() -> str:
    """Our own id of this request, made when it is first asked for: even a request that dies early has one."""
    if "request_id" not in g:
        g.request_id = current_app.extensions[NEW_ID]()
    found: str = g.request_id
    return found


def allow_form(*origins: str) -> None:
    """Let forms of this one answer be sent to `origins` too, and to where these redirect, if they are named here.

    Without it they go to the broker itself only (CSP `form-action`, which Chromium asks at every redirect). Raises
    `ValueError` for what is no origin: `https://host`, `https://*.host`, with a port if need be. CSP has no way to
    write an IPv6 address (CSP 3, 2.3.1; Chromium throws it away): in its place the scheme is allowed.
    """
    if not all(ORIGIN.fullmatch(origin) for origin in origins):  # check: form-action-origin
        message = "a form is allowed to an origin only"
        raise ValueError(message)
    g.form_origins = [origin.partition("//")[0] if "[" in origin else origin for origin in origins]


def install(app: Flask, *, https: bool, new_id: Callable[[], str]) -> None:
    """Give every request an id, and every answer its headers."""

    def dress(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if origins := g.get("form_origins"):
            response.headers["Content-Security-Policy"] = CSP.replace(FORMS, f"{FORMS} {' '.join(origins)}")
        if request.endpoint == "static" and response.status_code in {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}:
            response.headers["Cache-Control"] = LASTING if g.get("lasts") else "public, max-age=3600"
        response.headers["X-Request-Id"] = request_id()
        if https:
            response.headers["Strict-Transport-Security"] = HSTS
        return response

    app.extensions[NEW_ID] = new_id
    app.jinja_env.globals["request_id"] = request_id
    app.after_request(dress)
