"""The one place that reads files and the environment: `broker.yaml`, `BROKER_*`, and the files that hold secrets.

Order: environment over file over default. `BROKER_SERVER__URL` sets `server.url`; a `BROKER_*` variable that sets
nothing is an error, as is an unknown key in the file. A secret `x` may be given as `x_file`, the path of a file that
holds it. Relative paths are taken from the folder of `broker.yaml`. All problems are reported at once.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from broker.authenticate import PROVIDERS
from broker.entitle.source import Source, read_yaml
from broker.errors import ConfigurationError, Problem
from broker.settings.sections import OwnerGroup, Section, Settings
from broker.storage import StorageSettings

__all__ = [
    "Loaded",
    "OwnerGroup",
    "Settings",
    "endpoint_overrides",
    "examples",
    "find_file",
    "load",
    "metrics_folder",
    "read_mapping_files",
]

M = TypeVar("M", bound=BaseModel)

PREFIX = "BROKER_"
PLACES = (Path("broker.yaml"), Path("/etc/broker/broker.yaml"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings in force, and where each value came from."""

    settings: Settings
    file: Path
    sources: Mapping[str, str]
    """By dotted path: `file:line:column` or `$BROKER_…`; what is missing here is a default."""


def find_file(environ: Mapping[str, str] = os.environ) -> Path:
    """`$BROKER_CONFIG`, else `broker.yaml` here or in /etc/broker."""
    named = environ.get("BROKER_CONFIG")
    if named:
        return Path(named)
    return next((place for place in PLACES if place.is_file()), PLACES[0])


def load(file: Path, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Read everything, or raise `ConfigurationError` with every problem at once."""
    try:
        source = read_yaml(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem(
            where=str(file), what=f"cannot be read ({error})", remedy="name it with --config or $BROKER_CONFIG"
        )
        raise ConfigurationError([problem]) from error
    data = source.data if isinstance(source.data, dict) else {}
    problems: list[Problem] = []
    sources = dict(_paths(data, source))
    _overlay(data, environ, sources, problems)
    _read_secret_files(data, file.parent, sources, problems)
    settings = _validate(data, sources, problems)
    if settings is None or problems:
        raise ConfigurationError(problems)
    return Loaded(settings=_anchored(settings, file.parent.resolve()), file=file, sources=sources)


def read_mapping_files(files: Sequence[Path]) -> dict[str, str]:
    """Name -> text of every file of the mapping document; a folder stands for its `*.yaml`, by name."""
    texts: dict[str, str] = {}
    for file in (path for named in files for path in (sorted(named.glob("*.yaml")) if named.is_dir() else [named])):
        try:
            texts[str(file)] = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problem = Problem(where=str(file), what=f"cannot be read ({error})", remedy="see mappings.files")
            raise ConfigurationError([problem]) from error
    return texts


def examples() -> Path:
    """The folder of the annotated example files: beside the package in a checkout, inside it in a wheel."""
    inside = Path(__file__).parents[1] / "config"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "config"


def endpoint_overrides(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that would lead boto3 to another endpoint than AWS's own."""
    return sorted(name for name in environ if name.startswith("AWS_ENDPOINT_URL"))


def metrics_folder(environ: Mapping[str, str] = os.environ) -> str:
    """Where the processes of one server put their counters together; empty: there is one process."""
    return environ.get("PROMETHEUS_MULTIPROC_DIR", "")


def _paths(data: object, source: Source, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every value's dotted path and position."""
    yield _dotted(path), source.where(path)
    items: Sequence[tuple[str | int, object]] = ()
    if isinstance(data, dict):
        items = list(data.items())
    elif isinstance(data, list):
        items = list(enumerate(data))
    for key, value in items:
        yield from _paths(value, source, (*path, key))


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path))


