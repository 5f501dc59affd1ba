"""What the operator's commands share: the broker behind the chosen configuration, and who the operator is."""

import getpass
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from broker.app import Broker, Stand, open_broker
from broker.authenticate.provider import Step
from broker.clock import utc_now
from broker.evaluate.condition import Circumstances
from broker.settings import find_file, load


@contextmanager
def opened(context: click.Context) -> Iterator[Broker]:
    """The broker of `--config`, closed at the end."""
    broker = open_broker(load(context.obj or find_file()).settings, Stand(lines=False))
    try:
        yield broker
    finally:
        broker.close()


def operator() -> str:
    """The name of the account on this machine that runs the command."""
    return getpass.getuser()


def here() -> Circumstances:
    """The moment of an operator's command."""
    return Circumstances(now=utc_now(), request_id=f"cli-{secrets.token_hex(8)}")


def steps(name: str, found: Sequence[Step]) -> bool:
    """Print the steps of a check; whether all passed."""
    for step in found:
        click.echo(f"{'ok ' if step.passed else 'BAD'} {name}: {step.name}: {step.detail}")
    return all(step.passed for step in found)
