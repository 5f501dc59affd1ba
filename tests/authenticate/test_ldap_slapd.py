"""The provider contract against OpenLDAP: a directory that is not AD."""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import ldap3
import pytest
from contracts.cast import ADA_IS_IN, PASSWORD, slapd_cast
from contracts.provider import PasswordProviderContract, World, names, refusal, tripwire
from ldap3.core.exceptions import LDAPExceptionError
from neighbours.slapd import MAX_FAILURES, READER, SUFFIX, SlapdServer, slapd_server

from broker.authenticate.ldap import LdapSettings
from broker.authenticate.provider import Reason
from broker.errors import ConfigurationError, Unavailable
from broker.sandbox.pki import SandboxPki


class SlapdWorld(World):
    outside = "dc=elsewhere,dc=test"

    def __init__(self, folder: Path, referral: str) -> None:
        self._folder, self._referral = folder, referral
        self._pki = SandboxPki(folder / "pki")
        self._running = ExitStack()
        self._others: list[SlapdWorld] = []
        self.server = self._start((0, 0))

    def _start(self, ports: tuple[int, int]) -> SlapdServer:
        running = slapd_server(self._folder / "server", self._pki, slapd_cast(), referral=self._referral, ports=ports)
        return self._running.enter_context(running)

    def stop(self) -> None:
        self._running.close()
        for other in self._others:
            other.stop()

    def settings(self, **changes: object) -> LdapSettings:
        given = {
            "kind": "generic",
            "servers": (self.server.url,),
            "ca_file": self.server.ca_file,
            "bind_dn": READER,
            "password": PASSWORD,
            "domain": "CORP",
            "upn_suffixes": ("corp.example.test",),
            "user_bases": (f"ou=Staff,{SUFFIX}",),
            "group_base": f"ou=Groups,{SUFFIX}",
            "refusal_floor": 0,
        }
        return LdapSettings.model_validate(given | changes)

    @property
    def starttls_url(self) -> str:
        return self.server.starttls_url

    def principal(self, name: str) -> str:
        """The mail address, which is always the plain name here."""
        return f"{name.partition('.')[0]}@corp.example.test"

    def binds(self, name: str) -> int:
        return self.server.bind_lines(READER if name == "reader" else _dn(name))

    def set_password(self, name: str, password: str) -> None:
        self._modify(_dn(name), ldap3.MODIFY_REPLACE, "userPassword", password)
        self._modify(_dn(name), ldap3.MODIFY_REPLACE, "pwdReset", "FALSE")  # it was not their own change

    def disable(self, name: str) -> None:
        self._modify(_dn(name), ldap3.MODIFY_REPLACE, "pwdAccountLockedTime", "000001010000Z")

    def delete(self, name: str) -> None:
        with self.server.administrator() as administrator:
            administrator.delete(_dn(name))

    def join(self, name: str, group: str) -> None:
        self._modify(_group(group), ldap3.MODIFY_ADD, "member", _dn(name))

    def leave(self, name: str, group: str) -> None:
        self._modify(_group(group), ldap3.MODIFY_DELETE, "member", _dn(name))

    def other(self) -> "SlapdWorld":
        if not self._others:
            self._others.append(SlapdWorld(self._folder / "other", self._referral))
        return self._others[0]

    def restart(self) -> None:
        ports = self.server.port, self.server.tls_port
        self._running.close()
        self.server = self._start(ports)

    def _modify(self, dn: str, how: str, attribute: str, value: str) -> None:
        with self.server.administrator() as administrator:
            administrator.modify(dn, {attribute: [(how, [value])]})


def _dn(name: str) -> str:
    return f"uid={name},ou=Staff,{SUFFIX}"


def _group(name: str) -> str:
    return f"cn={name},ou=Groups,{SUFFIX}"


@pytest.fixture(scope="module")
def trap() -> Iterator[tuple[str, list[bytes]]]:
    """Where every referral points to."""
    with tripwire() as trap:
        yield trap


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, trap: tuple[str, list[bytes]]) -> Iterator[SlapdWorld]:
    made = SlapdWorld(tmp_path_factory.mktemp("slapd-world"), f"ldap://{trap[0]}/")
    yield made
    made.stop()


