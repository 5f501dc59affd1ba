"""The contract of the store that keeps compiled mapping snapshots, so that a worker starts without compiling."""

from datetime import datetime
from typing import Protocol


class SnapshotStore(Protocol):
    """Keeps the newest 20 snapshots; raises `errors.Unavailable` when away.

    A cache, and not a place of trust: who can write the database can write a snapshot. What is read from it is to be
    checked (authenticated, or compiled anew) before it decides anything.
    """

    def get(self, digest: str) -> bytes | None:
        """The compiled form of the document with this digest, if it is still kept."""

    def put(self, digest: str, compiled: bytes, now: datetime) -> None:
        """Keep it (again) as the newest; the 21st goes."""
