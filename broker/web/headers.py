"""The headers of every answer, and the request id."""

from collections.abc import Callable
from http import HTTPStatus

from flask import Flask, Response, current_app, g, request

CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
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


NEW_ID = "broker-new-id"


def request_id() -> str:
    """Our own id of this request, made when it is first asked for: even a request that dies early has one."""
    if "request_id" not in g:
        g.request_id = current_app.extensions[NEW_ID]()
    found: str = g.request_id
    return found


def install(app: Flask, *, https: bool, new_id: Callable[[], str]) -> None:
    """Give every request an id, and every answer its headers."""

    def dress(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint == "static" and response.status_code in {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}:
            response.headers["Cache-Control"] = "public, max-age=3600"
        response.headers["X-Request-Id"] = request_id()
        if https:
            response.headers["Strict-Transport-Security"] = HSTS
        return response

    app.extensions[NEW_ID] = new_id
    app.jinja_env.globals["request_id"] = request_id
    app.after_request(dress)
