"""Sessions by their limits, over the real SQLite store."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from builders import HOUR, MINUTE, NOW, a_group, an_identity, shown_totp

from broker.authenticate.identity import PersonId
from broker.sessions.session import Door, Limits, Session, Sessions
from broker.storage import Storage, StorageSettings, open_storage

SECOND = timedelta(seconds=1)
ADA = PersonId("p-ada")


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(tmp_path: Path, clock: Clock) -> Iterator[Storage]:
    storage = open_storage(StorageSettings(url=f"sqlite:///{tmp_path}/broker.db"), clock=clock)
    storage.upgrade()
    yield storage
    storage.close()


@pytest.fixture
def sessions(storage: Storage) -> Sessions:
    tokens = (f"token-{number}" for number in itertools.count())
    return Sessions(storage.sessions, limits=Limits(), new_token=lambda: next(tokens))


def blank(sessions: Sessions) -> Session:
    return sessions.blank(NOW, address="10.1.2.3")


def half(sessions: Sessions, at: datetime = NOW) -> Session:
    return blank(sessions).signed_in(person=ADA, session_name="ada", identity=an_identity(at=at), now=at)


def whole(sessions: Sessions) -> tuple[str, Session]:
    return sessions.start(replace(half(sessions), shown=(shown_totp(at=NOW),)))


def test_nothing_is_kept_of_a_blank_session(sessions: Sessions, storage: Storage) -> None:
    assert blank(sessions).key == ""
    assert sessions.find(sessions.new_token(), NOW) is None
    assert storage.sessions.get("") is None


def test_the_store_never_holds_the_token(sessions: Sessions) -> None:
    token, session = sessions.start(blank(sessions))
    assert session.key == hashlib.sha256(token.encode()).hexdigest()
    assert sessions.find(token, NOW) == session
    assert sessions.find(session.key, NOW) is None


@pytest.mark.parametrize(
    ("which", "lives"),
    [
        ("anonymous", timedelta(minutes=30)),
        ("half", timedelta(minutes=10)),
        ("whole", timedelta(hours=1)),
    ],
)
def test_each_kind_of_session_ends_when_nothing_happens(
    sessions: Sessions, clock: Clock, which: str, lives: timedelta
) -> None:
    made = {"anonymous": blank(sessions), "half": half(sessions), "whole": whole(sessions)[1]}[which]
    token, _ = sessions.start(made)
    clock.now = NOW + lives - SECOND
    assert sessions.find(token, clock.now) is not None
    clock.now = NOW + lives
    assert sessions.find(token, clock.now) is None


def test_a_session_in_use_ends_all_the_same_twelve_hours_after_the_password(sessions: Sessions, clock: Clock) -> None:
    token, session = whole(sessions)
    while clock.now < NOW + 12 * HOUR - 30 * MINUTE:
        clock.now += 30 * MINUTE
        assert sessions.find(token, clock.now) is not None
        assert sessions.change(session, lambda kept: replace(kept, seen_at=clock.now)) is not None
    clock.now = NOW + 12 * HOUR
    assert sessions.find(token, clock.now) is None


def test_a_half_session_is_not_kept_alive_by_use(sessions: Sessions, clock: Clock) -> None:
    token, session = sessions.start(half(sessions))
    clock.now = NOW + 9 * MINUTE
    assert sessions.change(session, lambda kept: replace(kept, seen_at=clock.now)) is not None
    clock.now = NOW + 10 * MINUTE
    assert sessions.find(token, clock.now) is None


def test_one_that_has_run_out_by_the_limits_is_found_no_more_whatever_the_store_says(
    storage: Storage, sessions: Sessions
) -> None:
    """The operator made the limits shorter since it was kept."""
    token, _ = whole(sessions)
    stricter = Sessions(storage.sessions, limits=Limits(idle=timedelta(minutes=5)), new_token=lambda: "t")
    assert stricter.find(token, NOW + 4 * MINUTE) is not None
    assert stricter.find(token, NOW + 6 * MINUTE) is None
    assert sessions.find(token, NOW + 6 * MINUTE) is None, "it was ended"


def test_whoever_owns_the_broker_is_idle_for_a_quarter_of_an_hour_at_most(storage: Storage) -> None:
    tokens = (f"owner-{number}" for number in itertools.count())
    for idle, lives in ((HOUR, 15 * MINUTE), (5 * MINUTE, 5 * MINUTE)):
        limits = Limits(idle=idle, is_owner=lambda groups: a_group() in groups)
        sessions = Sessions(storage.sessions, limits=limits, new_token=lambda: next(tokens))
        token, session = whole(sessions)
        assert sessions.ends_at(session) == NOW + lives
        assert sessions.find(token, NOW + lives - SECOND) is not None
        assert sessions.find(token, NOW + lives) is None
        other = replace(session, identity=an_identity(groups=[a_group("Others", rid=7)]))
        assert sessions.ends_at(other) == NOW + idle
        assert sessions.ends_at(replace(session, shown=())) == NOW + 10 * MINUTE, "between the two steps as for all"
        assert sessions.ends_at(replace(session, door=Door.CLI)) == NOW + 12 * HOUR


def test_all_others_end_also_one_that_is_put_under_a_new_key_meanwhile(sessions: Sessions, storage: Storage) -> None:
    _, mine = whole(sessions)
    _, other = whole(sessions)
    nobodys = sessions.start(blank(sessions))[1]
    drop, moved = storage.sessions.drop, list[str]()

    def late(key: str) -> bool:
        if key == other.key and not moved:
            rotated = sessions.rotate(other)
            assert rotated is not None
            moved.append(rotated[1].key)
        return drop(key)

    storage.sessions.drop = late  # type: ignore[method-assign]  # in the midst of it
    ended = sessions.end_others(mine)
    assert [one.key for one in ended] == moved
    assert sessions.of_person(ADA) == [mine]
    assert storage.sessions.get(nobodys.key) is not None
    assert sessions.end_others(nobodys) == []


def test_whoever_goes_on_escaping_takes_this_one_along(sessions: Sessions, storage: Storage) -> None:
    _, mine = whole(sessions)
    escaping = [whole(sessions)[1]]

    def late(_: str) -> bool:
        rotated = sessions.rotate(escaping[-1])
        assert rotated is not None
        escaping.append(rotated[1])
        return False

    storage.sessions.drop = late  # type: ignore[method-assign]  # always a step ahead
    assert {one.key for one in sessions.end_others(mine)} == {mine.key, escaping[-1].key}, "told, to be written down"
    assert sessions.of_person(ADA) == []


def test_after_a_rotation_only_the_new_token_is_worth_something(sessions: Sessions) -> None:
    old, session = whole(sessions)
    rotated = sessions.rotate(session)
    assert rotated is not None
    assert sessions.find(old, NOW) is None
    assert sessions.find(rotated[0], NOW) == rotated[1]


def test_what_has_ended_is_never_revived(sessions: Sessions) -> None:
    token, session = whole(sessions)
    sessions.end(session)
    assert sessions.change(session, lambda kept: kept) is None
    assert sessions.rotate(session) is None
    assert sessions.find(token, NOW) is None
    assert sessions.of_person(ADA) == []


def test_only_one_of_two_rotations_of_a_session_wins(sessions: Sessions) -> None:
    _, session = whole(sessions)
    assert sessions.rotate(session) is not None
    assert sessions.rotate(session) is None


def test_a_log_out_that_meets_a_rotation_ends_what_came_of_it(sessions: Sessions) -> None:
    _, read = whole(sessions)
    elsewhere, other = whole(sessions)
    rotated = sessions.rotate(read)
    assert rotated is not None
    assert {one.key for one in sessions.end(read)} == {rotated[1].key, other.key}, "told"
    assert sessions.find(rotated[0], NOW) is None
    assert sessions.find(elsewhere, NOW) is None


def test_a_plain_log_out_leaves_the_persons_other_sessions(sessions: Sessions) -> None:
    token, session = whole(sessions)
    elsewhere, _ = whole(sessions)
    sessions.end(session)
    assert sessions.find(token, NOW) is None
    assert sessions.find(elsewhere, NOW) is not None


def test_a_change_starts_from_what_is_kept_now_not_from_what_was_read(sessions: Sessions) -> None:
    """Two requests of one browser: one re-read the identity, the other only notes that it was here."""
    token, session = whole(sessions)
    later = NOW + 2 * MINUTE
    fresh = an_identity(at=NOW, read_at=later)
    assert sessions.change(session, lambda kept: replace(kept, identity=fresh)) is not None
    assert sessions.change(session, lambda kept: replace(kept, seen_at=later)) is not None
    found = sessions.find(token, later)
    assert found is not None
    assert (found.identity, found.seen_at) == (fresh, later)


def test_all_sessions_of_a_person_end_together_and_nobody_elses(sessions: Sessions) -> None:
    mine = [whole(sessions)[0] for _ in range(3)]
    other, _ = sessions.start(replace(half(sessions), person=PersonId("p-bob")))
    assert [session.person for session in sessions.of_person(ADA)] == [ADA] * 3
    assert sessions.end_all(ADA) == 3
    assert [sessions.find(token, NOW) for token in mine] == [None] * 3
    assert sessions.find(other, NOW) is not None


def test_signing_in_anew_forgets_the_factors_of_whoever_was_there_before(sessions: Sessions) -> None:
    _, session = whole(sessions)
    again = session.signed_in(person=PersonId("p-bob"), session_name="bob", identity=an_identity("bob"), now=NOW)
    assert again.shown == ()
    assert again.proof is not None
    assert again.proof.latest() is None
