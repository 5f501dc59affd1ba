"""A clock, keys, events, and a small trail of three chains for the tests of the audit trail."""

import io
import itertools
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from record.memory import MemoryTrail

from broker.keys import Keyring
from broker.record.event import Event, Outcome, Tag
from broker.record.export import json_line, matching
from broker.record.ids import uuid7
from broker.record.trail import Query, TrailStore
from broker.record.writer import AuditTrail

START = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
KEYS = Keyring.generate(now=START)
OTHER_KEYS = Keyring.generate(now=START)
_serial = itertools.count(1)


class Watch:
    """A clock that moves on by a millisecond each time it is read."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


def an_event(at: datetime | None = None, **fields: object) -> Event:
    at = at or START + timedelta(milliseconds=next(_serial))
    usual = Event(
        tag=Tag.CREDENTIALS_ISSUED,
        outcome=Outcome.ALLOWED,
        at=at,
        id=uuid7(at, secrets.token_bytes),
        actor="person-1",
        actor_name="Åsa Öberg",
        provider="corp-ad",
        subject="S-1-5-21-1004336348-1177238915-682003330-1104",
        address="10.1.2.3",
        request_id="request-1",
        lease_id="lease-1",
        access_key_id="ASIAIOSFODNN7EXAMPLE",
        account="012345678901",
        role_arn="arn:aws:iam::012345678901:role/federated/ReadOnly",
        session_name="asa.oberg",
        mapping_revision="3f" * 32,
        reason="mfa passed",
        details={"region": "eu-central-1", "rule": "sre-reads-everything"},
    )
    return replace(usual, **fields)  # type: ignore[arg-type]  # by name, as the test wrote them


def a_trail(store: TrailStore, *, clock: Watch | None = None, stream: io.BytesIO | None = None) -> AuditTrail:
    return AuditTrail(store, KEYS, clock=clock or Watch(), randomness=secrets.token_bytes, stream=stream)


EVENTS = 5
"""Links of each chain of the small trail: a first one and four events."""


def a_small_trail(store: TrailStore | None = None) -> tuple[TrailStore, list[str], datetime, list[str]]:
    """Three chains, the first two closed in order and the third alive: (store, writers, now, lines of stdout)."""
    store = store or MemoryTrail()
    stream, watch, writers = io.BytesIO(), Watch(), []
    for number in range(3):
        trail = a_trail(store, clock=watch, stream=stream)
        for _ in range(2):
            trail.record(an_event(watch()))
        trail.tick(watch())
        for _ in range(2):
            trail.record(an_event(watch()))
        trail.tick(watch())
        if number < 2:
            trail.close(watch())
        writers.append(trail.writer)
    return store, writers, watch.now + timedelta(seconds=30), stream.getvalue().decode().splitlines()


def exported(store: TrailStore, query: Query | None = None) -> list[str]:
    """The export as JSON lines."""
    return [json_line(found) for found in matching(store, query or Query(), KEYS)]
