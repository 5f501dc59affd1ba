"""`/healthz` (the process lives), `/readyz` (its neighbours answer), `/metrics` (Prometheus)."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from broker.errors import BrokerError
from broker.web.guard import Audience, audience

Checks = Mapping[str, Callable[[], object]]
"""By the neighbour's name: returns when it answers, raises a `BrokerError` when not."""


def make(checks: Checks, registry: Callable[[], CollectorRegistry]) -> Blueprint:
    """The blueprint."""
    health = Blueprint("health", __name__)

    @health.get("/healthz")
    @audience(Audience.PROBES)
    def healthz() -> Response:
        return jsonify(status="ok")

    @health.get("/readyz")
    @audience(Audience.PROBES)
    def readyz() -> tuple[Response, int]:
        found = {name: _ask(check) for name, check in checks.items()}
        ready = all(answer == "ok" for answer in found.values())
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return jsonify(status="ok" if ready else "not ready", checks=found), status

    @health.get("/metrics")
    @audience(Audience.OPERATIONS)
    def metrics() -> Response:
        return Response(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)

    return health


def _ask(check: Callable[[], object]) -> str:
    try:
        check()
    except BrokerError as error:
        return error.code
    return "ok"
