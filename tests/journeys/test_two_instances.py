"""Two instances over one PostgreSQL and one Redis: what counts once counts once for both together."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import cycle
from pathlib import Path

from journeys import domain as ad
from journeys.household import Household
from journeys.place import READ, Running, running
from journeys.visitor import Visitor, holds_credentials
from neighbours._waiting import free_port
from neighbours.samba import LOCKOUT_THRESHOLD, SambaServer

MANY = 50


def test_a_session_of_one_instance_works_on_the_other_and_ends_on_both(house: Household) -> None:
    here = house.visitor("boris").sign_in()
    there = house.at_two(here)
    assert (here.lease(READ).status, there.lease(READ).status) == (200, 200)
    there.open()
    assert there.browser.submit("/sign-out").path == "/sign-in"
    assert here.browser.cookies, "it still has its cookie"
    answer = here.lease(READ)
    assert (answer.status, here.whoami().status) == (401, 401)
    assert not holds_credentials(answer)


def test_a_sign_in_that_one_instance_began_can_be_ended_on_the_other(house: Household) -> None:
    here = house.visitor("erik")
    assert here.show_password().path == "/challenge"
    there = house.at_two(here)
    assert there.open().path == "/challenge"
    assert there.show_code().path == "/"
    assert there.whoami().status == 200
    assert here.whoami().status == 401, "the token of before the code is worth something"


def test_an_operator_ends_the_sessions_of_a_person_on_both(house: Household) -> None:
    here = house.visitor("besieged").sign_in()
    there = house.at_two(here)
    assert (here.whoami().status, there.whoami().status) == (200, 200)
    told = house.place.command("users", "revoke", "besieged", "--reason", "a laptop was lost")
    assert told.exit_code == 0, told.output
    assert (here.whoami().status, there.whoami().status) == (401, 401)


def test_exactly_one_of_fifty_parallel_uses_of_a_code_counts(house: Household) -> None:
    carol = house.visitor("carol")
    with ThreadPoolExecutor(2) as two_at_a_time:
        halves = list(two_at_a_time.map(lambda number: _half(house, carol, number), range(MANY)))
    assert carol.app is not None
    code = carol.app.code()
    with ThreadPoolExecutor(MANY) as all_at_once:
        pages = list(all_at_once.map(lambda half: half.show_code(code), halves))
    assert sorted(page.path for page in pages) == ["/", *["/challenge"] * (MANY - 1)]
    assert {page.status for page in pages if page.path != "/"} <= {401, 429}
    assert [half.whoami().status for half in halves].count(200) == 1
    shown = [event for event in house.events() if event["tag"] == "factor:shown" and event["actor_name"] == "carol"]
    assert len(shown) == 1


def _half(house: Household, visitor: Visitor, number: int) -> Visitor:
    """A session of its own in which the password was shown: an even one on one instance, an odd one on the other."""
    one = Visitor(visitor.name, house.one.url, app=visitor.app)
    half = house.at_two(one) if number % 2 else one
    assert half.show_password().path == "/challenge", half.browser.page.text
    return half


def test_five_wrong_codes_stop_a_person_on_both_instances(house: Household) -> None:
    fay = house.visitor("fay")
    halves = [_half(house, fay, number) for number in range(2)]
    assert fay.app is not None
    for half in (halves * 3)[:5]:
        assert half.show_code(fay.app.wrong()).status == 401
    right = fay.app.code()
    for half in halves:
        page = half.show_code(right)
        assert (page.path, page.status) == ("/challenge", 429)
        assert page.headers["retry-after"]
        assert half.whoami().status == 401


def test_four_wrong_codes_stop_nobody(house: Household) -> None:
    """The control: it is the count that stops, and a right code clears it."""
    loner = house.visitor("loner")
    halves = [_half(house, loner, number) for number in range(2)]
    assert loner.app is not None
    for half in halves * 2:
        assert half.show_code(loner.app.wrong()).status == 401
    assert halves[0].show_code().path == "/"


def test_a_hundred_wrong_passwords_lock_nobody_out_of_the_directory(
    house: Household, domain: SambaServer, tmp_path: Path
) -> None:
    victim, places = "victim", cycle([house.one.url, house.two.url])
    callers = [Visitor(victim, next(places)) for _ in range(8)]
    with ThreadPoolExecutor(len(callers)) as pool:
        tries = list(pool.map(lambda n: callers[n % 8].show_password(f"guess-{n}").status, range(100)))
    assert set(tries) <= {401, 429}
    assert 429 in tries
    assert 0 < int(ad.read(domain, ad.person(victim), "badPwdCount")) < LOCKOUT_THRESHOLD
    assert int(ad.read(domain, ad.person(victim), "lockoutTime") or 0) == 0
    assert Visitor(victim, house.one.url).show_password().status == 429
    with _later(house, tmp_path, timedelta(minutes=31)) as broker:
        ad.change(domain, ad.person(victim), lockoutTime="0")  # the controller's clock stands where it stood
        assert Visitor(victim, broker.url).show_password().path == "/enrol"


@contextmanager
def _later(house: Household, folder: Path, by: timedelta) -> Iterator[Running]:
    """A third instance in this process whose clock is ahead: it shares the counts, and has a trail of its own."""
    url = f"http://localhost:{free_port()}"
    overlay = {
        "SERVER__URL": url,
        "SERVER__BIND": url.removeprefix("http://"),
        "STORAGE__URL": f"sqlite:///{folder / 'later.db'}",
    }
    with running(house.place, overlay=overlay) as broker:
        broker.clock.on(by)
        yield broker
