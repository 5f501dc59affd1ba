"""Which broker: its URL, what is remembered of it, and where its files are."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from . import hot
from .failure import CONFIG, USAGE, Failure
from .private import write

LOOPBACK = ("localhost", "127.0.0.1", "::1")
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|[0-9a-f:]+", re.ASCII)
PORTS = {"https": 443, "http": 80}


class Server(NamedTuple):
    """One broker; made by `parsed` alone."""

    url: str
    """Scheme, host, and port where it is not the usual one; how everything of it is filed."""
    scheme: str
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        return self.host in LOOPBACK


def parsed(text: str) -> Server:
    """The broker at an origin. Raises `Failure` for everything but https, and http to this machine.

    Checks: (1) an origin alone, (2) a host name, (3) https, or http on loopback.
    """
    step = "Give it as https://HOST or https://HOST:PORT."
    try:
        parts = urlsplit(text.strip().lower())
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Failure(USAGE, "The broker's URL is not a URL.", step=step) from error
    # (1) an origin alone
    if parts.path not in {"", "/"} or parts.query or parts.fragment or "@" in parts.netloc:
        raise Failure(USAGE, "The broker's URL has more than a scheme, a host and a port.", step=step)
    # (2) the host name
    if not HOST.fullmatch(host):
        raise Failure(USAGE, "The broker's URL has no valid host name.", step=step)
    # (3) the scheme
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):  # check: workstation-https
        raise Failure(USAGE, "The broker's URL is not https.", step=step)
    usual = PORTS[parts.scheme]
    name = f"[{host}]" if ":" in host else host
    url = f"{parts.scheme}://{name}" + (f":{port}" if port not in {None, usual} else "")
    return Server(url=url, scheme=parts.scheme, host=host, port=port or usual)


class Places(NamedTuple):
    """Where the program keeps what."""

    config: str
    """Folder of the file `config`."""
    state: str
    """Folder of the sign-ins, one folder for each broker."""
    cache: str
    """Folder of the credentials, one folder for each broker."""


def places(environ: Mapping[str, str]) -> Places:
    """By the XDG Base Directory Specification, on every system."""
    return Places(
        config=hot.base(environ, "XDG_CONFIG_HOME", ".config"),
        state=hot.base(environ, "XDG_STATE_HOME", ".local", "state"),
        cache=hot.base(environ, "XDG_CACHE_HOME", ".cache"),
    )


class Remembered(NamedTuple):
    """The file `config`."""

    server: str = ""
    ca_files: Mapping[str, str] = {}
    """Broker -> file of the authority that its certificate is from."""


def remembered(at: Places) -> Remembered:
    """What was written there; nothing when there is no file. Raises `Failure`."""
    path = os.path.join(at.config, "config")
    try:
        lines = hot.read(path, others=hot.WRITABLE).decode().splitlines()
    except FileNotFoundError:
        return Remembered()
    except hot.Unsafe as error:
        step = f"If what it says is yours: chmod go-w {path}; else remove it."
        raise Failure(CONFIG, f"{error}, and is not used.", step=step) from error
    except (OSError, ValueError) as error:  # a symbolic link, too
        raise Failure(CONFIG, f"{path} cannot be read.", step="Correct or remove it; it may not be a link.") from error
    server, section = "", ""
    files: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif equals and name == "server" and not section:
            server = value
        elif equals and name == "ca_file" and section:
            files[section] = value
        else:
            raise Failure(CONFIG, f"{path}:{number} is not understood.", step="Correct or remove the line.")
    return Remembered(server=server, ca_files=files)


def remember(at: Places, known: Remembered) -> None:
    """Write it."""
    text = "# Written by `aws-broker login`.\n" + (f"server = {known.server}\n" if known.server else "")
    text += "".join(f"\n[{url}]\nca_file = {path}\n" for url, path in known.ca_files.items())
    os.makedirs(at.config, mode=0o700, exist_ok=True)
    write(os.path.join(at.config, "config"), text.encode())


def chosen(flag: str, environ: Mapping[str, str], known: Remembered) -> Server:
    """The broker that a command is for: of `--server`, else of the environment, else the remembered one."""
    named = flag or environ.get("AWS_BROKER_SERVER", "") or known.server
    if not named:
        message = "No broker is known here."
        raise Failure(CONFIG, message, step="Name yours once: aws-broker login --server https://HOST")
    return parsed(named)
