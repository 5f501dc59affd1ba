"""BER, names and values: the same both ways, bounded, and never an exception but the one that is promised."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.utils.dn import escape_rdn
from sandbox.ldap_client import DOMAIN_SID, SUFFIX

from broker.sandbox.directory import ber
from broker.sandbox.directory.values import (
    InvalidName,
    dn_key,
    escape,
    filetime,
    fold,
    generalized_time,
    guid_bytes,
    interval,
    sid_bytes,
)


def _read(octets: bytes, limit: int = 1000) -> ber.Element:
    (element,) = ber.Element(tag=ber.SEQUENCE, body=octets).exactly(1)
    assert len(element.body) <= limit
    return element


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_integers_come_back(number: int) -> None:
    assert _read(ber.encode_integer(number)).expect(ber.INTEGER).integer() == number


@given(st.binary(max_size=70_000))
def test_octets_come_back(octets: bytes) -> None:
    assert ber.parse(ber.encode(ber.OCTETS, octets)) == ber.Element(tag=ber.OCTETS, body=octets)


@given(st.binary())
def test_junk_raises_nothing_but_a_ber_error(junk: bytes) -> None:
    def walk(element: ber.Element, depth: int = 0) -> None:
        for read in (element.integer, element.boolean, element.text):
            try:
                read()
            except ber.BerError:
                continue
        for inner in element.elements():
            if depth < 5:
                walk(inner, depth + 1)

    try:
        walk(ber.parse(junk))
    except ber.BerError:
        return


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"\x04\x80ab\0\0", "indefinite"),
        (b"\x04\x85\0\0\0\0\x01a", "too many octets"),
        (b"\x1f\x81\x01\x00", "more than one octet"),
        (b"\x04\x05ab", "accepts|past the end"),
        (b"\x04", "past the end"),
        (b"\x04\x84\xff\xff\xff\xff", "accepts"),
        (b"\x04\x00\x04\x00", "1 elements"),
        (b"", "1 elements"),
    ],
)
def test_what_ldap_does_not_allow_is_refused(octets: bytes, why: str) -> None:
    with pytest.raises(ber.BerError, match=why):
        ber.parse(octets)


def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    asked: list[int] = []

    def take(count: int) -> bytes:
        asked.append(count)
        return b"\x30\x83\x10\x00\x00"[sum(asked[:-1]) :][:count]

    with pytest.raises(ber.BerError, match="larger than"):
        ber.read(take, limit=1000)
    assert sum(asked) == 5


def test_an_integer_of_too_many_octets_is_refused() -> None:
    with pytest.raises(ber.BerError):
        ber.Element(tag=ber.INTEGER, body=b"\x01" * 9).integer()


@given(st.text(min_size=1, max_size=30).filter(lambda text: fold(text) != "" and "\0" not in text))
def test_any_name_can_stand_in_a_dn(name: str) -> None:
    assert dn_key(f"CN={escape(name)},OU=x")[1:] == (("ou", "x"),)
    assert dn_key(f"CN={escape(name)},OU=x")[0] == ("cn", fold(name))


@given(st.text(min_size=1, max_size=30).filter(lambda text: fold(text) != "" and "\0" not in text))
def test_names_that_ldap3_escapes_are_read_alike(name: str) -> None:
    assert dn_key(f"CN={escape_rdn(name)}") == (("cn", fold(name)),)


@pytest.mark.parametrize(
    "spelling",
    [
        "CN=Ops\\, Night,OU=Groups,DC=corp,DC=example",
        "cn=ops\\, night,ou=groups,dc=corp,dc=example",
        " CN = Ops\\2C Night , OU=Groups, DC=corp , DC=example ",
        "CN=\\4fps\\,  Night,OU=Groups,DC=corp,DC=example",
        "CN=Ops\\, Night,OU=Groups,DC=corp,DC=example\0,DC=evil",
    ],
)
def test_one_dn_has_many_spellings(spelling: str) -> None:
    assert dn_key(spelling) == dn_key("CN=Ops\\, Night,OU=Groups,DC=corp,DC=example")


@pytest.mark.parametrize("other", ["CN=Ops,OU=Night,OU=Groups," + SUFFIX, "CN=Ops Night,OU=Groups," + SUFFIX])
def test_an_escaped_comma_is_not_a_comma(other: str) -> None:
    assert dn_key(other) != dn_key("CN=Ops\\, Night,OU=Groups," + SUFFIX)


@pytest.mark.parametrize(
    "bad",
    ["", "CN", "CN=", "=x", "CN=a,,DC=x", "CN=a,", "CN=a+SN=b", 'CN="a"', "CN=a;DC=b", "C N=a", "CN=a\\", "CN=<a>"],
)
def test_what_is_not_a_dn_is_refused(bad: str) -> None:
    with pytest.raises(InvalidName):
        dn_key(bad)


@given(st.text())
def test_any_text_is_a_dn_or_is_refused(text: str) -> None:
    try:
        assert all(attribute and value for attribute, value in dn_key(text))
    except InvalidName:
        return


def test_a_dn_has_a_longest_length() -> None:
    with pytest.raises(InvalidName):
        dn_key("CN=" + "a" * 5000)


def test_a_sid_as_octets() -> None:
    octets = bytes.fromhex("010500000000000515000000dcf4dc3b833d2b46828ba62850040000")
    assert sid_bytes(f"{DOMAIN_SID}-1104") == octets


@pytest.mark.parametrize(
    "bad", ["S-1", "S-1-5", "S-2-5-21", "S-1-5-21-x", "S-1-5-4294967296", "S-1-5-²", "S-1-5-21-", ""]
)
def test_what_is_not_a_sid_is_refused(bad: str) -> None:
    with pytest.raises(InvalidName):
        sid_bytes(bad)


@given(st.uuids())
def test_a_guid_is_read_with_dashes_and_in_hexadecimal(guid: uuid.UUID) -> None:
    assert guid_bytes(str(guid)) == guid.bytes_le
    assert guid_bytes(guid.bytes_le.hex()) == guid.bytes_le


@pytest.mark.parametrize("bad", ["zzz", "", "00", "b1d295ee-23bf-4066-b060-be20697f440"])
def test_what_is_not_a_guid_is_refused(bad: str) -> None:
    with pytest.raises(InvalidName):
        guid_bytes(bad)


def test_instants_as_ad_writes_them() -> None:
    assert filetime(datetime(1970, 1, 1, tzinfo=UTC)) == 116_444_736_000_000_000
    assert filetime(datetime(2020, 1, 1, tzinfo=UTC)) == 132_223_104_000_000_000
    assert generalized_time(datetime(2026, 11, 23, 21, 13, 3, tzinfo=UTC)) == b"20261123211303.0Z"
    assert interval(timedelta(days=42)) == -36_288_000_000_000
