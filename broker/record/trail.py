"""The audit trail as a chain, and the store that it needs.

Each writing instance (a process) has a chain of its own: link n carries the SHA-256 of link n-1, so nothing in it can
be changed, removed, inserted or reordered unseen. The hash covers the payload's digest, not the payload: old personal
data can be pruned and the chain still verifies. Every link is signed, and so are the heads that each instance writes
down every minute, with a key that the database does not hold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.record.event import Event, Outcome, Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One event in its writer's chain."""

    writer: str
    """The writing instance: random, new at each process start."""
    number: int
    """1, 2, 3, … without a gap."""
    at: datetime
    previous: bytes
    """The hash of link `number - 1`; 32 zero bytes for the first."""
    digest: bytes
    """SHA-256 of `payload`."""
    hash: bytes
    """SHA-256 over writer, number, at, previous and digest."""
    signature: bytes
    """Over `hash`."""
    key_id: str
    """Which audit key signed."""
    payload: str | None
    """The event as canonical JSON; None once pruned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """ "At `at`, the chain of `writer` ended with link `number`": signed, so that a cut tail shows."""

    writer: str
    number: int
    hash: bytes
    at: datetime
    closed: bool
    """Written by an orderly stop: nothing may follow."""
    signature: bytes
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to search for; empty fields do not narrow."""

    since: datetime | None = None
    until: datetime | None = None
    tag: Tag | None = None
    outcome: Outcome | None = None
    actor: str = ""
    subject: str = ""
    account: str = ""
    role_arn: str = ""
    session_name: str = ""
    address: str = ""
    request_id: str = ""
    lease_id: str = ""
    access_key_id: str = ""


class TrailStore(Protocol):
    """Keeps links and heads; append-only but for `prune`. Raises `errors.Unavailable` when away or full."""

    def append(self, link: Link, event: Event) -> None:
        """Keep one link, durably before it returns; `event` fills the search columns."""

    def add_head(self, head: Head) -> None:
        """Keep one signed head."""

    def writers(self) -> Sequence[str]:
        """All writers that left a link or a head, by name."""

    def links(self, writer: str) -> Iterator[Link]:
        """A writer's links by number, read in pages."""

    def heads(self, writer: str) -> Iterator[Head]:
        """A writer's heads, oldest first."""

    def search(self, query: Query, *, limit: int, before: str = "") -> Sequence[Link]:
        """Matching links, newest first; `before` is the id of the last event already seen (cursor)."""

    def prune(self, before: datetime) -> int:
        """Forget payloads and search columns older than `before`; how many. The chain stays."""


class Trail(Protocol):
    """What `flow` writes to."""

    def record(self, event: Event) -> None:
        """Written durably before this returns; raises `errors.Unavailable` when it cannot be. No audit, no grant."""
