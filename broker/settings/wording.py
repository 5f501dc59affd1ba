"""What pydantic finds wrong in the settings, in words that say what to do. Never the value: it may be a secret."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from broker.errors import Problem
from broker.settings.reader import SEE, dotted

_MUST_BE = {
    "string_type": "text (put it in quotes)",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
    "tuple_type": "a list, in the file",
    "list_type": "a list, in the file",
    "mapping_type": "keys and values, in the file",
    "dict_type": "keys and values, in the file",
    "model_type": "keys and values, in the file",
    "ip_v4_network": "a network such as 10.0.0.0/8",
    "ip_v6_network": "a network such as 10.0.0.0/8",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_EMPTY = {"too_short", "string_too_short"}
_UNKNOWN = "extra_forbidden"


def in_words(
    error: ValidationError, sources: Mapping[str, str], keys: Iterable[str], prefix: Sequence[str | int] = ()
) -> Iterator[Problem]:
    """One problem for each value that is wrong; `sources` says where it stands, `keys` are all that there are."""
    findings = error.errors(include_url=False, include_input=False)
    paths = [(*prefix, *finding["loc"]) for finding in findings]
    found: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for finding, path in zip(findings, paths, strict=True):
        if finding["type"] == "too_short" and any(path == other[: len(path)] != other for other in paths):
            continue  # a list counts as short when its items are wrong
        known = next((dotted(path[:n]) for n in range(len(path), 0, -1) if dotted(path[:n]) in sources), "")
        place = dotted(path[:-1]) if finding["type"] in {_UNKNOWN, "missing"} else known
        said = _said(finding, keys)
        sayings = found.setdefault((sources.get(known, sources.get("", "")), place), [])
        if said not in sayings:
            sayings.append(said)
    for (where, place), sayings in found.items():
        for what, remedy in _joined(sayings):
            yield Problem(where=where, what=f"{place}: {what}" if place else what, remedy=remedy)


def _joined(sayings: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Alternatives (pydantic reports each arm of a union) as one sentence."""
    if len(sayings) > 1 and all(what.startswith("must be ") for what, _ in sayings):
        return [("must be " + ", or ".join(what.removeprefix("must be ") for what, _ in sayings), sayings[0][1])]
    return sayings


def _said(finding: ErrorDetails, keys: Iterable[str]) -> tuple[str, str]:
    """(what is wrong, what to do)."""
    kind, last = finding["type"], str(finding["loc"][-1]) if finding["loc"] else ""
    if kind == _UNKNOWN:
        close = difflib.get_close_matches(last, sorted(set(keys) - {last}), n=1)
        return f"unknown key {last!r}", f"did you mean {close[0]!r}?" if close else f"remove it, or {SEE}"
    if kind == "missing":
        return f"{last!r} is missing", f"add it; {SEE}"
    return _wanted(kind, finding.get("ctx", {})) or finding["msg"].removeprefix("Value error, "), SEE


def _wanted(kind: str, context: Mapping[str, Any]) -> str:
    """What the value must be, where pydantic's own words are not for people; else nothing."""
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return f"must be {words} {context[name]}"
    if kind in {"literal_error", "enum"}:
        return f"must be {context['expected']}"
    if kind == "string_pattern_mismatch":
        return f"must match the pattern {context['pattern']}"
    if kind in _EMPTY:
        return "must not be empty"
    return f"must be {_MUST_BE[kind]}" if kind in _MUST_BE else ""
