"""What may be typed as a user name."""

import pytest
from contracts.cast import BAD_SPELLINGS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.authenticate.ldap.names import Name, Spelling, parse_name

some = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SUFFIXES = ("corp.example.test", "Corp.Example")


def parse(typed: str, *, domain: str = "CORP", suffixes: tuple[str, ...] = SUFFIXES) -> Name | None:
    return parse_name(typed, domain=domain, upn_suffixes=suffixes)


@pytest.mark.parametrize(
    ("typed", "spelling", "value"),
    [
        ("ada", Spelling.PLAIN, "ada"),
        ("Ada.Lovelace-Byron_2", Spelling.PLAIN, "Ada.Lovelace-Byron_2"),
        ("o'brien", Spelling.PLAIN, "o'brien"),
        ("josé", Spelling.PLAIN, "josé"),
        ("CORP\\ada", Spelling.PLAIN, "ada"),
        ("corp\\Ada", Spelling.PLAIN, "Ada"),
        ("ada+test@corp.example", Spelling.PRINCIPAL, "ada+test@corp.example"),
        ("ada@CORP.example.TEST", Spelling.PRINCIPAL, "ada@CORP.example.TEST"),
    ],
)
def test_the_three_spellings_are_read(typed: str, spelling: Spelling, value: str) -> None:
    name = parse(typed)
    assert name is not None
    assert (name.spelling, name.value) == (spelling, value)


@pytest.mark.parametrize("typed", BAD_SPELLINGS, ids=ascii)
def test_everything_else_is_refused(typed: str) -> None:
    assert parse(typed) is None


@pytest.mark.parametrize(
    "typed",
    ["ada lovelace", "ada.", ".ada", "-ada", "ada$", "a/b", "a,b", 'a"b', "ada\u0301", "\ufeffada", "\u202eada", ""],
)
def test_characters_outside_of_the_list_are_refused(typed: str) -> None:
    assert parse(typed) is None


def test_a_domain_that_is_not_configured_is_no_domain() -> None:
    assert parse("\\ada", domain="") is None
    assert parse("CORP\\ada", domain="") is None
    assert parse("ada@corp.example", suffixes=()) is None


@some
@given(st.text(max_size=300))
def test_whatever_is_read_holds_no_character_that_means_something_in_ldap(typed: str) -> None:
    name = parse(typed)
    if name is not None:
        assert not set(name.value) & set('*()\\\0<>=,;"/ \n\r\t')
        assert name.value == name.value.strip()
        assert len(name.value) <= 256


@some
@given(st.text(max_size=20))
def test_the_spellings_of_one_name_are_counted_together(typed: str) -> None:
    plain = parse(typed)
    if plain is None or plain.spelling is not Spelling.PLAIN or "\\" in typed:
        return
    prints = {
        name.fingerprint()
        for spelling in (typed, typed.upper() if typed.isascii() else typed, f"CORP\\{typed}", f"{typed}@corp.example")
        if (name := parse(spelling)) is not None
    }
    assert len(prints) == 1


def test_a_fingerprint_does_not_show_what_was_typed() -> None:
    name = parse("MyPassw0rd")
    assert name is not None
    assert "passw0rd" not in name.fingerprint().lower()
