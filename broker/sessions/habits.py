"""`Habit`: which roles somebody marked and which they use, so that a page can show those first. Grants nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from broker.authenticate.identity import PersonId

MOST = 200
"""Habits kept of one person; of the others the least used goes first, and a mark outlives any use."""
APART = timedelta(minutes=10)
"""Uses that follow each other faster count as one: programs ask again and again for what a person does once."""
HALF_LIFE = timedelta(days=14)
"""After this long a use counts half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What one person does with one role."""

    role: str
    """`account/role`; it may be gone from the mapping by now."""
    starred: bool
    uses: int
    last_used: datetime | None
    """None: marked, and never used."""

    def weight(self, now: datetime) -> float:
        """Often and lately ("frecency"): larger comes first; 0 was never used."""
        if self.last_used is None:
            return 0.0
        age = max(now - self.last_used, timedelta()) / HALF_LIFE
        return self.uses * math.pow(0.5, age)


class HabitStore(Protocol):
    """Keeps habits by person and role, `MOST` a person at most; raises `errors.Unavailable` when away."""

    def star(self, person: PersonId, role: str) -> None:
        """Mark a role as a favourite; again makes no difference."""

    def unstar(self, person: PersonId, role: str) -> None:
        """Take the mark away; what was used stays counted."""

    def used(self, person: PersonId, role: str, now: datetime) -> None:
        """Count one use, unless the last one that was counted is less than `APART` ago."""

    def of(self, person: PersonId) -> Sequence[Habit]:
        """All of one person's, in the order of the roles' names."""
