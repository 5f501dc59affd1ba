"""`/healthz` (the process lives), `/readyz` (its neighbours answer), `/metrics` (Prometheus)."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from threading import Lock

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from broker.clock import monotonic
from broker.errors import BrokerError
from broker.web.guard import Audience, audience

Checks = Mapping[str, Callable[[], object]]
"""By the neighbour's name: returns when it answers, raises a `BrokerError` when not."""

KEEP = 5.0
"""Seconds for which an answer of the neighbours is told again: anybody may ask, and each asking costs them work."""
NOT_YET = "not asked yet"


class Readiness:
    """What the neighbours said last. One thread asks; meanwhile the others tell what was last said."""

    def __init__(self, checks: Checks, *, monotonic: Callable[[], float]) -> None:
        self._checks = checks
        self._monotonic = monotonic
        self._asking = Lock()
        self._asked_at: float | None = None
        self._found = dict.fromkeys(checks, NOT_YET)

    def __call__(self) -> dict[str, str]:
        """By the neighbour's name: `ok`, or why not; at most `KEEP` old."""
        if self._stale() and self._asking.acquire(blocking=False):
            try:
                if self._stale():
                    self._found = {name: _ask(check) for name, check in self._checks.items()}
                    self._asked_at = self._monotonic()
            finally:
                self._asking.release()
        return self._found

    def _stale(self) -> bool:
        return self._asked_at is None or self._monotonic() - self._asked_at >= KEEP


def make(
    checks: Checks, registry: Callable[[], CollectorRegistry], *, monotonic: Callable[[], float] = monotonic
) -> Blueprint:
    """The blueprint."""
    health = Blueprint("health", __name__)
    readiness = Readiness(checks, monotonic=monotonic)

    @health.get("/healthz")
    @audience(Audience.PROBES)
    def healthz() -> Response:
        return jsonify(status="ok")

    @health.get("/readyz")
    @audience(Audience.PROBES)
    def readyz() -> tuple[Response, int]:
        found = readiness()
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
