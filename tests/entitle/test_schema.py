import json
from pathlib import Path

from broker.entitle.schema import mapping_schema
from broker.evaluate import CONDITIONS

SCHEMA = Path(__file__).parents[2] / "config" / "mappings.schema.json"


def test_the_published_schema_is_the_one_that_the_models_make() -> None:
    made = json.dumps(mapping_schema(CONDITIONS), indent=2, ensure_ascii=False) + "\n"
    assert SCHEMA.read_text(encoding="utf-8") == made


def test_the_schema_knows_every_condition_and_no_other() -> None:
    schema = mapping_schema(CONDITIONS)
    conditions = schema["$defs"]["Conditions"]
    assert set(conditions["properties"]) == set(CONDITIONS)
    assert conditions["additionalProperties"] is False
    assert conditions["minProperties"] == 1
    assert schema["$defs"]["MappingShape"]["properties"]["conditions"] == {"$ref": "#/$defs/Conditions"}


def test_every_reference_in_the_schema_leads_somewhere() -> None:
    schema = mapping_schema(CONDITIONS)
    text = json.dumps(schema)
    names = {part.partition('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert names <= set(schema["$defs"])
    assert "null" not in text
