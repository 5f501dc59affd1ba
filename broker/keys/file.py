"""The keyring's file: who may own and read it, and what may stand in it."""

import fcntl
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from broker.errors import ConfigurationError, Problem
from broker.keys.entry import Entry, Purpose, decode

LARGEST_FILE = 256 * 1024
SYSTEMD_CREDENTIALS = Path("/run/credentials")
_FOLDER = "name a folder that the broker's operator can write to, on a disk with room"
_RESTORE = "restore it from your backup, or make a new one with `broker keys generate`"


class KeyFile(BaseModel):
    """What stands in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    version: Literal[1] = 1
    demo: bool = False
    keys: tuple[Entry, ...]


def read_private(path: Path) -> KeyFile:
    """The keys in the file at `path`, if nobody else can read or change it; else `ConfigurationError`."""
    text = _text(path, private=True)
    return _checked(path, text)


def read_public(path: Path) -> KeyFile:
    """The public keys in the file at `path`; `ConfigurationError` when it is unusable or holds a secret."""
    content = _checked(path, _text(path, private=False))
    secret = [entry.id for entry in content.keys if entry.secret]
    if secret:  # check: keyring-secret-for-auditors
        raise _unusable(path, "it holds secret keys", "give auditors the output of `broker keys export` only")
    return content


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Read, change and write the keys at `path` in here: whoever else wants to change them waits.

    Its folder is locked, on this machine; the file itself is replaced. Raises `ConfigurationError` where that fails.
    """
    with ExitStack() as at_the_end:
        try:
            folder = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            at_the_end.callback(os.close, folder)
            fcntl.flock(folder, fcntl.LOCK_EX)
        except OSError as error:
            raise _unusable(path, f"its folder cannot be locked ({error.strerror})", _FOLDER) from None
        yield


def write(path: Path, content: KeyFile, *, draft_name: str) -> None:
    """Write with mode 0600, durably, replacing what was there in one step; a symbolic link stays one.

    Raises `ConfigurationError` when it cannot be written.
    """
    try:
        _replace(path.resolve(), as_text(content), draft_name)
    except OSError as error:
        raise _unusable(path, f"it cannot be written ({error.strerror})", _FOLDER) from None


def _replace(target: Path, text: str, draft_name: str) -> None:
    draft = target.with_name(draft_name)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def as_text(content: KeyFile) -> str:
    """The file's text."""
    keys = [entry.model_dump(mode="json", exclude_defaults=True) for entry in content.keys]
    return json.dumps({"version": content.version, "demo": content.demo, "keys": keys}, indent=2) + "\n"


def objection(info: os.stat_result, *, link: os.stat_result, user: int, systemd: bool) -> tuple[str, str] | None:
    """Why the keyring may not be kept in such a file, and what to do; None: it may.

    `link` is the path itself, where it is a symbolic link; `user` is the effective user id. systemd gives a service its
    credentials as root's files with an access list, which shows as mode 0440; that is let through under its own
    directory only (systemd.exec(5), Credentials).
    """
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in {0, user}:  # check: keyring-link-owner
        return "it is a symbolic link of another user", "name the file itself"
    if info.st_uid not in {0, user}:  # check: keyring-owner
        return "it belongs to another user", "`chown` it to the user that the broker runs as"
    mode = stat.S_IMODE(info.st_mode)
    if systemd and info.st_uid == 0 and info.st_gid == 0 and mode == 0o440:  # noqa: PLR2004 (a file mode)
        return None
    if mode & 0o077:  # check: keyring-readable-by-others
        return "others than its owner can read or change it", "run `chmod 600` on it, and rotate all keys if it leaked"
    return None


def _text(path: Path, *, private: bool) -> str:
    """The file's text, read from the very file that was checked."""
    try:
        link = path.lstat()
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unusable(path, f"it cannot be read ({error.strerror})", _RESTORE) from None
    try:
        found = _fault(path, os.fstat(handle), link, private=private)
        if found:
            raise _unusable(path, *found)
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(LARGEST_FILE + 1)
    finally:
        os.close(handle)
    if len(data) > LARGEST_FILE:  # check: keyring-size
        raise _unusable(path, "it is larger than any keyring", _RESTORE)
    return data.decode("utf-8", "replace")


def _fault(path: Path, info: os.stat_result, link: os.stat_result, *, private: bool) -> tuple[str, str] | None:
    if not stat.S_ISREG(info.st_mode):  # check: keyring-regular-file
        return "it is not a regular file", _RESTORE
    if not private:
        return None
    systemd = SYSTEMD_CREDENTIALS in path.absolute().parents
    return objection(info, link=link, user=os.geteuid(), systemd=systemd)


def _checked(path: Path, text: str) -> KeyFile:
    """`text` as keys. No error of a library gets out or is chained: it would carry the text."""
    problems: list[Problem] = []
    content: KeyFile | None = None
    try:
        content = KeyFile.model_validate(json.loads(text, object_pairs_hook=_no_duplicates))
    except ValidationError as error:
        for found in error.errors(include_input=False, include_url=False, include_context=False):
            place = ".".join(map(str, found["loc"]))
            problems.append(Problem(where=f"{path}: {place}", what=found["msg"], remedy="see `docs/keys.md`"))
    except ValueError:
        problems.append(Problem(where=str(path), what="it is not JSON, or names something twice", remedy=_RESTORE))
    if content is not None:
        problems.extend(Problem(where=str(path), what=what, remedy=_RESTORE) for what in _misfits(content))
    if problems or content is None:
        raise ConfigurationError(problems)
    return content


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):  # check: keyring-duplicate-name
        raise ValueError
    return dict(pairs)


def _misfits(content: KeyFile) -> Iterator[str]:
    for entry in content.keys:
        stray = entry.public and entry.purpose is not Purpose.AUDIT
        if stray or bool(entry.secret) == bool(entry.public):  # check: keyring-entry-shape
            yield f"key {entry.id} must have a `secret`, or be an audit key with `public` alone"
    for key_id, times in Counter(entry.id for entry in content.keys).items():
        if times > 1:  # check: keyring-duplicate-id
            yield f"key {key_id} is there {times} times"
    material = Counter(decode(entry.secret or entry.public) for entry in content.keys if entry.secret or entry.public)
    if any(times > 1 for times in material.values()):  # check: keyring-duplicate-material
        yield "two keys have the same material: one key must never serve two purposes"


def _unusable(path: Path, what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError([Problem(where=str(path), what=what, remedy=remedy)])
