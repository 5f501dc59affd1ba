"""The program in a process of its own, as an operator or systemd starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neighbours._waiting import wait_until

BROKER = Path(sys.executable).parent / "broker"
PATIENCE = 60.0
"""Seconds for what takes two on an idle machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A process, with a process group of its own, and what it wrote."""

    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path

    @property
    def stdout(self) -> str:
        return self.out.read_text("utf-8")

    @property
    def stderr(self) -> str:
        return self.err.read_text("utf-8")

    def terminate(self) -> int:
        """SIGTERM to the process itself; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def group_is_gone(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


@contextmanager
def running(
    folder: Path, *arguments: str | Path, cwd: Path | None = None, program: Path = BROKER, **environ: str
) -> Iterator[Running]:
    """Start it; whatever is left of its group in the end is killed."""
    folder.mkdir(exist_ok=True)
    out, err = folder / "stdout", folder / "stderr"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=to_out,
            stderr=to_err,
            cwd=cwd,
            env=environment(environ),
            start_new_session=True,
        )
    found = Running(process=process, out=out, err=err)
    try:
        yield found
    finally:
        if not found.group_is_gone():
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def says(found: Running, text: str) -> None:
    """Wait until its standard output has `text`."""

    def said() -> bool:
        assert found.process.poll() is None, found.stdout + found.stderr
        return text in found.stdout

    wait_until(said, f"it does not say {text!r}", seconds=PATIENCE)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours without what speaks to the broker, the AWS SDKs or a make, and with no way out to the network."""
    others = ("AWS_", "BROKER_", "MAKE", "MFLAGS")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost,127.0.0.1"}
    return ours | nowhere | {"AWS_EC2_METADATA_DISABLED": "true"} | dict(more)
