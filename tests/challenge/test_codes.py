"""One-time codes that people type."""

import re

import pytest

from broker.challenge.codes import canonical, new_code


def test_a_code_carries_128_bits_in_groups_without_look_alikes() -> None:
    assert new_code(lambda count: b"\0" * count) == "00000-00000-00000-00000-000000"
    assert new_code(lambda count: b"\xff" * count) == "7ZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ"
    assert new_code(lambda count: (1).to_bytes(count, "big")).endswith("000001")
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{5}-){4}[0-9A-HJKMNP-TV-Z]{6}", new_code(lambda n: bytes(range(n))))


def test_every_bit_of_the_randomness_is_in_the_code() -> None:
    codes = {new_code(lambda count, bit=bit: (1 << bit).to_bytes(count, "big")) for bit in range(128)}  # type: ignore[misc]  # one a bit
    assert len(codes) == 128


@pytest.mark.parametrize(
    "typed",
    [
        "01234-56789-ABCDE-FGHJK-MNPQRS",
        "0123456789abcdefghjkmnpqrs",
        "o l234 56789 abcde fghjk mnpqrs",
        "OI234-56789-ABCDE-FGHJK-MNPQRS",
    ],
)
def test_case_spaces_hyphens_and_look_alikes_do_not_matter(typed: str) -> None:
    assert canonical(typed) == "0123456789ABCDEFGHJKMNPQRS"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "0123456789ABCDEFGHJKMNPQR",
        "0123456789ABCDEFGHJKMNPQRST",
        "8123456789ABCDEFGHJKMNPQRS",
        "0123456789ABCDEFGHJKMNPQRU",
        "0\N{LATIN SMALL LETTER DOTLESS I}23456789ABCDEFGHJKMNPQRS",
        "\N{FULLWIDTH DIGIT ZERO}123456789ABCDEFGHJKMNPQRS",
        "0123456789ABCDEFGHJKMNPQRS" + "-" * 60,
        "A" * 1024,
    ],
)
def test_anything_else_is_no_code(typed: str) -> None:
    assert canonical(typed) is None
