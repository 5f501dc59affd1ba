"""Browsers that somebody has signed in with before: what the cookie is worth, and what it is not."""

import re
from datetime import timedelta

import pytest
from corridor import CLOCK, Browser, Corridor, Somebody
from hypothesis import given
from hypothesis import strategies as st

from broker.keys import Keyring, Purpose
from broker.web.known import COOKIE, ENTRY, LASTS, LONGEST, MOST, SEPARATOR, KnownBrowsers


def browsers(keyring: Keyring | None = None) -> KnownBrowsers:
    drawn = iter(range(256))
    ring = keyring or Keyring.generate(now=CLOCK())
    return KnownBrowsers(keyring=ring, clock=CLOCK, randomness=lambda size: bytes([next(drawn)]) * size)


def guess(browser: Browser, person: Somebody, times: int) -> list[int]:
    """The answers to so many wrong passwords."""
    return [browser.sign_in(person, password=f"not it {number}").status_code for number in range(times)]


# --- the cookie itself


def test_an_entry_fits_one_account_alone() -> None:
    known = browsers()
    cookie = known.with_entry("", "corp-ad", "ada")
    assert known.id_in(cookie, "corp-ad", "ada")
    assert "ada" not in cookie
    for provider, subject in (("corp-ad", "bob"), ("other", "ada"), ("corp-ada", "da"), ("corp-ad", ""), ("", "")):
        assert known.id_in(cookie, provider, subject) == ""


def test_one_browser_is_known_for_several_people_and_for_no_more_than_five() -> None:
    known, cookie = browsers(), ""
    for subject in "abcdefg":
        cookie = known.with_entry(cookie, "corp-ad", subject)
        assert len(cookie) <= LONGEST
    assert [subject for subject in "abcdefg" if known.id_in(cookie, "corp-ad", subject)] == list("cdefg")
    assert len({known.id_in(cookie, "corp-ad", subject) for subject in "cdefg"}) == MOST


def test_signing_in_again_gives_a_new_id_and_drops_the_old_one() -> None:
    """Whoever has copied the cookie before is left with a count of their own."""
    known = browsers()
    stolen = known.with_entry("", "corp-ad", "ada")
    cookie = known.with_entry(stolen, "corp-ad", "ada")
    assert len(cookie.split(SEPARATOR)) == 1
    assert known.id_in(stolen, "corp-ad", "ada") != known.id_in(cookie, "corp-ad", "ada")


def test_it_is_over_after_180_days_whatever_the_browser_thinks() -> None:
    now = [CLOCK()]
    known = KnownBrowsers(
        keyring=Keyring.generate(now=now[0]), clock=lambda: now[0], randomness=lambda size: b"x" * size
    )
    cookie = known.with_entry("", "corp-ad", "ada")
    now[0] += LASTS - timedelta(seconds=2)
    assert known.id_in(cookie, "corp-ad", "ada")
    now[0] += timedelta(seconds=2)
    assert known.id_in(cookie, "corp-ad", "ada") == ""
    assert len(known.with_entry(cookie, "corp-ad", "bob").split(SEPARATOR)) == 1, "it is not carried on"


def test_a_browser_stays_known_over_a_rotation_until_the_key_is_retired() -> None:
    ring = Keyring.generate(now=CLOCK())
    (first,) = (row.id for row in ring.listing() if row.purpose is Purpose.BROWSER)
    cookie = browsers(ring).with_entry("", "corp-ad", "ada")
    rotated = ring.rotate(Purpose.BROWSER, now=CLOCK())
    assert browsers(rotated).id_in(cookie, "corp-ad", "ada")
    assert browsers(rotated.retire(first)).id_in(cookie, "corp-ad", "ada") == ""
    assert browsers().id_in(cookie, "corp-ad", "ada") == "", "another broker's"


@given(st.data())
def test_an_altered_cookie_is_worth_nothing(data: st.DataObject) -> None:
    known = browsers()
    cookie = known.with_entry("", "corp-ad", "ada")
    at = data.draw(st.integers(0, len(cookie) - 2))  # the last digit of base64 has bits that say nothing
    other = data.draw(st.sampled_from("Aa0_-.~v"))
    altered = cookie[:at] + other + cookie[at + 1 :]
    assert (known.id_in(altered, "corp-ad", "ada") == "") is (altered != cookie)


@given(st.text(max_size=900) | st.text(alphabet="v1.~-_aA0", max_size=900))
def test_garbage_is_nobody_and_costs_nothing(cookie: str) -> None:
    class NoKeys:
        def macs(self, *_: object) -> list[bytes]:
            raise AssertionError

    known = KnownBrowsers(keyring=NoKeys(), clock=CLOCK, randomness=lambda size: b"x" * size)  # type: ignore[arg-type]  # a trap
    assert known.id_in(cookie, "corp-ad", "ada") == ""


