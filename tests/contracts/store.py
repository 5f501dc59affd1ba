"""What every store promises, whatever keeps it: SQLite, PostgreSQL or Redis.

Each class is one store's suite. A test module names a fixture `place` (where to open) and inherits the suites.
"""

import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from redis import Redis
from sqlalchemy import Update, update

from broker.authenticate.attempts import AttemptRule, Attempts
from broker.authenticate.identity import Group, Identity, PersonId
from broker.challenge.factor import EnrolmentCode, FactorRecord, FirstFactor
from broker.challenge.proof import Method, Shown
from broker.errors import Unavailable
from broker.keys import Keyring, KeyringError, Purpose
from broker.record.event import Event, Outcome, Tag, columns_of
from broker.record.trail import Head, Link, Query
from broker.sessions.habits import MOST as HABITS
from broker.sessions.habits import Habit
from broker.sessions.people import Person
from broker.sessions.session import Door, Session
from broker.storage import Storage, StorageSettings, open_storage, tables

T = TypeVar("T")

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ALICE = PersonId("person-alice")
BOB = PersonId("person-bob")
CALLERS = 50
KEYS = Keyring.generate(now=NOON)


class Hand:
    """A clock that a test turns by hand."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def on(self, by: timedelta) -> datetime:
        self.now += by
        return self.now


@dataclass
class Place:
    """Where to open a storage, and by which clock."""

    settings: StorageSettings
    clock: Hand = field(default_factory=Hand)
    opened: list[Storage] = field(default_factory=list)

    def open(self, keyring: Keyring | None = None) -> Storage:
        storage = open_storage(self.settings, keyring or KEYS, clock=self.clock)
        self.opened.append(storage)
        return storage

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()


@pytest.fixture
def storage(place: Place) -> Iterator[Storage]:
    """Open and upgraded; the clock has gone on for a day, so that whatever is young at the start is over."""
    storage = place.open()
    storage.upgrade()
    place.clock.on(DAY)
    yield storage
    place.close()


def at_once(call: Callable[[int], T], callers: int = CALLERS) -> list[T]:
    """What `call` answers to that many threads which start at the same moment."""
    barrier = threading.Barrier(callers)

    def run(number: int) -> T:
        barrier.wait()
        return call(number)

    with ThreadPoolExecutor(callers) as threads:
        return list(threads.map(run, range(callers)))


# ---- attempts

RULE = AttemptRule()


class AttemptContract:
    def test_five_tries_and_then_a_wait(self, storage: Storage, place: Place) -> None:
        now = place.clock()
        taken = [storage.attempts.take("alice", now + n * SECOND, RULE) for n in range(6)]
        assert [t.allowed for t in taken] == [True] * 5 + [False]
        assert taken[5].retry_at == now + 4 * SECOND + RULE.window
        assert storage.attempts.take("alice", now + HOUR, RULE).allowed

    def test_of_fifty_tries_at_once_five_count(self, storage: Storage, place: Place) -> None:
        now = place.clock()
        taken = at_once(lambda _: storage.attempts.take("alice", now, RULE).allowed)
        assert taken.count(True) == RULE.tries
        assert storage.attempts.read("alice").failures == RULE.tries

    def test_no_try_is_lost_when_many_count_at_once(self, storage: Storage, place: Place) -> None:
        generous = AttemptRule(tries=1_000)
        at_once(lambda _: storage.attempts.take("alice", place.clock(), generous))
        assert storage.attempts.read("alice").failures == CALLERS

    def test_a_success_ends_the_wait_and_takes_back_only_its_own_try(self, storage: Storage, place: Place) -> None:
        now = place.clock()
        for _ in range(5):
            storage.attempts.take("alice", now, RULE)
        storage.attempts.succeeded("alice")
        assert storage.attempts.read("alice") == Attempts(failures=4, last_at=now)
        assert storage.attempts.take("alice", now, RULE).allowed
        assert storage.attempts.read("alice").in_a_row == 1
        storage.tidy(place.clock.on(366 * DAY))
        assert storage.attempts.take("alice", place.clock(), RULE).allowed
        storage.attempts.succeeded("alice")
        assert storage.attempts.read("alice") == Attempts()
        storage.attempts.succeeded("nobody")
        assert storage.attempts.read("nobody") == Attempts()

    def test_no_success_is_lost_when_many_count_at_once(self, storage: Storage, place: Place) -> None:
        generous = AttemptRule(tries=1_000, hard_stop=None)

        def call(number: int) -> None:
            storage.attempts.take("alice", place.clock(), generous)
            if number % 2:
                storage.attempts.succeeded("alice")

        at_once(call)
        assert storage.attempts.read("alice").failures == CALLERS // 2

    def test_the_last_try_before_the_hard_stop_may_succeed(self, storage: Storage, place: Place) -> None:
        short = AttemptRule(tries=9, hard_stop=3)
        for _ in range(3):
            assert storage.attempts.take("alice", place.clock(), short).allowed
        storage.attempts.succeeded("alice")
        assert storage.attempts.take("alice", place.clock(), short).allowed
        assert not storage.attempts.take("alice", place.clock(), short).allowed

    def test_an_operators_reset_forgets_everything(self, storage: Storage, place: Place) -> None:
        for _ in range(5):
            storage.attempts.take("alice", place.clock(), RULE)
        storage.attempts.forgive("alice")
        assert storage.attempts.read("alice") == Attempts()
        assert storage.attempts.take("alice", place.clock(), RULE).allowed

    def test_keys_are_counted_apart(self, storage: Storage, place: Place) -> None:
        for _ in range(5):
            storage.attempts.take("alice", place.clock(), RULE)
        assert storage.attempts.take("Alice", place.clock(), RULE).allowed
        assert not storage.attempts.take("alice", place.clock(), RULE).allowed

    def test_counts_outlive_the_process(self, storage: Storage, place: Place) -> None:
        for _ in range(5):
            storage.attempts.take("alice", place.clock(), RULE)
        counted = storage.attempts.read("alice")
        place.close()
        again = place.open()
        assert again.attempts.read("alice") == counted
        assert not again.attempts.take("alice", place.clock(), RULE).allowed

    def test_the_hard_stop_is_only_opened_by_hand(self, storage: Storage, place: Place) -> None:
        short = AttemptRule(tries=2, hard_stop=4)
        taken = [storage.attempts.take("alice", place.clock() + n * HOUR, short).allowed for n in range(6)]
        assert taken == [True] * 4 + [False] * 2
        late = place.clock.on(400 * DAY)
        storage.tidy(late)
        assert storage.attempts.take("alice", late, short).retry_at is None
        assert not storage.attempts.take("alice", late, short).allowed
        storage.attempts.forgive("alice")
        assert storage.attempts.take("alice", late, short).allowed

    def test_any_text_is_a_key(self, storage: Storage, place: Place) -> None:
        for key in ("", "\x00", "\ud800", "ä" * 5_000):
            storage.attempts.take(key, place.clock(), RULE)
            assert storage.attempts.read(key).failures == 1


# ---- sessions


def overwrite(storage: Storage, session: Session, until: datetime) -> bool:
    """Change what is kept under its key to this, whatever it was."""
    return storage.sessions.change(session.key, lambda _: (session, until)) is not None


def an_identity(now: datetime, *, groups: int = 3) -> Identity:
    return Identity(
        provider="corp-ad",
        subject="7b8e1d5a-0000-4000-8000-000000000001",
        username="alice",
        display_name="Alice Äöü 🦉",
        email="alice@corp.example",
        groups=frozenset(
            Group(
                provider="corp-ad",
                id=f"S-1-5-21-1004336348-1177238915-682003330-{n}",
                name=f"Group {n}",
                dn=f"CN=Group {n},OU=Groups,DC=corp,DC=example",
            )
            for n in range(groups)
        ),
        authenticated_at=now - MINUTE,
        read_at=now - timedelta(microseconds=1),
    )


def a_session(key: str, now: datetime, *, person: PersonId | None = ALICE) -> Session:
    session = Session(
        key=key, door=Door.BROWSER, created_at=now, seen_at=now, notes={"csrf": "x", "next": "/roles?a=ä"}
    )
    if person is None:
        return session
    shown = (Shown(method=Method.TOTP, factor="factor-1", at=now),)
    session = session.signed_in(person=person, session_name="alice", identity=an_identity(now), now=now)
    return replace(session, shown=shown, address="2001:db8::1")


class SessionContract:
    def test_what_was_kept_comes_back_whole(self, storage: Storage, place: Place) -> None:
        now = place.clock()
        for key, session in (("a", a_session("a", now)), ("b", a_session("b", now, person=None))):
            storage.sessions.add(session, until=now + HOUR)
            assert storage.sessions.get(key) == session

    def test_a_session_of_a_broker_with_other_keys_does_not_count(self, storage: Storage, place: Place) -> None:
        storage.sessions.add(a_session("a", place.clock()), until=place.clock() + HOUR)
        other = place.open(Keyring.generate(now=NOON))
        assert other.sessions.get("a") is None
        assert other.sessions.of_person(ALICE) == []
        assert storage.sessions.get("a") is not None

    def test_a_session_that_was_given_to_somebody_else_does_not_count(self, storage: Storage, place: Place) -> None:
        storage.sessions.add(a_session("a", place.clock()), until=place.clock() + HOUR)
        if storage.short_lived is None:
            with storage.database.write("test") as connection:
                connection.execute(update(tables.sessions).values(person=BOB))
        else:
            prefix = storage.short_lived.prefix
            with Redis.from_url(place.settings.short_lived) as client:
                client.hset(f"{prefix}session:a", "person", BOB)
        assert storage.sessions.get("a") is None
        assert storage.sessions.of_person(BOB) == []

    def test_an_unknown_key_has_no_session(self, storage: Storage) -> None:
        assert storage.sessions.get("nobody's") is None

    def test_a_session_ends_at_its_end(self, storage: Storage, place: Place) -> None:
        session = a_session("a", place.clock())
        storage.sessions.add(session, until=place.clock() + HOUR)
        place.clock.on(HOUR - SECOND)
        assert storage.sessions.get("a") is not None
        assert storage.sessions.of_person(ALICE) == [session]
        place.clock.on(SECOND)
        assert storage.sessions.get("a") is None
        assert storage.sessions.of_person(ALICE) == []
        assert not overwrite(storage, session, place.clock() + HOUR)
        assert not storage.sessions.move("a", replace(session, key="b"), until=place.clock() + HOUR)
        assert storage.sessions.drop_all(ALICE) == 0
        assert storage.sessions.get("b") is None

    def test_an_update_prolongs(self, storage: Storage, place: Place) -> None:
        session = a_session("a", place.clock())
        storage.sessions.add(session, until=place.clock() + MINUTE)
        later = replace(session, seen_at=place.clock())
        assert overwrite(storage, later, place.clock() + HOUR)
        place.clock.on(30 * MINUTE)
        assert storage.sessions.get("a") == later

    def test_a_key_is_not_given_twice(self, storage: Storage, place: Place) -> None:
        mine = a_session("a", place.clock())
        theirs = a_session("a", place.clock(), person=BOB)
        storage.sessions.add(mine, until=place.clock() + HOUR)
        with pytest.raises(Unavailable):
            storage.sessions.add(theirs, until=place.clock() + HOUR)
        storage.sessions.add(replace(theirs, key="b"), until=place.clock() + HOUR)
        with pytest.raises(Unavailable):
            storage.sessions.move("b", theirs, until=place.clock() + HOUR)
        assert storage.sessions.get("a") == mine
        assert storage.sessions.get("b") == replace(theirs, key="b")

    def test_a_dropped_session_stays_dropped_when_a_late_update_comes(self, storage: Storage, place: Place) -> None:
        session = a_session("a", place.clock())
        storage.sessions.add(session, until=place.clock() + HOUR)
        assert storage.sessions.drop("a")
        assert not storage.sessions.drop("a")
        assert not overwrite(storage, session, place.clock() + HOUR)
        assert not storage.sessions.move("a", replace(session, key="b"), until=place.clock() + HOUR)
        assert storage.sessions.get("a") is None
        assert storage.sessions.get("b") is None
        assert storage.sessions.of_person(ALICE) == []

    def test_a_moved_session_is_no_more_under_its_old_key(self, storage: Storage, place: Place) -> None:
        session = a_session("a", place.clock())
        storage.sessions.add(session, until=place.clock() + HOUR)
        moved = replace(session, key="b")
        assert storage.sessions.move("a", moved, until=place.clock() + HOUR)
        assert storage.sessions.get("a") is None
        assert storage.sessions.get("b") == moved
        assert not overwrite(storage, session, place.clock() + HOUR)
        assert storage.sessions.of_person(ALICE) == [moved]

    def test_of_fifty_moves_at_once_one_succeeds(self, storage: Storage, place: Place) -> None:
        session, until = a_session("a", place.clock()), place.clock() + HOUR
        storage.sessions.add(session, until=until)
        moved = at_once(lambda n: storage.sessions.move("a", replace(session, key=f"b{n}"), until=until))
        assert moved.count(True) == 1
        assert [s.key for s in storage.sessions.of_person(ALICE)] == [f"b{moved.index(True)}"]

    def test_a_log_out_among_fifty_updates_holds(self, storage: Storage, place: Place) -> None:
        session, until = a_session("a", place.clock()), place.clock() + HOUR
        storage.sessions.add(session, until=until)

        def call(number: int) -> None:
            if number == CALLERS // 2:
                assert storage.sessions.drop("a")
            else:
                overwrite(storage, session, until)

        at_once(call)
        assert storage.sessions.get("a") is None
        assert storage.sessions.of_person(ALICE) == []

    def test_of_fifty_changes_at_once_none_is_lost(self, storage: Storage, place: Place) -> None:
        for person in (ALICE, None):
            key, until = f"of-{person}", place.clock() + HOUR
            storage.sessions.add(a_session(key, place.clock(), person=person), until=until)

            def call(number: int, key: str = key, until: datetime = until) -> None:
                def note(kept: Session) -> tuple[Session, datetime]:
                    return replace(kept, notes={**kept.notes, str(number): "x"}), until

                assert storage.sessions.change(key, note) is not None

            at_once(call)
            found = storage.sessions.get(key)
            assert found is not None
            assert {str(number) for number in range(CALLERS)} <= set(found.notes)

    def test_a_persons_sessions_newest_first_and_nobody_elses(self, storage: Storage, place: Place) -> None:
        sessions = [a_session(f"a{n}", place.clock() + n * SECOND) for n in range(3)]
        for session in (*sessions, a_session("b", place.clock(), person=BOB)):
            storage.sessions.add(session, until=place.clock() + HOUR)
        assert storage.sessions.of_person(ALICE) == sessions[::-1]

    def test_signing_in_puts_a_session_among_the_persons(self, storage: Storage, place: Place) -> None:
        storage.sessions.add(a_session("a", place.clock(), person=None), until=place.clock() + HOUR)
        assert storage.sessions.of_person(ALICE) == []
        signed_in = a_session("a", place.clock())
        assert overwrite(storage, signed_in, place.clock() + HOUR)
        assert storage.sessions.of_person(ALICE) == [signed_in]

    def test_a_session_that_changed_hands_counts_for_the_new_person_only(self, storage: Storage, place: Place) -> None:
        storage.sessions.add(a_session("a", place.clock()), until=place.clock() + HOUR)
        theirs = a_session("a", place.clock(), person=BOB)
        assert overwrite(storage, theirs, place.clock() + HOUR)
        assert storage.sessions.of_person(ALICE) == []
        assert storage.sessions.drop_all(ALICE) == 0
        assert storage.sessions.get("a") == theirs

    def test_log_out_everywhere_ends_all_of_a_person_and_nobody_elses(self, storage: Storage, place: Place) -> None:
        for number in range(3):
            storage.sessions.add(a_session(f"a{number}", place.clock()), until=place.clock() + HOUR)
        theirs = a_session("b", place.clock(), person=BOB)
        storage.sessions.add(theirs, until=place.clock() + HOUR)
        assert storage.sessions.drop_all(ALICE) == 3
        assert [storage.sessions.get(f"a{n}") for n in range(3)] == [None] * 3
        assert storage.sessions.get("b") == theirs
        assert storage.sessions.drop_all(ALICE) == 0

    def test_sessions_outlive_the_process(self, storage: Storage, place: Place) -> None:
        session = a_session("a", place.clock())
        storage.sessions.add(session, until=place.clock() + HOUR)
        place.close()
        assert place.open().sessions.get("a") == session

    def test_what_has_run_out_is_tidied_and_the_rest_is_not(self, storage: Storage, place: Place) -> None:
        storage.sessions.add(a_session("a", place.clock()), until=place.clock() + MINUTE)
        storage.sessions.add(a_session("b", place.clock()), until=place.clock() + HOUR)
        storage.tidy(place.clock.on(2 * MINUTE))
        assert [s.key for s in storage.sessions.of_person(ALICE)] == ["b"]


# ---- one-time things


def burn_many(settings: StorageSettings, now: datetime, keys: Sequence[str]) -> list[bool]:
    """In a process of its own."""
    storage = open_storage(settings, KEYS, clock=Hand(now))
    try:
        return [storage.once.burn("assertion", key, issued_at=now, until=now + HOUR) for key in keys]
    finally:
        storage.close()


class OnceContract:
    def test_a_thing_burns_once(self, storage: Storage, place: Place) -> None:
        now = place.clock()
        burns = [storage.once.burn("assertion", "_1", issued_at=now, until=now + HOUR) for _ in range(3)]
        assert burns == [True, False, False]

    def test_of_fifty_at_once_one_burns(self, storage: Storage, place: Place) -> None:
        now = place.clock()
        for round_ in range(3):
            state = f"state-{round_}"
            burns = at_once(partial(self._burn, storage, state, now))
            assert burns.count(True) == 1

    @staticmethod
    def _burn(storage: Storage, key: str, now: datetime, _: int) -> bool:
        return storage.once.burn("state", key, issued_at=now, until=now + HOUR)

    def test_over_two_processes_each_thing_burns_once(self, storage: Storage, place: Place) -> None:
        assert storage is not None
        keys = [str(n) for n in range(100)]
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
            runs = [pool.submit(burn_many, place.settings, place.clock(), keys) for _ in range(2)]
            burns = [run.result() for run in runs]
        assert [a + b for a, b in zip(*burns, strict=True)] == [1] * len(keys)

    def test_kinds_and_keys_are_told_apart(self, storage: Storage, place: Place) -> None:
        now = place.clock()
        things = [("a", "b:c"), ("a:b", "c"), ("A", "b:c"), ("a", "B:c"), ("a", ""), ("", "a"), ("a", "\ud800\x00")]
        for kind, key in things:
            assert storage.once.burn(kind, key, issued_at=now, until=now + HOUR), (kind, key)

    def test_a_thing_that_is_over_does_not_burn(self, storage: Storage, place: Place) -> None:
        now = place.clock()
        assert not storage.once.burn("state", "1", issued_at=now - HOUR, until=now)
        assert storage.once.burn("state", "1", issued_at=now - HOUR, until=now + SECOND)

    def test_a_burnt_thing_stays_burnt_after_it_was_forgotten(self, storage: Storage, place: Place) -> None:
        now = place.clock()
        assert storage.once.burn("state", "1", issued_at=now, until=now + MINUTE)
        storage.tidy(place.clock.on(MINUTE - SECOND))
        assert not storage.once.burn("state", "1", issued_at=now, until=now + MINUTE)
        storage.tidy(place.clock.on(HOUR))
        assert not storage.once.burn("state", "1", issued_at=now, until=now + MINUTE)

    def test_a_burnt_thing_outlives_the_process(self, storage: Storage, place: Place) -> None:
        now = place.clock()
        storage.once.burn("state", "1", issued_at=now, until=now + HOUR)
        place.close()
        again = place.open()
        assert not again.once.burn("state", "1", issued_at=now, until=now + HOUR)
        assert again.once.burn("state", "2", issued_at=now, until=now + HOUR)


# ---- people


def a_person(name: str = "alice", *, person: str = ALICE) -> Person:
    return Person(id=PersonId(person), session_name=name, display_name=name.title(), first_seen=NOON, last_seen=NOON)


class PeopleContract:
    def test_a_person_is_found_by_subject_id_and_name(self, storage: Storage) -> None:
        alice = a_person()
        assert storage.people.add_person(alice, provider="corp-ad", subject="s-1")
        assert storage.people.by_subject("corp-ad", "s-1") == alice
        assert storage.people.by_id(ALICE) == alice
        assert storage.people.by_session_name("alice") == alice

    def test_subjects_are_compared_exactly(self, storage: Storage) -> None:
        storage.people.add_person(a_person(), provider="corp-ad", subject="s-1")
        for provider, subject in (("corp-ad", "S-1"), ("Corp-ad", "s-1"), ("corp-ad", "s-1 "), ("okta", "s-1")):
            assert storage.people.by_subject(provider, subject) is None
        assert storage.people.by_id(BOB) is None

    def test_session_names_are_compared_without_case(self, storage: Storage) -> None:
        alice = a_person("Alice.Smith")
        storage.people.add_person(alice, provider="corp-ad", subject="s-1")
        assert storage.people.by_session_name("aLICE.sMITH") == alice
        assert not storage.people.add_person(a_person("ALICE.SMITH", person=BOB), provider="corp-ad", subject="s-2")
        assert storage.people.by_subject("corp-ad", "s-2") is None
        assert storage.people.by_id(BOB) is None

    def test_a_subject_is_not_given_twice(self, storage: Storage) -> None:
        storage.people.add_person(a_person(), provider="corp-ad", subject="s-1")
        assert not storage.people.add_person(a_person("bob", person=BOB), provider="corp-ad", subject="s-1")
        assert storage.people.by_session_name("bob") is None
        found = storage.people.by_subject("corp-ad", "s-1")
        assert found is not None
        assert found.id == ALICE

    def test_of_fifty_first_sights_at_once_one_makes_the_person(self, storage: Storage) -> None:
        added = at_once(
            lambda n: storage.people.add_person(a_person(f"a{n}", person=f"p{n}"), provider="corp-ad", subject="s-1")
        )
        assert added.count(True) == 1
        assert [p.session_name for p in storage.people.people(limit=99)] == [f"a{added.index(True)}"]

    def test_seen_changes_what_they_are_called_and_nothing_else(self, storage: Storage) -> None:
        alice = a_person()
        storage.people.add_person(alice, provider="corp-ad", subject="s-1")
        storage.people.seen(ALICE, "Alice Smith", NOON + HOUR)
        assert storage.people.by_id(ALICE) == replace(alice, display_name="Alice Smith", last_seen=NOON + HOUR)

    def test_people_in_pages_by_session_name(self, storage: Storage) -> None:
        names = ["anna", "Bert", "carl", "Dora", "emil"]
        for name in (names[3], names[0], names[4], names[1], names[2]):
            storage.people.add_person(a_person(name, person=f"p-{name}"), provider="corp-ad", subject=name)
        first = storage.people.people(limit=3)
        assert [p.session_name for p in first] == names[:3]
        assert [p.session_name for p in storage.people.people(limit=3, after=first[-1].session_name)] == names[3:]
        assert storage.people.people(limit=3, after="emil") == []

    def test_an_older_key_can_be_retired_once_the_macs_are_renewed(self, storage: Storage, place: Place) -> None:
        alice = a_person()
        storage.people.add_person(alice, provider="corp-ad", subject="s-1")
        rotated = KEYS.rotate(Purpose.PERSON, now=NOON)
        retired = rotated.retire(next(row.id for row in KEYS.listing() if row.purpose is Purpose.PERSON))
        with pytest.raises(KeyringError):
            place.open(retired).people.by_id(ALICE)
        place.open(rotated).renew()
        assert place.open(retired).people.by_subject("corp-ad", "s-1") == alice
        assert place.open(retired).people.subjects(ALICE) == [("corp-ad", "s-1")]

    @pytest.mark.parametrize(
        "change",
        [
            update(tables.people).values(session_name="root", folded_name="root"),
            update(tables.people).values(mac=b""),
            update(tables.people).values(mac=None),
            update(tables.people).values(folded_name="carol"),
        ],
        ids=["another name", "no MAC", "from before", "under another name"],
    )
    def test_an_altered_person_is_nobody(self, storage: Storage, change: Update) -> None:
        storage.people.add_person(a_person(), provider="corp-ad", subject="s-1")
        with storage.database.write("test") as connection:
            connection.execute(change)
        for look in (
            lambda: storage.people.by_subject("corp-ad", "s-1"),
            lambda: storage.people.by_id(ALICE),
            lambda: storage.people.people(limit=9),
            storage.renew,
        ):
            with pytest.raises(KeyringError, match="was altered"):
                look()

    @pytest.mark.parametrize("change", [{"person": BOB}, {"subject": "s-9"}, {"provider": "okta"}, {"mac": None}])
    def test_an_account_cannot_be_pointed_at_somebody_else(self, storage: Storage, change: dict[str, str]) -> None:
        storage.people.add_person(a_person(), provider="corp-ad", subject="s-1")
        storage.people.add_person(a_person("bob", person=BOB), provider="corp-ad", subject="s-2")
        theirs = update(tables.subjects).where(tables.subjects.c.subject == "s-1")
        with storage.database.write("test") as connection:
            connection.execute(theirs.values(**change))
        account = {"provider": "corp-ad", "subject": "s-1"} | change
        for look in (
            lambda: storage.people.by_subject(account["provider"], account["subject"]),
            lambda: storage.people.subjects(PersonId(change.get("person") or ALICE)),
            storage.renew,
        ):
            with pytest.raises(KeyringError, match="was altered"):
                look()
        assert storage.people.by_subject("corp-ad", "s-2") is not None


# ---- factors


def a_factor(name: str = "factor-1", *, person: PersonId = ALICE, at: datetime = NOON) -> FactorRecord:
    return FactorRecord(
        id=name,
        person=person,
        method=Method.TOTP,
        label="Phone",
        secret=b"\x00sealed\xff",
        last_step=-1,
        enrolled_at=at,
    )


def a_code(hashed: bytes = b"h1", *, group: str = "", made_at: datetime = NOON) -> EnrolmentCode:
    return EnrolmentCode(
        id=f"code-{hashed.decode()}",
        hashed=hashed,
        provider="corp-ad",
        subject="" if group else "s-1",
        group=group,
        made_at=made_at,
        expires_at=NOON + HOUR,
        created_by="operator:root",
    )


class FactorContract:
    def test_factors_oldest_first_and_nobody_elses(self, storage: Storage) -> None:
        newer, older = a_factor("a", at=NOON + MINUTE), a_factor("b")
        for record in (newer, older, a_factor("c", person=BOB)):
            assert storage.factors.add_factor(record)
        assert list(storage.factors.factors(ALICE)) == [older, newer]

    def test_a_factors_id_is_not_given_twice(self, storage: Storage) -> None:
        assert storage.factors.add_factor(a_factor())
        assert not storage.factors.add_factor(a_factor(person=BOB))
        assert list(storage.factors.factors(BOB)) == []

    def test_a_step_burns_once_and_none_before_it(self, storage: Storage) -> None:
        storage.factors.add_factor(a_factor())
        burns = [storage.factors.burn_step("factor-1", step, NOON + MINUTE) for step in (100, 100, 99, 0, 101)]
        assert burns == [True, False, False, False, True]
        assert not storage.factors.burn_step("no such factor", 1, NOON)
        (kept,) = storage.factors.factors(ALICE)
        assert (kept.last_step, kept.last_used_at) == (101, NOON + MINUTE)

    def test_of_fifty_at_once_one_burns_the_step(self, storage: Storage) -> None:
        storage.factors.add_factor(a_factor())
        for step in (7, 8):
            burns = at_once(partial(self._burn_step, storage, step))
            assert burns.count(True) == 1

    @staticmethod
    def _burn_step(storage: Storage, step: int, _: int) -> bool:
        return storage.factors.burn_step("factor-1", step, NOON)

    def test_a_reset_forgets_everything_but_that_it_happened(self, storage: Storage) -> None:
        for name in ("a", "b"):
            storage.factors.add_factor(a_factor(name))
        storage.factors.replace_recovery_codes(ALICE, [b"r1"], NOON)
        assert not storage.factors.was_reset(ALICE)
        assert storage.factors.remove_factors(ALICE, NOON - MINUTE) == 2
        assert list(storage.factors.factors(ALICE)) == []
        assert storage.factors.recovery_codes_left(ALICE) == 0
        assert storage.factors.was_reset(ALICE)
        storage.factors.add_factor(a_factor())
        assert storage.factors.was_reset(ALICE)
        assert storage.factors.remove_factors(BOB, NOON - MINUTE) == 0
        assert storage.factors.was_reset(BOB)

    def test_recovery_codes_work_once_and_new_ones_void_the_old(self, storage: Storage) -> None:
        storage.factors.replace_recovery_codes(ALICE, [b"r1", b"r2"], NOON)
        storage.factors.replace_recovery_codes(BOB, [b"r3"], NOON)
        assert storage.factors.burn_recovery_code(ALICE, b"r1", NOON)
        assert not storage.factors.burn_recovery_code(ALICE, b"r1", NOON)
        assert not storage.factors.burn_recovery_code(ALICE, b"r3", NOON)
        assert storage.factors.recovery_codes_left(ALICE) == 1
        storage.factors.replace_recovery_codes(ALICE, [b"r1"], NOON)
        assert not storage.factors.burn_recovery_code(ALICE, b"r2", NOON)
        assert storage.factors.burn_recovery_code(ALICE, b"r1", NOON)
        storage.factors.replace_recovery_codes(BOB, [], NOON)
        assert storage.factors.recovery_codes_left(BOB) == 0

    def test_of_fifty_at_once_one_burns_the_recovery_code(self, storage: Storage) -> None:
        storage.factors.replace_recovery_codes(ALICE, [b"r1", b"r2"], NOON)
        assert at_once(lambda _: storage.factors.burn_recovery_code(ALICE, b"r1", NOON)).count(True) == 1
        assert storage.factors.recovery_codes_left(ALICE) == 1

    def test_a_first_factor_without_a_code_unless_there_was_a_reset(self, storage: Storage) -> None:
        assert storage.factors.add_first_factor(a_factor("a"), code=None) is FirstFactor.ADDED
        assert storage.factors.add_first_factor(a_factor("b"), code=None) is FirstFactor.ALREADY_ENROLLED
        storage.factors.remove_factors(ALICE, NOON - MINUTE)
        assert storage.factors.add_first_factor(a_factor("c"), code=None) is FirstFactor.CODE_NEEDED
        assert list(storage.factors.factors(ALICE)) == []

    def test_an_accounts_code_works_once(self, storage: Storage) -> None:
        storage.enrolment.add_code(a_code())
        assert storage.factors.add_first_factor(a_factor("a"), code=b"h1") is FirstFactor.ADDED
        storage.factors.remove_factors(ALICE, NOON - MINUTE)
        assert storage.factors.add_first_factor(a_factor("b"), code=b"h1") is FirstFactor.CODE_NOT_VALID
        assert storage.factors.add_first_factor(a_factor("c", person=BOB), code=b"h1") is FirstFactor.CODE_NOT_VALID
        storage.enrolment.add_code(a_code(b"h2"))
        assert storage.factors.add_first_factor(a_factor("d"), code=b"h2") is FirstFactor.ADDED

    def test_a_groups_code_works_once_for_each_person(self, storage: Storage) -> None:
        storage.enrolment.add_code(a_code(group="S-1-5-21-1"))
        assert storage.factors.add_first_factor(a_factor("a"), code=b"h1") is FirstFactor.ADDED
        assert storage.factors.add_first_factor(a_factor("b", person=BOB), code=b"h1") is FirstFactor.ADDED
        storage.factors.remove_factors(ALICE, NOON - MINUTE)
        assert storage.factors.add_first_factor(a_factor("c"), code=b"h1") is FirstFactor.CODE_NOT_VALID

    @pytest.mark.parametrize("group", ["", "S-1-5-21-1"])
    def test_a_reset_voids_the_persons_codes_made_until_then(self, storage: Storage, group: str) -> None:
        for hashed, made_at in ((b"h1", NOON - SECOND), (b"h2", NOON), (b"h3", NOON + timedelta(microseconds=1))):
            storage.enrolment.add_code(a_code(hashed, group=group, made_at=made_at))
        storage.factors.remove_factors(ALICE, NOON)
        storage.factors.remove_factors(ALICE, NOON - MINUTE)  # from an instance whose clock is behind
        assert storage.factors.add_first_factor(a_factor("a"), code=b"h1") is FirstFactor.CODE_NOT_VALID
        assert storage.factors.add_first_factor(a_factor("a"), code=b"h2") is FirstFactor.CODE_NOT_VALID
        assert storage.factors.add_first_factor(a_factor("b", person=BOB), code=b"h1") is FirstFactor.ADDED
        assert storage.factors.add_first_factor(a_factor("a"), code=b"h3") is FirstFactor.ADDED

    def test_a_later_reset_voids_what_was_made_since_the_first(self, storage: Storage) -> None:
        storage.factors.remove_factors(ALICE, NOON - MINUTE)
        storage.enrolment.add_code(a_code())
        storage.factors.remove_factors(ALICE, NOON)
        assert storage.factors.add_first_factor(a_factor(), code=b"h1") is FirstFactor.CODE_NOT_VALID

    def test_an_unknown_or_expired_code_is_not_valid(self, storage: Storage) -> None:
        storage.enrolment.add_code(a_code())
        assert storage.factors.add_first_factor(a_factor(), code=b"h0") is FirstFactor.CODE_NOT_VALID
        late = a_factor(at=NOON + HOUR)
        assert storage.factors.add_first_factor(late, code=b"h1") is FirstFactor.CODE_NOT_VALID
        in_time = a_factor(at=NOON + HOUR - SECOND)
        assert storage.factors.add_first_factor(in_time, code=b"h1") is FirstFactor.ADDED

    def test_a_code_is_not_used_up_when_the_factor_is_not_added(self, storage: Storage) -> None:
        storage.enrolment.add_code(a_code())
        storage.factors.add_factor(a_factor("a"))
        assert storage.factors.add_first_factor(a_factor("b"), code=b"h1") is FirstFactor.ALREADY_ENROLLED
        with pytest.raises(Unavailable):
            storage.factors.add_first_factor(a_factor("a", person=BOB), code=b"h1")  # the id is taken
        assert storage.factors.add_first_factor(a_factor("c", person=BOB), code=b"h1") is FirstFactor.ADDED

    def test_of_fifty_at_once_one_is_the_first_factor(self, storage: Storage) -> None:
        added = at_once(lambda n: storage.factors.add_first_factor(a_factor(f"f{n}"), code=None))
        assert added.count(FirstFactor.ADDED) == 1
        assert set(added) == {FirstFactor.ADDED, FirstFactor.ALREADY_ENROLLED}
        assert len(storage.factors.factors(ALICE)) == 1

    def test_of_fifty_people_at_once_one_gets_the_accounts_code(self, storage: Storage) -> None:
        storage.enrolment.add_code(a_code())
        people = [PersonId(f"p{n}") for n in range(CALLERS)]
        added = at_once(lambda n: storage.factors.add_first_factor(a_factor(f"f{n}", person=people[n]), code=b"h1"))
        assert added.count(FirstFactor.ADDED) == 1
        assert sum(len(storage.factors.factors(person)) for person in people) == 1

    def test_a_code_is_found_by_its_id_used_or_not(self, storage: Storage) -> None:
        code = a_code(group="S-1-5-21-1")
        storage.enrolment.add_code(code)
        assert storage.enrolment.find_code(code.id) == code
        storage.factors.add_first_factor(a_factor(), code=b"h1")
        assert storage.enrolment.find_code(code.id) == code
        assert storage.enrolment.find_code("another") is None


# ---- trail


def an_event(number: int, **fields: Any) -> Event:  # noqa: ANN401 (an event's fields)
    known: dict[str, Any] = {"tag": Tag.SIGN_IN_SUCCEEDED, "outcome": Outcome.ALLOWED, "actor": ALICE}
    return Event(**{**known, "at": NOON + number * SECOND, "id": f"0193-{number:06d}", **fields})


def a_link(event: Event, *, writer: str = "w1", number: int) -> Link:
    return Link(
        writer=writer,
        number=number,
        at=event.at,
        previous=bytes(32),
        digest=b"d" * 32,
        hash=number.to_bytes(32, "big"),
        signature=b"\x00\xff",
        key_id="audit-1",
        payload=f'{{"id":"{event.id}"}}',
    )


def a_head(number: int, *, writer: str = "w1", closed: bool = False) -> Head:
    at = NOON + number * MINUTE
    return Head(writer=writer, number=number, hash=b"h", at=at, closed=closed, signature=b"s", key_id="audit-1")


def fill(storage: Storage, count: int, **fields: Any) -> list[Link]:  # noqa: ANN401 (an event's fields)
    events = [an_event(number, **fields) for number in range(1, count + 1)]
    links = [a_link(event, number=number) for number, event in enumerate(events, start=1)]
    for link, event in zip(links, events, strict=True):
        storage.trail.append(link, event)
    return links


class TrailContract:
    def test_links_come_back_whole_and_in_order_over_all_pages(self, storage: Storage) -> None:
        links = fill(storage, 7)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("broker.storage.trail.PAGE", 3)
            assert list(storage.trail.links("w1")) == links
        assert list(storage.trail.links("w2")) == []

    def test_a_link_comes_with_its_search_columns(self, storage: Storage) -> None:
        event = an_event(1, address="192.0.2.1", role_arn="arn:aws:iam::012345678901:role/" + "x" * 900)
        storage.trail.append(a_link(event, number=1), event)
        (link,) = storage.trail.links("w1")
        assert link.columns == columns_of(event)

    def test_one_place_in_a_chain_is_not_taken_twice(self, storage: Storage) -> None:
        (link,) = fill(storage, 1)
        event = an_event(2)
        with pytest.raises(Unavailable) as refused:
            storage.trail.append(a_link(event, number=1), event)
        assert refused.value.neighbour == "audit trail"
        assert list(storage.trail.links("w1")) == [link]
        storage.trail.append(a_link(event, writer="w2", number=1), event)

    def test_a_database_that_takes_a_link_and_keeps_none_is_refused(self, storage: Storage) -> None:
        """By a trigger, say: the process would believe that the event is written down."""
        drop = ["CREATE TRIGGER t BEFORE INSERT ON trail_links BEGIN SELECT RAISE(IGNORE); END"]
        if not storage.database.is_sqlite:
            drop = [
                "CREATE FUNCTION f() RETURNS trigger AS 'BEGIN RETURN NULL; END' LANGUAGE plpgsql",
                "CREATE TRIGGER t BEFORE INSERT ON trail_links FOR EACH ROW EXECUTE FUNCTION f()",
            ]
        fill(storage, 1)
        with storage.database.write("test") as connection:
            for statement in drop:
                connection.exec_driver_sql(statement)
        with pytest.raises(Unavailable) as refused:
            storage.trail.append(a_link(an_event(2), number=2), an_event(2))
        assert refused.value.neighbour == "audit trail"
        assert [link.number for link in storage.trail.links("w1")] == [1]

    def test_of_fifty_at_once_one_takes_the_place(self, storage: Storage) -> None:
        def append(number: int) -> bool:
            try:
                event = an_event(number)
                storage.trail.append(a_link(event, number=1), event)
            except Unavailable:
                return False
            return True

        assert at_once(append).count(True) == 1

    def test_the_last_link_is_the_one_with_the_highest_number(self, storage: Storage) -> None:
        assert storage.trail.last("w1") is None
        links = fill(storage, 3)
        assert storage.trail.last("w1") == links[-1]

    def test_links_outlive_the_process(self, storage: Storage, place: Place) -> None:
        links = fill(storage, 3)
        place.close()
        assert list(place.open().trail.links("w1")) == links

    def test_heads_oldest_first_and_the_latest_for_a_number(self, storage: Storage) -> None:
        heads = [a_head(number) for number in (1, 5, 9)]
        for head in (*heads, a_head(1, writer="w2")):
            storage.trail.add_head(head)
        last = a_head(9, closed=True)
        storage.trail.add_head(last)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("broker.storage.trail.PAGE", 2)
            assert list(storage.trail.heads("w1")) == [*heads[:2], last]

    def test_writers_are_all_that_left_a_link_or_a_head(self, storage: Storage) -> None:
        assert not storage.trail.writers()
        fill(storage, 3)
        storage.trail.add_head(a_head(1))
        storage.trail.add_head(a_head(1, writer="w0"))
        assert list(storage.trail.writers().items()) == [("w0", 1), ("w1", 4)]

    def test_the_newest_writers_come_first_by_name(self, storage: Storage) -> None:
        assert list(storage.trail.newest()) == []
        names = [f"01901234-0000-7000-8000-00000000000{digit}" for digit in "2a3"]
        for number, writer in enumerate(names):
            storage.trail.append(a_link(an_event(number), writer=writer, number=1), an_event(number))
        storage.trail.add_head(a_head(1, writer=names[0][:-1] + "9"))
        assert list(storage.trail.newest()) == [names[1], names[2], names[0]]
        assert list(storage.trail.newest(before=names[1])) == [names[2], names[0]]

    def test_names_of_another_shape_are_none_of_the_newest(self, storage: Storage) -> None:
        good = "01901234-0000-7000-8000-000000000002"
        others = ("z000", "00", good + "0", good.replace("-7", "-4"), good.replace("-", "_"), "z" + good[1:], good)
        for number, writer in enumerate(others):
            storage.trail.append(a_link(an_event(number), writer=writer, number=1), an_event(number))
        assert list(storage.trail.newest()) == [good]

    def test_links_go_on_behind_a_number(self, storage: Storage) -> None:
        links = fill(storage, 7)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("broker.storage.trail.PAGE", 2)
            assert list(storage.trail.links("w1", after=3)) == links[3:]
        assert list(storage.trail.links("w1", after=7)) == []

    def test_a_search_goes_page_by_page_from_the_newest(self, storage: Storage) -> None:
        links = fill(storage, 7)
        seen: list[Link] = []
        while page := storage.trail.search(Query(actor=ALICE), limit=3, before=seen[-1].columns["id"] if seen else ""):
            seen += page
        assert seen == links[::-1]

    @pytest.mark.parametrize(
        "name", ["actor", "subject", "account", "role_arn", "session_name", "address", "request_id", "lease_id"]
    )
    def test_a_search_narrows_by_each_field(self, storage: Storage, name: str) -> None:
        for number, value in enumerate(("this", "that", "", "This"), start=1):
            event = an_event(number, **{name: value})
            storage.trail.append(a_link(event, number=number), event)
        asked: dict[str, Any] = {name: "this"}
        found = storage.trail.search(Query(**asked), limit=9)
        assert [link.number for link in found] == [1]

    def test_a_search_narrows_by_tag_outcome_and_time(self, storage: Storage) -> None:
        tags = (Tag.SIGN_IN_REFUSED, Tag.CREDENTIALS_ISSUED, Tag.SIGN_IN_REFUSED)
        for number, tag in enumerate(tags, start=1):
            event = an_event(number, tag=tag, outcome=Outcome.DENIED if number == 3 else Outcome.FAILED)
            storage.trail.append(a_link(event, number=number), event)

        def found(query: Query) -> list[int]:
            return [link.number for link in storage.trail.search(query, limit=9)]

        assert found(Query()) == [3, 2, 1]
        assert found(Query(tag=Tag.SIGN_IN_REFUSED)) == [3, 1]
        assert found(Query(tag=Tag.SIGN_IN_REFUSED, outcome=Outcome.DENIED)) == [3]
        assert found(Query(since=NOON + 2 * SECOND)) == [3, 2]
        assert found(Query(until=NOON + 2 * SECOND)) == [1]

    def test_a_pruned_link_keeps_its_place_and_forgets_the_rest(self, storage: Storage) -> None:
        links = fill(storage, 5, address="192.0.2.1")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("broker.storage.trail.PRUNED_AT_ONCE", 2)
            assert storage.trail.prune(NOON + 4 * SECOND) == 3
            assert storage.trail.prune(NOON + 4 * SECOND) == 0
        kept = list(storage.trail.links("w1"))
        assert kept == [replace(link, payload=None) for link in links[:3]] + links[3:]
        assert all(not any(link.columns.values()) for link in kept[:3])
        assert [link.number for link in storage.trail.search(Query(address="192.0.2.1"), limit=9)] == [5, 4]

    def test_what_the_trail_says_of_itself_is_not_pruned(self, storage: Storage) -> None:
        links = fill(storage, 2, tag=Tag.AUDIT_PRUNED)
        assert storage.trail.prune(NOON + DAY) == 0
        assert list(storage.trail.links("w1")) == links


# ---- snapshots


class SnapshotContract:
    def test_the_newest_twenty_are_kept(self, storage: Storage) -> None:
        for number in range(25):
            storage.snapshots.put(f"digest-{number}", bytes([number]), NOON + number * SECOND)
        storage.snapshots.put("digest-5", b"again", NOON + MINUTE)
        kept = [n for n in range(25) if storage.snapshots.get(f"digest-{n}") is not None]
        assert kept == [5, *range(6, 25)]
        storage.snapshots.put("digest-25", b"x", NOON + 2 * MINUTE)
        assert storage.snapshots.get("digest-6") is None
        assert storage.snapshots.get("digest-5") == b"again"
        assert storage.snapshots.get("digest-25") == b"x"
        assert storage.snapshots.get("never") is None


# ---- habits


class HabitContract:
    def test_a_mark_and_uses_are_kept_by_person_and_role(self, storage: Storage) -> None:
        assert storage.habits.of(ALICE) == []
        storage.habits.star(ALICE, "dev/read")
        storage.habits.star(ALICE, "dev/read")
        storage.habits.used(ALICE, "dev/admin", NOON)
        storage.habits.used(ALICE, "dev/admin", NOON + HOUR)
        storage.habits.used(BOB, "dev/admin", NOON)
        assert storage.habits.of(ALICE) == [
            Habit(role="dev/admin", starred=False, uses=2, last_used=NOON + HOUR),
            Habit(role="dev/read", starred=True, uses=0, last_used=None),
        ]
        assert storage.habits.of(BOB) == [Habit(role="dev/admin", starred=False, uses=1, last_used=NOON)]

    def test_taking_the_mark_away_leaves_the_uses(self, storage: Storage) -> None:
        for role in ("marked", "both"):
            storage.habits.star(ALICE, role)
        storage.habits.used(ALICE, "both", NOON)
        storage.habits.star(BOB, "marked")
        for role in ("marked", "both", "never"):
            storage.habits.unstar(ALICE, role)
        assert storage.habits.of(ALICE) == [Habit(role="both", starred=False, uses=1, last_used=NOON)]
        assert [habit.starred for habit in storage.habits.of(BOB)] == [True]

    def test_two_hundred_are_kept_the_least_used_goes_and_marks_stay(self, storage: Storage) -> None:
        storage.habits.star(ALICE, "marked")
        storage.habits.used(ALICE, "often", NOON - DAY)
        storage.habits.used(ALICE, "often", NOON)
        for number in range(HABITS + 4):
            storage.habits.used(ALICE, f"role-{number:03}", NOON + number * SECOND)
        kept = [habit.role for habit in storage.habits.of(ALICE)]
        newest = range(HABITS + 4 - (HABITS - 2), HABITS + 4)
        assert kept == ["marked", "often", *(f"role-{number:03}" for number in newest)]
        storage.habits.used(BOB, "role", NOON)
        assert len(storage.habits.of(ALICE)) == HABITS, "somebody else's make no difference"

    def test_marks_have_the_same_limit(self, storage: Storage) -> None:
        for number in range(HABITS):
            storage.habits.star(ALICE, f"role-{number:03}")
        storage.habits.used(ALICE, "unmarked", NOON)
        assert all(habit.starred for habit in storage.habits.of(ALICE))
        storage.habits.star(ALICE, "unmarked")
        assert (len(storage.habits.of(ALICE)), storage.habits.of(ALICE)[-1].role) == (HABITS, "unmarked")

    def test_what_programs_ask_for_again_and_again_counts_once(self, storage: Storage) -> None:
        for seconds in (0, 1, 599, 600, 1199, 1200):
            storage.habits.used(ALICE, "dev/read", NOON + seconds * SECOND)
        storage.habits.used(ALICE, "dev/admin", NOON + 1 * SECOND)
        counted = {habit.role: (habit.uses, habit.last_used) for habit in storage.habits.of(ALICE)}
        assert counted == {"dev/read": (3, NOON + 1200 * SECOND), "dev/admin": (1, NOON + SECOND)}

    def test_a_clock_that_was_wrong_once_stops_no_counting(self, storage: Storage) -> None:
        storage.habits.used(ALICE, "dev/read", NOON + 365 * DAY)
        storage.habits.used(ALICE, "dev/read", NOON)
        assert [(habit.uses, habit.last_used) for habit in storage.habits.of(ALICE)] == [(2, NOON)]

    def test_many_at_once_make_one_row_each(self, storage: Storage) -> None:
        at_once(lambda n: storage.habits.used(ALICE, f"role-{n % 2}", NOON))
        assert [habit.role for habit in storage.habits.of(ALICE)] == ["role-0", "role-1"]
        at_once(lambda n: storage.habits.star(BOB, f"role-{n}"))
        assert len(storage.habits.of(BOB)) == CALLERS


class ShortLivedContract(AttemptContract, SessionContract, OnceContract):
    """What Redis keeps too."""


class StorageContract(
    ShortLivedContract, PeopleContract, FactorContract, TrailContract, SnapshotContract, HabitContract
):
    """Everything, and the storage as a whole."""

    def test_an_error_repeats_nothing_that_was_to_be_kept(self, storage: Storage, place: Place) -> None:
        session = replace(a_session("a", place.clock()), notes={"under way": "sesame"})
        storage.sessions.add(session, until=place.clock() + HOUR)
        with pytest.raises(Unavailable) as refused:
            storage.sessions.add(session, until=place.clock() + HOUR)
        assert "sesame" not in f"{refused.value!r} {refused.value.__cause__} {refused.value.__cause__!r}"

    def test_it_is_ready_after_the_upgrade_and_not_before(self, place: Place) -> None:
        storage = place.open()
        assert storage.current_revision() == ""
        with pytest.raises(Unavailable):
            storage.check()
        with pytest.raises(Unavailable):
            storage.people.by_id(ALICE)
        storage.upgrade()
        storage.check()
        storage.upgrade()
        assert storage.current_revision() != ""
        place.close()

    def test_instances_that_start_at_once_upgrade_once(self, place: Place) -> None:
        storages = [place.open() for _ in range(5)]
        at_once(lambda n: storages[n].upgrade(), callers=5)
        for storage in storages:
            storage.check()
        place.close()

    def test_the_first_stamp_stays(self, place: Place) -> None:
        storage = place.open()
        assert storage.stamp_read() == ""
        storage.upgrade()
        assert storage.stamp_read() == ""
        storage.stamp("demo")
        storage.stamp("something else")
        assert storage.stamp_read() == "demo"
        place.close()
        assert place.open().stamp_read() == "demo"
        place.close()
