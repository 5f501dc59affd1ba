"""The headers of every answer, and the request id."""

from collections.abc import Callable

from flask import Flask, Response, g, request

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


def install(app: Flask, *, https: bool, new_id: Callable[[], str]) -> None:
    """Give every request an id of our own, and every answer its headers."""

    def name_it() -> None:
        g.request_id = new_id()

    def dress(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint == "static":
            response.headers["Cache-Control"] = "public, max-age=3600"
        response.headers["X-Request-Id"] = g.request_id
        if https:
            response.headers["Strict-Transport-Security"] = HSTS
        return response

    app.before_request(name_it)
    app.after_request(dress)
