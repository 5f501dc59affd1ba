"""Hand-offs: for one person, once, and at once. Over the real SQLite store."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from builders import HOUR, MINUTE, NOW, an_identity

from broker.authenticate.identity import PersonId
from broker.errors import NotSignedIn
from broker.sessions.handoff import MOST, HandOffs, Wish
from broker.sessions.session import Door, Limits, Session, Sessions, key_of
from broker.storage import Storage, StorageSettings, open_storage

ADA, GRACE = PersonId("p-ada"), PersonId("p-grace")
SECOND = timedelta(seconds=1)
WISH = Wish(role="payments-dev/power-user", service="s3", region="eu-central-1")


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = open_storage(StorageSettings(url=f"sqlite:///{tmp_path}/broker.db"), clock=lambda: NOW)
    storage.upgrade()
    yield storage
    storage.close()


@pytest.fixture
def hand_offs(storage: Storage) -> HandOffs:
    tokens = (f"handoff-{number}" for number in itertools.count())
    for person in (ADA, GRACE):
        storage.sessions.add(session(person), until=NOW + 12 * HOUR)
    return HandOffs(storage.sessions, limits=Limits(), new_token=lambda: next(tokens))


def session(person: PersonId = ADA, *, door: Door = Door.CLI) -> Session:
    blank = Session(key=key_of(person), door=door, created_at=NOW, seen_at=NOW)
    name = person.removeprefix("p-")
    return blank.signed_in(person=person, session_name=name, identity=an_identity(name, at=NOW), now=NOW)


def test_the_same_person_finds_what_they_wanted_and_uses_it_once(hand_offs: HandOffs) -> None:
    token, ends = hand_offs.make(session(), WISH, NOW)
    assert ends == NOW + MINUTE
    assert hand_offs.find(token, ADA, NOW) == hand_offs.find(token, ADA, NOW) == WISH
    assert hand_offs.use(token, ADA, NOW) == WISH
    assert hand_offs.use(token, ADA, NOW) is None
    assert hand_offs.find(token, ADA, NOW) is None


def test_none_is_made_from_a_session_that_has_ended(hand_offs: HandOffs, storage: Storage) -> None:
    storage.sessions.drop_all(ADA)
    with pytest.raises(NotSignedIn):
        hand_offs.make(session(), WISH, NOW)
    assert storage.sessions.of_person(ADA) == []


def test_nobody_else_finds_it_and_a_try_does_not_use_it_up(hand_offs: HandOffs) -> None:
    token, _ = hand_offs.make(session(), WISH, NOW)
    for look in (hand_offs.find, hand_offs.use):
        assert look(token, GRACE, NOW) is None
        assert look("x" * 43, ADA, NOW) is None
        assert look("", ADA, NOW) is None
    assert hand_offs.use(token, ADA, NOW) == WISH


def test_it_ends_after_a_minute(hand_offs: HandOffs) -> None:
    token, _ = hand_offs.make(session(), WISH, NOW)
    assert hand_offs.find(token, ADA, NOW + 59 * SECOND) == WISH
    assert hand_offs.find(token, ADA, NOW + 60 * SECOND) is None
    late, _ = hand_offs.make(session(), WISH, NOW)
    assert hand_offs.use(late, ADA, NOW + 60 * SECOND) is None


def test_it_does_not_outlive_the_sign_in_that_it_comes_from(hand_offs: HandOffs) -> None:
    nearly_over = NOW + 12 * HOUR - 10 * SECOND
    token, ends = hand_offs.make(session(), WISH, nearly_over)
    assert ends == NOW + 12 * HOUR
    assert hand_offs.find(token, ADA, ends) is None


def test_of_many_who_use_it_at_once_one_does(hand_offs: HandOffs) -> None:
    token, _ = hand_offs.make(session(), WISH, NOW)
    with ThreadPoolExecutor(8) as pool:
        used = list(pool.map(lambda _: hand_offs.use(token, ADA, NOW), range(8)))
    assert [wish for wish in used if wish] == [WISH]


def test_the_token_is_not_kept(hand_offs: HandOffs, storage: Storage) -> None:
    token, _ = hand_offs.make(session(), WISH, NOW)
    assert storage.sessions.get(token) is None
    kept = storage.sessions.get(key_of(token))
    assert kept is not None
    assert token not in repr(kept)
    assert kept.identity is None


def test_it_opens_no_other_door_and_no_other_door_opens_it(hand_offs: HandOffs, storage: Storage) -> None:
    sessions = Sessions(storage.sessions, limits=Limits(), new_token=lambda: "browser-token")
    token, _ = hand_offs.make(session(), WISH, NOW)
    assert sessions.find(token, NOW) is None
    browser, _ = sessions.start(session(door=Door.BROWSER))
    assert sessions.find(browser, NOW) is not None
    assert hand_offs.find(browser, ADA, NOW) is None
    assert hand_offs.use(browser, ADA, NOW) is None
    assert sessions.find(browser, NOW) is not None


def test_a_log_out_everywhere_ends_it(hand_offs: HandOffs, storage: Storage) -> None:
    token, _ = hand_offs.make(session(), WISH, NOW)
    storage.sessions.drop_all(ADA)
    assert hand_offs.find(token, ADA, NOW) is None


def test_a_person_has_a_few_at_a_time_and_the_oldest_goes(hand_offs: HandOffs) -> None:
    other, _ = hand_offs.make(session(GRACE), WISH, NOW)
    tokens = [hand_offs.make(session(), WISH, NOW + n * SECOND)[0] for n in range(MOST + 2)]
    at = NOW + 10 * SECOND
    assert [hand_offs.find(token, ADA, at) is not None for token in tokens] == [False] * 2 + [True] * MOST
    assert hand_offs.find(other, GRACE, at) == WISH


def test_nobodys_session_makes_none(hand_offs: HandOffs) -> None:
    with pytest.raises(ValueError, match="nobody"):
        hand_offs.make(Session(key="", door=Door.BROWSER, created_at=NOW, seen_at=NOW), WISH, NOW)
