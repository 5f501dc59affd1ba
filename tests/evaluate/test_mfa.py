from datetime import timedelta

import pytest
from builders import HOUR, MINUTE, NOW, a_proof, a_proof_without_factor, circumstances, shown, shown_totp
from contracts.condition import LONG_AGO, ConditionContract
from pydantic import ValidationError

from broker.challenge.proof import Method
from broker.evaluate.mfa import Mfa
from broker.evaluate.verdict import StepUp


class TestContract(ConditionContract):
    condition = Mfa
    documents = (
        {"methods": ["totp", "webauthn"]},
        {"max_age": "15m"},
        {"methods": ["totp"], "max_age": "8h"},
    )
    fails = (a_proof_without_factor(), circumstances())
    not_known = (a_proof_without_factor(), circumstances())


def test_without_methods_any_factor_counts_a_recovery_code_too() -> None:
    for method in Method:
        assert Mfa().objection(a_proof(shown(method)), circumstances(), rule="r") is None


def test_a_recovery_code_does_not_count_where_methods_are_named() -> None:
    condition = Mfa(methods=("totp",))  # type: ignore[arg-type]  # as the document says it
    proof = a_proof(shown(Method.RECOVERY_CODE))
    assert condition.objection(proof, circumstances(), rule="r") == StepUp(
        rule="r", methods=frozenset({Method.TOTP}), max_age=None, reason="This role needs totp."
    )
    assert condition.objection(proof.with_shown(shown_totp()), circumstances(), rule="r") is None


def test_a_password_alone_never_passes() -> None:
    objection = Mfa().objection(a_proof_without_factor(), circumstances(), rule="r")
    assert isinstance(objection, StepUp)
    assert objection.methods == frozenset(Method)


@pytest.mark.parametrize(
    ("age", "passes"), [(timedelta(0), True), (15 * MINUTE, True), (15 * MINUTE + timedelta(microseconds=1), False)]
)
def test_a_factor_counts_until_it_is_older_than_max_age(age: timedelta, passes: bool) -> None:  # noqa: FBT001 (a table)
    proof = a_proof(shown_totp(at=NOW - age))
    assert (Mfa(max_age=15 * MINUTE).objection(proof, circumstances(), rule="r") is None) is passes


def test_a_factor_from_the_future_counts_as_never_shown() -> None:
    proof = a_proof(shown_totp(at=NOW + timedelta(seconds=1)))
    assert Mfa().objection(proof, circumstances(), rule="r") is not None


def test_an_old_factor_of_the_right_kind_is_not_freshened_by_a_new_one_of_another() -> None:
    proof = a_proof(shown(Method.WEBAUTHN, at=LONG_AGO), shown_totp(at=NOW))
    condition = Mfa(methods=("webauthn",), max_age=HOUR)  # type: ignore[arg-type]  # as the document says it
    objection = condition.objection(proof, circumstances(), rule="admin-by-key")
    assert objection == StepUp(
        rule="admin-by-key",
        methods=frozenset({Method.WEBAUTHN}),
        max_age=HOUR,
        reason="This role needs webauthn, shown in the last 1h.",
    )


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ({"methods": "totp"}, "not a list"),
        ({"methods": ["sms"]}, "there are hardware_token, recovery_code, totp, webauthn"),
        ({"methods": [1]}, "in quotes"),
        ({"methods": ["totp", "totp"]}, "twice"),
        ({"max_age": 900}, "15m"),
        ({"max_age": "30s"}, "shorter than 1m"),
        ({"max_age": "0m"}, "shorter than 1m"),
    ],
)
def test_a_mistake_in_the_document_is_refused_with_a_hint(document: dict[str, object], hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        Mfa(**document)  # type: ignore[arg-type]  # plain data from a document
