"""The CLI's codes and tokens, over the real stores: in SQLite, and in Redis where it is installed."""

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from builders import an_identity, shown_totp
from contracts.store import DAY, HOUR, MINUTE, SECOND, Place

from broker.authenticate.identity import PersonId
from broker.errors import NotSignedIn, Unavailable
from broker.sessions.grants import (
    ACCESS,
    MOST_CODES,
    MOST_GRANTS,
    GrantRefused,
    Grants,
    Tokens,
    Why,
    family_of,
    grant_id,
)
from broker.sessions.session import Door, Limits, Session, Sessions, key_of
from broker.storage import Storage, StorageSettings
from broker.storage.sessions import Change

if TYPE_CHECKING:
    from neighbours.redis import RedisServer

ADA, BOB = PersonId("p-ada"), PersonId("p-bob")
HOME = "http://127.0.0.1:50000/callback/" + "s" * 32
ELSEWHERE = "http://127.0.0.1:50001/callback/" + "s" * 32
CHALLENGE, OTHER_CHALLENGE = "c" * 43, "d" * 43
STRANGE = ["", ".", "x", "a" * 43, "a" * 43 + ".", "." + "a" * 43, "a" * 43 + "." + "a" * 42, "\ud800", "ä" * 43, "\0"]
STRANGE += [
    "a" * 43 + "." + "a" * 43 + "\n",
    "a" * 43 + "." + "a" * 43 + "." + "a" * 43,
    "a" * 1_000_000,
    "\uff11" * 43,
]


class Ending(Grants):
    """Ends at once what is to end, as `flow.grants` does after it has written it down."""

    def redeem(self, code: str, **given: Any) -> Tokens:  # noqa: ANN401 (passed on)
        return self._ending(lambda: super(Ending, self).redeem(code, **given))

    def refresh(self, token: str, now: datetime, *, address: str = "") -> Tokens:
        return self._ending(lambda: super(Ending, self).refresh(token, now, address=address))

    def logout(self, token: str, now: datetime) -> Session | None:
        named = self.named_by(token, now)
        if named is not None:
            self.end(named)
        return named

    def _ending(self, ask: Callable[[], Tokens]) -> Tokens:
        try:
            tokens = ask()
        except GrantRefused as no:
            if no.reason is Why.REUSED and no.session is not None:
                self.end(no.session)
            raise
        for old in tokens.displaced:
            self.end(old)
        return tokens


@dataclass
class Desk:
    """Grants over one storage, by a clock that is moved."""

    place: Place
    storage: Storage

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.storage.sessions, limits=Limits(), new_token=self.token)
        self.grants = self.grants_by(Limits())

    def grants_by(self, limits: Limits) -> Ending:
        return Ending(self.storage.sessions, limits=limits, new_token=self.token)

    @staticmethod
    def token() -> str:
        return secrets.token_urlsafe(32)

    def browser(self, person: PersonId = ADA) -> tuple[str, Session]:
        now = self.place.clock()
        blank = self.sessions.blank(now, address="10.1.2.3")
        half = blank.signed_in(person=person, session_name=person[2:], identity=an_identity(at=now), now=now)
        return self.sessions.start(replace(half, shown=(shown_totp(at=now),)))

    def code(self, session: Session | None = None, *, device: str = "laptop") -> str:
        session = session or self.browser()[1]
        now = self.place.clock()
        return self.grants.code(session, challenge=CHALLENGE, redirect_uri=HOME, device=device, now=now)[0]

    def redeem(self, code: str, *, challenge: str = CHALLENGE, redirect_uri: str = HOME) -> Tokens:
        now = self.place.clock()
        return self.grants.redeem(code, verifier_challenge=challenge, redirect_uri=redirect_uri, now=now)

    def tokens(self, person: PersonId = ADA) -> Tokens:
        return self.redeem(self.code(self.browser(person)[1]))

    def refresh(self, token: str) -> Tokens:
        return self.grants.refresh(token, self.place.clock())

    def find(self, token: str) -> Session | None:
        return self.grants.find(token, self.place.clock())


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    known: dict[str, object] = {"url": f"sqlite:///{tmp_path}/broker.db"}
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("shared_redis")
        known |= {"short_lived": server.url, "short_lived_prefix": f"grants-{secrets.token_hex(4)}:"}
    place = Place(settings=StorageSettings.model_validate(known))
    yield place
    place.close()


