"""The application on loopback, in a thread of this process: for `broker demo` and tests, never for real use."""

import threading
from typing import Self

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    """Writes no access log: the audit trail and the metrics say what happened."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


class Local:
    """A server as a context: it answers from the beginning to the end of the block."""

    def __init__(self, app: Flask, *, host: str, port: int, fd: int | None = None) -> None:
        """`fd`: a socket that listens there already."""
        self._server = make_server(host, port, app, threaded=True, request_handler=Quiet, fd=fd)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
