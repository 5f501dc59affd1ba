"""Counts of attempts, in SQL and in Redis (`authenticate.attempts.AttemptStore`).

A count is forgotten after a year without a further attempt, so that names which nobody has do not pile up; one at the
hard stop is kept until an operator resets it.
"""

import json
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Row, bindparam, delete, select, update

from broker.authenticate.attempts import AttemptRule, Attempts, Taken, at_hard_stop, succeeded, take
from broker.errors import Unavailable
from broker.storage.database import Database, hashed_key, instant, microseconds
from broker.storage.short_lived import ShortLived
from broker.storage.tables import attempts

NEIGHBOUR = "the store of attempts"
REMEMBERED = timedelta(days=365)
ROUNDS = 500
"""How often a lost race for one key in Redis is run again; each round somebody wins."""

Counted = Row[int, int, int, datetime | None, datetime | None, datetime | None]


class SqlAttempts:
    """`AttemptStore` in SQL: the row is locked while it is counted."""

    def __init__(self, database: Database) -> None:
        """Builds its statements; asks nothing yet."""
        self._database = database
        insert = database.insert(attempts).values(failures=0, in_a_row=0, in_window=0)
        self._lock = insert.on_conflict_do_update(
            index_elements=[attempts.c.key], set_={"key": insert.excluded.key}
        ).returning(*_counted)
        self._set = update(attempts).where(attempts.c.key == bindparam("name"))
        self._read = select(*_counted).where(attempts.c.key == bindparam("name"))

    def take(self, key: str, now: datetime, rule: AttemptRule) -> Taken:
        """See the protocol."""
        name = hashed_key(key)
        with self._database.write(NEIGHBOUR) as connection:
            before = _of_row(connection.execute(self._lock, {"key": name}).one())
            after, taken = take(before, now, rule)
            connection.execute(self._set, _row(name, after, None if at_hard_stop(after, rule) else now + REMEMBERED))
        return taken

    def succeeded(self, key: str) -> None:
        """See the protocol."""
        name = hashed_key(key)
        with self._database.write(NEIGHBOUR) as connection:
            after = succeeded(_of_row(connection.execute(self._lock, {"key": name}).one()))
            if after.last_at is None:
                connection.execute(delete(attempts).where(attempts.c.key == name))
            else:
                connection.execute(self._set, _row(name, after, after.last_at + REMEMBERED))

    def forgive(self, key: str) -> None:
        """See the protocol."""
        with self._database.write(NEIGHBOUR) as connection:
            connection.execute(delete(attempts).where(attempts.c.key == hashed_key(key)))

    def read(self, key: str) -> Attempts:
        """See the protocol."""
        with self._database.read(NEIGHBOUR) as connection:
            row = connection.execute(self._read, {"name": hashed_key(key)}).one_or_none()
        return Attempts() if row is None else _of_row(row)

    def tidy(self, now: datetime) -> int:
        """Forget counts that nothing was added to for a year; how many."""
        with self._database.write(NEIGHBOUR) as connection:
            return connection.execute(delete(attempts).where(attempts.c.forget_at <= now)).rowcount


_counted = (
    attempts.c.failures,
    attempts.c.in_a_row,
    attempts.c.in_window,
    attempts.c.window_from,
    attempts.c.wait_until,
    attempts.c.last_at,
)


def _of_row(row: Counted) -> Attempts:
    failures, in_a_row, in_window, window_from, wait_until, last_at = row
    return Attempts(
        failures=failures,
        in_a_row=in_a_row,
        in_window=in_window,
        window_from=window_from,
        wait_until=wait_until,
        last_at=last_at,
    )


def _row(name: str, after: Attempts, forget_at: datetime | None) -> dict[str, object]:
    counted = {column.name: getattr(after, column.name) for column in _counted}
    return counted | {"name": name, "forget_at": forget_at}


READ = """
return {KEYS[1], epoch(KEYS[2], ARGV[1], ARGV[2]), redis.call('GET', KEYS[1]) or ''}
"""
SWAP = """
local at = epoch(KEYS[2], ARGV[5], ARGV[6])
if at ~= ARGV[1] or (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return {KEYS[1], at, 0} end
redis.call('SET', KEYS[1], ARGV[3])
if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return {KEYS[1], at, 1}
"""
FORGIVE = """
redis.call('DEL', KEYS[1])
return {KEYS[1]}
"""


