"""As much of JSON Schema as our own schemas use; a word that is not known here fails the test that uses it."""
# ruff: noqa: ANN401 (JSON has no types)

import re
from collections.abc import Iterator
from typing import Any

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
NOTES = {"$schema", "$defs", "description", "default", "title", "format", "examples", "writeOnly"}


def misfits(value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None, at: str = "") -> list[str]:
    """Where `value` does not fit, in words; empty when it does."""
    return list(_misfits(value, schema, root or schema, at))


def _misfits(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> Iterator[str]:
    for word, wanted in schema.items():
        if word in NOTES:
            continue
        yield from _WORDS[word](value, wanted, schema, root, at)


def _type(value: Any, wanted: str, _: Any, __: Any, at: str) -> Iterator[str]:
    if not isinstance(value, TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean"):
        yield f"{at}: is no {wanted}"


def _properties(value: Any, wanted: dict[str, Any], _: Any, root: Any, at: str) -> Iterator[str]:
    for name in wanted.keys() & value.keys() if isinstance(value, dict) else ():
        yield from _misfits(value[name], wanted[name], root, f"{at}.{name}")


def _additional(value: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    for name in value.keys() - schema.get("properties", {}).keys() if isinstance(value, dict) else ():
        if wanted is False:
            yield f"{at}: unknown {name}"
        elif wanted is not True:
            yield from _misfits(value[name], wanted, root, f"{at}.{name}")


def _one_of(value: Any, wanted: list[Any], _: Any, root: Any, at: str) -> Iterator[str]:
    found = [misfits(value, option, root, at) for option in wanted]
    if [] not in found:
        yield from min(found, key=len)


def _reference(value: Any, wanted: str, _: Any, root: Any, at: str) -> Iterator[str]:
    yield from _misfits(value, root["$defs"][wanted.removeprefix("#/$defs/")], root, at)


def _items(value: Any, wanted: Any, _: Any, root: Any, at: str) -> Iterator[str]:
    for position, item in enumerate(value if isinstance(value, list) else ()):
        yield from _misfits(item, wanted, root, f"{at}.{position}")


def _simple(fits: Any) -> Any:
    def check(value: Any, wanted: Any, _: Any, __: Any, at: str) -> Iterator[str]:
        if not fits(value, wanted):
            yield f"{at}: {wanted}"

    return check


_WORDS: dict[str, Any] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "oneOf": _one_of,
    "anyOf": _one_of,
    "$ref": _reference,
    "items": _items,
    "required": _simple(lambda value, wanted: not isinstance(value, dict) or set(wanted) <= set(value)),
    "const": _simple(lambda value, wanted: value == wanted),
    "enum": _simple(lambda value, wanted: value in wanted),
    "pattern": _simple(lambda value, wanted: not isinstance(value, str) or re.search(wanted, value)),
    "minLength": _simple(lambda value, wanted: not isinstance(value, str) or len(value) >= wanted),
    "maxLength": _simple(lambda value, wanted: not isinstance(value, str) or len(value) <= wanted),
    "minItems": _simple(lambda value, wanted: not isinstance(value, list) or len(value) >= wanted),
    "maxItems": _simple(lambda value, wanted: not isinstance(value, list) or len(value) <= wanted),
    "minProperties": _simple(lambda value, wanted: not isinstance(value, dict) or len(value) >= wanted),
    "minimum": _simple(lambda value, wanted: not isinstance(value, int | float) or value >= wanted),
    "maximum": _simple(lambda value, wanted: not isinstance(value, int | float) or value <= wanted),
    "exclusiveMinimum": _simple(lambda value, wanted: not isinstance(value, int | float) or value > wanted),
}
