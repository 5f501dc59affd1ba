"""Somebody's machine: a home folder, the installed program, and a browser that does what the person would do."""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workstation.fake_broker import FakeBroker

import broker.workstation

PROGRAM = Path(sys.executable).parent / "aws-broker"
HOT = Path(broker.workstation.__file__).with_name("hot.py")
PATIENCE = 60.0
ROLE = "payments-dev/power-user"
BROWSER = """\
import html, re, sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
page = opener.open(sys.argv[1]).read().decode()
url = html.unescape(re.search('http-equiv="refresh" content="0; url=([^"]+)"', page)[1])
open(sys.argv[2], "w").write(opener.open(url, timeout=20).read().decode())
"""
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A home folder, and the broker that is meant."""

    home: Path
    broker: FakeBroker

    @property
    def environ(self) -> dict[str, str]:
        """Nothing of ours but what programs need; a browser that goes where it is led, and says what it saw."""
        browser = self.home / "browser.py"
        browser.write_text(BROWSER, "utf-8")
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "BROWSER": f"{sys.executable} {browser} %s {self.home / 'seen'}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "HTTP_PROXY": "http://127.0.0.1:9",
        }

    @property
    def server(self) -> tuple[str, str]:
        return "--server", self.broker.url

    def run(self, *arguments: str, program: Sequence[str | Path] = (PROGRAM,), **environ: str) -> Done:
        return subprocess.run(
            [*program, *arguments],
            env=self.environ | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [PROGRAM, *arguments],
            env=self.environ | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def login(self, *arguments: str) -> Done:
        done = self.run("login", *self.server, *arguments)
        assert done.returncode == 0, done.stderr
        return done

    def process(self, role: str = ROLE) -> Done:
        return self.run("process", *self.server, "--role", role)

    @property
    def session(self) -> Path:
        (found,) = (self.home / ".local/state/aws-broker").glob("*/session")
        return found

    @property
    def cached(self) -> Path:
        """The credentials of the usual role."""
        (found,) = (self.home / ".cache/aws-broker").glob("*/payments-dev_2fpower-user")
        return found

    @property
    def cached_failure(self) -> Path:
        """That of the usual role."""
        (found,) = (self.home / ".cache/aws-broker").glob("*/payments-dev_2fpower-user+failed")
        return found

    def forget_failures(self) -> None:
        """As the next few seconds do."""
        for path in (self.home / ".cache").rglob("*+failed"):
            path.unlink()

    def change_session(self, **members: object) -> None:
        self.session.write_text(json.dumps(json.loads(self.session.read_text("utf-8")) | members), "utf-8")

    def change_cached(self, *, fresh: float, ends: float) -> None:
        """Seconds from now, or before it."""
        _, line, known = self.cached.read_text("utf-8").splitlines()
        now = time.time()
        known = json.dumps(json.loads(known) | {"expires": now + ends})
        self.cached.write_text(f"aws-broker 1 {now + fresh:.0f} {now + ends:.0f}\n{line}\n{known}\n", "utf-8")


def found(done: Done) -> Mapping[str, Any]:
    """The JSON on standard output of what went well."""
    assert (done.returncode, done.stderr) == (0, "")
    answer: Mapping[str, Any] = json.loads(done.stdout)
    return answer


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def command(text: str) -> list[str]:
    """The command in a next step: `Run: aws-broker …`."""
    (line,) = re.findall(r"Run: (aws-broker .*)$", text.strip(), re.MULTILINE)
    return shlex.split(line)
