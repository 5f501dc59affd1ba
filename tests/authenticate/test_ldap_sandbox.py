"""The provider contract against the sandbox's directory, so that it cannot drift from the real one."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import cycle

import pytest
from contracts.cast import GROUPS, PASSWORD, PEOPLE, Person, State
from contracts.provider import PROVIDER, ActiveDirectoryContract, ADWorld, MemoryAttempts

from broker.authenticate.ldap import LdapProvider, LdapSettings
from broker.authenticate.ldap.lockout import SLACK
from broker.authenticate.provider import SignInRefused
from broker.clock import Clock, utc_now
from broker.errors import TooManyAttempts
from broker.sandbox.directory import SandboxDirectory, Seed
from broker.sandbox.pki import SandboxPki

ROOT = "DC=corp,DC=example,DC=test"
STATES: dict[State, dict[str, object]] = {
    State.DISABLED: {"disabled": True},
    State.EXPIRED: {"account_expires": date(2000, 1, 1)},
    State.MUST_CHANGE: {"must_change_password": True},
    State.PASSWORD_EXPIRED: {"password_age_days": 5000},
    State.LOGON_HOURS: {"logon_hours": {"days": [], "from_hour": 0, "to_hour": 24}},
    State.WORKSTATION: {"workstations": ["NOSUCHPC"]},
}


def seed(lockout_threshold: int) -> Seed:
    people = {**PEOPLE, "reader": Person(unit="Services")}
    domain = {
        "dns_name": "corp.example.test",
        "netbios_name": "CORP",
        "sid": "S-1-5-21-1111111111-2222222222-3333333333",
        "controller": "dc1",
        "lockout_threshold": lockout_threshold,
        "lockout_minutes": 30,
        "password_days": 42,
    }
    groups = [
        {
            "name": name,
            "unit": "Groups",
            "rid": 2000 + number,
            "kind": "security" if team.security else "distribution",
            "member_of": [other for other, above in GROUPS.items() if name in above.groups],
        }
        for number, (name, team) in enumerate(GROUPS.items())
    ]
    accounts = [
        {
            "account": name,
            "upn": f"{person.principal or name}@corp.example.test",
            "common_name": name,
            "given_name": name.title(),
            "surname": "Test",
            "unit": person.unit,
            "rid": 3000 + number,
            "password": PASSWORD,
            "story": "for the contract",
            "groups": [group for group, team in GROUPS.items() if name in team.people],
            **STATES.get(person.state, {}),
        }
        for number, (name, person) in enumerate(people.items())
    ]
    units = ["Staff", "Elsewhere", "Services", "Groups"]
    return Seed.model_validate({"version": 1, "domain": domain, "units": units, "groups": groups, "people": accounts})


class SandboxWorld(ADWorld):
    outside = "DC=elsewhere,DC=test"

    def __init__(self, pki: SandboxPki, *, clock: Clock = utc_now, lockout_threshold: int = 5) -> None:
        self.lockout_threshold = lockout_threshold
        self._pki = pki
        self._other: SandboxWorld | None = None
        self.directory = SandboxDirectory(seed(lockout_threshold), pki=pki, clock=clock)
        self.directory.start()

    def stop(self) -> None:
        self.directory.stop()
        if self._other is not None:
            self._other.stop()

    def settings(self, **changes: object) -> LdapSettings:
        given = {
            "servers": (f"ldaps://127.0.0.1:{self.directory.ldaps_port}",),
            "ca_file": self.directory.ca_file,
            "bind_dn": f"CN=reader,OU=Services,{ROOT}",
            "password": PASSWORD,
            "domain": "CORP",
            "upn_suffixes": ("corp.example.test",),
            "user_bases": (f"OU=Staff,{ROOT}",),
            "refusal_floor": 0,
        }
        return LdapSettings.model_validate(given | changes)

    @property
    def starttls_url(self) -> str:
        return f"ldap://127.0.0.1:{self.directory.ldap_port}"

    def principal(self, name: str) -> str:
        return f"{name}@corp.example.test"

    def binds(self, name: str) -> int:
        return sum(attempt.name.startswith(f"CN={name},") for attempt in self.directory.binds)

    def set_password(self, name: str, password: str) -> None:
        self.directory.set_password(name, password)

    def disable(self, name: str) -> None:
        self.directory.disable(name)

    def delete(self, name: str) -> None:
        self.directory.delete(name)

    def join(self, name: str, group: str) -> None:
        self.directory.add_to_group(name, group)

    def leave(self, name: str, group: str) -> None:
        self.directory.remove_from_group(name, group)

    def bad_passwords(self, name: str) -> int:
        provider = self.provider()
        found = provider._accounts.find(provider._parse(name), provider._controllers.deadline())  # noqa: SLF001
        return found.accounts[0].entry.number("badPwdCount")

    def wrong_binds(self, name: str, times: int) -> None:
        for _ in range(times):
            provider = self.provider()
            provider._controllers.bind(  # noqa: SLF001 (past our own guard, as another program would)
                f"CN={name},OU=Staff,{ROOT}",
                b"wrong",
                provider._controllers.deadline(),  # noqa: SLF001
            )

    def other(self) -> "SandboxWorld":
        if self._other is None:
            self._other = SandboxWorld(self._pki)
        return self._other

    def restart(self) -> None:
        self.directory.stop()
        self.directory.start()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxWorld]:
    made = SandboxWorld(SandboxPki(tmp_path_factory.mktemp("pki")))
    yield made
    made.stop()


class TestSandbox(ActiveDirectoryContract):
    pass


# --- by the clock


class Hand:
    """A clock that a test turns by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], tuple[SandboxWorld, Hand]]]:
    worlds: list[SandboxWorld] = []

    def make(lockout_threshold: int) -> tuple[SandboxWorld, Hand]:
        clock, pki = Hand(), SandboxPki(tmp_path_factory.mktemp("pki"))
        worlds.append(SandboxWorld(pki, clock=clock, lockout_threshold=lockout_threshold))
        return worlds[-1], clock

    yield make
    for world in worlds:
        world.close_providers()
        world.stop()


