"""A neighbour that is away: nothing is granted, nobody is blamed, and the answer says when to come back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from builders import MINUTE
from corridor import PROVIDER, Answer, Browser, Corridor
from flow.failing import failing_trail

from broker.errors import Unavailable
from broker.record.event import Tag
from broker.sessions.session import Limits, Session, Sessions, SessionStore, key_of

ROLE = "payments-dev/power-user"


class Failing:
    """A session store some of whose methods are away."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self.away: set[str] = set()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the store has)
        if name in self.away:
            return self._unavailable
        return getattr(self._store, name)

    def _unavailable(self, *_: object, **__: object) -> None:
        message = "the store of sessions"
        raise Unavailable(message, retry_after=7)


@pytest.fixture
def store(corridor: Corridor) -> Failing:
    return Failing(corridor.broker.storage.sessions)


def browser_over(corridor: Corridor, store: Failing, token: str) -> Browser:
    sessions = Sessions(store, limits=Limits(), new_token=corridor.parts.sessions.new_token)
    return Browser(corridor.app_of(replace(corridor.parts, sessions=sessions)), token=token)


def is_a_503(answer: Answer, retry_after: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["Retry-After"] == retry_after
    assert answer.headers["X-Frame-Options"] == "DENY"
    if answer.request.path.startswith("/api/"):
        assert answer.mimetype == "application/problem+json"
        assert answer.json["type"].endswith(":unavailable")
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    else:
        assert answer.mimetype == "text/html"
        assert "cannot be reached" in answer.text


@pytest.mark.parametrize("path", ["/", "/go-on", "/sign-in", "/challenge", "/api/v1/whoami", "/api/v1/roles"])
def test_while_sessions_cannot_be_read_nobody_is_told_that_theirs_has_ended(
    corridor: Corridor, store: Failing, path: str
) -> None:
    person = corridor.signed_in(corridor.person(enrolled=True))
    browser = browser_over(corridor, store, person.token)
    store.away = {"get"}
    is_a_503(browser.get(path), "7")
    assert browser.token == person.token, "the cookie stays"
    assert browser.get("/healthz").status_code == 200
    assert browser.get("/static/broker.css").status_code == 200
    store.away = set()
    assert browser.get("/api/v1/whoami").status_code == 200


@pytest.mark.parametrize("token", ["x", "A" * 42, "A" * 44, "A" * 42 + "!", "A" * 5000])
def test_the_store_is_not_asked_for_what_is_no_token_of_ours(corridor: Corridor, store: Failing, token: str) -> None:
    store.away = {"get"}
    assert browser_over(corridor, store, token).get("/sign-in").status_code == 200
    assert browser_over(corridor, store, "A" * 43).get("/sign-in").status_code == 503, "the control"


@pytest.mark.parametrize("path", ["/sign-in", "/challenge", "/sign-out", "/api/v1/credentials"])
def test_a_change_while_sessions_cannot_be_read_is_a_503_and_no_stale_page(
    corridor: Corridor, store: Failing, path: str
) -> None:
    person = corridor.signed_in(corridor.person(enrolled=True))
    browser = browser_over(corridor, store, person.token)
    csrf = browser.get("/api/v1/whoami").json["csrf_token"]
    store.away = {"get"}
    if path.startswith("/api/"):
        is_a_503(browser.post(path, {"role": ROLE}, csrf=csrf), "7")
    else:
        is_a_503(browser.submit(path, follow=False), "7")


def test_that_it_was_here_need_not_be_noted(
    corridor: Corridor, store: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    """The credentials are issued and recorded: to throw them away would help nobody."""
    person = corridor.signed_in(corridor.person(enrolled=True))
    browser = browser_over(corridor, store, person.token)
    csrf = browser.get("/api/v1/whoami").json["csrf_token"]
    long_ago = corridor.clock() - 5 * MINUTE
    change(corridor, person, lambda kept: replace(kept, seen_at=long_ago))
    store.away = {"change"}
    assert browser.post("/api/v1/credentials", {"role": ROLE}, csrf=csrf).status_code == 200
    assert "the store of sessions cannot be reached" in caplog.text
    store.away = set()
    kept = corridor.broker.storage.sessions.get(key_of(person.token))
    assert kept is not None
    assert kept.seen_at == long_ago


def change(corridor: Corridor, browser: Browser, how: Callable[[Session], Session]) -> None:
    session = corridor.broker.storage.sessions.get(key_of(browser.token))
    assert session is not None
    corridor.parts.sessions.change(session, how)


def at_the_enrolment(corridor: Corridor) -> Browser:
    person, browser = corridor.person(), corridor.browser()
    browser.visit("/sign-in")
    fields: dict[str, Any] = {"provider": PROVIDER, "username": person.account, "password": person.password}
    browser.submit("/sign-in", follow=False, **fields)
    return browser


def without_a_csrf_token(corridor: Corridor) -> Browser:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    change(corridor, browser, lambda kept: replace(kept, notes={}))
    return browser


@pytest.mark.parametrize(
    ("path", "make"), [("/enrol", at_the_enrolment), ("/api/v1/whoami", without_a_csrf_token)], ids=str
)
def test_what_a_page_must_remember_and_cannot_is_a_503(
    corridor: Corridor, store: Failing, path: str, make: Callable[[Corridor], Browser]
) -> None:
    browser = browser_over(corridor, store, make(corridor).token)
    store.away = {"change"}
    answer = browser.get(path)
    is_a_503(answer, "7")
    assert "<svg" not in answer.text
    assert 'action="/enrol"' not in answer.text
    assert '"csrf_token":' not in answer.text
    store.away = set()
    assert browser.get(path).status_code == 200


def test_a_sign_in_that_cannot_be_kept_is_a_503_without_a_cookie(corridor: Corridor, store: Failing) -> None:
    person = corridor.person(enrolled=True)
    browser = browser_over(corridor, store, "")
    browser.visit("/sign-in")
    before = browser.token
    store.away = {"add"}
    fields: dict[str, Any] = {"provider": PROVIDER, "username": person.account, "password": person.password}
    is_a_503(browser.submit("/sign-in", follow=False, **fields), "7")
    assert browser.token == before
    assert browser.visit("/").request.path == "/sign-in"


def test_a_log_out_that_cannot_be_kept_is_not_claimed(corridor: Corridor, store: Failing) -> None:
    person = corridor.signed_in(corridor.person(enrolled=True))
    browser = browser_over(corridor, store, person.token)
    browser.visit("/")
    store.away = {"drop"}
    answer = browser.submit("/sign-out", follow=False)
    is_a_503(answer, "7")
    assert "Clear-Site-Data" not in answer.headers
    assert corridor.tags(answer) == []


@contextmanager
def without_directory(corridor: Corridor) -> Iterator[None]:
    corridor.world.directory.stop()
    try:
        yield
    finally:
        corridor.world.directory.start()


@contextmanager
def without_sts(corridor: Corridor) -> Iterator[None]:
    corridor.world.sts.down()
    try:
        yield
    finally:
        corridor.world.sts.up()


def test_credentials_while_a_neighbour_is_away_are_a_503(own_corridor: Corridor) -> None:
    corridor = own_corridor
    browser = corridor.signed_in(corridor.person(enrolled=True))
    csrf = browser.get("/api/v1/whoami").json["csrf_token"]
    assert browser.credentials(ROLE).status_code == 200
    with without_sts(corridor):
        answer = browser.post("/api/v1/credentials", {"role": ROLE}, csrf=csrf)
        is_a_503(answer, "5")
        assert "AWS STS" in answer.json["title"]
    assert corridor.tags(answer) == [Tag.CREDENTIALS_DECIDED, Tag.CREDENTIALS_FAILED]
    corridor.clock.advance(6 * MINUTE)
    with without_directory(corridor):
        answer = browser.post("/api/v1/credentials", {"role": ROLE}, csrf=csrf)
        is_a_503(answer, "5")
        is_a_503(browser.get("/"), "5")
        person = corridor.person()
        stranger = corridor.browser()
        stranger.visit("/sign-in")
        fields: dict[str, Any] = {"provider": PROVIDER, "username": person.account, "password": person.password}
        refused = stranger.submit("/sign-in", **fields)
        is_a_503(refused, "5")
    assert corridor.tags(answer) == []
    assert corridor.tags(refused) == [Tag.SIGN_IN_REFUSED]


def test_credentials_that_cannot_be_recorded_are_a_503_and_no_key_leaves(own_corridor: Corridor) -> None:
    corridor = own_corridor
    person = corridor.signed_in(corridor.person(enrolled=True))
    for write in (1, 2):
        with failing_trail(corridor, at=write) as parts:
            answer = Browser(corridor.app_of(parts), token=person.token).credentials(ROLE)
        is_a_503(answer, "5")
        assert "AccessKeyId" not in answer.text
        assert "ASIA" not in answer.text


def test_while_the_database_is_away_everything_is_a_503_but_the_process_lives(
    own_corridor: Corridor, monkeypatch: pytest.MonkeyPatch
) -> None:
    corridor = own_corridor

    def away(neighbour: str) -> None:
        raise Unavailable(neighbour)

    browser = corridor.signed_in(corridor.person(enrolled=True))
    csrf = browser.get("/api/v1/whoami").json["csrf_token"]
    person = corridor.person()
    stranger = corridor.browser()
    stranger.visit("/sign-in")
    fields: dict[str, Any] = {"provider": PROVIDER, "username": person.account, "password": person.password}
    with monkeypatch.context() as patch:
        for what in ("read", "write"):
            patch.setattr(corridor.broker.storage.database, what, away)
        is_a_503(browser.get("/"), "5")
        is_a_503(browser.post("/api/v1/credentials", {"role": ROLE}, csrf=csrf), "5")
        is_a_503(stranger.submit("/sign-in", follow=False, **fields), "5")
        assert Browser(corridor.app_of(corridor.parts)).get("/readyz").status_code == 503
        assert corridor.browser().get("/healthz").status_code == 200
        assert corridor.browser().get("/sign-in").status_code == 200, "nothing is kept for it"
    assert browser.credentials(ROLE).status_code == 200
