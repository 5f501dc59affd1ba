"""The one table that turns an error into an HTTP status, and the two shapes in which it is told: a page, or a problem.

Problems are RFC 9457 objects with a stable `type`. Nothing that was sent is ever echoed; what went wrong inside is in
the log under the request id, not in the answer.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from broker.authenticate.provider import SignInRefused
from broker.challenge.factor import FactorRefused
from broker.errors import (
    BrokerError,
    Denied,
    InvalidRequest,
    NotFound,
    NotSignedIn,
    TooManyAttempts,
    Unavailable,
)
from broker.evaluate.verdict import Refusal, StepUp
from broker.issue.issuer import IssueRefused
from broker.web.headers import request_id
from broker.web.language import told_in

log = logging.getLogger(__name__)

STATUS: Mapping[type[BrokerError], HTTPStatus] = {
    InvalidRequest: HTTPStatus.BAD_REQUEST,
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    SignInRefused: HTTPStatus.UNAUTHORIZED,
    FactorRefused: HTTPStatus.UNAUTHORIZED,
    Denied: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    IssueRefused: HTTPStatus.BAD_GATEWAY,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
PLAIN: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "The request cannot be understood.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address cannot be used in that way.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "That is more than the broker takes at once.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The broker does not take this kind of content.",
}
"""What Werkzeug says, in plain words."""
TYPE = "urn:aws-federation-broker:problem:"
COOKIELESS = ("/oauth/token", "/oauth/revoke", "/.well-known/")
"""What only programs ask: no cookie is read or set there."""
SORRY = "Something went wrong on our side."
QUOTE = "Try again; if it goes on, tell the operators the request id."


def status_of(error: BrokerError) -> HTTPStatus:
    """The status of the nearest kind in the table; a kind that is not in it is our own fault."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), HTTPStatus.INTERNAL_SERVER_ERROR)


def retry_headers(error: BrokerError) -> dict[str, str]:
    """When to come back, where the error knows it (RFC 9110, 10.2.3)."""
    if isinstance(error, Unavailable):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, TooManyAttempts) and error.retry_at is not None:
        return {"Retry-After": error.retry_at.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    return {}


def problem(status: int, code: str, title: str, detail: str = "", **more: Any) -> Response:  # noqa: ANN401 (JSON)
    """An RFC 9457 answer."""
    body = {"type": TYPE + code, "title": title, "status": int(status), "request_id": request_id()}
    answer = jsonify(body | ({"detail": detail} if detail else {}) | {k: v for k, v in more.items() if v is not None})
    answer.status_code, answer.mimetype = int(status), "application/problem+json"
    return answer


def told(status: int, code: str, title: str, detail: str = "") -> Response:
    """The same as a page or as a problem, as the caller expects it."""
    if request.path.startswith("/api/"):
        return problem(status, code, title, detail)
    if request.path.startswith(COOKIELESS):  # also in the words of RFC 6749, 5.2
        return problem(status, code, title, detail, error=_oauth_error(status), error_description=title)
    page = render_template("error.html", title=told_in(title), detail=told_in(detail), link=g.get("way_in", "/go-on"))
    return make_response(page, int(status))


def _oauth_error(status: int) -> str:
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return "invalid_request"
    return "temporarily_unavailable" if status == HTTPStatus.SERVICE_UNAVAILABLE else "server_error"


def of_error(error: BrokerError) -> Response:
    """One of ours, told. What is not in the table is our own fault, and nobody else's business."""
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:  # check: unlisted-error
        return _unforeseen(error)
    if status > HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("%s: %s (request %s)", error.code, error.message, request_id())
    answer = told(status, error.code, error.message, error.remedy)
    answer.headers.update(retry_headers(error))
    return answer


def of_verdict(verdict: Refusal | StepUp) -> Response:
    """A refusal or a step-up as a problem."""
    if isinstance(verdict, StepUp):
        age = None if verdict.max_age is None else int(verdict.max_age.total_seconds())
        methods = sorted(verdict.methods)
        return problem(
            HTTPStatus.FORBIDDEN, "step-up", "A fresher or stronger second factor is needed.", verdict.reason,
            methods=methods, max_age=age, rule=verdict.rule,
        )  # fmt: skip
    opens = verdict.opens_at.isoformat() if verdict.opens_at else None
    return problem(
        HTTPStatus.FORBIDDEN, "denied", "Not granted.", verdict.reason,
        condition=verdict.condition, rule=verdict.rule, opens_at=opens,
    )  # fmt: skip


def invalid_body(error: ValidationError) -> Response:
    """What a body that does not fit its schema gets: where it is wrong, never what was sent, names included."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    where = [{"at": _declared(one["loc"], one["type"]), "what": one["msg"]} for one in found]
    return problem(HTTPStatus.BAD_REQUEST, "invalid-request", "The request does not fit its schema.", errors=where[:20])


def _declared(path: tuple[int | str, ...], kind: str) -> str:
    """Where it is, as far as the schema has a name for it."""
    return ".".join(map(str, path[:-1] if kind == "extra_forbidden" else path))


def install(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(BrokerError, of_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unforeseen)


def _http_error(error: HTTPException) -> Response:
    """What Werkzeug and Flask-WTF raise: 404, 405, 413, a CSRF token that does not fit."""
    if error.response is not None:  # an answer that is ready, such as a redirect
        return make_response(error.response)
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    if isinstance(error, CSRFError):
        return told(status, "csrf", "This page was open for too long.", "Load it again and go on from there.")
    return told(status, status.phrase.lower().replace(" ", "-"), PLAIN.get(status, status.phrase))


def _unforeseen(error: Exception) -> Response:
    """The last resort: whatever nobody foresaw grants nothing, tells nothing, and is logged whole."""
    log.error("unforeseen, in request %s", request_id(), exc_info=error)
    return told(HTTPStatus.INTERNAL_SERVER_ERROR, BrokerError.code, SORRY, QUOTE)
