"""How many leases one person may take: neither a stolen session nor a script gone wild takes them by the thousand."""

from dataclasses import dataclass
from datetime import datetime

from broker.authenticate.attempts import AttemptRule, AttemptStore
from broker.authenticate.identity import PersonId
from broker.errors import TooManyAttempts


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLimit:
    """Leases are counted per person, over all sessions and instances, before AWS is asked."""

    attempts: AttemptStore
    rule: AttemptRule

    def take(self, person: PersonId, now: datetime) -> None:
        """Count one. Raises `TooManyAttempts` for one too many, `errors.Unavailable` when nobody can count."""
        taken = self.attempts.take(f"lease:{person}", now, self.rule)
        if not taken.allowed:  # check: lease-limit
            message = "You have taken too many leases in a short time."
            raise TooManyAttempts(
                message, retry_at=taken.retry_at, remedy="Wait a minute, and use each one until it ends."
            )
