"""The contract of a condition, for every class that `broker.evaluate.CONDITIONS` names.

A new condition subclasses `ConditionContract` in its own test file, says in `documents` how it may be written, and
gives one moment at which each of these holds and one at which each does not.
"""

import ast
import dataclasses
import pickle
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from builders import NOW, a_proof, circumstances
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from broker.challenge.proof import Method, Proof, Shown
from broker.evaluate import CONDITIONS
from broker.evaluate.condition import Circumstances, Condition
from broker.evaluate.verdict import Refusal, StepUp

instants = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 (hypothesis adds the zone)
    max_value=datetime(2060, 1, 1),  # noqa: DTZ001 (as above)
    timezones=st.just(UTC),
)
proofs = st.lists(
    st.builds(Shown, method=st.sampled_from(Method), factor=st.text(max_size=5), at=instants), max_size=4
).map(lambda shown: dataclasses.replace(a_proof(), shown=tuple(shown)))
moments = st.builds(
    Circumstances,
    now=instants,
    address=st.none() | st.ip_addresses(),
    tls_version=st.sampled_from(["", "1.0", "1.2", "1.3", "1.4"]) | st.text(max_size=6),
    request_id=st.text(max_size=5),
)

FORBIDDEN = {"time", "socket", "os", "random", "secrets", "requests", "urllib", "http", "subprocess", "broker.clock"}
"""A condition reads no clock, no environment, no network."""


class ConditionContract:
    """Subclass it, and fill in these."""

    condition: ClassVar[type[Condition]]
    documents: ClassVar[Sequence[Mapping[str, Any]]]
    """Ways to write it in the mapping document, as plain data."""
    holds: ClassVar[tuple[Proof, Circumstances]] = (a_proof(), circumstances())
    """All of them hold here."""
    fails: ClassVar[tuple[Proof, Circumstances]]
    """None of them holds here."""
    not_known: ClassVar[tuple[Proof, Circumstances]]
    """What the condition looks at is not known here: default deny."""

    def written(self) -> list[Condition]:
        return [TypeAdapter(self.condition).validate_python(document) for document in self.documents]

    def test_it_is_registered_under_its_name(self) -> None:
        assert CONDITIONS[self.condition.name] is self.condition

    def test_it_holds_only_when_it_should(self) -> None:
        for condition in self.written():
            assert condition.objection(*self.holds, rule="r") is None, condition
            assert condition.objection(*self.fails, rule="r") is not None, condition

    def test_what_it_cannot_judge_it_objects_to(self) -> None:
        for condition in self.written():
            assert condition.objection(*self.not_known, rule="r") is not None, condition

    def test_an_objection_names_the_rule_and_says_why_in_a_sentence(self) -> None:
        for condition in self.written():
            objection = condition.objection(*self.fails, rule="prod-only")
            assert objection is not None
            assert objection.rule == "prod-only"
            assert objection.reason.endswith(".")
            assert objection.reason[0].isupper()
            if isinstance(objection, Refusal):
                assert objection.condition == self.condition.name

    # several classes inherit this one test; each brings its own documents
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(proof=proofs, moment=moments)
    def test_it_is_total(self, proof: Proof, moment: Circumstances) -> None:
        for condition in self.written():
            answer = condition.objection(proof, moment, rule="r")
            assert answer is None or isinstance(answer, Refusal | StepUp)
            assert answer == condition.objection(proof, moment, rule="r"), "the same moment, the same answer"
            if isinstance(answer, Refusal) and answer.opens_at is not None:
                assert answer.opens_at > moment.now
                assert answer.opens_at.utcoffset() == timedelta(0)

    def test_the_request_id_changes_nothing(self) -> None:
        proof, moment = self.fails
        for condition in self.written():
            other = dataclasses.replace(moment, request_id="another")
            assert condition.objection(proof, moment, rule="r") == condition.objection(proof, other, rule="r")

    def test_it_is_frozen_slotted_and_hashable(self) -> None:
        for condition in self.written():
            field = dataclasses.fields(condition)[0].name  # type: ignore[arg-type]  # every condition is a dataclass
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(condition, field, None)
            assert not hasattr(condition, "__dict__")
            assert len({condition, condition}) == 1
            assert pickle.loads(pickle.dumps(condition)) == condition  # noqa: S301 (our own bytes)

    def test_its_plain_data_gives_the_same_condition_back(self) -> None:
        adapter: TypeAdapter[Any] = TypeAdapter(self.condition)
        for condition in self.written():
            plain = adapter.dump_python(condition, mode="json", by_alias=True, exclude_defaults=True)
            assert adapter.validate_python(plain) == condition

    def test_a_key_that_it_does_not_enforce_is_refused(self) -> None:
        for document in self.documents:
            with pytest.raises(ValidationError):
                TypeAdapter(self.condition).validate_python({**document, "unless": "friday"})

    def test_an_empty_value_is_refused(self) -> None:
        for document in self.documents:
            for key in document:
                empty: object
                for empty in (None, "", [], {}):
                    with pytest.raises(ValidationError):
                        TypeAdapter(self.condition).validate_python({**document, key: empty})

    def test_its_json_schema_is_closed_and_offers_no_null(self) -> None:
        schema = TypeAdapter(self.condition).json_schema(by_alias=True)
        assert schema["additionalProperties"] is False
        assert not any("default" in key or "anyOf" in key for key in schema["properties"].values())
        assert {key for document in self.documents for key in document} <= set(schema["properties"])

    def test_it_reads_no_clock_and_no_network(self) -> None:
        path = Path(sys.modules[self.condition.__module__].__file__ or "")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        assert not {name for name in named | plain if name in FORBIDDEN or name.split(".")[0] in FORBIDDEN}
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in {"now", "today", "utcnow"}
                    and ast.unparse(n.value) in {"datetime", "date"}]  # fmt: skip


LONG_AGO = NOW - timedelta(days=365)
