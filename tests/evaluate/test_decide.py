from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from builders import (
    HOUR,
    MINUTE,
    NOW,
    a_proof,
    a_proof_without_factor,
    a_rule,
    an_entitlement,
    circumstances,
    shown,
    shown_totp,
    the_built_in_guardrail,
)
from contracts.condition import moments, proofs
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from broker.challenge.proof import Method, Proof
from broker.entitle.entitlement import Rule
from broker.evaluate import CONDITIONS
from broker.evaluate.condition import Circumstances, Condition
from broker.evaluate.decide import decide, objections, weigh, weigh_all
from broker.evaluate.mfa import Mfa
from broker.evaluate.verdict import Objection, Permit, Refusal, StepUp


def condition(name: str, **document: object) -> Condition:
    written: Any = TypeAdapter(CONDITIONS[name]).validate_python(document)
    checked: Condition = written
    return checked


FRESH = condition("mfa", max_age="1m")
BY_KEY = condition("mfa", methods=["webauthn"])
BY_APP = condition("mfa", methods=["totp", "webauthn"], max_age="2m")
ELSEWHERE = condition("source_ip", **{"in": ["192.0.2.0/24"]})
HERE = condition("source_ip", **{"in": ["10.0.0.0/8"]})
NIGHT = condition("time_of_day", **{"from": "20:00", "to": "06:00", "zone": "Europe/Berlin"})
EVENING = condition("time_of_day", **{"from": "18:00", "to": "22:00", "zone": "Europe/Berlin"})
WEEKEND = condition("time_of_day", days=["sat-sun"], zone="Europe/Berlin")
WEEKDAYS = condition("time_of_day", days=["mon-fri"], zone="Europe/Berlin")


def ask(*grants: Rule, guardrails: tuple[Rule, ...] = (), proof: Proof | None = None) -> Permit | Objection:
    return decide(proof or a_proof(), an_entitlement(grants=grants, guardrails=guardrails), circumstances())


def refused(verdict: object) -> Refusal:
    assert isinstance(verdict, Refusal), verdict
    return verdict


def stepped(verdict: object) -> StepUp:
    assert isinstance(verdict, StepUp), verdict
    return verdict


def test_a_mapping_whose_conditions_hold_gives_a_permit() -> None:
    proof, entitlement = a_proof(), an_entitlement()
    permit = decide(proof, entitlement, circumstances())
    assert isinstance(permit, Permit)
    assert (permit.proof, permit.entitlement, permit.decided_at) == (proof, entitlement, NOW)
    assert permit.grant == "sre-reads-everything"


# default deny


def test_without_an_entitlement_there_is_nothing() -> None:
    assert refused(decide(a_proof(), None, circumstances())).condition == "mapping"


def test_an_entitlement_without_a_mapping_grants_nothing() -> None:
    assert refused(ask()).condition == "mapping"


@pytest.mark.parametrize("guardrails", [(), (a_rule("only-the-network", HERE),), (a_rule("only-by-key", BY_KEY),)])
def test_an_entitlement_without_the_built_in_guardrail_grants_nothing(guardrails: tuple[Rule, ...]) -> None:
    bare = replace(an_entitlement(), guardrails=guardrails)
    proof = a_proof(shown(Method.WEBAUTHN))
    assert refused(decide(proof, bare, circumstances())).rule == "built-in"
    guarded = replace(bare, guardrails=(*guardrails, the_built_in_guardrail()))
    assert isinstance(decide(proof, guarded, circumstances()), Permit)


def test_a_mapping_with_conditions_of_its_own_does_not_replace_the_guardrail() -> None:
    bare = replace(an_entitlement(grants=[a_rule("m", Mfa(), HERE)]), guardrails=())
    assert refused(decide(a_proof(), bare, circumstances())).rule == "built-in"


def test_a_guardrail_without_conditions_refuses() -> None:
    assert refused(ask(a_rule(), guardrails=(a_rule("empty"),))).rule == "empty"


