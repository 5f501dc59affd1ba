"""ministack with its access control switched on: an STS and IAM that are not ours, to compare the sandbox with."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from neighbours import missing

_STARTS_WITHIN = 30.0


def _program() -> str:
    own = Path(__file__).parents[2] / ".venv-ministack" / "bin" / "ministack"
    found = os.environ.get("MINISTACK_PROGRAM") or (str(own) if own.exists() else shutil.which("ministack"))
    return found or missing(
        "python3-venv && python3 -m venv .venv-ministack && .venv-ministack/bin/pip install ministack"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Ministack:
    """A running ministack. An account's root is the key that is its number, with the secret `test`."""

    secret = "test"

    def __init__(self, port: int) -> None:
        """Speak to the one on `port`."""
        self.port = port
        self.url = f"http://127.0.0.1:{port}"


@contextmanager
def running_ministack(state: Path) -> Iterator[Ministack]:
    """Start it on a free port, wait until it answers, and end it."""
    port = _free_port()
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(state),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "sts,iam",
        "SFTP_ENABLED": "0",
    }
    with (state / "ministack.log").open("wb") as log:
        process = subprocess.Popen([_program()], env=environment, cwd=state, stdout=log, stderr=subprocess.STDOUT)
        try:
            neighbour = Ministack(port)
            _wait(neighbour, process, state / "ministack.log")
            yield neighbour
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(neighbour: Ministack, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", neighbour.port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"ministack did not start:\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """One for each module that asks."""
    with running_ministack(tmp_path_factory.mktemp("ministack")) as neighbour:
        yield neighbour
