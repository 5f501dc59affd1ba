"""One-time things: an assertion's id, a `state`, an authorization code. Each is accepted once, over all instances."""

from datetime import datetime
from typing import Protocol


class OnceStore(Protocol):
    """Remembers what was used up; raises `errors.Unavailable` when away."""

    def burn(self, kind: str, key: str, *, issued_at: datetime, until: datetime) -> bool:
        """Use one up, atomically over all instances: True exactly once, False ever after.

        False also when the thing is over (`until` is not in the future), and when it was issued before the store began
        a new history (Redis restarted, emptied or failed over: what was burnt just before may have been lost).
        `issued_at` is the earliest instant at which it can have been made, by the broker's clock: for a thing with
        somebody else's time stamp take off what you tolerate of their clock. `until` belongs to the thing: give the
        same one each time.
        """
