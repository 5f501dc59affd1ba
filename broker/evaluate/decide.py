"""`decide()`: may they, now, from here? The only maker of a `Permit`.

The checks, each a refusal when it fails:

1. somebody is entitled: there is an entitlement, and a mapping in it;
2. the built-in conditions are among the guardrails, and no guardrail is empty: nothing to check is a failure;
3. every condition is one that this version knows;
4. every condition of every guardrail, and of at least one mapping, holds.

An objection is made as helpful as it can be: a `StepUp` only if showing one factor now would open the door, else a
`Refusal` with the first instant at which time alone would.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from broker.challenge.proof import Proof
from broker.entitle.entitlement import Entitlement, Rule
from broker.evaluate import BUILT_IN, CONDITIONS
from broker.evaluate.condition import Circumstances, Condition
from broker.evaluate.mfa import Mfa, step_up
from broker.evaluate.verdict import SEAL, Objection, Permit, Refusal, StepUp, Verdict

ROUNDS = 32
"""How often windows are tried one behind another for an instant at which all are open."""


Weighed = tuple[Entitlement, Rule | Objection]
"""An entitlement, and the mapping that passes or why none does: nothing that an issuer accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one condition of one rule says."""

    rule: str
    where: str
    guardrail: bool
    """Else a mapping."""
    condition: str
    objection: Objection | None
    """None: it holds."""


def decide(proof: Proof, entitlement: Entitlement | None, circumstances: Circumstances) -> Verdict:
    """A `Permit` if every check passes, else the most helpful objection."""
    if entitlement is None:  # check: not-entitled
        return Refusal(condition="mapping", rule="", reason="No mapping gives you this role.")
    answer = weigh(proof, entitlement, circumstances)
    if not isinstance(answer, Rule):  # check: objection-stands
        return answer
    return Permit(proof=proof, entitlement=entitlement, grant=answer.name, decided_at=circumstances.now, seal=SEAL)


def weigh(proof: Proof, entitlement: Entitlement, circumstances: Circumstances) -> Rule | Objection:
    """What `decide` would say, as the mapping that passes or the objection: nothing that an issuer accepts.

    For what-if questions: `broker explain`, the document's own tests, the list of roles.
    """
    flaw = _flaw(entitlement)
    if flaw is not None:  # check: flawed-entitlement
        return flaw
    found: list[Objection] = []
    for grant in entitlement.grants:
        objection = _together((*entitlement.guardrails, grant), proof, circumstances)
        if objection is None:
            return grant
        found.append(objection)
    return min(found, key=_help)


def weigh_all(proof: Proof, entitlements: Sequence[Entitlement], circumstances: Circumstances) -> list[Weighed]:
    """What `weigh` says of each. Rules are asked once for all the entitlements that they stand before together."""
    said: dict[tuple[int, ...], Rule | Objection] = {}
    found = []
    for entitlement in entitlements:
        key = (*map(id, entitlement.guardrails), 0, *map(id, entitlement.grants))
        if key not in said:
            said[key] = weigh(proof, entitlement, circumstances)
        found.append((entitlement, said[key]))
    return found


def objections(proof: Proof, entitlement: Entitlement, circumstances: Circumstances) -> tuple[Answer, ...]:
    """What every condition says, guardrails first, in the document's stable order; for `broker explain`."""
    rules = (*((rule, True) for rule in entitlement.guardrails), *((rule, False) for rule in entitlement.grants))
    return tuple(
        Answer(
            rule=rule.name,
            where=rule.where,
            guardrail=guardrail,
            condition=condition.name,
            objection=condition.objection(proof, circumstances, rule=rule.name)
            if _known(condition)
            else _unknown(rule),
        )
        for rule, guardrail in rules
        for condition in _typed(rule)
    )


