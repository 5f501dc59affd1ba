"""What is short-lived on a real Redis: the same suites, the epoch rule, and what can go wrong with a server."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from contracts.store import (
    ALICE,
    DAY,
    HOUR,
    MINUTE,
    RULE,
    SECOND,
    Place,
    ShortLivedContract,
    a_session,
    storage,
)
from neighbours._waiting import free_port
from neighbours.redis import RedisServer, redis_server
from pydantic import SecretStr

from broker.authenticate.attempts import Attempts
from broker.errors import ConfigurationError, Unavailable
from broker.sandbox.pki import SandboxPki
from broker.storage import Storage, StorageSettings

__all__ = ["storage"]

TRAIL = "the audit trail"
NUMBERS = count(1)


def place_at(server: RedisServer, folder: Path, **more: object) -> Place:
    url = f"sqlite:///{folder}/broker.db"
    prefix = f"test-{next(NUMBERS)}:"
    known = {"url": url, "short_lived": server.url, "short_lived_prefix": prefix, "short_lived_timeout": 10}
    return Place(settings=StorageSettings.model_validate({**known, **more}))


@pytest.fixture
def place(shared_redis: RedisServer, tmp_path: Path) -> Iterator[Place]:
    place = place_at(shared_redis, tmp_path)
    yield place
    place.close()


@pytest.fixture
def own_place(own_redis: RedisServer, tmp_path: Path) -> Iterator[Place]:
    place = place_at(own_redis, tmp_path)
    yield place
    place.close()


class TestRedis(ShortLivedContract):
    pass


# ---- the server


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_evicts_is_refused(own_redis: RedisServer, own_place: Place, policy: str) -> None:
    storage = own_place.open()
    storage.upgrade()
    storage.check()
    with own_redis.client() as client:
        client.config_set("maxmemory-policy", policy)
    with pytest.raises(ConfigurationError) as refused:
        own_place.open()
    assert "noeviction" in refused.value.problems[0].remedy
    with pytest.raises(ConfigurationError):
        storage.check()


def test_the_policy_is_known_where_config_is_forbidden(own_redis: RedisServer, own_place: Place) -> None:
    with own_redis.client() as client:
        client.acl_setuser("default", enabled=True, commands=["-config"])
    own_place.open()


def test_a_server_that_does_not_tell_is_refused(own_redis: RedisServer, own_place: Place) -> None:
    with own_redis.client() as client:
        client.acl_setuser("default", enabled=True, commands=["-info"])
    with pytest.raises(Unavailable):
        own_place.open()


def test_a_dead_server_is_unavailable_and_a_restarted_one_is_used_again(
    own_redis: RedisServer, own_place: Place
) -> None:
    storage = own_place.open()
    storage.upgrade()
    now = own_place.clock.on(DAY)
    storage.sessions.add(a_session("a", now), until=now + HOUR)
    own_redis.stop()
    for _ in range(3):
        with pytest.raises(Unavailable):
            storage.sessions.get("a")
        with pytest.raises(Unavailable):
            storage.attempts.take("alice", now, RULE)
        with pytest.raises(Unavailable):
            storage.once.burn("state", "1", issued_at=now, until=now + HOUR)
        with pytest.raises(Unavailable):
            storage.check()
    with pytest.raises(Unavailable):
        own_place.open()
    own_redis.start()
    assert storage.sessions.get("a") is None, "it was kept in memory only"
    storage.sessions.add(a_session("a", now), until=now + HOUR)
    assert storage.sessions.get("a") is not None
    storage.check()


def test_a_full_server_is_unavailable(own_redis: RedisServer, own_place: Place) -> None:
    storage = own_place.open()
    now = own_place.clock.on(DAY)
    with own_redis.client() as client:
        client.config_set("maxmemory", "1kb")
    with pytest.raises(Unavailable):
        storage.once.burn("state", "1", issued_at=now, until=now + HOUR)


def test_a_master_without_its_replicas_is_unavailable(own_redis: RedisServer, own_place: Place) -> None:
    storage = own_place.open()
    now = own_place.clock.on(DAY)
    with own_redis.client() as client:
        client.config_set("min-replicas-to-write", 1)
    with pytest.raises(Unavailable):
        storage.once.burn("state", "1", issued_at=now, until=now + HOUR)
    with pytest.raises(Unavailable):
        storage.attempts.take("alice", now, RULE)


def test_nothing_is_read_from_a_replica(own_redis: RedisServer, own_place: Place, tmp_path: Path) -> None:
    """Not even a session: it may have ended on the master meanwhile."""
    storage = own_place.open()
    now = own_place.clock.on(DAY)
    storage.sessions.add(a_session("a", now), until=now + HOUR)
    with redis_server(tmp_path) as replica:
        replica.follow(own_redis)
        with replica.client() as client:
            assert client.exists(f"{own_place.settings.short_lived_prefix}session:a")
        settings = own_place.settings.model_copy(update={"short_lived": replica.url})
        with pytest.raises(Unavailable, match="replica"):
            Place(settings=settings, clock=own_place.clock).open()
        other = redis_server(tmp_path)
        with other as master:
            own_redis.follow(master)  # the one that we are connected to becomes a replica
            with pytest.raises(Unavailable):
                storage.sessions.get("a")
            with pytest.raises(Unavailable):
                storage.check()


def test_two_brokers_may_share_a_server(place: Place, shared_redis: RedisServer, tmp_path: Path) -> None:
    other = place_at(shared_redis, tmp_path)
    one, two = place.open(), other.open()
    now = place.clock.on(DAY)
    assert one.once.burn("state", "1", issued_at=now, until=now + HOUR)
    other.clock.on(DAY)
    assert two.once.burn("state", "1", issued_at=now, until=now + HOUR)
    other.close()


def test_everything_that_is_kept_goes_away_by_itself(storage: Storage, place: Place, shared_redis: RedisServer) -> None:
    now = place.clock()
    storage.sessions.add(a_session("a", now), until=now + HOUR)
    storage.once.burn("state", "1", issued_at=now, until=now + HOUR)
    storage.attempts.take("alice", now, RULE)
    with shared_redis.client() as client:
        keys = list(client.scan_iter(f"{place.settings.short_lived_prefix}*"))
        lives = {key.split(":")[1]: client.pttl(key) / 1000 for key in keys}
    assert lives.pop("epoch") < 0
    assert set(lives) == {"session", "person-sessions", "once", "attempts"}
    assert 3500 < lives["session"] <= 3600
    assert 3500 < lives["person-sessions"] <= 3600
    assert 3600 < lives["once"] <= 3660
    assert 364 * 86400 < lives["attempts"] <= 365 * 86400


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SandboxPki:
    return SandboxPki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def tls_redis(pki: SandboxPki, tmp_path: Path) -> Iterator[tuple[RedisServer, int]]:
    """A server that speaks TLS on a second port, with a password."""
    port = free_port()
    files = ("--tls-cert-file", str(pki.certificate_file), "--tls-key-file", str(pki.key_file))
    tls = ("--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(pki.ca_file))
    with redis_server(tmp_path, *files, *tls) as server:
        with server.client() as client:
            client.acl_setuser("broker", enabled=True, passwords=["+sesame"], keys=["*"], categories=["+@all"])
        yield server, port


def _over_tls(tls_redis: tuple[RedisServer, int], folder: Path, **more: object) -> Place:
    server, port = tls_redis
    url = f"rediss://broker@localhost:{port}/0"
    return place_at(server, folder, short_lived=url, short_lived_password="sesame", **more)


def test_tls_with_the_named_authority_is_used(
    tls_redis: tuple[RedisServer, int], pki: SandboxPki, tmp_path: Path
) -> None:
    place = _over_tls(tls_redis, tmp_path, short_lived_ca_file=pki.ca_file)
    storage = place.open()
    now = place.clock.on(DAY)
    assert storage.once.burn("state", "1", issued_at=now, until=now + HOUR)
    place.close()


def test_tls_with_a_certificate_that_nobody_vouches_for_is_unavailable(
    tls_redis: tuple[RedisServer, int], tmp_path: Path
) -> None:
    other = SandboxPki(tmp_path / "other")
    for more in ({}, {"short_lived_ca_file": other.ca_file}):
        with pytest.raises(Unavailable) as refused:
            _over_tls(tls_redis, tmp_path, **more).open()
        assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value.__cause__)
    with pytest.raises(Unavailable):
        _over_tls(tls_redis, tmp_path, short_lived_ca_file=tmp_path / "no such file").open()


def test_tls_for_another_name_is_unavailable(
    tls_redis: tuple[RedisServer, int], pki: SandboxPki, tmp_path: Path
) -> None:
    place = _over_tls(tls_redis, tmp_path, short_lived_ca_file=pki.ca_file)
    elsewhere = place.settings.short_lived.replace("localhost", "127.0.0.10")
    with pytest.raises(Unavailable) as refused:
        Place(settings=place.settings.model_copy(update={"short_lived": elsewhere})).open()
    assert "IP address mismatch" in str(refused.value.__cause__)


def test_a_wrong_redis_password_is_unavailable_and_not_shown(
    tls_redis: tuple[RedisServer, int], pki: SandboxPki, tmp_path: Path
) -> None:
    place = _over_tls(tls_redis, tmp_path, short_lived_ca_file=pki.ca_file)
    wrong = place.settings.model_copy(update={"short_lived_password": SecretStr("open-barley")})
    with pytest.raises(Unavailable) as refused:
        Place(settings=wrong).open()
    assert "barley" not in f"{refused.value!r} {refused.value.__cause__!r} {wrong!r}"


# ---- whose answer, whose session


def test_a_session_under_anothers_key_is_nobodys(storage: Storage, place: Place, shared_redis: RedisServer) -> None:
    now = place.clock()
    storage.sessions.add(a_session("alices", now), until=now + HOUR)
    prefix = place.settings.short_lived_prefix
    with shared_redis.client() as client:
        client.copy(f"{prefix}session:alices", f"{prefix}session:mallorys")
    assert storage.sessions.get("alices") is not None
    assert storage.sessions.get("mallorys") is None


def test_an_answer_to_another_question_is_not_believed(storage: Storage, place: Place) -> None:
    """CVE-2023-28858: a connection left half-read gave the next caller somebody else's answer."""
    now = place.clock()
    storage.sessions.add(a_session("alices", now), until=now + HOUR)
    storage.sessions.add(a_session("bobs", now), until=now + HOUR)
    assert storage.short_lived is not None
    pool = storage.short_lived._pool  # noqa: SLF001 (to leave a connection half-read)
    connection = pool.get_connection()  # type: ignore[no-untyped-call]
    connection.send_command("BLPOP", "nothing", 0.2)
    connection.send_command("EVAL", "return {ARGV[1], ARGV[2]}", 0, "somebody's key", "somebody's answer")
    pool.release(connection)  # type: ignore[no-untyped-call]
    with pytest.raises(Unavailable):
        storage.sessions.get("alices")
    found = storage.sessions.get("bobs")
    assert found is not None
    assert found.key == "bobs"


