"""`aws-broker process` with an answer in the cache: one file, no imports but `sys`, `os` and `time`.

Every AWS command and many SDK calls start the program anew, so this path costs little more than the interpreter. It
stands on its own: `python -I -S hot.py process --role R --server URL` is what `configure` writes into a profile.
Whatever it cannot answer at once it leaves to the rest of the program.

An answer is a file: `aws-broker 1 FRESH-UNTIL EXPIRES` (epoch seconds), a line with what `credential_process` prints, a
line with what else is known. It is served only as long as it is fresh, see `cache.fresh_until`.

The checks on what it reads: (1) both folders are folders, ours, and nobody else's, (2) the file is no symbolic link,
(3) a plain file, (4) ours and closed to others (the configuration: not writable by them), (5) not too large.
"""

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = "aws-broker"
LARGEST = 32_768
"""Bytes of an answer, which has the session token twice: of 8,192 characters at most, and AWS's stay under 4,096."""
LONGEST = 150
"""Characters of a name that is filed as it is: file systems take 255, with what `private` adds to it."""
UID = os.geteuid() if hasattr(os, "geteuid") else -1
"""-1 where files have no such owner (Windows): there the profile's folder is the user's own."""
KIND, FOLDER, FILE = 0o170000, 0o040000, 0o100000
"""As in `stat`."""
WRITABLE = 0o022
"""What nobody else may do with the configuration: it is no secret, but it says where to go."""
FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


class Unsafe(Exception):
    """Somebody else could read or write it, or it is not what it should be."""

    def __init__(self, path: str, what: str) -> None:
        """Say what it is."""
        super().__init__(f"{path} is {what}")


def slug(text: str) -> str:
    """A file name for `text` (ASCII): another one for each text, also where case does not count; never with a `+`.

    A long one ends in `=` and a hash, which stands in no short one.
    """
    safe = "abcdefghijklmnopqrstuvwxyz0123456789.-"
    made = "".join(c if c in safe else "_" + (c.lower() if c.isalpha() else f"{ord(c):02x}") for c in text)
    if len(made) <= LONGEST:
        return made
    import hashlib  # noqa: PLC0415 (slow to import, and rarely needed)

    return f"{made[:80]}={hashlib.sha256(made.encode()).hexdigest()}"


def base(environ: "Mapping[str, str]", variable: str, *usual: str) -> str:
    """The program's folder below an XDG base directory; a relative one does not count, says the specification."""
    root = environ.get(variable, "")
    if not os.path.isabs(root):
        root = os.path.join(environ.get("HOME") or os.path.expanduser("~"), *usual)
    return os.path.join(root, PROGRAM)


def check_folder(path: str) -> None:
    """Raise `Unsafe` unless it is a folder that only we may enter; `OSError` when it is not there."""
    found = os.lstat(path)
    if found.st_mode & KIND != FOLDER:  # check: workstation-folder-kind
        raise Unsafe(path, "no folder")
    if UID >= 0 and (found.st_uid != UID or found.st_mode & 0o077):  # check: workstation-folder-owner-only
        raise Unsafe(path, "open to others")


def read(path: str, limit: int = LARGEST, others: int = 0o077) -> bytes:
    """The whole file; nobody else may do with it what the bits `others` allow.

    Raises `Unsafe`, and `OSError` (ELOOP for a symbolic link).
    """
    descriptor = os.open(path, FLAGS)
    try:
        found = os.fstat(descriptor)
        if found.st_mode & KIND != FILE:  # check: workstation-file-kind
            raise Unsafe(path, "no plain file")
        if UID >= 0 and (found.st_uid != UID or found.st_mode & others):  # check: workstation-file-owner-only
            raise Unsafe(path, "open to others")
        if found.st_size > limit:  # check: workstation-file-size
            raise Unsafe(path, "too large")
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def usual_server(environ: "Mapping[str, str]") -> str:
    """The broker that is meant when none is named: of the environment, else of the configuration file, else ''.

    Raises as `read` does: who writes that file chooses whose credentials are served.
    """
    named = environ.get("AWS_BROKER_SERVER", "")
    if named:
        return named
    found = read(os.path.join(base(environ, "XDG_CONFIG_HOME", ".config"), "config"), others=WRITABLE)
    for line in found.decode("utf-8", "replace").splitlines():
        if line.startswith("["):
            break
        name, equals, value = line.partition("=")
        if equals and name.strip() == "server":
            return value.strip()
    return ""


def asked(arguments: "list[str]") -> "tuple[str, str] | None":
    """(role, server or '') of the one form that is answered here."""
    if arguments[:1] != ["process"] or len(arguments) not in {3, 5}:
        return None
    given = dict(zip(arguments[1::2], arguments[2::2]))
    role, server = given.pop("--role", ""), given.pop("--server", "")
    return (role, server) if role and not given else None


def answer(arguments: "list[str]", environ: "Mapping[str, str]", now: float) -> "bytes | None":
    """What to print; None: the rest of the program must look, also when something is wrong with the cache."""
    wanted = asked(arguments)
    if wanted is None:
        return None
    role, server = wanted
    try:
        above = base(environ, "XDG_CACHE_HOME", ".cache")
        folder = os.path.join(above, slug(server or usual_server(environ)))
        check_folder(above)
        check_folder(folder)
        head, line, _ = read(os.path.join(folder, slug(role))).split(b"\n", 2)
        name, version, fresh_until, _ = head.split(b" ")
        if (name, version) != (b"aws-broker", b"1") or now >= float(fresh_until):  # check: hot-freshness
            return None
    except (OSError, ValueError, Unsafe):
        return None
    return line + b"\n"


def leave(line: bytes) -> None:
    """Print it and end at once: nothing is open that Python would have to tidy up."""
    try:
        while line:
            line = line[os.write(1, line) :]
    except OSError:
        os._exit(1)
    os._exit(0)


def main() -> int:
    """As a file of its own: the fast answer, or the rest of the package that lies around it."""
    found = answer(sys.argv[1:], os.environ, time.time())
    if found is not None:
        leave(found)
    import importlib.util  # noqa: PLC0415 (not before it is clear that the fast path is not taken)

    folder = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location("aws_broker", path, submodule_search_locations=[folder])
    if spec is None or spec.loader is None:
        return 1
    package = importlib.util.module_from_spec(spec)
    sys.modules["aws_broker"] = package
    spec.loader.exec_module(package)
    code: int = importlib.import_module("aws_broker.cli").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