class RedisAttempts:
    """`AttemptStore` in Redis: compare and swap.

    Under the epoch rule: for one window after a new history began, a key whose count is missing or older than it has
    one try left (`left_after_loss`), for the count may have lost what came last. So a fail-over gives nobody more than
    one try. A hard stop outlives Redis only as far as Redis keeps its data.
    """

    def __init__(self, short_lived: ShortLived) -> None:
        """Registers its scripts; asks nothing yet."""
        self._short_lived = short_lived
        self._read = short_lived.script(READ, epoch=True)
        self._swap = short_lived.script(SWAP, epoch=True)
        self._forgive = short_lived.script(FORGIVE)

    def take(self, key: str, now: datetime, rule: AttemptRule) -> Taken:
        """See the protocol."""
        name = self._name(key)
        for _ in range(ROUNDS):
            epoch, (kept,) = self._short_lived.run_in_epoch(self._read, [name], [], neighbour=NEIGHBOUR)
            before, counted_in = _decode(kept)
            if counted_in != epoch and now - instant(epoch) < rule.window:  # check: strict-after-a-new-epoch
                spent = max(before.in_window, rule.tries - rule.left_after_loss)
                before = replace(before, in_window=spent, window_from=now)
            after, taken = take(before, now, rule)
            life = timedelta(0) if at_hard_stop(after, rule) else REMEMBERED
            if self._swapped(name, epoch, kept, _encode(after, epoch), life):
                return taken
        raise Unavailable(NEIGHBOUR)

    def succeeded(self, key: str) -> None:
        """See the protocol."""
        name = self._name(key)
        for _ in range(ROUNDS):
            epoch, (kept,) = self._short_lived.run_in_epoch(self._read, [name], [], neighbour=NEIGHBOUR)
            before, counted_in = _decode(kept)
            # With the epoch in which it was counted: a success is no news about what was lost.
            if self._swapped(name, epoch, kept, _encode(succeeded(before), counted_in), REMEMBERED):
                return
        raise Unavailable(NEIGHBOUR)

    def forgive(self, key: str) -> None:
        """See the protocol."""
        self._short_lived.run(self._forgive, [self._name(key)], [], neighbour=NEIGHBOUR)

    def read(self, key: str) -> Attempts:
        """See the protocol."""
        _, (kept,) = self._short_lived.run_in_epoch(self._read, [self._name(key)], [], neighbour=NEIGHBOUR)
        return _decode(kept)[0]

    def _swapped(self, name: str, epoch: int, kept: str, after: str, life: timedelta) -> bool:
        """Write `after` where `kept` still stands, in the same epoch. No `life`: for good."""
        arguments: list[str | int] = [epoch, kept, after, life // timedelta(milliseconds=1)]
        _, (swapped,) = self._short_lived.run_in_epoch(self._swap, [name], arguments, neighbour=NEIGHBOUR)
        return swapped == "1"

    def _name(self, key: str) -> str:
        return f"{self._short_lived.prefix}attempts:{hashed_key(key)}"


def _encode(counted: Attempts, epoch: int) -> str:
    instants = (counted.window_from, counted.wait_until, counted.last_at)
    times = [None if at is None else microseconds(at) for at in instants]
    return json.dumps([epoch, counted.failures, counted.in_window, counted.in_a_row, *times])


def _decode(kept: str) -> tuple[Attempts, int]:
    """What was counted, and in which epoch. What cannot be read is no count that anybody could be let in on."""
    if not kept:
        return Attempts(), 0
    try:
        epoch, failures, in_window, *rest = json.loads(kept)
        # As it was kept when every failure was one in a row: two times and no more.
        in_a_row, *times = rest if len(rest) > 2 else (failures, *rest, None)  # noqa: PLR2004
        window_from, wait_until, last_at = (None if at is None else instant(at) for at in times)
        counted = Attempts(
            failures=int(failures),
            in_a_row=int(in_a_row),
            in_window=int(in_window),
            window_from=window_from,
            wait_until=wait_until,
            last_at=last_at,
        )
        return counted, int(epoch)
    except (ValueError, TypeError, OverflowError) as error:
        raise Unavailable(NEIGHBOUR) from error
