"""`broker serve`: the server, under gunicorn."""

import click
from gunicorn.app.base import BaseApplication

from broker.app import REAL, Broker, Stand, make_wsgi, open_broker, preflight
from broker.settings import Loaded, find_file, load


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn, configured by our settings alone: no files and no command line of its own."""

    def __init__(self, loaded: Loaded, stand: Stand = REAL) -> None:
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
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> object:
        """The application of one worker process: nothing is shared between two of them but the stores."""
        self._broker = open_broker(self._loaded.settings, self._stand)
        return make_wsgi(self._broker)

    def _close(self, _arbiter: object, _worker: object) -> None:
        """A worker has answered its last request: close its audit chain, so that its end does not read as a crash."""
        if self._broker is not None:
            self._broker.close()


@click.command()
@click.pass_context
def serve(context: click.Context) -> None:
    """Serve. Refuses the demo's state and keys, endpoint overrides, and root credentials."""
    loaded = load(context.obj or find_file())
    preflight(loaded.settings)
    Server(loaded).run()
