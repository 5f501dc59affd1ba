"""Which configuration a command works with. Imports nothing of the server: `serve` needs it before that."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker.settings import Loaded, StorageSettings, find_file, load, load_storage

if TYPE_CHECKING:
    from broker.app import Stand


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What was said before the command's name."""

    file: Path | None
    """`--config`."""
    stand: "Stand | None"
    """None for operators, always: only Python code that calls the program (a test) can hand in another one."""


def chosen(context: click.Context) -> Chosen:
    """What was said before the command's name."""
    found = context.find_object(Chosen)
    if found is None:
        message = "this command is part of the program `broker`"
        raise RuntimeError(message)
    return found


def loaded(context: click.Context) -> Loaded:
    """All settings in force; raises `ConfigurationError`."""
    return load(chosen(context).file or find_file())


def storage_settings(context: click.Context) -> StorageSettings:
    """Those of the database alone; raises `ConfigurationError`."""
    return load_storage(chosen(context).file or find_file())
