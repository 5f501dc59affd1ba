"""What `/metrics` tells: requests, and the audit trail's events counted by tag and outcome. No names, no addresses."""

from time import perf_counter

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, multiprocess

from broker.record.event import Event

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST"})
"""Told apart; a stranger may send any word, and each would be a series of its own for good."""


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

    def written(self, event: Event) -> None:
        """Count an event that was recorded."""
        self._events.labels(event.tag.value, event.outcome.value).inc()

    def lost(self) -> None:
        """Count one that could not be."""
        self._lost.inc()

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
