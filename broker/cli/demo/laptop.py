"""Somebody's machine with the `aws-broker` program on it, and the browser that lets it in. For demo and tests."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from broker.sandbox.browser import Browser

PATIENCE = 60.0
"""Seconds for a program that takes one on an idle machine."""
ADDRESS = re.compile(r"https?://\S+/oauth/authorize\?\S+")
PATHS = "/usr/local/bin:/usr/bin:/bin"
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Laptop:
    """A home folder. Nothing of the environment of whoever runs this gets in."""

    home: Path
    server: str
    aws_endpoint: str = ""
    """Of the sandbox's STS, for AWS programs."""
    region: str = "eu-central-1"

    @property
    def environment(self) -> dict[str, str]:
        """What programs are started with."""
        ours = {"PATH": PATHS, "LC_ALL": "C.UTF-8", "HOME": str(self.home), "AWS_BROKER_SERVER": self.server}
        aws = {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region, "AWS_EC2_METADATA_DISABLED": "true"}
        return ours | aws | ({"AWS_ENDPOINT_URL_STS": self.aws_endpoint} if self.aws_endpoint else {})

    def run(self, *command: str | Path) -> Done:
        """One command, to its end."""
        return subprocess.run(  # noqa: S603 (ours, and the AWS CLI)
            command, capture_output=True, text=True, check=False, env=self.environment, timeout=PATIENCE
        )

    def broker(self, *arguments: str) -> Done:
        """The `aws-broker` program."""
        return self.run(*program(), *arguments)

    def identity(self, aws: str | Path, profile: str) -> Done:
        """Who AWS says that this profile is, asked by an AWS CLI; older ones read no endpoint from the environment."""
        endpoint = ("--endpoint-url", self.aws_endpoint) if self.aws_endpoint else ()
        return self.run(aws, "sts", "get-caller-identity", "--profile", profile, "--output", "json", *endpoint)

    def login(self, consent: Callable[[str], None]) -> Done:
        """`aws-broker login`; `consent` is given the address to open, and returns when the browser has come back."""
        with self._asking() as (process, address):
            consent(address)
            told, complaint = process.communicate(timeout=PATIENCE)
            return Done(process.args, process.returncode, told, complaint)

    @contextmanager
    def _asking(self) -> "Iterator[tuple[subprocess.Popen[str], str]]":
        command = [*program(), "login", "--no-browser"]
        process = subprocess.Popen(  # noqa: S603 (ours)
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env=self.environment,
        )
        try:
            found = next(filter(None, map(ADDRESS.search, process.stdout or ())), None)
            if found is None:
                message = f"aws-broker login asked for nothing; it ended with {process.wait(PATIENCE)}"
                raise RuntimeError(message)
            yield process, found[0]
        finally:
            process.kill()
            process.wait()


def program() -> list[str]:
    """The `aws-broker` of this environment."""
    beside = Path(sys.executable).with_name("aws-broker")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "broker.workstation.cli"]


def aws_programs() -> list[str]:
    """The AWS CLIs of this machine: that of our environment, and the system's."""
    beside = Path(sys.executable).with_name("aws")
    found = [str(beside) if beside.exists() else "", shutil.which("aws", path=PATHS) or ""]
    return list(dict.fromkeys(filter(None, found)))


def consenting(browser: Browser) -> Callable[[str], None]:
    """Somebody who is signed in there, presses Yes, and is sent back to the program."""

    def consent(address: str) -> None:
        parts = urlsplit(address)
        page = browser.get(f"{parts.path}?{parts.query}")
        _, fields = page.form("/oauth/authorize")
        back = browser.post_form("/oauth/authorize", {**fields, "answer": "allow"}).away
        parts = urlsplit(back)
        Browser(f"{parts.scheme}://{parts.netloc}").get(f"{parts.path}?{parts.query}")

    return consent
