"""`/healthz` (the process lives), `/readyz` (it can be of use), `/metrics` (Prometheus).

Ready is whoever can read and write: the database, Redis where it is used, the audit trail. Keys and a mapping document
need no check, for without them a process does not start. A directory or STS that is away makes it `degraded`, not
unready: it is away for every instance, and the pages that say so, and sessions within the grace, still need one.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from threading import Lock, Thread

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from broker.clock import monotonic
from broker.errors import BrokerError
from broker.web.guard import Audience, audience

Checks = Mapping[str, Callable[[], object]]
"""By name: returns when all is well, raises a `BrokerError` when not."""

KEEP = 5.0
"""Seconds for which an answer is told again: anybody may ask, and each asking costs the neighbours work."""
PATIENCE = 1.5
"""Seconds that whoever asks waits for an answer: a neighbour that hangs must not make a probe time out."""
OK = "ok"
NO_ANSWER = "no answer yet"


class Asked:
    """What `checks` said last. One thread asks; whoever comes meanwhile is told what was last said."""

    def __init__(self, checks: Checks, *, monotonic: Callable[[], float], patience: float = PATIENCE) -> None:
        self._checks, self._monotonic, self._patience = checks, monotonic, patience
        self._asking = Lock()
        self._asked_at: float | None = None
        self._said: Mapping[str, str] = {}

    def __call__(self) -> dict[str, str]:
        """By name: `ok`, or why not; at most `KEEP` old. One that takes longer than `patience` has no answer yet."""
        if self._stale() and self._asking.acquire(blocking=False):
            said: dict[str, str] = {}
            asker = Thread(target=self._ask, args=(said,), daemon=True)
            asker.start()
            asker.join(self._patience)
            if asker.is_alive():
                self._said = said
        return {name: self._said.get(name, NO_ANSWER) for name in self._checks}

    def _ask(self, said: dict[str, str]) -> None:
        try:
            if self._stale():  # nobody else has asked just now
                for name, check in self._checks.items():
                    said[name] = _answer(check)
                self._said, self._asked_at = said, self._monotonic()
        finally:
            self._asking.release()

    def _stale(self) -> bool:
        return self._asked_at is None or self._monotonic() - self._asked_at >= KEEP


def make(
    needs: Checks,
    neighbours: Checks,
    registry: Callable[[], CollectorRegistry],
    *,
    monotonic: Callable[[], float] = monotonic,
) -> Blueprint:
    """The blueprint. Without one of `needs` the process is of no use; without a neighbour it does what it can."""
    health = Blueprint("health", __name__)
    needed, beside = Asked(needs, monotonic=monotonic), Asked(neighbours, monotonic=monotonic)

    @health.get("/healthz")
    @audience(Audience.PROBES)
    def healthz() -> Response:
        return jsonify(status=OK)

    @health.get("/readyz")
    @audience(Audience.PROBES)
    def readyz() -> tuple[Response, int]:
        must, may = needed(), beside()
        if set(must.values()) - {OK}:  # check: ready-to-record
            return jsonify(status="not ready", checks=must | may), HTTPStatus.SERVICE_UNAVAILABLE
        status = "degraded" if set(may.values()) - {OK} else OK
        return jsonify(status=status, checks=must | may), HTTPStatus.OK

    @health.get("/metrics")
    @audience(Audience.OPERATIONS)
    def metrics() -> Response:
        return Response(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)

    return health


def _answer(check: Callable[[], object]) -> str:
    try:
        check()
    except BrokerError as error:
        return error.code
    return OK
