"""What pydantic finds wrong in a part of the document, in words for the person who wrote it."""

import difflib
from typing import Any

from pydantic_core import ErrorDetails

from broker.entitle.shape import LISTED, NAMED, PATTERNS, AccountFields, FileShape, Model, TemplateShape, TestMfaShape

_WANTED = {
    "string_type": "text is wanted here",
    "int_type": "a whole number is wanted here",
    "bool_type": "true or false is wanted here",
    "list_type": "a list is wanted here",
    "dict_type": "keys and values are wanted here",
    "model_type": "keys and values are wanted here",
    "dataclass_type": "keys and values are wanted here",
}


def in_words(error: ErrorDetails) -> tuple[str, str]:
    """(what is wrong, what to do) for one finding."""
    kind, context = error["type"], error.get("ctx", {})
    last = str(error["loc"][-1]) if error["loc"] else ""
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key {last!r}", _closest(last)
    if kind in ("missing", "missing_keyword_only_argument"):
        return f"{last!r} is missing", "add it"
    if kind in _WANTED:
        return _WANTED[kind], _retype(kind, error["input"])
    if kind in ("union_tag_invalid", "literal_error", "enum"):
        return _not_among(kind, context)
    if kind in ("too_short", "string_too_short"):
        return "empty", "write what belongs here, or remove the key"
    meaning = PATTERNS.get(str(context.get("pattern")))
    return meaning or error["msg"].removeprefix("Value error, "), "correct it"


def unknown_key(key: str) -> tuple[str, str]:
    """(what is wrong, what to do) about a key at the top of a file."""
    return f"unknown key {key!r}", _closest(key)


def _closest(key: str) -> str:
    models: list[type[Model]] = [
        FileShape,
        TemplateShape,
        AccountFields,
        TestMfaShape,
        *NAMED.values(),
        *LISTED.values(),
    ]
    known = {field.alias or name for model in models for name, field in model.model_fields.items()}
    found = difflib.get_close_matches(key, sorted(known - {key}), n=1)
    return f"did you mean {found[0]!r}?" if found else "remove it, or correct its spelling"


def _retype(kind: str, given: object) -> str:
    if kind == "string_type" and isinstance(given, bool | int | float):
        return "put it in quotes"
    if kind == "list_type" and isinstance(given, str):
        return "write it as a list, in square brackets"
    return "correct it"


def _not_among(kind: str, context: dict[str, Any]) -> tuple[str, str]:
    if kind == "union_tag_invalid":
        words = {"'list'": "a list of names", "'fields'": "fields", "'word'": "the word all"}
        tags = [words.get(tag, tag) for tag in str(context["expected_tags"]).split(", ")]
        return "this cannot stand here", "write " + " or ".join(tags)
    return "this word is not known here", f"write {context.get('expected')}"
