"""What may stand in `broker.yaml`, for editors and for docs/settings.md: made from the models that read it."""

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

from pydantic import BaseModel

from broker.authenticate import PROVIDERS
from broker.duration import format_duration
from broker.settings.sections import Settings

PROVIDER = "Provider"


@cache
def secret_names() -> frozenset[str]:
    """The names of all keys that hold a secret: each may also be given as `NAME_file`."""
    return frozenset(name for kind in _kinds() for name, field in _fields(kind) if _is_secret(field))


@cache
def all_keys() -> frozenset[str]:
    """The names of all keys anywhere, for `did you mean`."""
    names = {name for kind in _kinds() for name, _ in _fields(kind)}
    return frozenset(names | {f"{name}_file" for name in secret_names()} | {"type"})


def settings_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the file. It cannot say everything: `broker config check` does."""
    whole = Settings.model_json_schema()
    definitions = whole["$defs"]
    _tell_defaults(Settings, whole, definitions)
    kinds = []
    for kind, (settings, _) in PROVIDERS.items():
        own = settings.model_json_schema()
        definitions |= own.pop("$defs", {})
        _tell_defaults(settings, own, definitions)
        own["properties"] = {"type": {"const": kind, "description": "Which kind of provider."}, **own["properties"]}
        own["required"] = ["type", *own.get("required", ())]
        definitions[f"{PROVIDER}-{kind}"] = own
        kinds.append({"$ref": f"#/$defs/{PROVIDER}-{kind}"})
    whole["properties"]["providers"]["additionalProperties"] = {"oneOf": kinds}
    definitions.pop("BaseModel", None)
    for node in (whole, *definitions.values()):
        _with_secret_files(node)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_clean(whole)}


def _kinds() -> tuple[type[BaseModel], ...]:
    return (Settings, *(settings for settings, _ in PROVIDERS.values()))


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, object]]:
    """(name, annotation) of every field of `model` and of the sections below it."""
    for name, field in model.model_fields.items():
        yield name, field.annotation
        for section in _sections(field.annotation):
            yield from _fields(section)


def _sections(annotation: object) -> Iterator[type[BaseModel]]:
    """The sections that a field holds: one, or several in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _sections(inner)


def _is_secret(annotation: object) -> bool:
    return "SecretStr" in str(annotation)


def _tell_defaults(model: type[BaseModel], node: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Defaults as one writes them: `12h` and not `PT12H`; a section's own default is that of its keys."""
    for name, field in model.model_fields.items():
        own = node["properties"][name]
        if isinstance(field.default, timedelta):
            own["default"] = format_duration(field.default)
        for section in _sections(field.annotation):
            own.pop("default", None) if own.get("type") != "array" else None
            if section.__name__ in definitions:
                _tell_defaults(section, definitions[section.__name__], definitions)


def _with_secret_files(node: dict[str, Any]) -> None:
    """Beside each secret the key that names a file with it."""
    properties = node.get("properties", {})
    for name in [name for name in properties if name in secret_names() and properties[name].get("format")]:
        properties[f"{name}_file"] = {
            "type": "string",
            "format": "path",
            "description": f"A file that holds `{name}` and nothing else.",
        }
        node["required"] = [key for key in node.get("required", ()) if key != name]


def _clean(node: Any) -> Any:  # noqa: ANN401 (JSON)
    """Without pydantic's titles and nulls: the reader refuses an empty value, so an editor should too."""
    if isinstance(node, list):
        return [_clean(part) for part in node]
    if not isinstance(node, dict):
        return node
    null = {"type": "null"}
    if null in node.get("anyOf", ()):
        others = [part for part in node["anyOf"] if part != null]
        rest = {key: value for key, value in node.items() if key not in {"anyOf", "default"}}
        return _clean({**rest, **(others[0] if len(others) == 1 else {"anyOf": others})})
    return {
        key: {name: _clean(part) for name, part in value.items()} if key in {"properties", "$defs"} else _clean(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str))
    }
