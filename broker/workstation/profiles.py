"""The managed block of the AWS configuration file: a profile for each role, between two marker lines.

Everything outside the block stays as it is, byte for byte; what is inside is written anew each time. A profile that
exists outside is never shadowed or taken over: nothing is written then. One block for each broker.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from string import Formatter
from typing import NamedTuple

from .failure import CONFIG, USAGE, Failure
from .roles import Role

TEMPLATE = "{account}-{role}"
FIELDS = ("account", "account_id", "role", "env")
NAME = re.compile(r"[A-Za-z0-9_.@+=,-]{1,128}", re.ASCII)
REGION = re.compile(r"[a-z]{2,10}(-[a-z0-9]{1,20}){1,4}", re.ASCII)
SECTION = re.compile(rb"[ \t]*\[[ \t]*(?:profile[ \t]+)?[\"']?([^\]\"']*?)[\"']?[ \t]*\]")
REMEMBERED = re.compile(rb"# (profile-name|region) = ([^\r\n]+)")
LARGEST = 8 * 1024 * 1024


class Options(NamedTuple):
    """How profiles are called and what stands in them; remembered in the block."""

    template: str
    region: str


class Change(NamedTuple):
    """What a run would do, or has done, to the file."""

    path: str
    before: bytes
    after: bytes
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[str, ...]
    """Profiles of roles that are not given any more; `--prune` removes them."""


class Block(NamedTuple):
    """The file, cut at the markers."""

    above: bytes
    inside: bytes
    below: bytes
    profiles: Mapping[str, bytes]
    """Name -> the lines of its section, as they are."""


def config_file(environ: Mapping[str, str]) -> str:
    """The AWS configuration file, as the AWS CLI finds it."""
    return os.path.expanduser(environ.get("AWS_CONFIG_FILE") or os.path.join("~", ".aws", "config"))


def credentials_file(environ: Mapping[str, str]) -> str:
    """The AWS credentials file: static keys there win over `credential_process`."""
    return os.path.expanduser(environ.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.join("~", ".aws", "credentials"))


def content(path: str) -> bytes:
    """The file; nothing where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(LARGEST)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise Failure(CONFIG, f"{path} cannot be read: {error.strerror}.", step="Make it readable to you.") from error


def markers(server: str) -> tuple[bytes, bytes]:
    """The first and the last line of the block of one broker."""
    return f"# >>> aws-broker {server} >>>".encode(), f"# <<< aws-broker {server} <<<".encode()


def cut(data: bytes, server: str, path: str) -> Block:
    """Find the block. Raises `Failure` when its markers are not one pair."""
    begin, end = markers(server)
    lines = data.splitlines(keepends=True)
    first = [number for number, line in enumerate(lines) if line.strip() == begin]
    last = [number for number, line in enumerate(lines) if line.strip() == end]
    if not first and not last:
        return Block(data, b"", b"", {})
    if len(first) != 1 or len(last) != 1 or first > last:  # check: block-markers
        number = min(first + last) + 1
        step = "Make it one pair again, or remove both lines and all between."
        raise Failure(CONFIG, f"{path}:{number}: the markers of aws-broker's block are not one pair.", step=step)
    inside = lines[first[0] + 1 : last[0]]
    profiles: dict[str, bytes] = {}
    name = ""
    for line in inside:
        found = SECTION.match(line)
        name = found[1].decode("utf-8", "replace").strip() if found else name
        if name and line.strip():
            profiles[name] = profiles.get(name, b"") + line
    below = b"".join(lines[last[0] + 1 :])
    return Block(b"".join(lines[: first[0]]), b"".join(inside), below, profiles)


def names(data: bytes) -> set[str]:
    """Every profile that a file has."""
    found = (SECTION.match(line) for line in data.splitlines())
    return {match[1].decode("utf-8", "replace").strip() for match in found if match}


def options(inside: bytes, *, template: str, region: str) -> Options:
    """What was asked for, else what the block remembers. Raises `Failure` for what cannot stand in the file."""
    kept = {name.decode(): value.decode("utf-8", "replace").strip() for name, value in REMEMBERED.findall(inside)}
    found = Options(template=template or kept.get("profile-name", TEMPLATE), region=region or kept.get("region", ""))
    try:
        unknown = {name for _, name, _, _ in Formatter().parse(found.template) if name is not None} - set(FIELDS)
    except ValueError:
        unknown = {found.template}
    if unknown:
        fields = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise Failure(USAGE, "The template of the profiles' names is not understood.", step=f"It can have {fields}.")
    if found.region and not REGION.fullmatch(found.region):
        raise Failure(USAGE, "That is not the name of a region.", step="Write it as eu-central-1.")
    return found