def test_a_long_list_of_entries_is_looked_at_no_further_than_it_can_be_ours() -> None:
    known = browsers()
    own, strangers = known.with_entry("", "corp-ad", "ada"), [f"v1.{'x' * 22}.0000000001.{'y' * 43}"] * MOST
    assert known.id_in(SEPARATOR.join([*strangers, own]), "corp-ad", "ada") == ""


# --- in a sign-in


def test_the_cookie_comes_with_a_complete_sign_in_and_not_before(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    browser = corridor.half_signed_in(person)
    browser.submit("/challenge", method="totp", answer="000000")
    assert browser.known == ""
    browser.submit("/challenge", method="totp", answer=corridor.code(person))
    (line,) = [line for line in browser.set_cookies if line.startswith(COOKIE)]
    assert ENTRY.fullmatch(browser.known)
    assert {part.strip() for part in line.split(";")[1:] if "Expires" not in part} == {
        "Secure",
        "HttpOnly",
        "SameSite=Lax",
        "Path=/",
        f"Max-Age={180 * 24 * 3600}",
    }


def test_it_comes_with_an_enrolment_too(corridor: Corridor) -> None:
    person = corridor.person()
    browser = corridor.half_signed_in(person)
    key = re.search(r"<code[^>]*>((?:[A-Z2-7]{4} ?){8})</code>", browser.text)
    assert key
    person = Somebody(account=person.account, password=person.password, key=key[1])
    browser.submit("/enrol", enrolment_code=corridor.enrolment_code(person), answer=corridor.code(person))
    assert ENTRY.fullmatch(browser.known)


def test_outsiders_who_guess_do_not_keep_the_owner_out(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    browser = corridor.signed_in(person)
    browser.submit("/sign-out")
    assert browser.known, "it survives the log-out"
    assert guess(corridor.browser(), person, 12)[-1] == 429
    assert corridor.browser().sign_in(person).status_code == 429, "the control: a stranger's right password"
    assert browser.sign_in(person).request.path == "/challenge"
    browser.submit("/challenge", method="totp", answer=corridor.code(person))
    assert browser.path == "/"


def test_it_opens_nothing_by_itself(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    stolen = corridor.signed_in(person).known
    thief = corridor.browser()
    thief.known = stolen
    assert thief.visit("/").request.path == "/sign-in"
    assert thief.get("/challenge").status_code == 401
    assert thief.get("/api/v1/whoami").status_code == 401
    assert thief.sign_in(person, password="not it").status_code == 401
    assert thief.sign_in(person).request.path == "/challenge", "the second factor is asked for all the same"


def test_who_has_stolen_it_guesses_as_slowly_as_anybody_and_at_nobody_else(corridor: Corridor) -> None:
    person, other = corridor.person(enrolled=True), corridor.person(enrolled=True)
    thief = corridor.browser()
    thief.known = corridor.signed_in(person).known
    assert guess(thief, person, 6) == [401] * 5 + [429]
    assert guess(thief, other, 6) == [401] * 5 + [429]
    assert guess(corridor.browser(), other, 1) == [429], "as a stranger, together with all of them"


def test_no_refusal_tells_a_known_browser_from_a_stranger(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    home = corridor.signed_in(person)
    home.submit("/sign-out")
    told = set()
    for browser, who in ((home, person), (corridor.browser(), person)):
        for _ in range(6):
            answer = browser.sign_in(who, password="not it")
            text = re.sub(r'value="[^"]*"|<span class="id">[^<]*</span>', "", answer.text)
            told.add((answer.status_code, text))
    assert sorted(status for status, _ in told) == [401, 429]


@pytest.mark.parametrize(
    "cookie", ["x", "~" * 600, "v1.a.b.c", "A" * 5000, "v1." + "a" * 22 + ".9999999999." + "a" * 43]
)
def test_a_cookie_of_somebodys_own_making_is_ignored(corridor: Corridor, cookie: str) -> None:
    person = corridor.person(enrolled=True)
    browser = corridor.browser()
    browser.known = cookie
    assert guess(browser, person, 6) == [401] * 5 + [429]
    other = corridor.person(enrolled=True)
    assert browser.sign_in(other).request.path == "/challenge", "the control"
    browser.submit("/challenge", method="totp", answer=corridor.code(other))
    assert ENTRY.fullmatch(browser.known.split(SEPARATOR)[0])
