"""The provider contract against the sandbox's directory, so that it cannot drift from the real one."""

from collections.abc import Iterator
from datetime import date

import pytest
from contracts.cast import GROUPS, PASSWORD, PEOPLE, Person, State
from contracts.provider import ActiveDirectoryContract, ADWorld

from broker.authenticate.ldap import LdapSettings
from broker.clock import utc_now
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


def seed() -> Seed:
    people = {**PEOPLE, "reader": Person(unit="Services")}
    domain = {
        "dns_name": "corp.example.test",
        "netbios_name": "CORP",
        "sid": "S-1-5-21-1111111111-2222222222-3333333333",
        "controller": "dc1",
        "lockout_threshold": SandboxWorld.lockout_threshold,
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
    lockout_threshold = 5

    def __init__(self, pki: SandboxPki) -> None:
        self._pki = pki
        self._other: SandboxWorld | None = None
        self.directory = SandboxDirectory(seed(), pki=pki, clock=utc_now)
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