def _flaw(entitlement: Entitlement) -> Refusal | None:
    """(1)-(3): what is wrong with the entitlement itself, whatever was shown."""
    # (1) somebody is entitled
    if not entitlement.grants:  # check: nothing-granted
        return Refusal(condition="mapping", rule="", reason="No mapping gives you this role.")
    # (2) there is something to check
    asked = [condition for rule in entitlement.guardrails for condition in rule.conditions]
    if not all(built_in in asked for built_in in BUILT_IN):  # check: built-in-guardrail
        return Refusal(condition="mapping", rule="built-in", reason="This role lacks the broker's own guardrail.")
    for rule in entitlement.guardrails:
        if not rule.conditions:  # check: empty-guardrail
            return Refusal(condition="mapping", rule=rule.name, reason="This role has a guardrail without conditions.")
    # (3) and it is known how
    for rule in (*entitlement.guardrails, *entitlement.grants):
        if not all(_known(condition) for condition in rule.conditions):  # check: unknown-condition
            return _unknown(rule)
    return None


def _known(condition: object) -> bool:
    """Whether it is exactly one of ours: a subclass could answer something else."""
    return type(condition) in CONDITIONS.values()


def _unknown(rule: Rule) -> Refusal:
    return Refusal(
        condition="mapping", rule=rule.name, reason="This role has a condition that this version does not know."
    )


def _typed(rule: Rule) -> tuple[Condition, ...]:
    """The rule's conditions as `evaluate/` sees them; `_known` is what makes that true."""
    return cast("tuple[Condition, ...]", rule.conditions)


def _objecting(rules: Sequence[Rule], proof: Proof, circumstances: Circumstances) -> list[Objection]:
    answers = (c.objection(proof, circumstances, rule=rule.name) for rule in rules for c in _typed(rule))
    return [objection for objection in answers if objection is not None]


def _together(rules: Sequence[Rule], proof: Proof, circumstances: Circumstances) -> Objection | None:
    """(4): one answer for rules that must all hold; a refusal outweighs a step up, which would be in vain."""
    found = _objecting(rules, proof, circumstances)
    step = _one_step([objection for objection in found if isinstance(objection, StepUp)])
    refusals = [objection for objection in (*found, step) if isinstance(objection, Refusal)]
    lasting = next((refusal for refusal in refusals if refusal.opens_at is None), None)
    if lasting is not None or not refusals:
        return lasting or step
    return replace(refusals[0], opens_at=_all_open(rules, proof, circumstances))


def _one_step(steps: Sequence[StepUp]) -> StepUp | Refusal | None:
    """The one step that heals all of these: a method that each accepts, as fresh as the strictest wants it."""
    if len(steps) < 2:  # noqa: PLR2004 (nothing to bring together)
        return steps[0] if steps else None
    rules = ", ".join(dict.fromkeys(step.rule for step in steps))
    methods = frozenset.intersection(*(step.methods for step in steps))
    if not methods:
        reason = "This role asks for two kinds of second factor at once, and no one of them meets both."
        return Refusal(condition=Mfa.name, rule=rules, reason=reason)
    ages = [step.max_age for step in steps if step.max_age is not None]
    return step_up(rule=rules, methods=methods, max_age=min(ages, default=None))


def _all_open(rules: Sequence[Rule], proof: Proof, circumstances: Circumstances) -> datetime | None:
    """The first instant at which nothing but a second factor is missing; None: not one was found."""
    for _ in range(ROUNDS):
        found = _objecting(rules, proof, circumstances)
        openings = [objection.opens_at for objection in found if isinstance(objection, Refusal)]
        if not openings:
            return circumstances.now
        known = [instant for instant in openings if instant is not None and instant > circumstances.now]
        if len(known) != len(openings):
            return None
        circumstances = replace(circumstances, now=max(known))
    return None


def _help(objection: Objection) -> tuple[int, float, float]:
    """Smaller is more helpful: a step up, with more methods, less fresh; then the refusal that ends soonest."""
    if isinstance(objection, StepUp):
        age = timedelta.max if objection.max_age is None else objection.max_age
        return 0, -len(objection.methods), -age.total_seconds()
    return (2, 0, 0) if objection.opens_at is None else (1, objection.opens_at.timestamp(), 0)