def by_the_clock(world: SandboxWorld, clock: Clock) -> LdapProvider:
    return world.closing(LdapProvider(PROVIDER, world.settings(), attempts=MemoryAttempts(), clock=clock))


def refusals(provider: LdapProvider, clock: Hand, names: tuple[str, ...], pace: timedelta) -> list[timedelta | None]:
    """Of three rounds of wrong passwords: None for a plain refusal, the wait for "too many" (waited for, exactly)."""
    heard: list[timedelta | None] = []
    for name in cycle(names):
        with pytest.raises((SignInRefused, TooManyAttempts)) as caught:
            provider.authenticate(name, "wrong")
        error = caught.value
        if isinstance(error, TooManyAttempts):
            assert error.retry_at is not None
            heard.append(error.retry_at - clock.now)
            if len([wait for wait in heard if wait]) == 3:
                break
            clock.now = error.retry_at
        else:
            heard.append(None)
            clock.now += pace
    return heard


@pytest.mark.parametrize("pace", [timedelta(0), timedelta(seconds=1)], ids=["at once", "a second each"])
@pytest.mark.parametrize(("threshold", "tries"), [(2, 1), (3, 1), (5, 2), (10, 3)])
def test_the_refusals_and_their_waits_do_not_tell_who_exists(
    timed: Callable[[int], tuple[SandboxWorld, Hand]], threshold: int, tries: int, pace: timedelta
) -> None:
    world, clock = timed(threshold)
    wait, hour = timedelta(minutes=30) + SLACK - pace, timedelta(hours=1) - pace
    waits = (wait, hour, hour) if tries == 5 else (wait, wait, wait)
    expected = [each for pause in waits for each in (*[None] * tries, pause)]
    upn = world.principal("ada")  # nobody's: hers is ada.lovelace, and so is `boris` in no principal name but his
    people: dict[str, tuple[str, ...]] = {
        "known": ("boris",),
        "known, both spellings": ("boris", world.principal("boris")),
        "another UPN": ("ada", upn),
        "another UPN first": (upn, "ada"),
        "by that UPN": (world.principal("ada.lovelace"), "ada.lovelace"),
        "locked": ("locked",),
        "disabled": ("disabled",),
        "unknown": ("nobody",),
        "unknown, both spellings": ("nobody", world.principal("nobody")),
        "outside of the bases": ("outsider",),
    }
    for who, names in people.items():
        if who == "locked":
            world.wrong_binds("locked", threshold)
        assert refusals(by_the_clock(world, clock), clock, names, pace) == expected, who
        clock.now += timedelta(days=1)


def test_the_sign_in_is_dated_before_the_bind(
    timed: Callable[[int], tuple[SandboxWorld, Hand]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a password change while the bind runs is one after the sign-in."""
    world, clock = timed(5)
    provider, started = by_the_clock(world, clock), clock.now
    bind = provider._controllers.bind  # noqa: SLF001 (made slow)

    def slow(*arguments: object) -> object:
        answer = bind(*arguments)  # type: ignore[arg-type]  # passed on
        clock.now += timedelta(seconds=5)
        return answer

    monkeypatch.setattr(provider._controllers, "bind", slow)  # noqa: SLF001
    assert provider.authenticate("ada", PASSWORD).authenticated_at == started


def test_tries_at_a_locked_account_count_for_the_account_too(
    timed: Callable[[int], tuple[SandboxWorld, Hand]],
) -> None:
    """Under another of its names they would go on else, where those at an account that is not locked do not."""
    world, clock = timed(5)
    world.wrong_binds("ada", 5)
    provider = by_the_clock(world, clock)
    for _ in range(2):
        with pytest.raises(SignInRefused):
            provider.authenticate("ada", "wrong")
    with pytest.raises(TooManyAttempts):
        provider.authenticate(world.principal("ada.lovelace"), "wrong")


def test_where_the_directory_does_not_lock_a_reset_frees_every_known_browser(
    timed: Callable[[int], tuple[SandboxWorld, Hand]],
) -> None:
    """Their counts are apart, and nobody has a list of them."""
    world, hand = timed(0)
    settings = world.settings(attempt_tries=1)
    provider = world.closing(LdapProvider(PROVIDER, settings, attempts=MemoryAttempts(), clock=hand))
    browsers = [lambda _: "one", lambda _: "two"]
    for rounds in range(2):
        for known in browsers:
            with pytest.raises(SignInRefused):
                provider.authenticate("ada", "wrong", known)
            with pytest.raises(TooManyAttempts):
                provider.authenticate("ada", PASSWORD, known)
        hand.now += timedelta(seconds=1)
        provider.forgive(provider.lookup("ada").subject)
        subjects = {provider.authenticate("ada", PASSWORD, known).subject for known in browsers}
        assert len(subjects) == 1, rounds
