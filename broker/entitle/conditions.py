"""Conditions of the document, given their types by a vocabulary that `evaluate/` brings in as an argument.

A key outside the vocabulary, and a key inside a condition that its class does not have, are refused: what is not
enforced is never parsed and ignored.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from broker.entitle.entitlement import Condition

Vocabulary: TypeAlias = Mapping[str, type]
"""Key in the document -> frozen pydantic dataclass with `name` and a refusal of unknown fields."""


class UnknownCondition(LookupError):
    """The vocabulary has no condition of this name."""


class ConditionReader:
    """Reads conditions; the same words give the same object, so that thousands of mappings share a few."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.names = tuple(sorted(vocabulary))
        self._adapters: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in vocabulary.items()}
        self._read: dict[tuple[str, str], Condition] = {}

    def read(self, conditions: Mapping[str, JsonValue]) -> tuple[Condition, ...]:
        """The conditions, in a stable order. Raises `UnknownCondition` and pydantic's `ValidationError`."""
        return tuple(self._one(name, conditions[name]) for name in sorted(conditions))

    def errors(self, conditions: Mapping[str, JsonValue]) -> Iterator[tuple[str, ErrorDetails | None]]:
        """What `read` would raise, one (key, finding) for each; no details: the key is unknown."""
        for name, value in conditions.items():
            try:
                self._one(name, value)
            except UnknownCondition:
                yield name, None
            except ValidationError as error:
                yield from ((name, details) for details in error.errors(include_url=False))

    def canonical(self, conditions: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """The same meaning in one spelling (where a condition's own serialisation can be read back)."""
        return {name: self._canonical(name, conditions[name]) for name in sorted(conditions)}

    def _one(self, name: str, value: JsonValue) -> Condition:
        if name not in self._adapters:  # check: condition-outside-vocabulary
            raise UnknownCondition(name)
        text = json.dumps(value, sort_keys=True)
        condition = self._read.get((name, text))
        if condition is None:
            read: Condition = self._adapters[name].validate_python(value)
            condition = self._read[name, text] = read
        return condition

    def _canonical(self, name: str, value: JsonValue) -> JsonValue:
        condition = self._one(name, value)
        plain: JsonValue = self._adapters[name].dump_python(
            condition, mode="json", by_alias=True, exclude_defaults=True
        )
        try:
            return plain if self._one(name, plain) == condition else value
        except ValidationError:
            return value

    def schemas(self) -> dict[str, dict[str, Any]]:
        """The JSON Schema of each condition."""
        return {name: adapter.json_schema() for name, adapter in sorted(self._adapters.items())}
