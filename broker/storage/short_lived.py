"""Redis for what is short-lived: the connection, the scripts, and the epoch rule.

Redis loses acknowledged writes when it fails over, restarts or is emptied, so that a one-time thing could be accepted a
second time. The epoch rule closes that: with every one-time thing and every attempt the server's replication id is
compared with the one in the epoch key (an INFO inside the script, 2 microseconds). Another id, no key, or an epoch
older than one that this process has seen means that the history is a new one, and `now` becomes its epoch. What was
issued before it is refused (`once.py`), what was counted before it is counted strictly (`attempts.py`). A master also
takes a new id when its first replica joins: then a few things are refused that were not lost.

Not promised: that a log-out of the last moment survives a fail-over (only where it was replicated), or anything while
two masters are in use at once. With replicas set `min-replicas-to-write 1`: a master cut off from them then refuses
(NOREPLICAS) after `min-replicas-max-lag`. Redis Cluster is not supported.

Every script is a writing one (`#!lua` without `no-writes`), also where it only reads: a server that was made a replica
answers READONLY, and nobody reads yesterday's sessions from it. Needs Redis 7 or Valkey.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from broker.clock import Clock
from broker.errors import ConfigurationError, Problem, Unavailable
from broker.storage.database import microseconds
from broker.storage.settings import StorageSettings

NEIGHBOUR = "Redis"
REDIS_ERRORS = (redis.RedisError, OSError, UnicodeError)

EPOCH = """
local function epoch(key, now, seen)
  local id = redis.call('INFO', 'replication'):match('master_replid:(%x+)')
  local kept = redis.call('HMGET', key, 'id', 'at')
  if kept[1] == id and kept[2] and tonumber(kept[2]) >= tonumber(seen) then return kept[2] end
  local at = now
  if kept[2] and tonumber(kept[2]) > tonumber(at) then at = kept[2] end
  if tonumber(seen) > tonumber(at) then at = seen end
  redis.call('HSET', key, 'id', id, 'at', at)
  return at
end
"""

BEGIN = "return {KEYS[1], epoch(KEYS[1], ARGV[1], ARGV[2])}"

log = logging.getLogger(__name__)


class ShortLived:
    """The connection to Redis. May be shared by threads and carried over a fork (redis-py reconnects)."""

    def __init__(self, settings: StorageSettings, *, clock: Clock) -> None:
        """Connect, check and begin the epoch.

        Raises `ConfigurationError` for a server that evicts keys, `errors.Unavailable` when it is away.
        """
        self.prefix = settings.short_lived_prefix
        self.clock = clock
        self._epoch_seen = 0
        self.told_of_reset: Callable[[], None] = lambda: None
        self._pool = _pool(settings)
        self._redis = redis.Redis(connection_pool=self._pool)
        self._begin = self.script(BEGIN, epoch=True)
        self.check()
        self._note(self.run(self._begin, [self.epoch_key], self.epoch_arguments(), neighbour=NEIGHBOUR)[0])

    @property
    def epoch_key(self) -> str:
        """Where the epoch is kept."""
        return f"{self.prefix}epoch"

    def script(self, body: str, *, epoch: bool = False) -> Script:
        """A script that answers with KEYS[1] first; `epoch` puts the function of that name before it."""
        return self._redis.register_script("#!lua\n" + (EPOCH if epoch else "") + body)

    def run(self, script: Script, keys: list[str], arguments: list[str | int], *, neighbour: str) -> list[str]:
        """The script's answer behind the echo of its first key; `errors.Unavailable(neighbour)` when there is none.

        The echo makes sure that the answer belongs to this question: redis-py once gave one caller another's answer
        when a connection was left half-read (CVE-2023-28858).
        """
        with self._translated(neighbour):
            reply = script(keys=keys, args=arguments)
        answer = [str(part) for part in reply] if isinstance(reply, list) else []
        if answer[:1] != keys[:1]:  # check: reply-to-another-question
            log.error("Redis answered another question; its connections are closed")
            self._pool.disconnect(inuse_connections=False)
            raise Unavailable(neighbour)
        return answer[1:]

    def epoch_arguments(self) -> list[str | int]:
        """What the script's `epoch` function is told: now, and the newest epoch that this process has seen."""
        return [microseconds(self.clock()), self._epoch_seen]

    def run_in_epoch(
        self, script: Script, keys: list[str], arguments: list[str | int], *, neighbour: str
    ) -> tuple[int, list[str]]:
        """`run` with the epoch's key and arguments behind the script's own; the epoch (microseconds), and the rest."""
        everything = [*arguments, *self.epoch_arguments()]
        epoch, *answer = self.run(script, [*keys, self.epoch_key], everything, neighbour=neighbour)
        self._note(epoch)
        return int(epoch), answer

    def _note(self, epoch: str) -> None:
        if int(epoch) > self._epoch_seen:
            if self._epoch_seen:
                log.warning("Redis began a new history: one-time things issued before are refused")
                self.told_of_reset()
            self._epoch_seen = int(epoch)

    def check(self) -> None:
        """Raise `errors.Unavailable` unless a writable master answers, `ConfigurationError` when it evicts keys."""
        with self._translated(NEIGHBOUR):
            memory, replication = self._redis.info("memory"), self._redis.info("replication")
        policy = memory.get("maxmemory_policy")
        if policy != "noeviction":  # check: redis-never-evicts
            problem = Problem(
                where="storage.short_lived",
                what=f"Redis may evict what must be remembered (maxmemory-policy {policy or 'unknown'})",
                remedy="set maxmemory-policy noeviction",
            )
            raise ConfigurationError([problem])
        if replication.get("role") != "master":  # check: redis-is-master
            raise Unavailable(NEIGHBOUR, "Redis is a replica", remedy="Point storage.short_lived at the master.")

    def close(self) -> None:
        """Close all connections."""
        self._redis.close()
        self._pool.disconnect()

    @contextmanager
    def _translated(self, neighbour: str) -> Iterator[None]:
        try:
            yield
        except REDIS_ERRORS as error:
            raise Unavailable(neighbour, remedy="Look at Redis: is it up, a master, and not full?") from error


def _pool(settings: StorageSettings) -> redis.BlockingConnectionPool:
    """No retry here: a command whose answer was lost may have been carried out."""
    parts = urlsplit(settings.short_lived)
    arguments: dict[str, object] = {
        "host": parts.hostname,
        "port": parts.port or 6379,
        "db": int(parts.path.strip("/")),
        "username": unquote(parts.username) if parts.username else None,
        "password": settings.short_lived_password.get_secret_value() or None,
        "socket_timeout": settings.short_lived_timeout,
        "socket_connect_timeout": settings.short_lived_timeout,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": True,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if parts.scheme == "rediss":
        ca = settings.short_lived_ca_file
        arguments |= {
            "connection_class": redis.SSLConnection,
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_ca_certs": str(ca) if ca else None,
        }
    return redis.BlockingConnectionPool(  # type: ignore[no-untyped-call] # redis-py has no types there
        max_connections=settings.short_lived_pool_size, timeout=settings.short_lived_timeout, **arguments
    )
