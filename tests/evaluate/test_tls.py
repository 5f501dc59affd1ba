import pytest
from builders import a_proof, circumstances
from contracts.condition import ConditionContract
from pydantic import TypeAdapter, ValidationError

from broker.evaluate.tls import Tls


class TestContract(ConditionContract):
    condition = Tls
    documents = ({"min": "1.2"}, {"min": "1.3"})
    fails = (a_proof(), circumstances(tls_version="1.1"))
    not_known = (a_proof(), circumstances(tls_version=""))


@pytest.mark.parametrize(
    ("least", "version", "expected"),
    [
        ("1.2", "1.2", True),
        ("1.2", "1.3", True),
        ("1.3", "1.2", False),
        ("1.2", "1.1", False),
        ("1.2", "1.0", False),
        ("1.2", "", False),
        ("1.2", "1.4", False),
        ("1.2", "TLSv1.3", False),
        ("1.2", "1.20", False),
    ],
)
def test_only_a_known_version_that_is_new_enough_passes(least: str, version: str, *, expected: bool) -> None:
    condition = TypeAdapter(Tls).validate_python({"min": least})
    assert (condition.objection(a_proof(), circumstances(tls_version=version), rule="r") is None) is expected


@pytest.mark.parametrize(
    ("document", "hint"),
    [({}, "min"), ({"min": 1.2}, "in quotes"), ({"min": "1.1"}, "'1.2' or '1.3'"), ({"min": "TLSv1.2"}, "'1.2' or")],
)
def test_a_mistake_in_the_document_is_refused_with_a_hint(document: dict[str, object], hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        TypeAdapter(Tls).validate_python(document)
