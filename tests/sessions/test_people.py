"""People, and the names under which AWS knows them."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import HOUR, NOW, an_identity
from hypothesis import given
from hypothesis import strategies as st

from broker.sessions.people import SESSION_NAME, PeopleStore, Person, readable, recognise
from broker.storage import StorageSettings, open_storage

IDS = itertools.count(1)


def new_id() -> str:
    return f"person-{next(IDS)}"


@pytest.fixture
def people(tmp_path: Path) -> Iterator[PeopleStore]:
    storage = open_storage(StorageSettings(url=f"sqlite:///{tmp_path}/broker.db"))
    storage.upgrade()
    yield storage.people
    storage.close()


def test_somebody_is_made_at_first_sight_and_known_at_the_second(people: PeopleStore) -> None:
    ada = an_identity(at=NOW)
    person, is_new = recognise(people, ada, new_id=new_id)
    assert (is_new, person.session_name, person.first_seen) == (True, "ada", NOW)
    later = replace(ada, display_name="Ada King", authenticated_at=NOW + HOUR)
    again, is_new = recognise(people, later, new_id=new_id)
    assert (is_new, again.id) == (False, person.id)
    kept = people.by_id(person.id)
    assert kept is not None
    assert (kept.display_name, kept.last_seen, kept.first_seen) == ("Ada King", NOW + HOUR, NOW)


def test_a_renamed_account_keeps_its_session_name(people: PeopleStore) -> None:
    ada = an_identity()
    first, _ = recognise(people, ada, new_id=new_id)
    again, _ = recognise(people, replace(ada, username="countess"), new_id=new_id)
    assert again.session_name == first.session_name == "ada"


def test_a_new_account_under_an_old_name_is_somebody_else(people: PeopleStore) -> None:
    first, _ = recognise(people, an_identity(), new_id=new_id)
    second, is_new = recognise(people, an_identity(subject="another-guid"), new_id=new_id)
    assert is_new
    assert second.id != first.id
    assert second.session_name == "ada-2"


def test_one_subject_at_two_providers_is_two_people(people: PeopleStore) -> None:
    first, _ = recognise(people, an_identity(subject="7"), new_id=new_id)
    second, _ = recognise(people, an_identity(subject="7", provider="okta"), new_id=new_id)
    assert second.id != first.id


@pytest.mark.parametrize(("one", "two"), [("jörg", "jorg"), ("a b", "a-b"), ("Ada", "ada"), ("a/b", "a:b")])
def test_names_that_clean_to_the_same_text_stay_apart(people: PeopleStore, one: str, two: str) -> None:
    """To IAM session names differ in case, to people reading a log they do not."""
    names = {recognise(people, an_identity(name), new_id=new_id)[0].session_name.lower() for name in (one, two)}
    assert len(names) == 2


def test_nobody_gets_anothers_name_by_coming_first_under_one_like_it(people: PeopleStore) -> None:
    first, _ = recognise(people, an_identity("adä", subject="mallory"), new_id=new_id)
    second, _ = recognise(people, an_identity("ada"), new_id=new_id)
    assert second.session_name == "ada"
    assert first.session_name.startswith("ada-")


def test_two_instances_that_see_somebody_for_the_first_time_make_one_person(people: PeopleStore) -> None:
    ada, found, start = an_identity(), list[tuple[Person, bool]](), threading.Barrier(6)

    def see() -> None:
        start.wait()
        found.append(recognise(people, ada, new_id=new_id))

    threads = [threading.Thread(target=see) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({person.id for person, _ in found}) == 1
    assert sum(is_new for _, is_new in found) == 1


@given(st.text(max_size=300))
def test_whatever_the_name_sts_takes_it_even_with_a_number_behind(username: str) -> None:
    name = readable(username)
    assert SESSION_NAME.fullmatch(name)
    assert SESSION_NAME.fullmatch(f"{name}-0a1b2c-9999")
    assert not name.lower().startswith("aws")


def test_what_people_read_stays_what_they_know() -> None:
    assert [readable(name) for name in ("ada", "Ada.Lovelace", "jürgen", "x", "aws-admin")] == [
        "ada",
        "Ada.Lovelace",
        "jurgen",
        "user-x",
        "u-aws-admin",
    ]
