"""What must be right before a server starts."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from broker.app.opened import REAL, Stand, open_broker
from broker.errors import ConfigurationError, Problem, Unavailable
from broker.keys import Keyring
from broker.settings import Settings, endpoint_overrides
from broker.storage import open_storage

log = logging.getLogger(__name__)


def preflight(settings: Settings, stand: Stand = REAL) -> None:
    """What must be right before a server starts. A neighbour that is away is no reason not to start.

    Raises `ConfigurationError` for settings and files that cannot be used, for the demo's state or keys, and for
    whatever would lead STS elsewhere; `IssueRefused` for root credentials.
    """
    _refuse(settings)
    broker = open_broker(settings, replace(stand, lines=False))
    try:
        problems = [problem for provider in broker.parts.providers.values() for problem in provider.problems()]
        if problems:
            raise ConfigurationError(problems)
        log.info("the broker is %s in AWS", broker.parts.issuer.check())
    except Unavailable as error:
        log.warning("%s: %s", error.code, error.message)
    finally:
        broker.close()


def _refuse(settings: Settings) -> None:
    problems = [
        Problem(where=name, what="leads AWS calls to another endpoint", remedy="unset it; the broker asks AWS itself")
        for name in endpoint_overrides()
    ]
    problems += _of_keys(settings.keys.file)
    storage = open_storage(settings.storage)
    try:
        if storage.stamp_read():  # check: serve-refuses-demo-state
            made = "is a database that `broker demo` made"
            problems.append(Problem(where="storage.url", what=made, remedy="name another database"))
    finally:
        storage.close()
    if problems:
        raise ConfigurationError(problems)


def _of_keys(file: Path) -> Iterator[Problem]:
    keyring = Keyring.load(file)
    if keyring.is_demo:  # check: serve-refuses-demo-keys
        yield Problem(where=str(file), what="holds keys that `broker demo` made", remedy="broker keys generate")
    for purpose in keyring.missing:  # an older release's file
        yield Problem(where=str(file), what=f"holds no {purpose} key", remedy=f"broker keys rotate {purpose}")
