"""Time-ordered identifiers (UUID version 7, RFC 9562 section 5.7) from an injected clock and injected randomness."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from broker.clock import Clock

Randomness = Callable[[int], bytes]
"""Gives that many unpredictable bytes: `secrets.token_bytes` in the server."""


def uuid7(now: datetime, randomness: Randomness) -> str:
    """A UUIDv7 for the instant `now`: sorts by time to about a quarter of a microsecond, then by 62 random bits.

    The twelve bits after the version are the fraction of the millisecond (RFC 9562 section 6.2, method 3). Not a
    secret and not a proof of anything: an identifier.
    """
    microseconds = int(now.timestamp()) * 1_000_000 + now.microsecond
    milliseconds, rest = divmod(microseconds, 1000)
    random = int.from_bytes(randomness(8), "big") & (1 << 62) - 1
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | (rest * 4096 // 1000) << 64 | 0b10 << 62 | random))


def new_event_id(clock: Clock, randomness: Randomness) -> str:
    """An identifier for something that happens now."""
    return uuid7(clock(), randomness)
