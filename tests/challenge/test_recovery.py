"""Recovery codes: the contract of every factor, and what is their own: made in tens, hashed, void after a new set."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOW
from builders_factors import ADA, BOB, after_password, enrol
from contracts.factor import Bench, FactorContract

from broker.challenge.codes import canonical
from broker.challenge.factor import FactorReason, FactorRefused
from broker.challenge.proof import Proof
from broker.challenge.recovery import RecoveryCodes
from broker.challenge.tools import FactorTools
from broker.keys import Keyring, Purpose

WRONG = "00000-00000-00000-00000-00000A"


def freshly_shown(tools: FactorTools) -> Proof:
    return enrol(tools, at=NOW)[0]


class TestTheContract(FactorContract):
    @pytest.fixture
    def bench(self, tools: FactorTools) -> Bench:
        codes = {
            person: iter(RecoveryCodes(tools).renew(enrol(tools, person, at=NOW)[0], NOW)) for person in (ADA, BOB)
        }
        return Bench(
            tools=tools,
            make=RecoveryCodes,
            right=lambda person, _: next(codes[person]),
            wrong=WRONG,
            malformed=["123456", WRONG[:-1], WRONG + "A", WRONG.replace("A", "U"), WRONG.replace("A", "!"), "8" * 26],
        )


def test_there_are_ten_different_codes_each_good_once(tools: FactorTools) -> None:
    codes = RecoveryCodes(tools).renew(freshly_shown(tools), NOW)
    assert len(set(codes)) == 10
    names = {RecoveryCodes(tools).check(ADA, code, NOW).factor for code in codes}
    assert len(names) == 10
    assert not RecoveryCodes(tools).enrolled(ADA)


@pytest.mark.parametrize(
    "typed", [str.lower, lambda code: code.replace("-", ""), lambda code: f" {code.replace('-', ' ')} "]
)
def test_a_code_counts_however_it_is_written(tools: FactorTools, typed: "type[str]") -> None:
    code = RecoveryCodes(tools).renew(freshly_shown(tools), NOW)[0]
    assert RecoveryCodes(tools).check(ADA, typed(code), NOW).factor


def test_a_new_set_voids_the_old_one(tools: FactorTools) -> None:
    proof = freshly_shown(tools)
    old = RecoveryCodes(tools).renew(proof, NOW)
    new = RecoveryCodes(tools).renew(proof, NOW)
    with pytest.raises(FactorRefused):
        RecoveryCodes(tools).check(ADA, old[0], NOW)
    assert RecoveryCodes(tools).check(ADA, new[0], NOW).factor


def test_only_who_just_showed_a_factor_gets_a_new_set(tools: FactorTools) -> None:
    proof = freshly_shown(tools)
    assert RecoveryCodes(tools).renew(proof, NOW + timedelta(minutes=5))
    for stale in (after_password(), replace(proof, person=BOB)):
        with pytest.raises(FactorRefused) as caught:
            RecoveryCodes(tools).renew(stale, NOW)
        assert caught.value.reason is FactorReason.PROOF_NEEDED
    with pytest.raises(FactorRefused):
        RecoveryCodes(tools).renew(proof, NOW + timedelta(minutes=5, seconds=1))


def test_codes_made_before_a_key_rotation_still_count(tools: FactorTools) -> None:
    code = RecoveryCodes(tools).renew(freshly_shown(tools), NOW)[0]
    rotated = replace(tools, keyring=tools.keyring.rotate(Purpose.SEED, now=NOW))
    assert RecoveryCodes(rotated).check(ADA, code, NOW).factor


def test_who_can_write_to_the_database_cannot_plant_a_code(tools: FactorTools) -> None:
    """The hash is a MAC: under another key the same code has another one."""
    proof = freshly_shown(tools)
    code = RecoveryCodes(replace(tools, keyring=Keyring.generate(now=NOW))).renew(proof, NOW)[0]
    with pytest.raises(FactorRefused) as caught:
        RecoveryCodes(tools).check(ADA, code, NOW)
    assert caught.value.reason is FactorReason.WRONG


def test_the_codes_kept_are_no_codes(tools: FactorTools) -> None:
    kept: list[bytes] = []

    class Spy:
        def __getattr__(self, name: str) -> object:
            return getattr(tools.factors, name)

        def replace_recovery_codes(self, _person: str, hashes: list[bytes], _now: object) -> None:
            kept.extend(hashes)

    codes = RecoveryCodes(replace(tools, factors=Spy())).renew(freshly_shown(tools), NOW)  # type: ignore[arg-type]  # a spy
    assert [len(hashed) for hashed in kept] == [32] * 10
    assert not any((canonical(code) or "?").encode() in hashed for code in codes for hashed in kept)