@pytest.fixture
def desk(place: Place) -> Desk:
    storage = place.open()
    storage.upgrade()
    place.clock.on(DAY)
    return Desk(place, storage)


def refused(why: Why) -> "pytest.RaisesExc[GrantRefused]":
    return pytest.raises(GrantRefused, check=lambda no: no.reason is why)


# ---- codes


def test_a_code_becomes_a_grant_of_the_person_with_what_was_shown(desk: Desk) -> None:
    _, browser = desk.browser()
    tokens = desk.redeem(desk.code(browser, device="laptop"))
    found = desk.find(tokens.access)
    assert found == tokens.grant
    assert (found.door, found.person, found.identity, found.shown) == (Door.CLI, ADA, browser.identity, browser.shown)
    assert found.signed_in_at == browser.signed_in_at
    assert found.notes["device"] == "laptop"
    assert "cnf" not in found.notes


def test_a_code_is_worth_one_try_and_a_second_one_ends_what_it_became(desk: Desk) -> None:
    code = desk.code()
    tokens = desk.redeem(code)
    other = desk.tokens()
    for _ in range(2):
        with pytest.raises(GrantRefused) as no:
            desk.redeem(code)
    assert desk.find(tokens.access) is None
    with refused(Why.UNKNOWN):
        desk.refresh(tokens.refresh)
    assert no.value.reason is Why.UNKNOWN, "by then there was nothing left to end"
    assert desk.find(other.access) is not None, "the control: another grant of the same person"


def test_the_second_use_of_a_code_is_told_as_that_with_whose_it_was(desk: Desk) -> None:
    code = desk.code()
    tokens = desk.redeem(code)
    with refused(Why.REUSED) as no:
        desk.redeem(code, challenge=OTHER_CHALLENGE)
    assert no.value.session is not None
    assert no.value.session.key == tokens.grant.key


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"challenge": OTHER_CHALLENGE}, Why.WRONG_VERIFIER),
        ({"challenge": ""}, Why.WRONG_VERIFIER),
        ({"challenge": CHALLENGE + "="}, Why.WRONG_VERIFIER),
        ({"redirect_uri": ELSEWHERE}, Why.OTHER_ADDRESS),
        ({"redirect_uri": HOME + "/"}, Why.OTHER_ADDRESS),
        ({"redirect_uri": HOME.upper()}, Why.OTHER_ADDRESS),
        ({"redirect_uri": ""}, Why.OTHER_ADDRESS),
        ({"redirect_uri": "ä"}, Why.OTHER_ADDRESS),
    ],
    ids=str,
)
def test_a_wrong_try_uses_the_code_up(desk: Desk, wrong: dict[str, str], why: Why) -> None:
    code = desk.code()
    with refused(why) as no:
        desk.redeem(code, **wrong)
    assert no.value.session is not None
    assert grant_id(no.value.session) == key_of(family_of(code))[:8], "what the grant would have been called"
    with refused(Why.UNKNOWN):
        desk.redeem(code)
    desk.redeem(desk.code())


def test_a_code_lives_for_a_minute(desk: Desk) -> None:
    early, late = desk.code(), desk.code()
    desk.place.clock.on(59 * SECOND)
    desk.redeem(early)
    desk.place.clock.on(SECOND)
    with refused(Why.UNKNOWN):
        desk.redeem(late)


def test_a_code_that_is_too_old_by_the_limits_is_refused_whatever_the_store_says(desk: Desk) -> None:
    stricter = desk.grants_by(Limits(errand=10 * SECOND))
    early, late = desk.code(), desk.code()
    now = desk.place.clock.on(9 * SECOND)
    stricter.redeem(early, verifier_challenge=CHALLENGE, redirect_uri=HOME, now=now)
    with refused(Why.TOO_LATE):
        stricter.redeem(late, verifier_challenge=CHALLENGE, redirect_uri=HOME, now=now + SECOND)
    with refused(Why.UNKNOWN):
        desk.redeem(late)


def test_only_a_whole_session_of_a_browser_gets_a_code(desk: Desk) -> None:
    _, browser = desk.browser()
    half, anonymous = replace(browser, shown=()), desk.sessions.blank(desk.place.clock(), address="")
    for session in (half, anonymous, desk.tokens().grant, replace(browser, door=Door.HANDOFF)):
        with pytest.raises(NotSignedIn):
            desk.code(session)
    assert desk.code(browser)


