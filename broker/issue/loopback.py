"""Whether an endpoint is on this machine: the only kind that may stand in AWS's place."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

_LOCALHOST = re.compile(r"localhost|[a-z0-9-]+\.localhost")


def is_loopback(url: str) -> bool:
    """Whether the host of `url` is this machine by its very name."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return bool(_LOCALHOST.fullmatch(host))
