"""The provider contract against a real Samba AD DC."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import ldap3
import pytest
from contracts.cast import PASSWORD
from contracts.provider import ActiveDirectoryContract, ADWorld, World, names
from neighbours.samba import FIRST, LOCKOUT_THRESHOLD, REALM, ROOT, SECOND, SambaImage, samba_server

from broker.authenticate.ldap import LdapSettings
from broker.authenticate.ldap.answer import Deadline
from broker.authenticate.ldap.verdict import verdict
from broker.authenticate.ldap.wire import Link, tls_context
from broker.authenticate.provider import Reason
from broker.errors import Unavailable


class SambaWorld(ADWorld):
    outside = "DC=elsewhere,DC=test"
    lockout_threshold = LOCKOUT_THRESHOLD

    def __init__(self, image: SambaImage, folder: Path, address: str = FIRST) -> None:
        self._image, self._folder, self._address = image, folder, address
        self._running = ExitStack()
        self._other: SambaWorld | None = None
        self.start(folder / "server")

    def start(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.server = self._running.enter_context(samba_server(self._image, folder, self._address))

    def stop(self) -> None:
        self._running.close()
        if self._other is not None:
            self._other.stop()

    def settings(self, **changes: object) -> LdapSettings:
        given = {
            "servers": (self.server.url,),
            "ca_file": self.server.ca_file,
            "bind_dn": f"CN=reader,OU=Services,{ROOT}",
            "password": PASSWORD,
            "domain": "CORP",
            "upn_suffixes": (REALM,),
            "user_bases": (f"OU=Staff,{ROOT}",),
            "refusal_floor": 0,
        }
        return LdapSettings.model_validate(given | changes)

    @property
    def starttls_url(self) -> str:
        return f"ldap://{self._address}"

    def principal(self, name: str) -> str:
        return f"{name}@{REALM}"

    def binds(self, name: str) -> int:
        return self.server.bind_lines(f"[CN={name},")

    def set_password(self, name: str, password: str) -> None:
        self._modify(name, unicodePwd=f'"{password}"'.encode("utf-16-le"))

    def disable(self, name: str) -> None:
        self._modify(name, userAccountControl=514)

    def delete(self, name: str) -> None:
        with self.server.administrator() as administrator:
            administrator.delete(_dn(name))

    def join(self, name: str, group: str) -> None:
        with self.server.administrator() as administrator:
            administrator.modify(_group(group), {"member": [(ldap3.MODIFY_ADD, [_dn(name)])]})

    def leave(self, name: str, group: str) -> None:
        with self.server.administrator() as administrator:
            administrator.modify(_group(group), {"member": [(ldap3.MODIFY_DELETE, [_dn(name)])]})

    def move(self, name: str, *, to: str) -> None:
        with self.server.administrator() as administrator:
            administrator.modify_dn(_dn(name), f"CN={to}", new_superior=f"OU=Deep,OU=Staff,{ROOT}")
            administrator.modify(f"CN={to},OU=Deep,OU=Staff,{ROOT}", {"sAMAccountName": [(ldap3.MODIFY_REPLACE, [to])]})

    def bad_passwords(self, name: str) -> int:
        with self.server.administrator() as administrator:
            administrator.search(_dn(name), "(objectClass=*)", ldap3.BASE, attributes=["badPwdCount"])
            return int(administrator.response[0]["raw_attributes"]["badPwdCount"][0])

    def wrong_binds(self, name: str, times: int) -> None:
        for _ in range(times):
            link = self.link()
            assert verdict(link.bind(_dn(name), b"wrong")) in {Reason.WRONG_PASSWORD, Reason.LOCKED}
            link.close()

    def link(self) -> Link:
        (address,) = self.settings().addresses()
        deadline = Deadline(5, time.monotonic)
        return Link(address, tls_context(self.server.ca_file), deadline, connect_timeout=3, receive_timeout=3)

    def other(self) -> "SambaWorld":
        if self._other is None:
            self._other = SambaWorld(self._image, self._folder / "other", SECOND)
        return self._other

    def restart(self) -> None:
        self._running.close()
        self.server = self._running.enter_context(samba_server(self._image, self.server.folder, self._address))

    def _modify(self, name: str, **values: object) -> None:
        with self.server.administrator() as administrator:
            administrator.modify(_dn(name), {key: [(ldap3.MODIFY_REPLACE, [value])] for key, value in values.items()})


def _dn(name: str) -> str:
    return f"CN={name},OU=Staff,{ROOT}"


def _group(name: str) -> str:
    return f"CN={name},OU=Groups,{ROOT}"


@pytest.fixture(scope="module")
def world(samba_image: SambaImage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaWorld]:
    made = SambaWorld(samba_image, tmp_path_factory.mktemp("samba-world"))
    yield made
    made.stop()


class TestSamba(ActiveDirectoryContract):
    @pytest.mark.parametrize(
        ("name", "password", "reason"),
        [
            ("ada", PASSWORD, None),
            ("ada", "wrong", Reason.WRONG_PASSWORD),
            ("nobody", PASSWORD, Reason.WRONG_PASSWORD),
            ("nighthawk", PASSWORD, Reason.LOGON_HOURS),
            ("deskbound", PASSWORD, Reason.WORKSTATION),
            ("stale", PASSWORD, Reason.PASSWORD_EXPIRED),
            ("disabled", PASSWORD, Reason.DISABLED),
            ("expired", PASSWORD, Reason.ACCOUNT_EXPIRED),
            ("newcomer", PASSWORD, Reason.MUST_CHANGE_PASSWORD),
        ],
    )
    def test_each_sub_code_is_read_from_the_bind(
        self, world: SambaWorld, name: str, password: str, reason: Reason | None
    ) -> None:
        link = world.link()
        assert verdict(link.bind(_dn(name), password.encode())) is reason
        link.close()

    def test_the_sub_code_of_a_locked_account_is_read_from_the_bind(self, world: SambaWorld) -> None:
        world.wrong_binds("locked-on-the-wire", LOCKOUT_THRESHOLD)
        link = world.link()
        assert verdict(link.bind(_dn("locked-on-the-wire"), PASSWORD.encode())) is Reason.LOCKED
        link.close()

    def test_samba_ends_a_password_at_a_nul(self, world: SambaWorld) -> None:
        """Why such passwords are refused: this bind is a success."""
        link = world.link()
        assert verdict(link.bind(_dn("ada"), PASSWORD.encode() + b"\0anything")) is None
        link.close()

    def test_a_renamed_and_moved_account_is_still_the_same(self, world: SambaWorld) -> None:
        provider = world.provider()
        identity = provider.authenticate("renamed", PASSWORD)
        world.move("renamed", to="newname")
        again = provider.current(identity)
        assert (again.subject, again.username) == (identity.subject, "newname")
        assert provider.authenticate("newname", PASSWORD).subject == identity.subject

    def test_an_account_that_moves_between_look_up_and_bind_is_not_signed_in(
        self, world: SambaWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else somebody who may rename could let one account's password sign in another."""
        provider = world.provider()
        bind = provider._controllers.bind  # noqa: SLF001 (between two steps, there is no other door)

        def bind_then_move(*arguments: object) -> object:
            answer = bind(*arguments)
            world.move("swapped", to="swapped-away")
            return answer

        monkeypatch.setattr(provider._controllers, "bind", bind_then_move)  # noqa: SLF001
        with pytest.raises(Unavailable):
            provider.authenticate("swapped", PASSWORD)

    def test_samba_takes_no_password_in_clear(self, world: SambaWorld) -> None:
        """The server's own refusal (result 8) is an outage, not a wrong password."""
        provider = world.provider(servers=(world.starttls_url,), insecure_plain_ldap=True)
        with pytest.raises(Unavailable):
            provider.authenticate("ada", PASSWORD)

    def test_the_two_methods_agree_about_security_groups(self, world: World) -> None:
        by_token = world.provider().authenticate("ada", PASSWORD).groups
        by_chain = world.provider(groups="in-chain").authenticate("ada", PASSWORD).groups
        assert by_chain == by_token
        assert "mail-all" not in names(by_chain)