def test_twenty_programs_at_once_with_one_code_are_one_grant_at_most_and_then_none(desk: Desk) -> None:
    """Exactly one can have won; and because others came with the same code, even that one is ended."""
    for _ in range(3):
        code, barrier = desk.code(), threading.Barrier(10)

        def run(_: int, code: str = code, barrier: threading.Barrier = barrier) -> Tokens | Why:
            barrier.wait()
            try:
                return desk.redeem(code)
            except GrantRefused as no:
                return no.reason

        with ThreadPoolExecutor(10) as threads:
            answers = list(threads.map(run, range(10)))
        won = [answer for answer in answers if isinstance(answer, Tokens)]
        assert len(won) == 1
        assert Why.REUSED in answers
        assert desk.find(won[0].access) is None


class Late:
    """A store where another program is a moment faster with the same code."""

    def __init__(self, desk: Desk, code: str) -> None:
        self.inner, self.desk, self.code = desk.storage.sessions, desk, code
        self.won: Tokens | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def move(self, old: str, session: Session, *, until: datetime) -> bool:
        self.won = self.desk.redeem(self.code)
        return self.inner.move(old, session, until=until)


def test_whoever_is_a_moment_late_with_a_code_ends_what_the_other_got(desk: Desk) -> None:
    code = desk.code()
    store = Late(desk, code)
    late = Ending(store, limits=Limits(), new_token=desk.token)  # type: ignore[arg-type]  # passes on
    with refused(Why.REUSED):
        late.redeem(code, verifier_challenge=CHALLENGE, redirect_uri=HOME, now=desk.place.clock())
    assert store.won is not None
    assert desk.find(store.won.access) is None


# ---- tokens


def test_nothing_that_is_kept_is_a_token_or_half_of_one(desk: Desk) -> None:
    code = desk.code()
    kept = [repr(desk.storage.sessions.of_person(ADA))]
    tokens = desk.redeem(code)
    kept += [repr(desk.storage.sessions.of_person(ADA)), repr(tokens)]
    parts = [code, family_of(code), *tokens.access.split("."), *tokens.refresh.split(".")]
    assert len(set(parts)) == 4
    for text in kept:
        assert not any(part in text for part in parts)


def test_an_access_token_lasts_fifteen_minutes(desk: Desk) -> None:
    tokens = desk.tokens()
    assert tokens.access_until == desk.place.clock() + ACCESS == desk.place.clock() + 15 * MINUTE
    desk.place.clock.on(15 * MINUTE - SECOND)
    assert desk.find(tokens.access) is not None
    desk.place.clock.on(SECOND)
    assert desk.find(tokens.access) is None
    assert desk.find(desk.refresh(tokens.refresh).access) is not None


def test_a_refresh_makes_both_tokens_anew(desk: Desk) -> None:
    first = desk.tokens()
    second = desk.refresh(first.refresh)
    assert len({first.access, first.refresh, second.access, second.refresh}) == 4
    assert second.grant.key == first.grant.key
    assert desk.find(second.access) is not None
    assert desk.find(first.access) is None
    third = desk.refresh(second.refresh)
    assert desk.find(third.access) is not None


def test_a_refresh_token_that_comes_again_ends_the_grant(desk: Desk) -> None:
    first, other = desk.tokens(), desk.tokens()
    second = desk.refresh(first.refresh)
    with refused(Why.REUSED) as no:
        desk.refresh(first.refresh)
    assert no.value.session is not None
    assert (no.value.session.key, no.value.session.person) == (first.grant.key, ADA)
    assert desk.find(second.access) is None
    with refused(Why.UNKNOWN):
        desk.refresh(second.refresh)
    assert desk.find(other.access) is not None


def test_a_secret_that_was_never_given_out_ends_the_grant_it_names(desk: Desk) -> None:
    tokens = desk.tokens()
    family = tokens.refresh.partition(".")[0]
    with refused(Why.REUSED):
        desk.refresh(f"{family}.{desk.token()}")
    assert desk.find(tokens.access) is None


def test_an_access_token_is_no_refresh_token_and_the_other_way_round(desk: Desk) -> None:
    tokens = desk.tokens()
    assert desk.find(tokens.refresh) is None
    assert desk.find(tokens.access) is not None
    with refused(Why.REUSED):
        desk.refresh(tokens.access)


