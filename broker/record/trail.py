"""The audit trail as a chain, and the store that it needs.

Each writing instance (a process) has a chain of its own: link n carries the SHA-256 of link n-1, so nothing in it can
be changed, removed, inserted or reordered unseen. The hash covers the payload's digest, not the payload: old personal
data can be pruned and the chain still verifies. Every link is signed, and so are the heads that each instance writes
down every minute, with a key that the database does not hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from broker.record.event import Event, Outcome, Tag

NAME: Final = "audit trail"
"""What `errors.Unavailable` calls this neighbour."""

SHAPE: Final = "________-____-7___-____-____________"
"""A writer's name, as a pattern for SQL's LIKE: a UUIDv7 (`ids.uuid7`)."""
ANY_NAME: Final = "g"
"""Above every such name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One event in its writer's chain."""

    writer: str
    """The writing instance: random, new at each process start."""
    number: int
    """1, 2, 3, … without a gap."""
    at: datetime
    """When the event happened: `Event.at`, with its microseconds."""
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
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    """The search columns as the store holds them now (`event.SEARCH_COLUMNS`), so that `verify` can compare them with
    the payload. The store fills it in when it reads: "" where a field is empty, and everywhere once pruned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the chain of `writer` ended at `at`: with link `number`. Signed, so that a cut tail shows."""

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
        """Keep one link, durably before it returns; `columns_of(event)` are its search columns.

        Refuses (`errors.Unavailable`) a second link with the same writer and number: that pair is the key. Raises it
        too where the database took the link and kept no row.
        """

    def last(self, writer: str) -> Link | None:
        """The writer's link with the highest number, None when there is none; never a stale read."""

    def add_head(self, head: Head) -> None:
        """Keep one signed head; it takes the place of an earlier one with the same writer and number."""

    def writers(self) -> Mapping[str, int]:
        """All writers that left a link or a head, by name, and how many rows of both are kept under it.

        A name that is no text (SQLite keeps what it is given) comes as some text; its rows are not read.
        """

    def newest(self, *, before: str = ANY_NAME) -> Iterator[str]:
        """The writers that left a link, the newest (by name, which begins with the time) first, read one by one.

        Of names below `before`, and of the broker's own shape (`SHAPE`) only: no row of another costs an answer.
        """

    def links(self, writer: str, *, after: int | None = None) -> Iterator[Link]:
        """A writer's links by number, those behind `after`, read in pages; never fails for what stands in a row."""

    def heads(self, writer: str) -> Iterator[Head]:
        """A writer's heads, oldest first."""

    def search(self, query: Query, *, limit: int, before: str = "") -> Sequence[Link]:
        """Matching links that have their payload and an id, by event id, the newest first.

        Finds by the search columns, which only `verify` compares with the events. `before` is the id of the last event
        that was seen already (a cursor): the answer goes on behind it. `since` is inclusive, `until` exclusive; both
        are compared with `Link.at`.
        """

    def prune(self, before: datetime) -> int:
        """Forget payload and search columns of links with `at < before`; how many. The chain stays.

        Events of the trail itself (`audit:…`) hold nothing personal and stay: they are the evidence that the rest was
        pruned rightly. Only `writer.AuditTrail.prune` calls this, which writes that evidence first.
        """


class Trail(Protocol):
    """What `flow` writes to."""

    def record(self, event: Event) -> None:
        """Written durably before this returns; raises `errors.Unavailable` when it cannot be. No audit, no grant."""