def test_a_password_alone_is_asked_for_a_second_factor() -> None:
    step = stepped(ask(a_rule(), proof=a_proof_without_factor()))
    assert step.methods == frozenset(Method)
    assert step.rule == "built-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """From another version of the broker; it would hold."""

    name: ClassVar[str] = "approval"

    def objection(self, proof: Proof, circumstances: Circumstances, *, rule: str) -> Objection | None:
        del proof, circumstances, rule
        return None


class LaxMfa(Mfa):
    """Looks like ours, and lets everybody pass."""

    def objection(self, proof: Proof, circumstances: Circumstances, *, rule: str) -> StepUp | None:
        del proof, circumstances, rule
        return None


@pytest.mark.parametrize("unknown", [Approval(), LaxMfa()], ids=["unknown name", "a subclass of ours"])
def test_a_condition_that_is_not_one_of_ours_refuses_wherever_it_stands(unknown: Condition) -> None:
    assert refused(ask(a_rule("m", unknown))).rule == "m"
    assert refused(ask(a_rule("good"), a_rule("m", unknown))).rule == "m"
    assert refused(ask(a_rule("good"), guardrails=(a_rule("g", unknown),))).rule == "g"


def test_an_unknown_condition_is_reported_by_explain() -> None:
    answers = objections(a_proof(), an_entitlement(grants=[a_rule("m", Approval())]), circumstances())
    assert [(a.rule, a.objection is None) for a in answers] == [("built-in", True), ("m", False)]


# all guardrails and one mapping


def test_every_guardrail_must_hold() -> None:
    assert isinstance(ask(a_rule(), guardrails=(a_rule("g1", HERE), a_rule("g2", WEEKDAYS))), Permit)
    for guardrails in ((a_rule("g1", HERE), a_rule("g2", ELSEWHERE)), (a_rule("g2", ELSEWHERE), a_rule("g1", HERE))):
        assert refused(ask(a_rule(), guardrails=guardrails)).rule == "g2"


def test_every_condition_of_a_mapping_must_hold() -> None:
    assert refused(ask(a_rule("m", HERE, ELSEWHERE))).condition == "source_ip"
    assert refused(ask(a_rule("m", ELSEWHERE, HERE))).condition == "source_ip"


def test_a_laxer_mapping_never_cancels_a_guardrail() -> None:
    assert refused(ask(a_rule("lax"), a_rule("strict", HERE), guardrails=(a_rule("g", ELSEWHERE),))).rule == "g"


def test_the_first_mapping_that_passes_is_taken() -> None:
    permit = ask(a_rule("no", ELSEWHERE), a_rule("first", HERE), a_rule("second"))
    assert isinstance(permit, Permit)
    assert permit.grant == "first"


# the most helpful objection


def test_a_step_up_that_would_open_the_door_beats_a_refusal() -> None:
    assert stepped(ask(a_rule("elsewhere", ELSEWHERE), a_rule("fresh", FRESH))).rule == "fresh"


def test_a_step_up_that_would_be_in_vain_is_not_asked_for() -> None:
    assert refused(ask(a_rule("m", FRESH, ELSEWHERE))).condition == "source_ip"
    assert refused(ask(a_rule("m", FRESH), guardrails=(a_rule("g", ELSEWHERE),))).rule == "g"
    assert refused(ask(a_rule("m", FRESH), guardrails=(a_rule("g", NIGHT),))).rule == "g"


def test_step_ups_are_brought_together_into_one_that_heals_all() -> None:
    guardrails = (a_rule("by-app", BY_APP), a_rule("fresh", FRESH))
    proof = a_proof_without_factor()
    step = stepped(ask(a_rule("m", BY_KEY), guardrails=guardrails, proof=proof))
    assert (step.methods, step.max_age) == (frozenset({Method.WEBAUTHN}), MINUTE)
    assert step.rule == "built-in, by-app, fresh, m"
    assert step.reason == "This role needs webauthn, shown in the last 1m."
    healed = proof.with_shown(shown(Method.WEBAUTHN, at=NOW))
    assert isinstance(ask(a_rule("m", BY_KEY), guardrails=guardrails, proof=healed), Permit)


def test_step_ups_that_no_one_factor_heals_are_a_refusal() -> None:
    by_code = condition("mfa", methods=["totp"], max_age="1m")
    refusal = refused(ask(a_rule("m", BY_KEY), guardrails=(a_rule("by-code", by_code),)))
    assert refusal.condition == "mfa"
    assert refusal.rule == "by-code, m"
    both = a_proof(shown(Method.WEBAUTHN), shown_totp(at=NOW))
    assert isinstance(ask(a_rule("m", BY_KEY), guardrails=(a_rule("by-code", by_code),), proof=both), Permit)


def test_among_step_ups_the_one_that_is_easiest_to_meet_is_asked_for() -> None:
    key, fresh, hour = a_rule("key", BY_KEY), a_rule("fresh", FRESH), a_rule("two", condition("mfa", max_age="2m"))
    for order in ((key, fresh, hour), (hour, fresh, key), (fresh, key, hour)):
        assert stepped(ask(*order)).rule == "two"


def test_among_refusals_the_one_that_ends_soonest_is_told() -> None:
    rules = (a_rule("never", ELSEWHERE), a_rule("weekend", WEEKEND), a_rule("night", NIGHT))
    for order in (rules, rules[::-1]):
        refusal = refused(ask(*order))
        assert refusal.rule == "night"
        assert refusal.opens_at == NOW + 8 * HOUR  # 20:00 in Berlin


def test_windows_that_must_all_be_open_open_together() -> None:
    refusal = refused(ask(a_rule("m", NIGHT), guardrails=(a_rule("g1", EVENING), a_rule("g2", WEEKEND))))
    assert refusal.opens_at == datetime.fromisoformat("2026-11-28T20:00:00+01:00")


def test_windows_that_are_never_open_together_have_no_opening() -> None:
    assert refused(ask(a_rule("m", WEEKDAYS), guardrails=(a_rule("g", WEEKEND),))).opens_at is None


def test_what_time_alone_does_not_heal_has_no_opening() -> None:
    refusal = refused(ask(a_rule("m", NIGHT), guardrails=(a_rule("g", ELSEWHERE),)))
    assert (refusal.rule, refusal.opens_at) == ("g", None)


conditions = st.sampled_from([FRESH, BY_KEY, BY_APP, ELSEWHERE, HERE, NIGHT, EVENING, WEEKEND, WEEKDAYS, Mfa()])
rules = st.lists(conditions, max_size=3).map(lambda chosen: a_rule("r", *chosen))


@settings(max_examples=300, deadline=None)
@given(
    grants=st.lists(rules, max_size=3),
    guardrails=st.lists(rules, max_size=2),
    proof=proofs,
    moment=moments,
)
def test_a_permit_means_that_every_guardrail_and_one_mapping_hold(
    grants: list[Rule], guardrails: list[Rule], proof: Proof, moment: Circumstances
) -> None:
    entitlement = an_entitlement(grants=grants, guardrails=guardrails)

    def holds(rule: Rule) -> bool:
        return all(c.objection(proof, moment, rule="r") is None for c in rule.conditions)  # type: ignore[attr-defined]  # conditions of evaluate/

    verdict = decide(proof, entitlement, moment)
    sound = all(rule.conditions for rule in guardrails)
    expected = sound and all(map(holds, entitlement.guardrails)) and any(map(holds, grants))
    assert isinstance(verdict, Permit) is expected
    if isinstance(verdict, StepUp):
        factor = shown(min(verdict.methods), at=moment.now)
        healed = replace(proof, shown=(*(s for s in proof.shown if s.at <= moment.now), factor))
        assert isinstance(decide(healed, entitlement, moment), Permit), "a step up must not be in vain"
    if isinstance(verdict, Refusal) and verdict.opens_at is not None:
        later = decide(proof, entitlement, replace(moment, now=verdict.opens_at))
        assert not isinstance(later, Refusal), "it was said to open"
        just_before = replace(moment, now=verdict.opens_at - timedelta(seconds=1))
        assert isinstance(decide(proof, entitlement, just_before), Refusal)


# what-if


def test_weigh_says_the_same_and_makes_no_permit() -> None:
    entitlement = an_entitlement(grants=[a_rule("no", ELSEWHERE), a_rule("yes")])
    assert weigh(a_proof(), entitlement, circumstances()) == entitlement.grants[1]
    proof = a_proof_without_factor()
    assert weigh(proof, entitlement, circumstances()) == decide(proof, entitlement, circumstances())


def test_objections_gives_the_answer_of_every_condition() -> None:
    entitlement = an_entitlement(
        grants=[a_rule("a", ELSEWHERE, NIGHT), a_rule("b")], guardrails=[a_rule("prod-needs-mfa", FRESH)]
    )
    answers = objections(a_proof(), entitlement, circumstances())
    assert [(a.rule, a.guardrail, a.condition, a.objection is None) for a in answers] == [
        ("built-in", True, "mfa", True),
        ("prod-needs-mfa", True, "mfa", False),
        ("a", False, "source_ip", False),
        ("a", False, "time_of_day", False),
    ]
    assert {a.where for a in answers} == {"built-in", "mappings.yaml:1"}


@settings(max_examples=50)
@given(shared=st.lists(rules, min_size=1, max_size=3), picks=st.data(), proof=proofs, moment=moments)
def test_many_weighed_at_once_are_as_each_by_itself(
    shared: list[Rule], picks: st.DataObject, proof: Proof, moment: Circumstances
) -> None:
    """Entitlements of one document share its rules: what was said of some must not be said of others."""
    some = st.lists(st.sampled_from(shared), max_size=2)
    drawn = [(picks.draw(some), picks.draw(some)) for _ in range(4)]
    entitlements = [an_entitlement(grants=grants, guardrails=tuple(guardrails)) for grants, guardrails in drawn]
    assert weigh_all(proof, entitlements, moment) == [(one, weigh(proof, one, moment)) for one in entitlements]