def test_a_foreign_access_secret_opens_nothing_and_ends_nothing(desk: Desk) -> None:
    """An old access token may still be under way when the new one is there."""
    tokens = desk.tokens()
    family, secret = tokens.access.split(".")
    for foreign in (desk.token(), secret[::-1], secret[:-1] + ("A" if secret[-1] != "A" else "B")):
        assert desk.find(f"{family}.{foreign}") is None
    assert desk.find(tokens.access) is not None


class PassedOn:
    """The real store, but for what a test changes."""

    def __init__(self, desk: Desk) -> None:
        self.inner = desk.storage.sessions

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


class AwayOnce(PassedOn):
    """A store that is away at the first change."""

    away = True

    def change(self, key: str, change: Change) -> Session | None:
        if self.away:
            self.away = False
            raise Unavailable("sessions")  # noqa: EM101 (a neighbour's name)
        return self.inner.change(key, change)


def test_a_store_that_was_away_leaves_the_token_as_good_as_it_was(desk: Desk) -> None:
    first = desk.tokens()
    again = Ending(AwayOnce(desk), limits=Limits(), new_token=desk.token)  # type: ignore[arg-type]  # passes on
    with pytest.raises(Unavailable):
        again.refresh(first.refresh, desk.place.clock())
    assert desk.find(again.refresh(first.refresh, desk.place.clock()).access) is not None


def test_of_many_refreshes_at_once_with_one_token_one_wins_at_most_and_the_grant_ends(desk: Desk) -> None:
    for _ in range(3):
        tokens, barrier = desk.tokens(), threading.Barrier(10)

        def run(_: int, token: str = tokens.refresh, barrier: threading.Barrier = barrier) -> Tokens | Why:
            barrier.wait()
            try:
                return desk.refresh(token)
            except GrantRefused as no:
                return no.reason

        with ThreadPoolExecutor(10) as threads:
            answers = list(threads.map(run, range(10)))
        won = [answer for answer in answers if isinstance(answer, Tokens)]
        assert len(won) <= 1
        assert Why.REUSED in answers
        assert [desk.find(winner.access) for winner in won] in ([], [None])
        assert desk.find(tokens.access) is None


class EndedMeanwhile(PassedOn):
    """Somebody logs out everywhere just before the new tokens are kept."""

    def change(self, key: str, change: Change) -> Session | None:
        self.inner.drop_all(ADA)
        return self.inner.change(key, change)


def test_a_refresh_that_meets_a_log_out_gives_nothing(desk: Desk) -> None:
    first = desk.tokens()
    meeting = Ending(EndedMeanwhile(desk), limits=Limits(), new_token=desk.token)  # type: ignore[arg-type]  # passes on
    with refused(Why.UNKNOWN):
        meeting.refresh(first.refresh, desk.place.clock())
    assert desk.storage.sessions.of_person(ADA) == []


class ReadAnew(PassedOn):
    """While a token is used up, another request reads anew who it is."""

    def __init__(self, desk: Desk, grant: Session) -> None:
        super().__init__(desk)
        self.desk, self.grant = desk, grant

    def change(self, key: str, change: Change) -> Session | None:
        fresh = an_identity("ada-anew", at=self.desk.place.clock())
        assert self.desk.sessions.change(self.grant, lambda kept: replace(kept, identity=fresh)) is not None
        return self.inner.change(key, change)


def test_a_refresh_and_a_request_of_the_same_grant_lose_nothing_of_each_other(desk: Desk) -> None:
    first = desk.tokens()
    store = ReadAnew(desk, first.grant)
    meeting = Ending(store, limits=Limits(), new_token=desk.token)  # type: ignore[arg-type]  # passes on
    second = meeting.refresh(first.refresh, desk.place.clock())
    found = desk.find(second.access)
    assert found is not None
    assert found.identity is not None
    assert found.identity.username == "ada-anew"


def test_no_grant_outlives_the_sign_in_that_made_it(desk: Desk) -> None:
    _, browser = desk.browser()
    desk.place.clock.on(50 * MINUTE)
    tokens = desk.redeem(desk.code(browser))
    assert desk.grants.ends_at(browser) == desk.place.clock() + 12 * HOUR - 50 * MINUTE
    while desk.place.clock() < desk.grants.ends_at(browser) - 10 * MINUTE:
        desk.place.clock.on(10 * MINUTE)
        tokens = desk.refresh(tokens.refresh)
    assert tokens.access_until == desk.grants.ends_at(browser), "ten minutes, not fifteen"
    desk.place.clock.on(10 * MINUTE)
    assert desk.find(tokens.access) is None
    with refused(Why.UNKNOWN):
        desk.refresh(tokens.refresh)


