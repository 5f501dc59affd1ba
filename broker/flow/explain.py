"""`explain`: why somebody gets a role, or does not. The verdict is the corridor's own, from the same functions."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.challenge.proof import Proof
from broker.entitle.resolve import find, resolve
from broker.entitle.snapshot import Snapshot
from broker.entitle.trace import Trace
from broker.entitle.trace import explain as trace_of
from broker.evaluate.condition import Circumstances
from broker.evaluate.decide import Answer, objections, weigh
from broker.evaluate.verdict import Refusal, StepUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Every rule's part in one decision. Nothing an issuer accepts."""

    role: str
    allowed: bool
    objection: Refusal | StepUp | None
    """Why not."""
    grant: str
    """The mapping that passes; empty when none does."""
    trace: Trace
    answers: Sequence[Answer]
    """What each condition says."""


def explain(snapshot: Snapshot, proof: Proof, *, role: str, circumstances: Circumstances) -> Explanation:
    """Explain `account/role` for `proof` at that moment; `NotFound` for one that the document does not declare."""
    groups = proof.identity.groups
    account, _, name = role.partition("/")
    trace = trace_of(snapshot, groups, account=account, role=name, now=circumstances.now)
    entitlement = find(resolve(snapshot, groups, now=circumstances.now, only=role), role)
    if entitlement is None:
        nothing = Refusal(condition="mapping", rule="", reason="No mapping gives this role.")
        return Explanation(role=role, allowed=False, objection=nothing, grant="", trace=trace, answers=())
    weighed = weigh(proof, entitlement, circumstances)
    objection = weighed if isinstance(weighed, Refusal | StepUp) else None
    return Explanation(
        role=role,
        allowed=objection is None,
        objection=objection,
        grant="" if isinstance(weighed, Refusal | StepUp) else weighed.name,
        trace=trace,
        answers=objections(proof, entitlement, circumstances),
    )
