"""One-time things, in SQL and in Redis (`sessions.once.OnceStore`)."""

from datetime import datetime, timedelta

from sqlalchemy import delete

from broker.clock import Clock
from broker.storage.database import Database, hashed_key, microseconds
from broker.storage.short_lived import ShortLived
from broker.storage.tables import once

NEIGHBOUR = "the store of one-time things"
AFTERWARDS = timedelta(minutes=1)
"""A burnt thing is remembered for this long after it is over: another instance's clock may be a little slow."""


class SqlOnce:
    """`OnceStore` in SQL. Nothing that was burnt is lost, so there is no epoch."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        """`clock` tells what is over."""
        self._database = database
        self._clock = clock
        self._insert = database.insert(once).on_conflict_do_nothing()

    def burn(self, kind: str, key: str, *, issued_at: datetime, until: datetime) -> bool:  # noqa: ARG002 (the protocol's)
        """See the protocol."""
        if until <= self._clock():  # check: over-before-it-burns
            return False
        row = {"key": hashed_key(kind, key), "ends_at": until + AFTERWARDS}
        with self._database.write(NEIGHBOUR) as connection:
            return connection.execute(self._insert, row).rowcount == 1

    def tidy(self, now: datetime) -> int:
        """Forget what has long been over; how many."""
        with self._database.write(NEIGHBOUR) as connection:
            return connection.execute(delete(once).where(once.c.ends_at <= now)).rowcount


BURN = """
local at = epoch(KEYS[2], ARGV[2], ARGV[3])
local set = redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1])
return {KEYS[1], at, set and 1 or 0}
"""


class RedisOnce:
    """`OnceStore` in Redis, under the epoch rule."""

    def __init__(self, short_lived: ShortLived) -> None:
        """Registers its script; asks nothing yet."""
        self._short_lived = short_lived
        self._burn = short_lived.script(BURN, epoch=True)

    def burn(self, kind: str, key: str, *, issued_at: datetime, until: datetime) -> bool:
        """See the protocol."""
        left = until - self._short_lived.clock()
        if left <= timedelta():  # check: over-before-it-burns-in-redis
            return False
        name = f"{self._short_lived.prefix}once:{hashed_key(kind, key)}"
        life = (left + AFTERWARDS) // timedelta(milliseconds=1)
        epoch, (burnt,) = self._short_lived.run_in_epoch(self._burn, [name], [life], neighbour=NEIGHBOUR)
        if microseconds(issued_at) <= epoch:  # check: issued-before-the-epoch
            return False
        return burnt == "1"