@pytest.mark.parametrize("kept", ["", "[]", "{}", '[1,2,3,null,null,"more"]', '["x",1,1,null,null]', "[1,1,1,{},null]"])
def test_a_count_that_cannot_be_read_lets_nobody_try(
    storage: Storage, place: Place, shared_redis: RedisServer, kept: str
) -> None:
    storage.attempts.take("alice", place.clock(), RULE)
    with shared_redis.client() as client:
        (key,) = client.scan_iter(f"{place.settings.short_lived_prefix}attempts:*")
        client.set(key, kept or "not JSON")
    with pytest.raises(Unavailable):
        storage.attempts.take("alice", place.clock(), RULE)


# ---- the epoch rule


def test_the_hole_a_master_that_fails_over_forgets_what_was_burnt(own_redis: RedisServer, tmp_path: Path) -> None:
    """What the next test is about, without the broker: the same SET NX says OK twice."""
    with redis_server(tmp_path) as replica, own_redis.client() as before, replica.client() as after:
        replica.follow(own_redis)
        replica.promote()  # the link was cut: what is written now does not arrive
        assert before.set("burnt", "1", nx=True)
        assert after.set("burnt", "1", nx=True)


def test_a_burnt_thing_is_refused_after_a_fail_over_that_lost_it(
    own_redis: RedisServer, own_place: Place, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as replica:
        replica.follow(own_redis)
        before = own_place.open()
        now = own_place.clock.on(DAY)
        replica.promote()  # the link was cut: what is burnt now does not arrive
        assert before.once.burn("assertion", "_1", issued_at=now, until=now + HOUR)
        own_redis.stop()
        settings = own_place.settings.model_copy(update={"short_lived": replica.url})
        own_place.clock.on(SECOND)
        place = Place(settings=settings, clock=own_place.clock)
        after = place.open()
        assert not after.once.burn("assertion", "_1", issued_at=now, until=now + HOUR)
        assert not after.once.burn("assertion", "_2", issued_at=now, until=now + HOUR), "never burnt, but too old"
        later = own_place.clock.on(SECOND)
        assert after.once.burn("assertion", "_3", issued_at=later, until=later + HOUR)
        assert not after.once.burn("assertion", "_3", issued_at=later, until=later + HOUR)
        place.close()


def test_the_first_to_ask_after_a_promotion_is_enough(own_redis: RedisServer, tmp_path: Path) -> None:
    """The process never noticed the fail-over: its connection stayed, the server behind it became a new master."""
    with redis_server(tmp_path) as master:
        place = place_at(own_redis, tmp_path)
        storage = place.open()
        now = place.clock.on(DAY)
        own_redis.follow(master)
        own_redis.promote()
        place.clock.on(SECOND)
        assert not storage.once.burn("state", "1", issued_at=now, until=now + HOUR)
        later = place.clock.on(SECOND)
        assert storage.once.burn("state", "2", issued_at=later, until=later + HOUR)
        place.close()


@pytest.mark.parametrize("how", ["restart", "flush"])
def test_a_burnt_thing_is_refused_after_redis_lost_everything(
    own_redis: RedisServer, own_place: Place, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage = own_place.open()
    now = own_place.clock.on(DAY)
    assert storage.once.burn("assertion", "_1", issued_at=now, until=now + HOUR)
    if how == "restart":
        own_redis.stop()
        own_redis.start()
    else:
        with own_redis.client() as client:
            client.flushall()
    own_place.clock.on(SECOND)
    assert not storage.once.burn("assertion", "_1", issued_at=now, until=now + HOUR)
    assert "new history" in caplog.text
    later = own_place.clock.on(SECOND)
    assert storage.once.burn("assertion", "_2", issued_at=later, until=later + HOUR)


def test_a_server_whose_history_is_older_than_one_seen_begins_anew(own_redis: RedisServer, own_place: Place) -> None:
    """An address that swings back to the old master: same replication id, but what the new one burnt is not there."""
    storage = own_place.open()
    epoch_key = f"{own_place.settings.short_lived_prefix}epoch"
    with own_redis.client() as client:
        old = client.hgetall(epoch_key)
        client.hset(epoch_key, "id", "another master")
        own_place.clock.on(DAY)
        now = own_place.clock.on(SECOND)
        assert not storage.once.burn("state", "0", issued_at=now - HOUR, until=now + HOUR)
        burnt_there = own_place.clock.on(SECOND)
        client.hset(epoch_key, mapping=old)
    own_place.clock.on(SECOND)
    assert not storage.once.burn("state", "1", issued_at=burnt_there, until=burnt_there + HOUR)
    later = own_place.clock.on(SECOND)
    assert storage.once.burn("state", "2", issued_at=later, until=later + HOUR)


@pytest.mark.parametrize(("seen", "emptied"), [(True, False), (False, False), (True, True)])
def test_an_epoch_never_goes_back(own_redis: RedisServer, own_place: Place, *, seen: bool, emptied: bool) -> None:
    """Neither for a process that has seen it nor for a new one, whose clock may be slow."""
    storage = own_place.open()
    epoch_key = f"{own_place.settings.short_lived_prefix}epoch"
    own_place.clock.on(DAY)
    with own_redis.client() as client:
        client.hset(epoch_key, "id", "another master")
        storage.once.burn("state", "0", issued_at=own_place.clock(), until=own_place.clock() + HOUR)
        epoch = client.hget(epoch_key, "at")
        client.hset(epoch_key, "id", "a third master")
        if emptied:
            client.flushall()
        own_place.clock.on(-timedelta(minutes=10))
        storage = storage if seen else own_place.open()
        storage.once.burn("state", "0", issued_at=own_place.clock(), until=own_place.clock() + HOUR)
        assert client.hget(epoch_key, "at") == epoch


def test_a_new_epoch_is_told_and_told_again_until_that_works(own_redis: RedisServer, own_place: Place) -> None:
    storage, told = own_place.open(), list[str]()

    def fail() -> None:
        told.append("failed")
        raise Unavailable(TRAIL)

    def burn() -> bool:
        now = own_place.clock.on(MINUTE)
        return storage.once.burn("state", str(now), issued_at=now, until=now + HOUR)

    storage.on_reset(fail)
    assert burn()
    assert told == []
    with own_redis.client() as client:
        client.flushall()
    for _ in range(2):
        with pytest.raises(Unavailable):
            burn()
    storage.on_reset(lambda: told.append("told"))
    own_place.clock.on(DAY)
    assert burn()
    assert burn()
    assert told == ["failed", "failed", "told"]


def test_a_restart_of_the_broker_is_no_new_epoch(place: Place) -> None:
    storage = place.open()
    issued = place.clock.on(DAY)
    place.close()
    place.clock.on(MINUTE)
    storage = place.open()
    assert storage.once.burn("state", "1", issued_at=issued, until=issued + HOUR)


def test_sessions_that_were_replicated_go_on_after_a_fail_over(
    own_redis: RedisServer, own_place: Place, tmp_path: Path
) -> None:
    storage = own_place.open()
    now = own_place.clock.on(DAY)
    session = a_session("a", now)
    storage.sessions.add(session, until=now + HOUR)
    with redis_server(tmp_path) as replica:
        replica.follow(own_redis)
        replica.promote()
        settings = own_place.settings.model_copy(update={"short_lived": replica.url})
        place = Place(settings=settings, clock=own_place.clock)
        assert place.open().sessions.of_person(ALICE) == [session]
        place.close()


def test_after_a_new_epoch_there_is_one_try_where_counts_may_be_lost(own_redis: RedisServer, own_place: Place) -> None:
    storage = own_place.open()
    now = own_place.clock.on(DAY)
    for _ in range(4):
        assert storage.attempts.take("alice", now, RULE).allowed
    with own_redis.client() as client:
        client.flushall()
    now = own_place.clock.on(SECOND)
    taken = [storage.attempts.take("alice", now, RULE).allowed for _ in range(3)]
    assert taken == [True, False, False]
    assert [storage.attempts.take("bob", now, RULE).allowed for _ in range(2)] == [True, False]
    storage.attempts.forgive("bob")
    assert storage.attempts.take("bob", now, RULE).allowed
    late = own_place.clock.on(RULE.window)
    assert [storage.attempts.take("carol", late, RULE).allowed for _ in range(6)] == [True] * 5 + [False]


def test_where_a_try_gives_nothing_away_a_new_epoch_takes_none(own_redis: RedisServer, own_place: Place) -> None:
    storage, lenient = own_place.open(), replace(RULE, left_after_loss=RULE.tries)
    now = own_place.clock.on(DAY)
    for _ in range(4):
        assert storage.attempts.take("alice", now, lenient).allowed
    with own_redis.client() as client:
        client.flushall()
    now = own_place.clock.on(SECOND)
    assert [storage.attempts.take("alice", now, lenient).allowed for _ in range(6)] == [True] * 5 + [False]


def test_counts_from_before_a_fail_over_are_strict_for_a_window_too(own_redis: RedisServer, own_place: Place) -> None:
    storage = own_place.open()
    now = own_place.clock.on(DAY)
    assert storage.attempts.take("alice", now, RULE).allowed
    with own_redis.client() as client:
        client.hset(f"{own_place.settings.short_lived_prefix}epoch", "id", "another master")
    now = own_place.clock.on(SECOND)
    assert [storage.attempts.take("alice", now, RULE).allowed for _ in range(2)] == [True, False]
    assert storage.attempts.read("alice").failures == 2


def test_a_new_epoch_while_somebody_counts_is_not_overlooked(
    own_redis: RedisServer, own_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = own_place.open()
    now = own_place.clock.on(DAY)
    assert storage.short_lived is not None
    ask, asked = storage.short_lived.run_in_epoch, count(1)

    def flushed_between(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 (passed on)
        if next(asked) == 2:  # after it was read, before it is written
            with own_redis.client() as client:
                client.flushall()
        return ask(*arguments, **named)

    monkeypatch.setattr(storage.short_lived, "run_in_epoch", flushed_between)
    assert [storage.attempts.take("alice", now, RULE).allowed for _ in range(2)] == [True, False]


def test_counts_of_the_older_form_are_read(own_redis: RedisServer, own_place: Place) -> None:
    storage = own_place.open()
    now = own_place.clock.on(DAY)
    assert storage.attempts.take("alice", now, RULE).allowed
    with own_redis.client() as client:
        (key,) = client.keys(f"{own_place.settings.short_lived_prefix}attempts:*")
        epoch = json.loads(client.get(key))[0]
        client.set(key, json.dumps([epoch, 7, 2, None, None]))
    assert storage.attempts.read("alice") == Attempts(failures=7, in_a_row=7, in_window=2)


def test_a_success_does_not_make_up_for_counts_that_were_lost(own_redis: RedisServer, own_place: Place) -> None:
    storage = own_place.open()
    now = own_place.clock.on(DAY)
    for _ in range(3):
        assert storage.attempts.take("alice", now, RULE).allowed
    with own_redis.client() as client:
        client.hset(f"{own_place.settings.short_lived_prefix}epoch", "id", "another master")
    now = own_place.clock.on(SECOND)
    storage.attempts.succeeded("alice")
    assert [storage.attempts.take("alice", now, RULE).allowed for _ in range(2)] == [True, False]
