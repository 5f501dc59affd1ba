"""What a stored session must look like to count."""

import json
from dataclasses import fields, replace

import pytest
from contracts.store import ALICE, NOON, a_session

from broker.authenticate.identity import Identity
from broker.keys import Keyring, Purpose
from broker.sessions.session import Session
from broker.storage.authentic import Authentic
from broker.storage.codec import MAC_CHARACTERS, decode, encode

SESSION = a_session("a", NOON)


KEYS = Keyring.generate(now=NOON)
OURS = Authentic(KEYS, Purpose.SESSION, "session")


def read(body: str, mac: bytes | None = None) -> Session | None:
    """`body` under the right MAC, or under `mac`."""
    return decode((OURS.mac("a", body) if mac is None else mac).hex() + body, OURS, key="a", person=ALICE)


def written() -> dict[str, object]:
    document = json.loads(encode(SESSION, OURS)[MAC_CHARACTERS:])
    assert isinstance(document, dict)
    return document


def test_what_was_written_is_read() -> None:
    assert decode(encode(SESSION, OURS), OURS, key="a", person=ALICE) == SESSION
    nobody = a_session("b", NOON, person=None)
    assert decode(encode(nobody, OURS), OURS, key="b", person=None) == nobody


def test_any_text_survives() -> None:
    hostile = replace(SESSION, notes={'"\n\x00': "\ud800 \u202e </script>"}, address="\x1b[31m")
    assert decode(encode(hostile, OURS), OURS, key="a", person=ALICE) == hostile


def test_another_keys_session_is_no_session() -> None:
    assert decode(encode(SESSION, OURS), OURS, key="b", person=ALICE) is None


@pytest.mark.parametrize(
    "mac",
    [
        b"",
        bytes(32),
        OURS.mac("b", json.dumps(written())),
        Authentic(KEYS, Purpose.SESSION, "person").mac("a", json.dumps(written())),
        Authentic(KEYS, Purpose.PERSON, "session").mac("a", json.dumps(written())),
        Authentic(Keyring.generate(now=NOON), Purpose.SESSION, "session").mac("a", json.dumps(written())),
    ],
    ids=["none", "zeros", "another session's", "another kind's", "another purpose's", "another broker's"],
)
def test_without_our_mac_it_is_no_session(mac: bytes, caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps(written())
    assert read(body) == SESSION
    assert read(body, mac) is None
    assert "MAC" in caplog.text or "cannot be read" in caplog.text


def test_a_text_altered_in_any_character_is_no_session() -> None:
    text = encode(SESSION, OURS)
    for place in range(len(text)):
        other = "0" if text[place] != "0" else "1"
        assert decode(text[:place] + other + text[place + 1 :], OURS, key="a", person=ALICE) is None, place
    assert decode(text + " ", OURS, key="a", person=ALICE) is None


@pytest.mark.parametrize("text", [None, 7, b"bytes", encode(SESSION, OURS).encode()])
def test_what_is_no_text_is_no_session(text: object) -> None:
    assert decode(text, OURS, key="a", person=ALICE) is None


def test_a_session_stored_as_another_persons_is_no_session() -> None:
    """It would not end when all of its person's sessions do."""
    for person in (None, "", "person-bob", 7):
        assert decode(encode(SESSION, OURS), OURS, key="a", person=person) is None


def test_a_session_from_before_a_rotation_stands_until_the_key_is_retired() -> None:
    rotated = KEYS.rotate(Purpose.SESSION, now=NOON)
    text = encode(SESSION, OURS)
    assert decode(text, Authentic(rotated, Purpose.SESSION, "session"), key="a", person=ALICE) == SESSION
    old = KEYS.listing()[list(Purpose).index(Purpose.SESSION)].id
    assert decode(text, Authentic(rotated.retire(old), Purpose.SESSION, "session"), key="a", person=ALICE) is None


@pytest.mark.parametrize("name", [field.name for field in fields(Session)])
def test_a_missing_field_is_no_session(name: str) -> None:
    document = written()
    del document[name]
    assert read(json.dumps(document)) is None


@pytest.mark.parametrize("name", [field.name for field in fields(Identity)])
def test_a_missing_field_of_the_identity_is_no_session(name: str) -> None:
    document = written()
    assert isinstance(document["identity"], dict)
    del document["identity"][name]
    assert read(json.dumps(document)) is None


@pytest.mark.parametrize("where", ["session", "identity"])
def test_an_unknown_field_is_no_session(where: str) -> None:
    document = written()
    target = document if where == "session" else document["identity"]
    assert isinstance(target, dict)
    target["admin"] = True
    assert read(json.dumps(document)) is None


@pytest.mark.parametrize("wrong", [None, True, 1.5, "1", [], {}, 10**30, -(10**30)])
@pytest.mark.parametrize("name", ["created_at", "seen_at"])
def test_an_instant_is_a_whole_number_and_nothing_else(name: str, wrong: object) -> None:
    assert read(json.dumps({**written(), name: wrong})) is None


@pytest.mark.parametrize("wrong", [7, True, [], {}])
@pytest.mark.parametrize("name", ["key", "door", "person", "session_name", "address", "identity", "shown", "notes"])
def test_a_wrong_type_is_no_session(name: str, wrong: object) -> None:
    if (name, wrong) in (("shown", []), ("notes", {})):
        return  # these are right
    assert read(json.dumps({**written(), name: wrong})) is None


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
    assert read(json.dumps({**written(), name: wrong})) is None


@pytest.mark.parametrize("wrong", [["corp-ad", "S-1", "name"], ["corp-ad", "S-1", "name", "dn", "more"], "abcd", None])
def test_a_group_has_four_texts(wrong: object) -> None:
    document = written()
    assert isinstance(document["identity"], dict)
    document["identity"]["groups"] = [wrong]
    assert read(json.dumps(document)) is None


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "{", "1", '"a"', "\x00", "[" * 100_000, "NaN"])
def test_a_text_of_another_kind_is_no_session(text: str) -> None:
    assert read(text) is None


def test_what_cannot_be_read_is_told_without_its_content(caplog: pytest.LogCaptureFixture) -> None:
    read('{"secret": "sesame"}')
    assert "cannot be read" in caplog.text
    assert "sesame" not in caplog.text
