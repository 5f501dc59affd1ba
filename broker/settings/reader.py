"""From `broker.yaml`, the environment and the files of secrets to plain data that knows where each value stands."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.entitle.source import Source, read_yaml
from broker.errors import ConfigurationError, Problem

PREFIX = "BROKER_"
CONFIG = "BROKER_CONFIG"
"""Names the file; every other variable with the prefix sets a key."""
SEE = "see docs/settings.md"
UNREAD = "unread"
"""Stands for a secret whose file has a problem, so that the secret does not read as missing too."""
_POSITION = re.compile(r":([0-9]+):([0-9]+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """What was read, before any of it is checked. Its containers are filled in while it is read on."""

    file: Path
    data: dict[str, Any] = field(repr=False)
    """May hold secrets."""
    sources: dict[str, str]
    """By dotted path: `file:line:column` or `$BROKER_…`."""
    problems: list[Problem]

    def report(self, where: str, what: str, remedy: str = "") -> None:
        """Note one problem."""
        self.problems.append(Problem(where=where, what=what, remedy=remedy))

    def error(self) -> ConfigurationError:
        """All problems, in the order of the file; those of variables come first."""

        def position(problem: Problem) -> tuple[int, int]:
            found = _POSITION.search(problem.where)
            return (int(found[1]), int(found[2])) if found else (0, 0)

        return ConfigurationError(sorted(self.problems, key=position))


def read(file: Path, environ: Mapping[str, str], secrets: frozenset[str], *, only: str = "") -> Raw:
    """Read everything; `secrets` are the names of the keys that may be given as `key_file`, `only` the one section.

    Raises `ConfigurationError` when the file cannot be read, or is not YAML at all; lesser problems are collected.
    """
    problems: list[Problem] = []
    try:
        source = read_yaml(file.read_text(encoding="utf-8"), str(file), problems)
    except OSError as error:
        what, remedy = f"cannot be read ({error.strerror})", f"name it with --config or ${CONFIG}"
        raise ConfigurationError([Problem(where=str(file), what=what, remedy=remedy)]) from error
    except UnicodeDecodeError as error:
        problem = Problem(where=str(file), what="is not UTF-8 text", remedy="save it as UTF-8")
        raise ConfigurationError([problem]) from error
    if problems and not source.data:
        raise ConfigurationError(problems)
    data = source.data if isinstance(source.data, dict) else {}
    raw = Raw(file=file, data=data, sources=dict(_paths(data, source)), problems=problems)
    if source.data is not data:
        raw.report(f"{file}:1:1", "keys and values are wanted here", SEE)
    if only:
        for section in set(data) - {only}:
            del data[section]
    _overlay(raw, environ, f"{PREFIX}{only.upper()}__" if only else PREFIX)
    _read_secret_files(raw, raw.data, secrets, ())
    return raw


def dotted(path: Sequence[str | int]) -> str:
    """`server.url`."""
    return ".".join(map(str, path))


def _paths(data: object, source: Source, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every value's dotted path and position."""
    yield dotted(path), source.where(path)
    items: Sequence[tuple[str | int, object]] = ()
    if isinstance(data, dict):
        items = list(data.items())
    elif isinstance(data, list):
        items = list(enumerate(data))
    for key, value in items:
        yield from _paths(value, source, (*path, key))


def _overlay(raw: Raw, environ: Mapping[str, str], prefix: str) -> None:
    """Put `BROKER_A__B=value` at `a.b`. Values are plain text; lists and nested values belong into the file."""
    for name in sorted(environ):
        if not name.startswith(prefix) or name == CONFIG:
            continue
        *above, last = name.removeprefix(PREFIX).lower().split("__")
        target, path = raw.data, list[str]()
        for step in above:
            key = _key(target, step)
            path.append(key)
            inner = target.setdefault(key, {})
            if not isinstance(inner, dict):
                raw.report(f"${name}", f"{dotted(path)} holds no keys", SEE)
                break
            target = inner
        else:
            key = _key(target, last)
            target[key] = environ[name]
            _forget(raw.sources, dotted([*path, key]))
            raw.sources[dotted([*path, key])] = f"${name}"


def _key(target: Mapping[str, Any], step: str) -> str:
    """The key that `step` means: a variable's name can carry no `-` (`BROKER_PROVIDERS__CORP_AD__…` is corp-ad)."""
    return next((key for key in target if key.lower().replace("-", "_") == step), step)


def _forget(sources: dict[str, str], path: str) -> None:
    """A variable took the place of a value that held others."""
    for below in [known for known in sources if known.startswith(f"{path}.")]:
        del sources[below]


def _read_secret_files(raw: Raw, data: dict[str, Any], secrets: frozenset[str], path: tuple[str, ...]) -> None:
    """Turn each `secret_file: PATH` into `secret: CONTENT`. A problem never tells the value: it may be the secret."""
    for key, value in list(data.items()):
        name, here = key.removesuffix("_file"), dotted((*path, key))
        if isinstance(value, dict):
            _read_secret_files(raw, value, secrets, (*path, key))
        elif name != key and name in secrets:
            where = raw.sources[here]
            content = _content(raw, data, key, where)
            del data[key]
            data[name] = content or UNREAD
            raw.sources[dotted((*path, name))] = f"{value} (named at {where})"


def _content(raw: Raw, data: Mapping[str, Any], key: str, where: str) -> str | None:
    """The file's text without the line end that editors leave; None with a problem noted."""
    name, remedy = key.removesuffix("_file"), "it is the path of a file that holds the secret and nothing else"
    text = ""
    if name in data:
        raw.report(where, f"both {name} and {key} are given", "keep one of them, better the file")
        return None
    try:
        text = (raw.file.parent / str(data[key])).read_text(encoding="utf-8").rstrip("\r\n")
        what = f"{key} is empty"
    except OSError as error:
        what = f"{key} cannot be read ({error.strerror})"
    except ValueError:
        what = f"{key} is not UTF-8 text, or no path"
    if not text:
        raw.report(where, what, remedy)
        return None
    return text