def named(roles: Sequence[Role], template: str) -> dict[str, Role]:
    """Profile name -> role. Raises `Failure` for a name that two have, or that no profile can have."""
    found: dict[str, Role] = {}
    for role in sorted(roles, key=lambda each: each.role):
        name = template.format(account=role.account, account_id=role.account_id, role=role.name, env=role.env)
        step = "Choose another --profile-name."
        if not NAME.fullmatch(name) or name == "default":
            raise Failure(USAGE, f"{name!a} cannot be a profile's name.", step=step)
        if name in found:
            raise Failure(USAGE, f"{found[name].role} and {role.role} would both be called {name}.", step=step)
        found[name] = role
    return found


def plan(
    path: str, data: bytes, roles: Sequence[Role], *, server: str, command: str, wanted: tuple[str, str], prune: bool
) -> Change:
    """The file as it should be. `wanted`: template and region, '' for as before. Raises `Failure`."""
    block = cut(data, server, path)
    how = options(block.inside, template=wanted[0], region=wanted[1])
    mine = named(roles, how.template)
    taken = sorted(set(mine) & names(block.above + b"\n" + block.below))
    if taken:  # check: foreign-profile
        message = f"{path} has these profiles already, outside of aws-broker's block: {', '.join(taken)}."
        raise Failure(CONFIG, message, step="Rename or remove them, or choose another --profile-name.")
    newline = b"\r\n" if b"\r\n" in data else b"\n"
    made = {name: _profile(name, role, how.region, server, command, newline) for name, role in mine.items()}
    old = {name: text for name, text in block.profiles.items() if name not in made}
    kept = {} if prune else old
    body = newline.join(made.get(name) or kept[name] for name in sorted({**made, **kept}))
    return Change(
        path=path,
        before=data,
        after=_whole(block, _head(how, newline) + newline + body, server, newline),
        added=tuple(sorted(set(made) - set(block.profiles))),
        changed=tuple(sorted(n for n in made if n in block.profiles and block.profiles[n] != made[n])),
        removed=tuple(sorted(set(old) - set(kept))),
        left=tuple(sorted(kept)),
    )


def _profile(name: str, role: Role, region: str, server: str, command: str, newline: bytes) -> bytes:
    lines = [f"[profile {name}]", f"credential_process = {command} process --server {server} --role {role.role}"]
    lines += [f"region = {region}"] if region else []
    return b"".join(line.encode() + newline for line in lines)


def _head(how: Options, newline: bytes) -> bytes:
    lines = ["# Written by `aws-broker configure`; what is changed in here is lost at its next run."]
    lines += [f"# profile-name = {how.template}"] + ([f"# region = {how.region}"] if how.region else [])
    return newline.join(line.encode() for line in lines) + newline


def _whole(block: Block, body: bytes, server: str, newline: bytes) -> bytes:
    begin, end = markers(server)
    above = block.above
    if above and not block.inside and not above.endswith((b"\n", b"\r")):
        above += newline
    if above and not block.inside and not above.endswith(newline * 2):
        above += newline
    return above + begin + newline + body + end + newline + block.below


def write(change: Change) -> bool:
    """Put it in place, whole or not at all; False: there was nothing to write. Links and modes stay as they are."""
    if change.before == change.after:
        return False
    path = os.path.realpath(change.path)
    new = f"{path}.aws-broker-{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        mode = 0o600
        with suppress(FileNotFoundError):
            mode = os.stat(path).st_mode & 0o7777
        if content(path) != change.before:  # check: config-changed-meanwhile
            raise Failure(CONFIG, f"{path} was changed by another program just now.", step="Run the command again.")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
            file.write(change.after)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(new, mode)
        os.replace(new, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(new)
        raise Failure(CONFIG, f"{path} cannot be written: {error.strerror}.", step="Nothing was changed.") from error
    return True


def quoted(words: Sequence[str]) -> str:
    """A command line that every SDK understands, through a shell or without one. Raises `Failure`."""
    for word in words:
        if not all(c.isalnum() or c in "-_./ +@=,:~()\\" for c in word) or ("\\" in word and os.sep != "\\"):
            message = f"AWS programs cannot start a program at {word!a}."
            raise Failure(CONFIG, message, step="Install aws-broker at a path of letters, digits, `-`, `_` and `.`.")
    return " ".join(f'"{word}"' if os.sep in word else word for word in words)
