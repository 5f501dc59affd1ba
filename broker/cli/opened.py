"""What the operator's commands share: the broker behind the chosen configuration, and who the operator is."""

import os
import pwd
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from broker.app import Broker, Stand, open_broker
from broker.authenticate.identity import Identity
from broker.authenticate.provider import PasswordProvider, SignInRefused
from broker.cli.chosen import chosen, loaded
from broker.clock import utc_now
from broker.errors import NotFound
from broker.evaluate.condition import Circumstances

SILENT = Stand(lines=False)
LOGIN = Path("/proc/self/loginuid")
NOBODY = 2**32 - 1


def stand(context: click.Context) -> Stand:
    """Where the broker of this command stands."""
    return chosen(context).stand or SILENT


@contextmanager
def opened(context: click.Context) -> Iterator[Broker]:
    """The broker of `--config`, closed at the end."""
    broker = open_broker(loaded(context).settings, stand(context))
    try:
        yield broker
    finally:
        broker.close()


def operator(login: Path = LOGIN) -> str:
    """The account on this machine that logged in (also behind `sudo`), else the one that runs the command.

    By the kernel's word: what the environment says ($USER, $LOGNAME) anybody can set.
    """
    try:
        user = int(login.read_text(encoding="ascii"))
    except (OSError, ValueError):
        user = NOBODY
    user = os.getuid() if user == NOBODY else user
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid-{user}"


def here() -> Circumstances:
    """The moment of an operator's command."""
    return Circumstances(now=utc_now(), request_id=f"cli-{secrets.token_hex(8)}")


def provider_of(broker: Broker, name: str) -> PasswordProvider:
    """The provider that `--provider` names, or the only one there is."""
    providers = broker.parts.providers
    if not name and len(providers) == 1:
        return next(iter(providers.values()))
    if name not in providers:
        message = f"--provider is one of {', '.join(sorted(providers))}"
        raise click.UsageError(message)
    return providers[name]


def looked_up(provider: PasswordProvider, user: str) -> Identity:
    """The account; raises `NotFound` with the reason, which an operator may know, and `errors.Unavailable`."""
    try:
        return provider.lookup(user)
    except SignInRefused as no:
        message = f"{provider.name} refuses {user}: {no.reason.value}."
        raise NotFound(message, remedy=f"See: broker directory check {user}") from no