class TestSlapd(PasswordProviderContract):
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("disabled", Reason.DISABLED),
            ("newcomer", Reason.MUST_CHANGE_PASSWORD),
            ("stale", Reason.PASSWORD_EXPIRED),
            ("grace", Reason.PASSWORD_EXPIRED),
        ],
    )
    def test_ppolicy_states_are_refused_though_the_bind_may_be_a_success(
        self, world: SlapdWorld, name: str, reason: Reason
    ) -> None:
        caught = refusal(lambda: world.provider().authenticate(name, PASSWORD)).reason
        # a locked account's bind says no more than "invalid credentials" unless the policy control says it
        assert caught is (Reason.LOCKED if reason is Reason.DISABLED else reason)

    @pytest.mark.parametrize("name", ["disabled", "newcomer"])
    def test_ppolicy_states_are_read_too(self, world: SlapdWorld, name: str) -> None:
        expected = {"disabled": Reason.DISABLED, "newcomer": Reason.MUST_CHANGE_PASSWORD}
        assert refusal(lambda: world.provider().lookup(name)).reason is expected[name]

    def test_an_account_that_ppolicy_locked_is_refused(self, world: SlapdWorld) -> None:
        provider = world.provider(attempt_tries=50)
        for _ in range(MAX_FAILURES):
            assert refusal(lambda: provider.authenticate("locked", "wrong")).reason is Reason.WRONG_PASSWORD
        assert refusal(lambda: provider.authenticate("locked", PASSWORD)).reason is Reason.LOCKED
        assert refusal(lambda: provider.lookup("locked")).reason is Reason.LOCKED

    def test_a_referral_is_never_followed(self, world: SlapdWorld, trap: tuple[str, list[bytes]]) -> None:
        """ldap3's own default connects there, in clear, and sends the service account's name and password."""
        before = len(trap[1])
        with pytest.raises(Unavailable):
            world.provider(user_bases=(world.outside,)).authenticate("ada", PASSWORD)
        with pytest.raises(Unavailable):
            world.provider(group_base=world.outside).authenticate("ada", PASSWORD)
        assert len(trap[1]) == before

        naive = ldap3.Server("127.0.0.1", world.server.port, get_info=ldap3.NONE)
        connection = ldap3.Connection(naive, READER, PASSWORD, receive_timeout=1, auto_bind=True)
        with suppress(LDAPExceptionError):
            connection.search(world.outside, "(objectClass=*)")
        connection.unbind()
        assert any(PASSWORD.encode() in heard for heard in trap[1][before:]), "the trap was not set"

    def test_a_pointer_to_another_servers_part_of_the_tree_is_an_outage(self, world: SlapdWorld) -> None:
        """Groups below it might be missing."""
        with world.server.administrator() as administrator:
            administrator.add(
                f"ou=Remote,ou=Groups,{SUFFIX}",
                ["referral", "extensibleObject"],
                {"ou": "Remote", "ref": f"ldap://127.0.0.1:9/ou=Remote,ou=Groups,{SUFFIX}"},
            )
        try:
            with pytest.raises(Unavailable):
                world.provider().authenticate("ada", PASSWORD)
        finally:
            with world.server.administrator() as administrator:
                manage = [("2.16.840.1.113730.3.4.2", True, None)]
                administrator.delete(f"ou=Remote,ou=Groups,{SUFFIX}", controls=manage)
        assert names(world.provider().authenticate("ada", PASSWORD).groups) == ADA_IS_IN

    def test_a_search_that_hits_a_limit_is_an_outage(self, world: SlapdWorld) -> None:
        with world.server.administrator() as administrator:
            for number in range(510):
                administrator.add(
                    f"cn=many-{number},ou=Groups,{SUFFIX}",
                    "groupOfNames",
                    {"cn": f"many-{number}", "member": _dn("loner")},
                )
        with pytest.raises(Unavailable):
            world.provider().authenticate("loner", PASSWORD)
        with world.server.administrator() as administrator:
            for number in range(510):
                administrator.delete(f"cn=many-{number},ou=Groups,{SUFFIX}")
        assert world.provider().authenticate("loner", PASSWORD).groups == frozenset()

    def test_two_accounts_with_one_name_are_nobody(self, world: SlapdWorld) -> None:
        with world.server.administrator() as administrator:
            attributes = {"uid": ["twin", "fay"], "cn": "Twin", "sn": "Twin", "userPassword": PASSWORD}
            administrator.add(_dn("twin"), "inetOrgPerson", attributes)
        try:
            assert refusal(lambda: world.provider().authenticate("fay", PASSWORD)).reason is Reason.AMBIGUOUS
            assert refusal(lambda: world.provider().lookup("fay")).reason is Reason.AMBIGUOUS
        finally:
            world.delete("twin")
        assert world.provider().authenticate("fay", PASSWORD).username == "fay"

    def test_it_is_not_active_directory(self, world: SlapdWorld) -> None:
        provider = world.provider(kind="active-directory", group_base="")
        with pytest.raises(Unavailable):
            provider.authenticate("ada", PASSWORD)
        assert any("not an Active Directory" in problem.what for problem in provider.problems())

    def test_group_ids_are_the_configured_attribute_or_the_dn(self, world: SlapdWorld) -> None:
        by_uuid = world.provider().authenticate("ada", PASSWORD).groups
        assert all(group.id.startswith("11111111-") for group in by_uuid)
        by_dn = world.provider(generic={"group_id_attribute": ""}).authenticate("ada", PASSWORD).groups
        assert {group.id for group in by_dn} == {group.dn.casefold() for group in by_uuid}

    def test_a_subject_attribute_that_is_missing_is_an_outage(self, world: SlapdWorld) -> None:
        with pytest.raises(Unavailable):
            world.provider(generic={"subject_attribute": "employeeNumber"}).authenticate("ada", PASSWORD)

    def test_an_account_that_no_longer_matches_the_filter_is_gone(self, world: SlapdWorld) -> None:
        provider = world.provider(generic={"user_filter": "(&(objectClass=inetOrgPerson)(!(title=retired)))"})
        identity = provider.authenticate("renamed", PASSWORD)
        world._modify(_dn("renamed"), ldap3.MODIFY_ADD, "title", "retired")  # noqa: SLF001
        assert refusal(lambda: provider.current(identity)).reason is Reason.GONE

    def test_a_filter_that_is_none_is_refused_at_start(self, world: SlapdWorld) -> None:
        for field in ("user_filter", "group_filter"):
            with pytest.raises(ConfigurationError, match=field):
                world.provider(generic={field: "(objectClass=person"})

    def test_a_server_that_does_not_tell_its_time_has_no_offset(self, world: SlapdWorld) -> None:
        assert world.provider().clock_offset() is None
