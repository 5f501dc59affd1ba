"""What the conditions share where they read plain data from the mapping document."""

from typing import Any

from pydantic import ConfigDict

FROM_DOCUMENT = ConfigDict(extra="forbid")
"""A key that a condition does not enforce is refused, never parsed and ignored."""


def given(value: object) -> object:
    """`value`, unless it is empty: `max_age:` with nothing behind it must not read as "no limit"."""
    if value is None:
        message = "nothing is given; write a value or leave the key out"
        raise ValueError(message)
    return value


def texts(value: object, *, what: str) -> tuple[str, ...]:
    """`value` as a list of texts, each once; `what` says what they should be. Raises `ValueError`.

    An empty list is refused: whether it means all or nothing should be nobody's guess.
    """
    if not isinstance(value, list | tuple) or not value:
        message = f"not a list of {what}; write at least one, in square brackets"
        raise ValueError(message)
    found = tuple(item for item in value if isinstance(item, str))
    if len(found) != len(value):
        message = f"not all of these are texts; write {what} in quotes"
        raise ValueError(message)
    if len(set(found)) != len(found):
        message = f"one of these {what} stands here twice"
        raise ValueError(message)
    return found


def may_be_left_out(schema: dict[str, Any]) -> None:
    """Tidy the JSON Schema of an optional key: its default is ours, not something to write, and null is no value."""
    schema.pop("default", None)
    for kind in schema.pop("anyOf", ()):
        if kind != {"type": "null"}:
            schema.update(kind)
