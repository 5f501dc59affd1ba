from ipaddress import ip_address

import pytest
from builders import a_proof, circumstances
from contracts.condition import ConditionContract
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from broker.evaluate.condition import Circumstances
from broker.evaluate.source_ip import SourceIp, comparable

OFFICE = TypeAdapter(SourceIp).validate_python({"in": ["10.0.0.0/8", "2001:db8::/32"], "not_in": ["10.66.0.0/16"]})


def passes(condition: SourceIp, address: str | None) -> bool:
    return condition.objection(a_proof(), circumstances(address=address), rule="r") is None


class TestContract(ConditionContract):
    condition = SourceIp
    documents = (
        {"in": ["10.0.0.0/8"], "not_in": ["10.66.0.0/16"]},
        {"in": ["10.0.0.0/8", "2001:db8::/32"]},
        {"in": ["10.0.0.0/8"], "not_in": ["10.66.0.0/16", "192.0.2.0/24"]},
    )
    fails = (a_proof(), circumstances(address="203.0.113.9"))
    not_known = (a_proof(), circumstances(address=None))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", True),
        ("10.66.0.1", False),
        ("11.0.0.1", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:10.66.0.1", False),
        ("::ffff:203.0.113.9", False),
        ("2001:db8::1%eth0", True),
        ("fe80::1%eth0", False),
        (None, False),
    ],
)
def test_an_address_passes_in_a_named_network_and_in_no_excepted_one(address: str | None, *, expected: bool) -> None:
    assert passes(OFFICE, address) is expected


def test_with_only_not_in_everything_else_passes_but_the_unknown() -> None:
    condition = TypeAdapter(SourceIp).validate_python({"not_in": ["10.66.0.0/16", "fe80::/10"]})
    assert passes(condition, "203.0.113.9")
    assert not passes(condition, "10.66.1.1")
    assert not passes(condition, "::ffff:10.66.1.1")
    assert not passes(condition, "fe80::1%eth0")
    assert not passes(condition, None)


@given(address=st.ip_addresses(v=4))
def test_ipv4_dressed_as_ipv6_is_judged_as_ipv4(address: object) -> None:
    plain = circumstances(address=str(address))
    dressed = circumstances(address=f"::ffff:{address}")
    assert OFFICE.objection(a_proof(), plain, rule="r") == OFFICE.objection(a_proof(), dressed, rule="r")
    assert comparable(ip_address(f"::ffff:{address}%1")) == address


def test_the_reason_tells_a_stranger_no_network() -> None:
    objection = OFFICE.objection(a_proof(), circumstances(address="203.0.113.9"), rule="r")
    assert objection is not None
    assert "10." not in objection.reason


def test_order_and_spelling_do_not_matter() -> None:
    one = TypeAdapter(SourceIp).validate_python({"in": ["10.0.0.0/8", "2001:db8::/32"]})
    two = TypeAdapter(SourceIp).validate_python({"in": ["2001:0db8::/32", "10.0.0.0/8"]})
    assert one == two
    assert repr(one) == repr(two)


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ({}, "says nothing"),
        ({"in": "10.0.0.0/8"}, "not a list"),
        ({"in": ["10.0.0.1/8"]}, "no bit set"),
        ({"in": ["10.0.0.1"]}, "a slash and a length"),
        ({"in": ["10.0.0.0/33"]}, "not a network"),
        ({"in": ["::ffff:10.0.0.0/104"]}, "write it as IPv4"),
        ({"in": ["fe80::1%eth0/128"]}, "not a network"),
        ({"in": [167772160]}, "in quotes"),
        ({"inside": ["10.0.0.0/8"]}, "inside"),
    ],
)
def test_a_mistake_in_the_document_is_refused_with_a_hint(document: dict[str, object], hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        TypeAdapter(SourceIp).validate_python(document)


def test_circumstances_without_an_address_are_the_default() -> None:
    assert Circumstances(now=circumstances().now).address is None
