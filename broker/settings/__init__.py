"""The one place that reads files and the environment: `broker.yaml`, `BROKER_*`, and the files that hold secrets.

Order: environment over file over default. `BROKER_SERVER__URL` sets `server.url`; a `BROKER_*` variable that sets
nothing is an error, as is an unknown key in the file. A secret `x` may be given as `x_file`, the path of a file that
holds it. Relative paths are taken from the folder of `broker.yaml`. All problems are reported at once, and none of
them tells a value.

`sections` what may stand there · `reader` from files to data · `wording` what is wrong, in words · `schema` for editors
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from broker.authenticate import PROVIDERS
from broker.errors import ConfigurationError, Problem
from broker.settings.reader import Raw, dotted, read
from broker.settings.schema import all_keys, secret_names, settings_schema
from broker.settings.sections import OwnerGroup, Section, Settings
from broker.settings.wording import in_words
from broker.storage import StorageSettings

__all__ = [
    "Loaded",
    "OwnerGroup",
    "Settings",
    "StorageSettings",
    "endpoint_overrides",
    "examples",
    "find_file",
    "load",
    "load_storage",
    "metrics_folder",
    "new_metrics_folder",
    "read_mapping_files",
    "replace_mapping_file",
    "settings_schema",
    "stay_here",
]

M = TypeVar("M", bound=BaseModel)

PLACES = (Path("/etc/broker/broker.yaml"), Path("broker.yaml"))
"""The machine's own first: an operator may stand in anybody's folder."""
METRICS = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings in force, and where each value came from."""

    settings: Settings
    file: Path
    sources: Mapping[str, str]
    """By dotted path: `file:line:column` or `$BROKER_…`; what is missing here is a default."""


def find_file(environ: Mapping[str, str] = os.environ) -> Path:
    """`$BROKER_CONFIG`, else `broker.yaml` in /etc/broker or here."""
    named = environ.get("BROKER_CONFIG")
    if named:
        return Path(named)
    return next((place for place in PLACES if place.is_file()), PLACES[0])


def load(file: Path, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Read everything, or raise `ConfigurationError` with every problem at once."""
    raw = read(file, environ, secret_names())
    settings = _validate(raw)
    if settings is None or raw.problems:
        raise raw.error()
    return Loaded(settings=_anchored(settings, file.parent.resolve()), file=file, sources=raw.sources)


def load_storage(file: Path, environ: Mapping[str, str] = os.environ) -> StorageSettings:
    """`storage:` alone, for whoever may read the database and nothing else. Raises `ConfigurationError`."""
    raw = read(file, environ, secret_names(), only="storage")
    settings: StorageSettings | None = None
    try:
        settings = StorageSettings.model_validate(raw.data.get("storage", {}))
    except ValidationError as error:
        raw.problems.extend(in_words(error, raw.sources, all_keys(), ("storage",)))
    if settings is None or raw.problems:
        raise raw.error()
    return settings.anchored(file.parent.resolve())


def read_mapping_files(files: Sequence[Path]) -> dict[str, str]:
    """Name -> text of every file of the mapping document; a folder stands for its `*.yaml`, by name."""
    texts: dict[str, str] = {}
    for named in files:
        if named.is_dir() and not any(named.glob("*.yaml")):  # check: empty-mapping-folder
            what = "is an empty folder: its denies and tests would be missed"
            raise ConfigurationError([Problem(where=str(named), what=what, remedy="see mappings.files")])
        spelled = [path for path in sorted(named.glob("*.[yY]*")) if path.suffix.lower() in {".yml", ".yaml"}]
        unread = [path for path in spelled if path.suffix != ".yaml"] if named.is_dir() else []
        if unread:  # check: mapping-file-not-read
            what, remedy = "is not read: of a folder only *.yaml are", "rename it, or move it elsewhere"
            raise ConfigurationError([Problem(where=str(path), what=what, remedy=remedy) for path in unread])
    for file in (path for named in files for path in (sorted(named.glob("*.yaml")) if named.is_dir() else [named])):
        try:
            texts[str(file)] = file.read_bytes().decode("utf-8")  # with the line ends that it has
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            problem = Problem(where=str(file), what=f"cannot be read ({why})", remedy="see mappings.files")
            raise ConfigurationError([problem]) from error
    return texts


def replace_mapping_file(file: Path, text: str) -> None:
    """Write `text` in the place of `file`, in one step and with the same owner and mode."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, prefix=".", delete=False) as draft:
        draft.write(text)
        draft.flush()
        os.fsync(draft.fileno())
    shutil.copymode(file, draft.name)
    if os.geteuid() == 0:  # else the file would be root's, and the broker could not read it
        os.chown(draft.name, file.stat().st_uid, file.stat().st_gid)
    Path(draft.name).replace(file)


def examples() -> Path:
    """The folder of the annotated example files: beside the package in a checkout, inside it in a wheel."""
    inside = Path(__file__).parents[1] / "config"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "config"


def endpoint_overrides(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that would lead boto3 to another endpoint than AWS's own."""
    return sorted(name for name in environ if name.startswith("AWS_ENDPOINT_URL"))


def stay_here(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let this process forget what would lead it elsewhere: for the demo, whose neighbours are all on this machine.

    No proxy for what is here; no profile, key, region or endpoint of the visitor's own AWS life.
    """
    for name in [name for name in environ if name.startswith("AWS_")]:
        del environ[name]
    for name in ("no_proxy", "NO_PROXY"):
        environ[name] = ",".join(filter(None, (environ.get(name, ""), "localhost", "127.0.0.1")))


def metrics_folder(environ: Mapping[str, str] = os.environ) -> str:
    """Where the processes of one server put their counters together; empty: there is one process."""
    return environ.get(METRICS, "")


def new_metrics_folder(environ: MutableMapping[str, str] = os.environ) -> Path:
    """Make that folder, fresh and private, and say so to prometheus_client, which looks only when it is imported.

    The caller removes it in the end. One that was named before is left alone: it may hold another run's counters.
    """
    folder = Path(tempfile.mkdtemp(prefix="broker-metrics-"))
    environ[METRICS] = str(folder)
    return folder


def _validate(raw: Raw) -> Settings | None:
    providers = raw.data.get("providers")
    if isinstance(providers, dict):
        raw.data["providers"] = {name: _provider(raw, name, value) for name, value in providers.items()}
    try:
        return Settings.model_validate(raw.data)
    except ValidationError as error:
        raw.problems.extend(in_words(error, raw.sources, all_keys()))
        return None


def _provider(raw: Raw, name: str, data: object) -> object:
    """The provider's own settings; with a problem noted, an empty stand-in, so that the rest is checked too."""
    here = dotted(("providers", name))
    kind = data.get("type") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(kind, str) or kind not in PROVIDERS:
        where = raw.sources.get(f"{here}.type", raw.sources.get(here, raw.sources[""]))
        what = "'type' is missing" if kind is None else "this type is not known"
        raw.report(where, f"{here}: {what}", f"write one of: {', '.join(PROVIDERS)}")
        return Section()
    try:
        return PROVIDERS[kind][0].model_validate({key: value for key, value in data.items() if key != "type"})
    except ValidationError as error:
        raw.problems.extend(in_words(error, raw.sources, all_keys(), ("providers", name)))
        return Section()


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
