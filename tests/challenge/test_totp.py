"""TOTP: the contract of every factor, and what is its own: steps, seeds, form, the page, the clock."""

import base64
import re
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

import pytest
from builders import NOW
from builders_factors import ADA, BOB, STEP, after_password, code_at, enrol, seed_on_page, with_settings, wrong_code
from contracts.factor import Bench, FactorContract

from broker.authenticate.identity import PersonId
from broker.challenge.clock_check import ClockCheck
from broker.challenge.factor import FactorReason, FactorRecord, FactorRefused
from broker.challenge.proof import Method, Shown
from broker.challenge.recovery import RecoveryCodes
from broker.challenge.tools import FactorTools
from broker.challenge.totp import Totp, matching_step
from broker.keys import Keyring, Purpose


def refused(factor: Totp, answer: str, at: datetime = NOW, person: PersonId = ADA) -> FactorReason:
    with pytest.raises(FactorRefused) as caught:
        factor.check(person, answer, at)
    return caught.value.reason


class TestTheContract(FactorContract):
    @pytest.fixture
    def bench(self, tools: FactorTools) -> Bench:
        seeds = {person: enrol(tools, person)[1] for person in (ADA, BOB)}
        before = NOW - timedelta(hours=1)
        shown = Shown(method=Method.TOTP, factor="", at=before)
        RecoveryCodes(tools).renew(after_password(at=before).with_shown(shown), before)
        malformed = ["12345", "1234567", "12 3456", "123  456", "123\t456", "12345a", "123-456", "+12345", "123456\n"]
        malformed += ["\N{ARABIC-INDIC DIGIT ONE}" * 6, "123\N{NO-BREAK SPACE}456", "²" * 6]
        return Bench(
            tools=tools,
            make=Totp,
            right=lambda person, at: code_at(seeds[person], at),
            wrong=wrong_code(seeds[ADA], NOW),
            malformed=malformed,
        )


# Steps


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_the_code_of_this_step_or_a_neighbouring_one_counts(tools: FactorTools, steps: int) -> None:
    _, seed = enrol(tools)
    assert Totp(tools).check(ADA, code_at(seed, NOW + steps * STEP), NOW).factor


@pytest.mark.parametrize("steps", [-3, -2, 2, 3])
def test_the_code_of_a_step_further_off_is_refused(tools: FactorTools, steps: int) -> None:
    _, seed = enrol(tools)
    assert refused(Totp(tools), code_at(seed, NOW + steps * STEP)) is FactorReason.WRONG


@pytest.mark.parametrize("second", [0, 1, 29])
def test_the_window_follows_the_step_not_the_second(tools: FactorTools, second: int) -> None:
    _, seed = enrol(tools)
    now = NOW + timedelta(seconds=second)
    assert refused(Totp(tools), code_at(seed, NOW - 2 * STEP), now) is FactorReason.WRONG
    assert Totp(tools).check(ADA, code_at(seed, NOW - STEP), now).factor


def test_a_code_is_refused_for_as_long_as_it_would_be_right(tools: FactorTools) -> None:
    _, seed = enrol(tools)
    code = code_at(seed, NOW)
    assert Totp(tools).check(ADA, code, NOW - STEP).factor
    for at in (NOW - STEP, NOW, NOW + STEP):
        assert refused(Totp(tools), code, at) is FactorReason.REPLAYED


def test_a_used_code_typed_differently_is_still_used(tools: FactorTools) -> None:
    _, seed = enrol(tools)
    code = code_at(seed, NOW)
    assert Totp(tools).check(ADA, code, NOW).factor
    assert refused(Totp(tools), f"{code[:3]} {code[3:]}") is FactorReason.REPLAYED
    wide = code.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    assert refused(Totp(tools), wide) is FactorReason.MALFORMED


def test_a_used_step_takes_all_earlier_ones_with_it(tools: FactorTools) -> None:
    _, seed = enrol(tools)
    assert Totp(tools).check(ADA, code_at(seed, NOW + STEP), NOW).factor
    assert refused(Totp(tools), code_at(seed, NOW)) is FactorReason.REPLAYED
    assert refused(Totp(tools), code_at(seed, NOW - STEP)) is FactorReason.REPLAYED


def test_the_next_steps_code_counts_after_this_one(tools: FactorTools) -> None:
    _, seed = enrol(tools)
    assert Totp(tools).check(ADA, code_at(seed, NOW), NOW).factor
    assert Totp(tools).check(ADA, code_at(seed, NOW + STEP), NOW + STEP).factor


def test_the_digits_are_those_of_the_rfc() -> None:
    """RFC 6238 appendix B, the last six of the eight digits for SHA-1."""
    seed = b"12345678901234567890"
    for seconds, digits in ((59, "287082"), (1111111109, "081804"), (2000000000, "279037"), (20000000000, "353130")):
        at = datetime.fromtimestamp(seconds, NOW.tzinfo)
        assert matching_step(seed, digits, at) == seconds // 30
        assert matching_step(seed, "000000", at) == -1


@pytest.mark.parametrize("typed", ["{0}{1}", "{0} {1}", " {0}{1} ", "{0}{1} "])
def test_spaces_as_apps_show_and_copy_them_are_no_mistake(tools: FactorTools, typed: str) -> None:
    _, seed = enrol(tools)
    code = code_at(seed, NOW)
    assert Totp(tools).check(ADA, typed.format(code[:3], code[3:]), NOW).factor


# The seed at rest


