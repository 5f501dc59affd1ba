"""`mfa`: a second factor was shown, of the right kind, not too long ago."""

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.dataclasses import dataclass

from broker.challenge.proof import Method, Proof
from broker.duration import Duration, format_duration
from broker.evaluate.condition import Circumstances
from broker.evaluate.document import FROM_DOCUMENT, given, may_be_left_out, texts
from broker.evaluate.verdict import StepUp

SHORTEST = timedelta(minutes=1)
"""A shorter `max_age` could pass between the challenge and the click that follows it."""


def _methods(value: object) -> tuple[Method, ...]:
    """The methods named, in a stable order."""
    wanted = texts(value, what="methods")
    if not set(wanted) <= set(Method):
        message = f"not a method; there are {', '.join(sorted(Method))}"
        raise ValueError(message)
    return tuple(sorted(Method(text) for text in wanted))


def _long_enough(max_age: timedelta | None) -> timedelta | None:
    """Refuse what nobody could meet."""
    if max_age is not None and max_age < SHORTEST:
        message = f"shorter than {format_duration(SHORTEST)}; nobody could show a factor and ask that fast"
        raise ValueError(message)
    return max_age


@dataclass(frozen=True, slots=True, kw_only=True, config=FROM_DOCUMENT)
class Mfa:
    """Holds when one of `methods` was shown at most `max_age` ago.

    Without `methods` any second factor counts, a recovery code too: it is meant for the day on which the phone is gone.
    Where methods are named it counts only if it is one of them. Without `max_age` any time since the sign-in counts.
    A factor shown in the future counts as never shown.
    """

    name: ClassVar[str] = "mfa"

    methods: Annotated[tuple[Method, ...], BeforeValidator(_methods)] = Field(
        default=tuple(sorted(Method)), json_schema_extra=may_be_left_out
    )
    max_age: Annotated[Duration | None, BeforeValidator(given), AfterValidator(_long_enough)] = Field(
        default=None, json_schema_extra=may_be_left_out
    )

    def objection(self, proof: Proof, circumstances: Circumstances, *, rule: str) -> StepUp | None:
        """None when it holds; else the step up that would heal it."""
        age = proof.age(circumstances.now, self.methods)
        if age is None or (self.max_age is not None and age > self.max_age):  # check: second-factor
            return step_up(rule=rule, methods=frozenset(self.methods), max_age=self.max_age)
        return None


def step_up(*, rule: str, methods: frozenset[Method], max_age: timedelta | None) -> StepUp:
    """A step up, with its sentence."""
    wanted = "a second factor" if methods == frozenset(Method) else " or ".join(sorted(methods)).replace("_", " ")
    fresh = f", shown in the last {format_duration(max_age)}" if max_age else ""
    return StepUp(rule=rule, methods=methods, max_age=max_age, reason=f"This role needs {wanted}{fresh}.")
