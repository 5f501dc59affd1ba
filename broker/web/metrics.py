"""What `/metrics` tells: requests, and the audit trail's events counted by tag and outcome. No names, no addresses."""

from time import perf_counter

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, multiprocess

from broker.errors import Unavailable
from broker.record.event import Event
from broker.record.trail import Trail


class Metrics:
    """The counters of one process; under gunicorn all processes are added up by prometheus-client's own files."""

    def __init__(self, *, multiprocess_folder: str = "") -> None:
        self._folder = multiprocess_folder
        self.registry = CollectorRegistry()
        self._events = Counter("broker_events", "Audit events", ["tag", "outcome"], registry=self.registry)
        self._lost = Counter("broker_audit_write_failures", "Events that could not be written", registry=self.registry)
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

    def counted(self, trail: Trail) -> Trail:
        """`trail`, with every event counted."""
        return _Counted(trail, self._events, self._lost)

    def install(self, app: Flask) -> None:
        """Time every request, by route and never by path."""

        def begin() -> None:
            g.began = perf_counter()

        def end(response: Response) -> Response:
            route = request.url_rule.rule if request.url_rule else "none"
            took = perf_counter() - g.began
            self._requests.labels(request.method, route, response.status_code).observe(took)
            return response

        app.before_request(begin)
        app.after_request(end)


class _Counted:
    def __init__(self, trail: Trail, events: Counter, lost: Counter) -> None:
        self._trail, self._events, self._lost = trail, events, lost

    def record(self, event: Event) -> None:
        try:
            self._trail.record(event)
        except Unavailable:
            self._lost.inc()
            raise
        self._events.labels(event.tag.value, event.outcome.value).inc()
