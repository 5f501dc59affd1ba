"""The three answers to "may they, now, from here?": `Permit`, `Refusal`, `StepUp`.

Only `decide.py` makes a `Permit`: the seal is an `InitVar`, so `dataclasses.replace` cannot copy it. It guards against
mistakes, not against an intruder inside the process; hence an issuer also refuses a permit older than a few seconds.
"""

from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta

from broker.challenge.proof import Method, Proof
from broker.entitle.entitlement import Entitlement


class Seal:
    """Held by `decide.py` alone; a house test looks after that."""

    __slots__ = ()


SEAL = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Every condition held at `decided_at`. What an issuer needs, and the only thing that it accepts."""

    proof: Proof
    entitlement: Entitlement
    grant: str
    """The name of the mapping that passed."""
    decided_at: datetime
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        """Refuse every seal but the one."""
        if seal is not SEAL:
            message = "only broker.evaluate.decide makes a Permit"
            raise TypeError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """No, and why."""

    condition: str
    """The condition's name, or `mapping` when nothing grants it, or `deny`."""
    rule: str
    """The name of the mapping or guardrail."""
    reason: str
    """A sentence for the person who asked; nothing in it that they may not know."""
    opens_at: datetime | None = None
    """When the same request would not be refused, if time alone can heal it; a fresh factor may be needed then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUp:
    """Not yet: show one of `methods`, not older than `max_age`, and ask again."""

    rule: str
    methods: frozenset[Method]
    max_age: timedelta | None
    reason: str


Objection = Refusal | StepUp
Verdict = Permit | Refusal | StepUp
