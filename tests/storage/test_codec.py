"""What a stored session must look like to count."""

import json
from dataclasses import fields, replace

import pytest
from contracts.store import NOON, a_session

from broker.authenticate.identity import Identity
from broker.sessions.session import Session
from broker.storage.codec import decode, encode

SESSION = a_session("a", NOON)


def written() -> dict[str, object]:
    document = json.loads(encode(SESSION))
    assert isinstance(document, dict)
    return document


def test_what_was_written_is_read() -> None:
    assert decode(encode(SESSION), key="a") == SESSION
    nobody = a_session("b", NOON, person=None)
    assert decode(encode(nobody), key="b") == nobody


def test_any_text_survives() -> None:
    hostile = replace(SESSION, notes={'"\n\x00': "\ud800 \u202e </script>"}, address="\x1b[31m")
    assert decode(encode(hostile), key="a") == hostile


def test_another_keys_session_is_no_session() -> None:
    assert decode(encode(SESSION), key="b") is None


@pytest.mark.parametrize("name", [field.name for field in fields(Session)])
def test_a_missing_field_is_no_session(name: str) -> None:
    document = written()
    del document[name]
    assert decode(json.dumps(document), key="a") is None


@pytest.mark.parametrize("name", [field.name for field in fields(Identity)])
def test_a_missing_field_of_the_identity_is_no_session(name: str) -> None:
    document = written()
    assert isinstance(document["identity"], dict)
    del document["identity"][name]
    assert decode(json.dumps(document), key="a") is None


@pytest.mark.parametrize("where", ["session", "identity"])
def test_an_unknown_field_is_no_session(where: str) -> None:
    document = written()
    target = document if where == "session" else document["identity"]
    assert isinstance(target, dict)
    target["admin"] = True
    assert decode(json.dumps(document), key="a") is None


@pytest.mark.parametrize("wrong", [None, True, 1.5, "1", [], {}, 10**30, -(10**30)])
@pytest.mark.parametrize("name", ["created_at", "seen_at"])
def test_an_instant_is_a_whole_number_and_nothing_else(name: str, wrong: object) -> None:
    assert decode(json.dumps({**written(), name: wrong}), key="a") is None


@pytest.mark.parametrize("wrong", [7, True, [], {}])
@pytest.mark.parametrize("name", ["key", "door", "person", "session_name", "address", "identity", "shown", "notes"])
def test_a_wrong_type_is_no_session(name: str, wrong: object) -> None:
    if (name, wrong) in (("shown", []), ("notes", {})):
        return  # these are right
    assert decode(json.dumps({**written(), name: wrong}), key="a") is None


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("v", 2),
        ("door", "window"),
        ("shown", [["totp", "factor-1"]]),
        ("shown", [["password", "factor-1", 1]]),
        ("shown", [["totp", "factor-1", "1"]]),
        ("notes", {"csrf": None}),
        ("notes", [["csrf", "x"]]),
    ],
)
def test_a_wrong_value_is_no_session(name: str, wrong: object) -> None:
    assert decode(json.dumps({**written(), name: wrong}), key="a") is None


@pytest.mark.parametrize("wrong", [["corp-ad", "S-1", "name"], ["corp-ad", "S-1", "name", "dn", "more"], "abcd", None])
def test_a_group_has_four_texts(wrong: object) -> None:
    document = written()
    assert isinstance(document["identity"], dict)
    document["identity"]["groups"] = [wrong]
    assert decode(json.dumps(document), key="a") is None


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "{", "1", '"a"', "\x00", "[" * 100_000, "NaN"])
def test_a_text_of_another_kind_is_no_session(text: str) -> None:
    assert decode(text, key="a") is None


def test_what_cannot_be_read_is_told_without_its_content(caplog: pytest.LogCaptureFixture) -> None:
    decode('{"secret": "sesame"}', key="a")
    assert "cannot be read" in caplog.text
    assert "sesame" not in caplog.text
