"""The JSON Schema of the mapping document, for editors: built from the same models that read it."""

from typing import Any

from broker.entitle.conditions import ConditionReader, Vocabulary
from broker.entitle.shape import CONDITIONS_HERE, FileShape


def mapping_schema(vocabulary: Vocabulary) -> dict[str, Any]:
    """JSON Schema (2020-12) of one file of the document, with the conditions of `vocabulary`.

    It cannot say everything: references, templates and ARNs are checked by `broker mappings validate`.
    """
    schema = FileShape.model_json_schema()
    definitions = schema["$defs"]
    conditions: dict[str, Any] = {}
    for name, own in ConditionReader(vocabulary).schemas().items():
        definitions |= own.pop("$defs", {})
        definitions[f"condition-{name}"] = own
        conditions[name] = {"$ref": f"#/$defs/condition-{name}"}
    definitions["Conditions"] = {
        "type": "object",
        "description": "All of them must pass.",
        "properties": conditions,
        "additionalProperties": False,
        "minProperties": 1,
    }
    cleaned = _clean(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **cleaned,
        "title": "Role-mapping document, version 1",
    }


def _clean(node: Any) -> Any:  # noqa: ANN401 (JSON)
    """Without pydantic's titles and nulls: the reader refuses an empty value, so an editor should too."""
    if isinstance(node, list):
        return [_clean(part) for part in node]
    if not isinstance(node, dict):
        return node
    if node.get("title") == CONDITIONS_HERE:
        return {"$ref": "#/$defs/Conditions"}
    null = {"type": "null"}
    if null in node.get("anyOf", ()):
        others = [part for part in node["anyOf"] if part != null]
        rest = {key: value for key, value in node.items() if key not in ("anyOf", "default")}
        node = {**rest, **(others[0] if len(others) == 1 else {"anyOf": others})}
        return _clean(node)
    return {
        key: {name: _clean(part) for name, part in value.items()} if key in ("properties", "$defs") else _clean(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str))
    }
