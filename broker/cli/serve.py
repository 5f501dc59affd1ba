"""`broker serve`: the server, under gunicorn."""

import logging
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from gunicorn.app.base import BaseApplication

from broker.cli.chosen import chosen, loaded
from broker.errors import BrokerError
from broker.settings import Loaded, metrics_folder, new_metrics_folder

if TYPE_CHECKING:
    from broker.app import Broker, Stand

log = logging.getLogger(__name__)

LOG_LINE = "%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s"


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn, configured by our settings alone: no files and no command line of its own."""

    def __init__(self, loaded: Loaded, stand: "Stand | None" = None) -> None:
        """None for the real thing."""
        self._loaded, self._stand = loaded, stand
        self._broker: Broker | None = None
        super().__init__()

    def load_config(self) -> None:
        """Limits and time-outs are written down in docs/operations.md."""
        server = self._loaded.settings.server
        options = {
            "bind": server.bind,
            "workers": server.workers,
            "threads": server.threads,
            "worker_class": "gthread",
            "control_socket_disable": True,
            "graceful_timeout": 30,
            "timeout": 60,
            "keepalive": 5,
            "limit_request_line": 4094,
            "limit_request_fields": 50,
            "limit_request_field_size": 8190,
            "forwarded_allow_ips": "",
            "proc_name": "aws-federation-broker",
            "worker_exit": self._close,
            "child_exit": _forget,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> object:
        """The application of one worker process: nothing is shared between two of them but the stores."""
        from broker.app import REAL, make_wsgi, open_broker  # noqa: PLC0415 (as in `_run`)

        self._broker = open_broker(self._loaded.settings, self._stand or REAL)
        return make_wsgi(self._broker)

    def _close(self, _arbiter: object, _worker: object) -> None:
        """A worker has answered its last request: close its audit chain, so that its end does not read as a crash."""
        if self._broker is None:
            return
        try:
            self._broker.close()
        except BrokerError as error:
            log.warning("%s: %s", error.code, error.message)


@click.command()
@click.pass_context
def serve(context: click.Context) -> None:
    """Serve. Refuses the demo's state and keys, endpoint overrides, and root credentials."""
    _log_to_stderr()
    found = loaded(context)
    folder, process = new_metrics_folder(), os.getpid()
    try:
        _run(found, chosen(context).stand)
    finally:
        if os.getpid() == process:  # a worker, forked in there, comes by here too
            shutil.rmtree(folder, ignore_errors=True)


def _run(found: Loaded, stand: "Stand | None") -> None:
    from broker.app import REAL, preflight  # noqa: PLC0415 (prometheus_client looks for its folder when imported)

    preflight(found.settings, stand or REAL)
    Server(found, stand).run()


def _log_to_stderr() -> None:
    """Standard output belongs to the audit trail."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(LOG_LINE, defaults={"request_id": "-"}))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("broker").setLevel(logging.INFO)


def _forget(_arbiter: object, worker: object) -> None:
    """A worker is gone: its counters stay in the sums, its gauges do not."""
    from prometheus_client import multiprocess  # noqa: PLC0415 (as in `_run`)

    folder = metrics_folder()
    if folder and Path(folder).is_dir():
        multiprocess.mark_process_dead(getattr(worker, "pid", 0), folder)  # type: ignore[no-untyped-call]
