"""Files that nobody else may read or write, and locks that the death of their holder opens.

What is read is checked first (`hot` has the list). What is not as it should be is an error with the command that mends
it, never silently replaced: credentials that others could read deserve that somebody knows.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from . import hot
from .deadline import Deadline
from .failure import AWAY, CONFIG, Failure

PAUSE = 0.05
"""Seconds between two looks at a lock."""


def folder(path: str) -> str:
    """Make it and its parent (0700) where they are missing, and check both; `path` again."""
    above = each = os.path.dirname(path)
    try:
        os.makedirs(os.path.dirname(above), mode=0o700, exist_ok=True)
        for each in (above, path):
            with suppress(FileExistsError):
                os.mkdir(each, 0o700)
            hot.check_folder(each)
    except hot.Unsafe as error:
        raise Failure(CONFIG, f"{error}.", step=f"Make it yours alone: chmod 700 {_quoted(each)}") from error
    except OSError as error:
        raise Failure(CONFIG, f"{path} cannot be made: {error.strerror}.", step="Make room for it.") from error
    return path


def read(path: str, limit: int = hot.LARGEST) -> bytes | None:
    """The file; None when it is not there."""
    try:
        return hot.read(path, limit)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except hot.Unsafe as error:
        raise Failure(CONFIG, f"{error}, and is not used.", step=_remove(path)) from error
    except OSError as error:
        what = "is a symbolic link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        raise Failure(CONFIG, f"{path} {what}, and is not used.", step=_remove(path)) from error


def write(path: str, data: bytes) -> None:
    """Put `data` in the place of the file at once and whole. Its folder is ours; the caller holds its lock."""
    new = path + "+new"
    try:
        with suppress(FileNotFoundError):
            os.unlink(new)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        raise Failure(CONFIG, f"{path} cannot be written: {error.strerror}.", step="Make room for it.") from error


def remove(path: str) -> None:
    """Remove it, if it is there. Raises `Failure`."""
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
    except OSError as error:
        raise Failure(CONFIG, f"{path} cannot be removed: {error.strerror}.", step="Look at it.") from error


def _remove(path: str) -> str:
    return f"Look at it, then remove it: rm {_quoted(path)}"


def _quoted(path: str) -> str:
    import shlex  # noqa: PLC0415 (for errors only)

    return shlex.quote(path)


@contextmanager
def locked(path: str, deadline: Deadline) -> Iterator[None]:
    """Hold the lock file `path`. The system opens it when its holder dies, however that happens."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise Failure(CONFIG, f"{path} cannot be opened: {error.strerror}.", step=_remove(path)) from error
    try:
        while not _acquired(descriptor):
            if not deadline.left():
                message = "Another aws-broker has been busy with the same for too long."
                raise Failure(AWAY, message, step="Try again in a moment.")
            time.sleep(PAUSE)
        yield
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _acquired(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _acquired(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES, errno.EINTR}:
                return False
            raise Failure(
                CONFIG, f"Files cannot be locked here: {error.strerror}.", step="Use a local disk."
            ) from error
        return True
