"""The command line. `docs/aws-broker.md` says the same with reasons."""

from __future__ import annotations

import argparse
import re
import sys
from typing import NoReturn

from .failure import MEANING, USAGE
from .formats import FORMATS
from .profiles import TEMPLATE
from .version import VERSION

EPILOG = "exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in MEANING.items())
SHORTEST, LONGEST = 900, 43_200
"""Seconds of a session: what AWS STS allows."""
ROLE = "account/role, 123456789012:Role, an ARN, or the beginning of one account/role only"


class Parser(argparse.ArgumentParser):
    """Says what is wrong on one line: an SDK shows the standard error of `process` as it is."""

    def error(self, message: str) -> NoReturn:
        """Exit code 2."""
        sys.stderr.write(f"{self.prog}: {message}. Try: {self.prog} --help\n")
        sys.exit(USAGE)


def duration(text: str) -> int:
    """`3600`, `90s`, `45m`, `1h` in seconds."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([smh]?)", text, re.ASCII)
    seconds = int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0
    if not SHORTEST <= seconds <= LONGEST:
        message = "a duration is 900 to 43200 seconds, written as 1h, 45m or 3600"
        raise argparse.ArgumentTypeError(message)
    return seconds


def seconds(text: str) -> float:
    """A time to wait."""
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text, re.ASCII):
        message = "seconds are a whole number from 1 on"
        raise argparse.ArgumentTypeError(message)
    return float(text)


def parser() -> argparse.ArgumentParser:
    """All of it."""
    whole = Parser(
        prog="aws-broker",
        description="AWS access through your company's broker.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"aws-broker {VERSION}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _sign_in(commands)
    _access(commands)
    _others(commands)
    return whole


Commands = argparse._SubParsersAction  # noqa: SLF001 (argparse has no other name for it)


def _command(commands: Commands[Parser], name: str, text: str, *aliases: str, formats: str = "table json") -> Parser:
    """A command, with the options that all have."""
    made = commands.add_parser(name, help=text, description=text, aliases=aliases, allow_abbrev=False)
    made.set_defaults(run=name)
    made.add_argument(
        "--server", metavar="URL", default="", help="the broker; else AWS_BROKER_SERVER, else the last login's"
    )
    made.add_argument(
        "-o", "--output", choices=formats.split(), default="table", help="how data and errors are written"
    )
    return made


def _sign_in(commands: Commands[Parser]) -> None:
    login = _command(commands, "login", "sign in with the browser")
    login.add_argument("--no-browser", action="store_true", help="print the address instead of opening a browser")
    login.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="SECONDS", help="how long to wait for you (300)"
    )
    login.add_argument("--force", action="store_true", help="also when you are signed in: for a fresh second factor")
    login.add_argument(
        "--ca-file", metavar="FILE", default="", help="authority of the broker's certificate (PEM); remembered"
    )
    logout = _command(commands, "logout", "sign this machine out and forget its credentials")
    logout.add_argument("--all", action="store_true", help="at every broker that this machine is signed in to")
    logout.add_argument("--everywhere", action="store_true", help="end your browsers and other machines too")
    _command(commands, "status", "who is signed in; exit code 4 when nobody is", "whoami")


def _access(commands: Commands[Parser]) -> None:
    roles = _command(commands, "roles", "the roles that you have", formats="table json csv")
    roles.add_argument("--account", default="", help="only of this account: its name or number")
    roles.add_argument("--env", default="", help="only of this environment")
    roles.add_argument(
        "--search", default="", metavar="TEXT", help="only those with this text in a name, number, ARN or description"
    )
    creds = _command(commands, "creds", "credentials for one role, printed")
    creds.add_argument("role", metavar="ROLE", help=ROLE)
    creds.add_argument(
        "--format", choices=list(FORMATS), default="process", help="the words of `aws configure export-credentials`"
    )
    creds.add_argument(
        "--duration", type=duration, metavar="TIME", help="shorter than usual: 1h, 45m, 3600; past the cache"
    )
    creds.add_argument("--no-cache", action="store_true", help="new ones, past the cache")
    process = _command(commands, "process", "for `credential_process` in ~/.aws/config; never asks a person")
    process.add_argument("--role", required=True, metavar="ROLE", help=ROLE)
    console = _command(commands, "console", "open the AWS console in the browser")
    console.add_argument("role", metavar="ROLE", help=ROLE)
    console.add_argument("--service", default="", help="go to this service")
    console.add_argument("--region", default="", help="in this region")
    console.add_argument(
        "--print", action="store_true", dest="only_print", help="print the link (once, for a minute, for you alone)"
    )


def _others(commands: Commands[Parser]) -> None:
    configure = _command(commands, "configure", "write a profile for each role into ~/.aws/config (or AWS_CONFIG_FILE)")
    configure.add_argument(
        "--profile-name", default="", metavar="TEMPLATE", help=f"how profiles are called ({TEMPLATE})"
    )
    configure.add_argument("--region", default="", help="the region of each profile")
    configure.add_argument("--dry-run", action="store_true", help="say what would change, and write nothing")
    configure.add_argument("--diff", action="store_true", help="show what would change, and write nothing")
    configure.add_argument("--prune", action="store_true", help="remove the profiles of roles that you no longer have")
    why = _command(commands, "why", "why you have a role, or not")
    why.add_argument("role", metavar="ROLE", help="account/role")
    version = commands.add_parser(
        "version", help="print the version", description="Print the version.", allow_abbrev=False
    )
    version.set_defaults(run="version", output="table", server="")
