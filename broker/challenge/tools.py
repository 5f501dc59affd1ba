"""What every factor needs: the stores, the keyring, the rule about attempts, the clock check, randomness."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.authenticate.attempts import AttemptStore
from broker.authenticate.identity import PersonId
from broker.challenge.clock_check import ClockCheck
from broker.challenge.factor import EnrolmentStore, FactorReason, FactorRefused, FactorStore
from broker.challenge.proof import Proof
from broker.challenge.settings import MfaSettings
from broker.errors import TooManyAttempts
from broker.keys import Keyring, RandomBytes

FRESH = timedelta(minutes=5)
"""How old a password or a factor may be when the factors themselves are changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorTools:
    """Given to every factor when it is built."""

    factors: FactorStore
    enrolment_codes: EnrolmentStore
    attempts: AttemptStore
    keyring: Keyring
    clock_check: ClockCheck
    settings: MfaSettings
    random: RandomBytes = secrets.token_bytes

    def count_attempt(self, person: PersonId, now: datetime) -> None:
        """Count one attempt *before* it is checked: per person, over all factors, sessions, addresses and instances.

        Raises `TooManyAttempts`, or `Unavailable` when it cannot be counted.
        """
        taken = self.attempts.take(_key(person), now, self.settings.rule)
        if not taken.allowed:  # check: factor-attempts
            message = "Too many wrong codes."
            by_operator = "Ask your help desk to unlock your second factor."
            remedy = "Wait, then type a new code." if taken.retry_at else by_operator
            raise TooManyAttempts(message, retry_at=taken.retry_at, remedy=remedy)

    def succeeded(self, person: PersonId) -> None:
        """Take the attempt back that was counted before it succeeded. Older failures stay: see `attempts.succeeded`."""
        self.attempts.succeeded(_key(person))

    def forgive(self, person: PersonId) -> None:
        """Forget all failures: an operator's reset."""
        self.attempts.forgive(_key(person))

    def require_shown(self, proof: Proof, now: datetime) -> None:
        """Raise `FactorRefused` unless one of the person's present factors was shown in the last five minutes."""
        age, latest = proof.age(now), proof.latest()
        oldest = next(iter(self.factors.factors(proof.person)), None)
        stale = age is None or age > FRESH
        # A factor shown before the oldest present one was enrolled has been reset since.
        before_reset = latest is None or oldest is None or latest.at < oldest.enrolled_at
        if stale or before_reset:  # check: proof-before-change
            raise FactorRefused(
                FactorReason.PROOF_NEEDED,
                "Show your second factor first.",
                remedy="Confirm it with a code, then try again within five minutes.",
            )


def _key(person: PersonId) -> str:
    return f"factor:{person}"
