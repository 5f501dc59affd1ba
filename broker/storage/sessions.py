"""Browser sessions, in SQL and in Redis (`sessions.session.SessionStore`)."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update

from broker.authenticate.identity import PersonId
from broker.clock import Clock
from broker.errors import Unavailable
from broker.sessions.session import Session
from broker.storage.authentic import Authentic
from broker.storage.codec import decode, encode
from broker.storage.database import Database, microseconds
from broker.storage.short_lived import ShortLived
from broker.storage.tables import sessions

NEIGHBOUR = "the store of sessions"
TRIES = 100
"""How often a change is tried in Redis while others change the same session: each time one of them was faster."""

Change = Callable[[Session], tuple[Session, datetime]]


def _newest_first(found: list[Session]) -> list[Session]:
    return sorted(found, key=lambda session: (session.created_at, session.key), reverse=True)


class SqlSessions:
    """`SessionStore` in SQL."""

    def __init__(self, database: Database, authentic: Authentic, *, clock: Clock) -> None:
        """`clock` tells which sessions have ended."""
        self._database = database
        self._authentic = authentic
        self._clock = clock
        live = (sessions.c.key == bindparam("name")) & (sessions.c.ends_at > bindparam("now"))
        self._get = select(sessions.c.body, sessions.c.person).where(live)
        self._get_alone = self._get.with_for_update()
        self._update = update(sessions).where(live)
        self._drop_live = delete(sessions).where(live)
        self._drop = delete(sessions).where(sessions.c.key == bindparam("name"))

    def add(self, session: Session, *, until: datetime) -> None:
        """See the protocol."""
        with self._database.write(NEIGHBOUR) as connection:
            self._alone(connection, session.person)
            connection.execute(insert(sessions), self._row(session, until))

    def change(self, key: str, change: Change) -> Session | None:
        """See the protocol."""
        known = self.get(key)
        if known is None:
            return None
        with self._database.write(NEIGHBOUR) as connection:
            self._alone(connection, known.person)
            kept = self._found(connection, self._get_alone, key)
            if kept is None:
                return None
            changed, until = change(kept)
            if changed.person != known.person:
                self._alone(connection, changed.person)
            connection.execute(self._update, {**self._row(changed, until), "name": key, "now": self._clock()})
        return changed

    def get(self, key: str) -> Session | None:
        """See the protocol."""
        with self._database.read(NEIGHBOUR) as connection:
            return self._found(connection, self._get, key)

    def _found(self, connection: Connection, wanted: Select[tuple[str, str | None]], key: str) -> Session | None:
        row = connection.execute(wanted, {"name": key, "now": self._clock()}).one_or_none()
        return None if row is None else decode(row.body, self._authentic, key=key, person=row.person)

    def move(self, old: str, session: Session, *, until: datetime) -> bool:
        """See the protocol."""
        with self._database.write(NEIGHBOUR) as connection:
            self._alone(connection, session.person)
            if connection.execute(self._drop_live, {"name": old, "now": self._clock()}).rowcount != 1:
                return False
            connection.execute(insert(sessions), self._row(session, until))
        return True

    def drop(self, key: str) -> bool:
        """See the protocol."""
        with self._database.write(NEIGHBOUR) as connection:
            return connection.execute(self._drop, {"name": key}).rowcount == 1

    def drop_all(self, person: PersonId) -> int:
        """See the protocol."""
        theirs = (sessions.c.person == person) & (sessions.c.ends_at > self._clock())
        with self._database.write(NEIGHBOUR) as connection:
            self._alone(connection, person)
            return connection.execute(delete(sessions).where(theirs)).rowcount

    def of_person(self, person: PersonId) -> list[Session]:
        """See the protocol."""
        theirs = (sessions.c.person == person) & (sessions.c.ends_at > self._clock())
        with self._database.read(NEIGHBOUR) as connection:
            rows = connection.execute(select(sessions.c.key, sessions.c.body).where(theirs)).all()
        found = (decode(body, self._authentic, key=key, person=person) for key, body in rows)
        return _newest_first([session for session in found if session is not None])

    def tidy(self, now: datetime) -> int:
        """Forget sessions that have ended; how many."""
        with self._database.write(NEIGHBOUR) as connection:
            return connection.execute(delete(sessions).where(sessions.c.ends_at <= now)).rowcount

    def _alone(self, connection: Connection, person: PersonId | None) -> None:
        """One writer at a time for each person: `drop_all` would not see what another is just giving them."""
        if person is not None:
            self._database.alone(connection, "sessions", person)

    def _row(self, session: Session, until: datetime) -> dict[str, object]:
        body = encode(session, self._authentic)
        return {"key": session.key, "person": session.person, "ends_at": until, "body": body}


# A session is a hash (body, person, ends), the index of a person a sorted set of session keys by their end. The index
# is a hint that may hold too much, never too little: who reads it asks the session itself whose it is.
COMMON = """
local function live(key, now)
  local ends = redis.call('HGET', key, 'ends')
  return ends and tonumber(ends) > tonumber(now)