def _overlay(
    data: dict[str, Any], environ: Mapping[str, str], sources: dict[str, str], problems: list[Problem]
) -> None:
    """Put `BROKER_A__B=value` at `a.b`. Values are plain text; lists and nested values belong into the file."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == "BROKER_CONFIG" or name.startswith("BROKER_TEST_"):
            continue
        path = name.removeprefix(PREFIX).lower().split("__")
        target = data
        for step in path[:-1]:
            inner = target.setdefault(step, {})
            if not isinstance(inner, dict):
                problems.append(Problem(where=f"${name}", what=f"{step} holds no keys", remedy="see docs/settings.md"))
                break
            target = inner
        else:
            target[path[-1]] = environ[name]
            sources[_dotted(path)] = f"${name}"


def _secret_names(model: type[BaseModel]) -> Iterator[str]:
    """The names of all secret fields in `model` and the sections below it."""
    for name, field in model.model_fields.items():
        if "SecretStr" in str(field.annotation):
            yield name
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _secret_names(field.annotation)


def _all_secret_names() -> frozenset[str]:
    kinds: list[type[BaseModel]] = [Settings, *(settings for settings, _ in PROVIDERS.values())]
    return frozenset(name for kind in kinds for name in _secret_names(kind))


def _read_secret_files(
    data: dict[str, Any], folder: Path, sources: dict[str, str], problems: list[Problem], path: tuple[str, ...] = ()
) -> None:
    """Turn each `secret_file: PATH` into `secret: CONTENT`."""
    secrets = _all_secret_names()
    for key, value in list(data.items()):
        name = key.removesuffix("_file")
        here = _dotted((*path, key))
        if isinstance(value, dict):
            _read_secret_files(value, folder, sources, problems, (*path, key))
        elif name != key and name in secrets:
            if name in data:
                problems.append(
                    Problem(where=sources[here], what=f"both {name} and {key} are given", remedy="keep one")
                )
                continue
            try:
                data[name] = (folder / str(value)).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(Problem(where=sources[here], what=f"{key} cannot be read ({error})"))
                continue
            del data[key]
            sources[_dotted((*path, name))] = f"{value} (named at {sources[here]})"


def _validate(data: dict[str, Any], sources: Mapping[str, str], problems: list[Problem]) -> Settings | None:
    providers = data.get("providers")
    if isinstance(providers, dict):
        data["providers"] = {name: _provider(name, value, sources, problems) for name, value in providers.items()}
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        problems.extend(_problems(error, sources, ()))
        return None


def _provider(name: str, data: object, sources: Mapping[str, str], problems: list[Problem]) -> object:
    kind = data.get("type") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(kind, str) or kind not in PROVIDERS:
        where = sources.get(f"providers.{name}", f"providers.{name}")
        problems.append(Problem(where=where, what=f"type must be one of {', '.join(PROVIDERS)}"))
        return Section()
    try:
        return PROVIDERS[kind][0].model_validate({key: value for key, value in data.items() if key != "type"})
    except ValidationError as error:
        problems.extend(_problems(error, sources, ("providers", name)))
        return Section()


def _problems(error: ValidationError, sources: Mapping[str, str], prefix: tuple[str | int, ...]) -> Iterator[Problem]:
    """Pydantic's findings with positions; never the value that was given, which may be a secret."""
    for finding in error.errors(include_url=False, include_input=False, include_context=False):
        path = (*prefix, *finding["loc"])
        known = next((_dotted(path[:n]) for n in range(len(path), 0, -1) if _dotted(path[:n]) in sources), "")
        where = sources.get(known, sources.get("", "broker.yaml"))
        remedy = "see docs/settings.md for the keys" if finding["type"] == "extra_forbidden" else ""
        yield Problem(where=where, what=f"{_dotted(path)}: {finding['msg']}", remedy=remedy)


def _anchored(model: M, folder: Path) -> M:
    """The same settings with every relative path taken from `folder`."""
    changed: dict[str, object] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, StorageSettings):
            changed[name] = value.anchored(folder)
        elif isinstance(value, Path):
            changed[name] = folder / value
        elif isinstance(value, BaseModel):
            changed[name] = _anchored(value, folder)
        elif isinstance(value, tuple) and value and all(isinstance(item, Path) for item in value):
            changed[name] = tuple(folder / item for item in value)
        elif isinstance(value, Mapping):
            changed[name] = {k: _anchored(v, folder) if isinstance(v, BaseModel) else v for k, v in value.items()}
    return model.model_copy(update=changed)
