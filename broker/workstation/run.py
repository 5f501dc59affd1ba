"""The way from the command line to an exit code: what a command needs is put together here, and failures are told."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from .arguments import parser
from .cache import Cache
from .deadline import Deadline
from .failure import FAILED, INTERRUPTED, Failure, one_line, printable
from .server import Places, Remembered, Server, chosen, places, remembered
from .signedin import SignedIn
from .wire import Wire


class Machine:
    """This machine and one command on it: its environment, clock, files, and the broker that is meant."""

    def __init__(self, environ: Mapping[str, str], *, server: str, ca_file: str = "") -> None:
        """`server` and `ca_file` are the flags; '' where they were not given."""
        self.environ = environ
        self.now: Callable[[], float] = time.time
        self.clock: Callable[[], float] = time.monotonic
        self.at: Places = places(environ)
        self.known: Remembered = remembered(self.at)
        self.server: Server = chosen(server, environ, self.known)
        self.ca_file = ca_file or self.known.ca_files.get(self.server.url, "")
        self.deadline = Deadline()

    def wire(self) -> Wire:
        """A connection to the broker; its time runs from the first use of the command on."""
        return Wire(self.server, environ=self.environ, ca_file=self.ca_file, deadline=self.deadline)

    def fresh_wire(self) -> Wire:
        """One whose time runs from now on: a person was waited for."""
        self.deadline = Deadline()
        return self.wire()

    def signed_in(self) -> SignedIn:
        """The sign-in at the broker."""
        return SignedIn(self.wire(), self.at, now=self.now, deadline=self.deadline)

    def cache(self) -> Cache:
        """The credentials of the sign-in."""
        return Cache(self.signed_in(), self.server, self.at, now=self.now, deadline=self.deadline, warn=say)


def say(text: str) -> None:
    """To the person, and never into the data."""
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()


def put(text: str) -> None:
    """Data."""
    sys.stdout.write(printable(text))
    sys.stdout.flush()


def run(arguments: Sequence[str]) -> int:
    """Run a command; its exit code."""
    chosen_command = parser().parse_args(arguments)
    from .commands import COMMANDS  # noqa: PLC0415 (it imports this module)

    try:
        return COMMANDS[chosen_command.run](chosen_command)
    except Failure as failure:
        tell(failure, output=chosen_command.output, on_one_line=chosen_command.run == "process")
        return failure.code
    except KeyboardInterrupt:
        tell(Failure(INTERRUPTED, "Interrupted."), output=chosen_command.output, on_one_line=True)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that Python's own last flush has somewhere to go
        return FAILED


def tell(failure: Failure, *, output: str, on_one_line: bool) -> None:
    """Say what went wrong, the next step last."""
    if output == "json":
        say(failure.as_problem())
    elif on_one_line:
        say(f"aws-broker: {failure.line}")
    else:
        say("\n".join(filter(None, (f"aws-broker: {one_line(failure.title)}", one_line(failure.step)))))
