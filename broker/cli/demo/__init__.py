"""`broker demo`: everything on this machine, nothing to set up. The only part of the broker that knows the sandbox."""

import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from broker.cli.demo.check import walk
from broker.cli.demo.client import environment, find, leased
from broker.cli.demo.terminal import NAME as TERMINAL
from broker.cli.demo.world import Demo, enrolment_code, running
from broker.clock import utc_now
from broker.sandbox.sts.client import caller_identity
from broker.settings import stay_here

ENROLLED = ("ada", "grace", "olga", "mallory")
NEWCOMER = "alan"
STATE = click.option("--state", type=click.Path(path_type=Path), required=True, help="The demo's state folder.")


@click.group(invoke_without_command=True)
@click.option("--check", is_flag=True, help="Walk the whole journey over HTTP, print each step, exit 0 or 1.")
@click.option("--state", type=click.Path(path_type=Path), help="Keep the state in this folder; else a temporary one.")
@click.option("--host", default="localhost", show_default=True, help="This machine only; anything else is refused.")
@click.option("--port", default=0, help="Where to listen; 8400 or any free one by default.")
@click.pass_context
def demo(context: click.Context, *, check: bool, state: Path | None, host: str, port: int) -> None:
    """Start a directory, an STS and a broker on this machine, and say how to try them. Not for production."""
    stay_here()
    if context.invoked_subcommand:
        return
    signal.signal(signal.SIGTERM, _stop)
    with _folder(state) as folder:
        if check:
            with running(folder, host=host, port=port, enrolled=()) as world:
                passed = walk(world)
            context.exit(0 if passed else 1)
        with running(folder, host=host, port=port, enrolled=ENROLLED) as world:
            _welcome(world)
            _wait()


@demo.command()
@click.argument("account")
@STATE
def code(account: str, state: Path) -> None:
    """The code that ACCOUNT's authenticator app shows now."""
    app = find(state).authenticator
    if account not in app.keys():  # noqa: SIM118 (a method of ours)
        message = f"{account} has no app set up here; those who have: {', '.join(app.keys())}"
        raise click.UsageError(message)
    click.echo(app.code(account, utc_now()))


@demo.command()
@click.argument("account")
@click.argument("role")
@STATE
def keys(account: str, role: str, state: Path) -> None:
    """Sign in as ACCOUNT, ask for ROLE, print the variables for `eval`. Exit code 5 when denied."""
    for name, value in environment(leased(find(state), account, role)).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@demo.command()
@click.argument("account")
@click.argument("role")
@STATE
def whoami(account: str, role: str, state: Path) -> None:
    """Sign in as ACCOUNT, ask for ROLE, and ask STS who those credentials are: the proof without the AWS CLI."""
    visit = find(state)
    click.echo(caller_identity(visit.sts, visit.region, leased(visit, account, role)))


@contextmanager
def _folder(named: Path | None) -> Iterator[Path]:
    """Where the state is: `--state`, else a temporary folder that goes when the demo ends."""
    if named is not None:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="broker-demo-") as made:
        yield Path(made)


def _welcome(world: Demo) -> None:
    program, terminal = shlex.quote(sys.argv[0]), shlex.quote(str(world.folder / TERMINAL))
    state = f"--state {shlex.quote(str(world.folder))}"
    password = next(person.password for person in world.seed.people if person.account == "ada")
    click.echo(f"""
AWS federation broker: the demo. Not for production: every key and password here is for show.

  Open      {world.url}
  Sign in   ada / {password}
  App       {world.phones} (the authenticator app of everybody here)
  Code      {program} demo code ada {state}

  In another terminal, with the AWS CLI:
    . {terminal} && aws-broker login && aws-broker configure
    aws sts get-caller-identity --profile payments-dev-power-user
  Without it:
    {program} demo whoami ada payments-dev/power-user {state}
  Denied:
    {program} demo keys mallory payments-dev/power-user {state}

  {NEWCOMER} has not set up an app yet; the one-time enrolment code: {enrolment_code(world, NEWCOMER)}
  (password {NEWCOMER}-demo-password). State: {world.folder}. Stop with Ctrl-C.
""")


def _wait() -> None:
    """Until Ctrl-C or SIGTERM."""
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo("stopped", err=True)


def _stop(_signal: int, _frame: object) -> NoReturn:
    """SIGTERM: everything that was started is stopped on the way out."""
    sys.exit(0)
