"""`configure`: the profiles of a person's roles, written where AWS programs read them."""

from __future__ import annotations

import difflib
import os
import sys
from argparse import Namespace

from . import profiles, roles
from .failure import OK
from .profiles import Change
from .run import Machine, put, say
from .tables import as_json


def configure(asked: Namespace) -> int:
    """Write the block, or say what would be written."""
    machine = Machine(os.environ, server=asked.server)
    path = profiles.config_file(machine.environ)
    change = profiles.plan(
        path,
        profiles.content(path),
        roles.fetch(machine.signed_in()),
        server=machine.server.url,
        command=profiles.quoted(program()),
        wanted=(asked.profile_name, asked.region),
        prune=asked.prune,
    )
    if asked.diff:
        put(_diff(change))
        return OK
    written = not asked.dry_run and profiles.write(change)
    _tell(change, asked, written=written)
    _shadowed(change, machine.server.url, profiles.credentials_file(machine.environ))
    return OK


def program() -> tuple[str, ...]:
    """How AWS programs start us fastest: this interpreter, isolated and without `site`, on one file.

    From a `.pyz` that file is the `.pyz` itself.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    hot = os.path.join(here, "hot.py")
    return (os.path.abspath(sys.executable), "-I", "-S", hot if os.path.isfile(hot) else os.path.dirname(here))


def _diff(change: Change) -> str:
    before, after = (
        data.decode("utf-8", "replace").splitlines(keepends=True) for data in (change.before, change.after)
    )
    lines = difflib.unified_diff(before, after, change.path, change.path)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _tell(change: Change, asked: Namespace, *, written: bool) -> None:
    parts = {"added": change.added, "changed": change.changed, "removed": change.removed, "left": change.left}
    if asked.output == "json":
        put(as_json({"file": change.path, "written": written, **{name: list(found) for name, found in parts.items()}}))
        return
    for word in ("added", "changed", "removed"):
        put("".join(f"{word} {name}\n" for name in parts[word]))
    if change.left:
        say(f"No longer yours, and left in place: {', '.join(change.left)}. Remove them: aws-broker configure --prune")
    if asked.dry_run:
        say(f"Nothing was written to {change.path}: --dry-run.")
    elif not written:
        say(f"{change.path} is up to date.")
    else:
        name = next(iter(change.added or change.changed), "NAME")
        say(f"{change.path} is written. Try: aws sts get-caller-identity --profile {name}")


def _shadowed(change: Change, server: str, path: str) -> None:
    """Static keys win over `credential_process`, and nobody is told: so tell."""
    mine = profiles.cut(change.after, server, change.path).profiles
    found = sorted(set(mine) & profiles.names(profiles.content(path)))
    if found:
        say(f"{path} has keys for {', '.join(found)}: AWS programs use those instead. Remove them there.")
