"""Parts -> Flask, with the work that goes on in the background."""

import logging
import secrets
import threading
from collections.abc import Callable

from flask import Flask

from broker.app.opened import Broker, is_owner, note
from broker.errors import BrokerError, Unavailable
from broker.flow.parts import Parts
from broker.keys import Purpose
from broker.record.event import Tag
from broker.web.client import Proxies
from broker.web.known import KnownBrowsers
from broker.web.local import Local
from broker.web.wsgi import Site, make_app

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
"""Seconds between two looks at the mapping files."""
SIGN_EVERY = 60.0
"""Seconds between two signed heads."""
TIDY_EVERY = 3600.0


def make_wsgi(broker: Broker) -> Flask:
    """The web application of this process, with its background work started.

    Raises `Unavailable` when the start cannot be recorded, `IssueRefused` for root credentials.
    """
    settings, parts = broker.settings, broker.parts
    try:
        parts.issuer.check()  # so that the first request finds AWS's clock known, and a connection open
    except Unavailable as error:
        log.warning("%s: %s", error.code, error.message)
    site = Site(
        url=settings.server.url,
        proxies=Proxies(networks=settings.server.trusted_proxies, tls_header=settings.server.tls_version_header),
        monitors=settings.server.monitors,
        csrf_secret=broker.keyring.secret_text(Purpose.CSRF),
        needs={"storage": broker.storage.check, "audit": broker.metrics.check_trail},
        neighbours=_neighbours(parts),
        known=KnownBrowsers(keyring=broker.keyring, clock=parts.clock, randomness=secrets.token_bytes),
        is_owner=lambda groups: is_owner(settings.owners, groups),
        styleguide=broker.keyring.is_demo,
    )
    app = make_app(parts, site, broker.metrics)
    note(parts, Tag.BROKER_STARTED)
    broker.serving.set()
    _in_background(broker, broker.mapping.look, every=LOOK_EVERY)
    _in_background(broker, lambda: broker.metrics.mapping_refused(broker.mapping.refused_at), every=LOOK_EVERY)
    _in_background(broker, lambda: broker.metrics.line_failures(broker.trail.stream_failures), every=LOOK_EVERY)
    _in_background(broker, lambda: broker.trail.tick(parts.clock()), every=SIGN_EVERY)
    _in_background(broker, lambda: broker.storage.tidy(parts.clock()), every=TIDY_EVERY)
    return app


def _neighbours(parts: Parts) -> dict[str, Callable[[], object]]:
    directories = {f"directory:{name}": provider.clock_offset for name, provider in parts.providers.items()}
    return {**directories, "aws": parts.issuer.check}


def _in_background(broker: Broker, job: Callable[[], object], *, every: float) -> None:
    """Do `job` again and again in a thread of its own until the broker stops; a failure is logged, and tried again."""

    def run() -> None:
        while not broker.stopping.wait(every):
            try:
                job()
            except BrokerError as error:
                log.warning("%s: %s", error.code, error.message)
            except Exception:  # a thread that ended would end signing or refreshing, and nobody would see it
                log.exception("unforeseen")

    threading.Thread(target=run, daemon=True).start()


class LocalServer(Local):
    """A broker on loopback in a thread of this process: for `broker demo` and tests, never for real use."""

    def __init__(self, broker: Broker, *, host: str, port: int, fd: int | None = None) -> None:
        super().__init__(make_wsgi(broker), host=host, port=port, fd=fd)
