"""What `/metrics` tells: requests, the audit trail's events by tag and outcome, the mapping. No names, no addresses."""

from collections.abc import Callable
from datetime import datetime
from time import perf_counter

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess

from broker.clock import monotonic
from broker.errors import Unavailable
from broker.record.event import Event

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST"})
"""Told apart; a stranger may send any word, and each would be a series of its own for good."""
LOSING = 30.0
"""Seconds after an event was lost for which the process is not ready, unless another was written meanwhile."""


class Metrics:
    """The counters of one process; under gunicorn all processes are added up by prometheus-client's own files."""

    def __init__(self, *, multiprocess_folder: str = "", monotonic: Callable[[], float] = monotonic) -> None:
        self._folder, self._monotonic = multiprocess_folder, monotonic
        self._lost_at: float | None = None
        self.registry = CollectorRegistry()
        self._events = Counter("broker_events", "Audit events", ["tag", "outcome"], registry=self.registry)
        self._lost = Counter("broker_audit_write_failures", "Events that could not be written", registry=self.registry)
        self._refused = Gauge(
            "broker_mapping_refused_timestamp_seconds",
            "When a changed mapping document was refused; 0: what the files say is in force",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._lines = Gauge(
            "broker_audit_line_failures",
            "Audit lines that did not go out, and looks at the trail that found something odd, since the start",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        labels = ["method", "route", "status"]
        self._requests = Histogram(
            "broker_http_request_duration_seconds", "Time to answer", labels, registry=self.registry
        )

    def collect(self) -> CollectorRegistry:
        """What a scrape reads."""
        if not self._folder:
            return self.registry
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, path=self._folder)  # type: ignore[no-untyped-call]
        return registry

    def written(self, event: Event) -> None:
        """Count an event that was recorded."""
        self._events.labels(event.tag.value, event.outcome.value).inc()
        self._lost_at = None

    def lost(self) -> None:
        """Count one that could not be."""
        self._lost.inc()
        self._lost_at = self._monotonic()

    def check_trail(self) -> None:
        """Raise `Unavailable` while the last event was lost; after `LOSING` seconds the next one may try again."""
        lost_at = self._lost_at
        if lost_at is not None and self._monotonic() - lost_at < LOSING:
            neighbour = "audit trail"
            raise Unavailable(neighbour)

    def mapping_refused(self, at: datetime | None) -> None:
        """Since when a changed mapping document has been refused; None: what the files say is in force."""
        self._refused.set(at.timestamp() if at else 0)

    def line_failures(self, count: int) -> None:
        """How often this process could not put an audit line out, or found the trail odd (`AuditTrail`)."""
        self._lines.set(count)

    def install(self, app: Flask) -> None:
        """Time every request, by route and never by path."""

        def begin() -> None:
            g.began = perf_counter()

        def end(response: Response) -> Response:
            now = perf_counter()
            route = request.url_rule.rule if request.url_rule else "none"
            method = request.method if request.method in METHODS else "other"
            self._requests.labels(method, route, response.status_code).observe(now - g.get("began", now))
            return response

        app.before_request(begin)
        app.after_request(end)
