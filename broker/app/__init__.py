"""The composition root: settings -> parts -> Flask. The only room that knows every implementation.

Owns: which implementation is behind which protocol (`opened`), the web application with its background work
(`serving`), what must be right before a start (`preflight`). Does not own: any rule. Only `cli` and tests import it.
"""

from broker.app.opened import REAL, Broker, Stand, is_owner, open_broker, open_directories, open_trail, read_trail
from broker.app.preflight import preflight
from broker.app.serving import LocalServer, make_wsgi

__all__ = [
    "REAL",
    "Broker",
    "LocalServer",
    "Stand",
    "is_owner",
    "make_wsgi",
    "open_broker",
    "open_directories",
    "open_trail",
    "preflight",
    "read_trail",
]