def row(tools: FactorTools, person: PersonId = ADA) -> FactorRecord:
    return tools.factors.factors(person)[0]


def planted(tools: FactorTools, record: FactorRecord) -> None:
    tools.factors.remove_factors(record.person, NOW)
    assert tools.factors.add_factor(record)


def test_the_seed_is_kept_sealed(tools: FactorTools) -> None:
    _, seed = enrol(tools)
    kept = row(tools)
    assert kept.secret != seed
    for form in (seed, seed.hex().encode(), base64.b32encode(seed), base64.b64encode(seed)):
        assert form not in kept.secret
    assert tools.keyring.open(Purpose.SEED, kept.secret, associated=["totp-seed", ADA, kept.id]) == seed


def test_a_sealed_seed_pasted_into_another_persons_row_does_not_open(tools: FactorTools) -> None:
    """Who can write to the database, but has no key, cannot give Bob's factor the seed of their own."""
    _, seed = enrol(tools, ADA)
    enrol(tools, BOB)
    ours = row(tools, ADA)
    planted(tools, replace(row(tools, BOB), secret=ours.secret))
    assert refused(Totp(tools), code_at(seed, NOW), person=BOB) is FactorReason.UNREADABLE
    assert Totp(tools).check(ADA, code_at(seed, NOW), NOW).factor


def test_a_whole_row_moved_to_another_person_does_not_open(tools: FactorTools) -> None:
    _, seed = enrol(tools, ADA)
    moved = row(tools, ADA)
    tools.factors.remove_factors(ADA, NOW)
    planted(tools, replace(moved, person=BOB))
    assert refused(Totp(tools), code_at(seed, NOW), person=BOB) is FactorReason.UNREADABLE


def test_under_another_keyring_no_seed_opens_and_nobody_is_blamed(tools: FactorTools) -> None:
    _, seed = enrol(tools)
    other = replace(tools, keyring=Keyring.generate(now=NOW))
    for _ in range(6):
        assert refused(Totp(other), code_at(seed, NOW)) is FactorReason.UNREADABLE
    assert Totp(tools).check(ADA, code_at(seed, NOW), NOW).factor


def test_after_a_key_rotation_the_old_seed_still_opens(tools: FactorTools) -> None:
    _, seed = enrol(tools)
    rotated = replace(tools, keyring=tools.keyring.rotate(Purpose.SEED, now=NOW))
    assert Totp(rotated).check(ADA, code_at(seed, NOW), NOW).factor


def test_one_factor_that_does_not_open_does_not_hide_another(tools: FactorTools) -> None:
    _, seed = enrol(tools)
    whole = row(tools)
    for name in ("!before", "~after"):
        assert tools.factors.add_factor(replace(whole, id=name, secret=b"\1\0broken"))
    assert Totp(tools).check(ADA, code_at(seed, NOW), NOW).factor == whole.id


# The page


def test_the_page_shows_a_fresh_160_bit_seed_in_three_forms(tools: FactorTools) -> None:
    page = Totp(with_settings(tools, issuer="ACME AWS")).begin(ADA, account="ada:lovelace", now=NOW)
    uri = urlsplit(page.uri)
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/ACME AWS:ada-lovelace")
    asked = parse_qs(uri.query, strict_parsing=True)
    assert asked["issuer"] == ["ACME AWS"]
    assert base64.b32decode(asked["secret"][0]) == seed_on_page(page.text_key)
    assert len(seed_on_page(page.text_key)) == 20
    assert re.fullmatch(r"([A-Z2-7]{4} ){7}[A-Z2-7]{4}", page.text_key)
    assert Totp(tools).begin(ADA, account="ada", now=NOW).text_key != page.text_key


def test_the_qr_code_needs_nothing_that_a_strict_policy_forbids(tools: FactorTools) -> None:
    page = Totp(tools).begin(ADA, account='"><script>alert(1)</script>', now=NOW)
    tree = ET.fromstring(page.qr_svg)  # noqa: S314 (our own SVG)
    assert tree.tag.endswith("svg")
    assert tree.get("viewBox")
    for element in tree.iter():
        assert element.tag.rpartition("}")[2] in {"svg", "path"}
        assert set(element.attrib) <= {"viewBox", "fill", "stroke", "d"}


def test_the_page_can_be_shown_again_after_a_typing_error(tools: FactorTools) -> None:
    page = Totp(tools).begin(ADA, account="ada", now=NOW)
    assert Totp(tools).resume(ADA, page.sealed, account="ada", now=NOW + STEP) == page


def test_nothing_secret_shows_in_a_repr(tools: FactorTools) -> None:
    page = Totp(tools).begin(ADA, account="ada", now=NOW)
    opened = Totp(tools).opened(ADA, page.sealed, NOW)
    told = repr(page) + str(page) + repr(opened) + repr(tools)
    seed = seed_on_page(page.text_key)
    for secret in (page.text_key, page.text_key.replace(" ", ""), seed.hex(), repr(seed), page.sealed):
        assert secret not in told
    assert seed not in base64.urlsafe_b64decode(page.sealed)


# The clock


def test_while_the_clock_cannot_be_trusted_no_code_counts_and_none_is_used_up(tools: FactorTools) -> None:
    _, seed = enrol(tools)
    off = replace(tools, clock_check=ClockCheck({"dc1": lambda: timedelta(seconds=31)}, monotonic=lambda: 0.0))
    assert refused(Totp(off), code_at(seed, NOW)) is FactorReason.CLOCK_OFF
    assert Totp(tools).check(ADA, code_at(seed, NOW), NOW).factor