def test_a_grant_that_is_over_by_the_limits_is_found_no_more_whatever_the_store_says(desk: Desk) -> None:
    tokens, stricter = desk.tokens(), desk.grants_by(Limits(absolute=10 * MINUTE))
    now = desk.place.clock.on(10 * MINUTE - SECOND)
    assert stricter.find(tokens.access, now) is not None
    assert stricter.find(tokens.access, now + SECOND) is None
    assert desk.find(tokens.access) is None, "it was ended"


# ---- doors


def test_a_token_of_one_door_opens_no_other(desk: Desk) -> None:
    cookie, browser = desk.browser()
    code = desk.code(browser)
    tokens, now = desk.tokens(), desk.place.clock()
    family = tokens.access.partition(".")[0]
    for strange in (code, family, tokens.access, tokens.refresh):
        assert desk.sessions.find(strange, now) is None
    for strange in (cookie, family, tokens.access, tokens.refresh):
        with refused(Why.UNKNOWN):
            desk.redeem(strange)
    secret = desk.token()
    for door in (cookie, code):
        token = f"{door}.{secret}"
        assert desk.find(token) is None
        assert desk.grants.logout(token, now) is None
        with refused(Why.UNKNOWN):
            desk.refresh(token)
    assert desk.sessions.find(cookie, now) is not None, "and none of it ended anything"
    assert desk.find(tokens.access) is not None
    desk.redeem(code)


@pytest.mark.parametrize("text", STRANGE, ids=lambda text: ascii(text[:20]))
def test_what_is_no_token_is_nobodys(desk: Desk, text: str) -> None:
    assert desk.find(text) is None
    assert desk.grants.logout(text, desk.place.clock()) is None
    with refused(Why.UNKNOWN):
        desk.refresh(text)


# ---- the end


@pytest.mark.parametrize("which", ["access", "refresh", "old access", "old refresh"])
def test_any_token_of_a_grant_ends_it(desk: Desk, which: str) -> None:
    old, other = desk.tokens(), desk.tokens()
    new = desk.refresh(old.refresh)
    desk.place.clock.on(HOUR)
    tokens = old if which.startswith("old") else new
    token = tokens.access if which.endswith("access") else tokens.refresh
    ended = desk.grants.logout(token, desk.place.clock())
    assert ended is not None
    assert ended.key == new.grant.key
    assert desk.grants.logout(token, desk.place.clock()) is None
    with refused(Why.UNKNOWN):
        desk.refresh(new.refresh)
    desk.refresh(other.refresh)


def test_logging_out_everywhere_ends_codes_and_grants(desk: Desk) -> None:
    tokens, code, bobs = desk.tokens(), desk.code(), desk.tokens(BOB)
    desk.sessions.end_all(ADA)
    assert desk.find(tokens.access) is None
    with refused(Why.UNKNOWN):
        desk.refresh(tokens.refresh)
    with refused(Why.UNKNOWN):
        desk.redeem(code)
    assert desk.find(bobs.access) is not None


def test_a_person_has_so_many_grants_and_the_oldest_ends_first(desk: Desk) -> None:
    bobs = desk.tokens(BOB)
    held = []
    for _ in range(MOST_GRANTS):
        desk.place.clock.on(SECOND)
        held.append(desk.tokens())
    assert [tokens.displaced for tokens in held] == [()] * MOST_GRANTS
    desk.place.clock.on(SECOND)
    one_more = desk.tokens()
    assert [ended.key for ended in one_more.displaced] == [held[0].grant.key]
    assert desk.find(held[0].access) is None
    assert all(desk.find(tokens.access) for tokens in (*held[1:], one_more, bobs))


def test_a_person_has_so_many_codes_and_the_oldest_ends_first(desk: Desk) -> None:
    _, browser = desk.browser()
    codes = []
    for _ in range(MOST_CODES + 1):
        desk.place.clock.on(SECOND)
        codes.append(desk.code(browser))
    with refused(Why.UNKNOWN):
        desk.redeem(codes[0])
    for code in codes[1:]:
        desk.redeem(code)