end
local function keep(key, index, now, body, person, ends)
  local life = math.max(1, math.ceil((ends - now) / 1000))
  redis.call('HSET', key, 'body', body, 'person', person, 'ends', ends)
  redis.call('PEXPIRE', key, life)
  if person == '' then return end
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
  redis.call('ZADD', index, ends, key)
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIRE', index, math.max(1, math.ceil((last - now) / 1000)))
end
"""
ADD = """
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.error_reply('there is such a session') end
keep(KEYS[1], KEYS[2], unpack(ARGV))
return {KEYS[1]}
"""
CHANGE = """
if not live(KEYS[1], ARGV[1]) then return {KEYS[1], 'gone'} end
if redis.call('HGET', KEYS[1], 'body') ~= ARGV[5] then return {KEYS[1], 'other'} end
keep(KEYS[1], KEYS[2], unpack(ARGV, 1, 4))
return {KEYS[1], 'done'}
"""
MOVE = """
if not live(KEYS[1], ARGV[1]) then return {KEYS[1], 0} end
if redis.call('EXISTS', KEYS[2]) == 1 then return redis.error_reply('there is such a session') end
redis.call('DEL', KEYS[1])
keep(KEYS[2], KEYS[3], unpack(ARGV))
return {KEYS[1], 1}
"""
GET = """
if not live(KEYS[1], ARGV[1]) then return {KEYS[1]} end
return {KEYS[1], unpack(redis.call('HMGET', KEYS[1], 'body', 'person'))}
"""
DROP = """
return {KEYS[1], redis.call('DEL', KEYS[1])}
"""
OF_PERSON = """
local found = {KEYS[1]}
for _, key in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if live(key, ARGV[1]) and redis.call('HGET', key, 'person') == ARGV[2] then
    table.insert(found, key)
    table.insert(found, redis.call('HGET', key, 'body'))
    if ARGV[3] == 'drop' then redis.call('DEL', key) end
  end
end
return found
"""


class RedisSessions:
    """`SessionStore` in Redis."""

    def __init__(self, short_lived: ShortLived, authentic: Authentic) -> None:
        """Registers its scripts; asks nothing yet."""
        self._short_lived = short_lived
        self._authentic = authentic
        self._add = short_lived.script(COMMON + ADD)
        self._change = short_lived.script(COMMON + CHANGE)
        self._move = short_lived.script(COMMON + MOVE)
        self._get = short_lived.script(COMMON + GET)
        self._drop = short_lived.script(DROP)
        self._of_person = short_lived.script(COMMON + OF_PERSON)

    def add(self, session: Session, *, until: datetime) -> None:
        """See the protocol."""
        keys = [self._key(session.key), self._index(session.person)]
        self._short_lived.run(self._add, keys, self._values(session, until), neighbour=NEIGHBOUR)

    def change(self, key: str, change: Change) -> Session | None:
        """See the protocol."""
        for _ in range(TRIES):
            found = self._read(key)
            kept = self._decoded(key, found)
            if kept is None:
                return None
            changed, until = change(kept)
            keys, values = [self._key(key), self._index(changed.person)], [*self._values(changed, until), found[0]]
            (answer,) = self._short_lived.run(self._change, keys, values, neighbour=NEIGHBOUR)
            if answer != "other":
                return changed if answer == "done" else None
        raise Unavailable(NEIGHBOUR)

    def get(self, key: str) -> Session | None:
        """See the protocol."""
        return self._decoded(key, self._read(key))

    def _read(self, key: str) -> list[str]:
        return self._short_lived.run(self._get, [self._key(key)], [self._now()], neighbour=NEIGHBOUR)

    def _decoded(self, key: str, found: list[str]) -> Session | None:
        return decode(found[0], self._authentic, key=key, person=found[1] or None) if found else None

    def move(self, old: str, session: Session, *, until: datetime) -> bool:
        """See the protocol."""
        keys = [self._key(old), self._key(session.key), self._index(session.person)]
        return self._short_lived.run(self._move, keys, self._values(session, until), neighbour=NEIGHBOUR) == ["1"]

    def drop(self, key: str) -> bool:
        """See the protocol."""
        return self._short_lived.run(self._drop, [self._key(key)], [], neighbour=NEIGHBOUR) == ["1"]

    def drop_all(self, person: PersonId) -> int:
        """See the protocol."""
        return len(self._theirs(person, "drop"))

    def of_person(self, person: PersonId) -> list[Session]:
        """See the protocol."""
        found = (decode(body, self._authentic, key=key, person=person) for key, body in self._theirs(person, "read"))
        return _newest_first([session for session in found if session is not None])

    def _theirs(self, person: PersonId, what: str) -> list[tuple[str, str]]:
        arguments: list[str | int] = [self._now(), person, what]
        found = self._short_lived.run(self._of_person, [self._index(person)], arguments, neighbour=NEIGHBOUR)
        prefix = len(self._key(""))
        return [(key[prefix:], body) for key, body in zip(found[::2], found[1::2], strict=True)]

    def _key(self, key: str) -> str:
        return f"{self._short_lived.prefix}session:{key}"

    def _index(self, person: PersonId | None) -> str:
        return f"{self._short_lived.prefix}person-sessions:{person or ''}"

    def _now(self) -> int:
        return microseconds(self._short_lived.clock())

    def _values(self, session: Session, until: datetime) -> list[str | int]:
        return [self._now(), encode(session, self._authentic), session.person or "", microseconds(until)]
