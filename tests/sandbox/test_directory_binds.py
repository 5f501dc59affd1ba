"""Binds: every name that AD takes, every state of an account, and the lockout, as measured on Samba AD DC."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox.ldap_client import (
    DOMAIN_SID,
    SUFFIX,
    Bare,
    Hands,
    bind,
    bind_parts,
    code_of,
    connection,
    read_entry,
    service,
)

from broker.errors import NotFound
from broker.sandbox.directory import BindAttempt, SandboxDirectory, read_seed
from broker.sandbox.directory.values import filetime
from broker.sandbox.pki import SandboxPki

ADA = f"CN=Ada Lovelace,OU=Staff,{SUFFIX}"
LUCY = f"CN=Lucy Locked,OU=Staff,{SUFFIX}"
Make = Callable[..., SandboxDirectory]


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def make(tmp_path: Path, hands: Hands) -> Iterator[Make]:
    running = []

    def start(*, insecure_allow_clear_bind: bool = False, reveal_unknown_users: bool = False) -> SandboxDirectory:
        directory = SandboxDirectory(
            read_seed(),
            pki=SandboxPki(tmp_path / "pki"),
            clock=hands,
            insecure_allow_clear_bind=insecure_allow_clear_bind,
            reveal_unknown_users=reveal_unknown_users,
        )
        directory.start()
        running.append(directory)
        return directory

    yield start
    for directory in running:
        directory.stop()


@pytest.fixture
def directory(make: Make) -> SandboxDirectory:
    return make()


def _sid_and_guid(directory: SandboxDirectory) -> tuple[str, uuid.UUID]:
    with service(directory) as client:
        guid = read_entry(client, ADA, "objectGUID")["objectGUID"][0]
    return f"{DOMAIN_SID}-1601", uuid.UUID(bytes_le=guid)


def test_one_account_has_many_spellings(directory: SandboxDirectory) -> None:
    sid, guid = _sid_and_guid(directory)
    for name in (
        "ada@corp.example",
        "ADA@CORP.EXAMPLE",
        " ada@corp.example",
        "ada@corp.example ",
        "ada  @corp.example",
        "ada@CORP",
        "CORP\\ada",
        "corp\\ADA",
        "CORP\\ ada",
        "ada@corp.example\0@evil",
        sid,
        f"<SID={sid}>",
        f"<GUID={guid}>",
        f"<GUID={guid.bytes_le.hex()}>",
        ADA,
        ADA.lower().replace(",", ", "),
        "corp.example/Staff/Ada Lovelace",
        "CORP.EXAMPLE/staff/ADA LOVELACE",
    ):
        assert bind(directory, name, "ada-demo-password") == (0, ""), name
        assert bind(directory, name, "wrong") == (49, "52e"), name


@pytest.mark.parametrize(
    "name",
    [
        "ada",
        "CORP/ada",
        "OTHER\\ada",
        "corp.example\\ada",
        "\\ada",
        "CORP\\",
        "ada@other.example",
        "ada@",
        "@corp.example",
        "nobody@corp.example",
        "DC=other",
        "CN=nobody,OU=Staff," + SUFFIX,
        "CN=SRE,OU=Groups," + SUFFIX,
        "CORP\\SRE",
        SUFFIX,
        "bad,,dn=",
        "<GUID=zzz>",
        "<SID=S-1-5-32-545>",
        "<X=1>",
        "S-1-5-32-545",
        "corp.example/Staff",
        "corp.example",
    ],
)
def test_no_other_name_is_an_account(directory: SandboxDirectory, name: str) -> None:
    assert bind(directory, name, "ada-demo-password") == (49, "52e")


def test_an_unknown_name_answers_525_where_asked_to(make: Make) -> None:
    directory = make(reveal_unknown_users=True)
    assert bind(directory, "nobody@corp.example", "x") == (49, "525")
    assert bind(directory, "ada@corp.example", "x") == (49, "52e")


def test_a_upn_that_is_not_the_account_name(directory: SandboxDirectory) -> None:
    for name in ("juergen.mueller@corp.example", "jmueller@corp.example", "CORP\\jmueller"):
        assert bind(directory, name, "jmueller-demo-password") == (0, "")
    assert bind(directory, f"CN=Müller\\, Jürgen,OU=Staff,{SUFFIX}", "jmueller-demo-password") == (0, "")


STATES = {
    "edith": "701",
    "dennis": "533",
    "nina": "773",
    "peter": "532",
    "hana": "530",
    "walter": "531",
    "sofia": "52e",
    "lucy": "775",
}


@pytest.mark.parametrize(("user", "sub_code"), STATES.items())
def test_each_state_has_its_sub_code(directory: SandboxDirectory, user: str, sub_code: str) -> None:
    assert bind(directory, f"{user}@corp.example", f"{user}-demo-password") == (49, sub_code)


@pytest.mark.parametrize("user", [user for user in STATES if user != "lucy"])
def test_a_state_shows_only_to_who_knows_the_password(directory: SandboxDirectory, user: str) -> None:
    assert bind(directory, f"{user}@corp.example", "wrong") == (49, "52e")


def test_a_locked_account_says_so_to_everybody(directory: SandboxDirectory) -> None:
    assert bind(directory, "lucy@corp.example", "wrong") == (49, "775")


def test_everybody_else_can_sign_in(directory: SandboxDirectory) -> None:
    for person in read_seed().people:
        if person.account not in STATES:
            assert bind(directory, f"CORP\\{person.account}", person.password) == (0, "")


def test_ads_own_words(directory: SandboxDirectory) -> None:
    with connection(directory, "ada@corp.example", "wrong") as client:
        client.bind()
        assert client.result["message"] == (
            "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 52e, v4563"
        )


def test_an_account_locks_at_the_threshold_and_shows_it(directory: SandboxDirectory, hands: Hands) -> None:
    with service(directory) as client:
        assert read_entry(client, SUFFIX, "lockoutThreshold") == {"lockoutThreshold": [b"10"]}
        for count in range(1, 11):
            assert bind(directory, "ada@corp.example", "wrong") == (49, "52e")
            assert read_entry(client, ADA, "badPwdCount") == {"badPwdCount": [b"%d" % count]}
        assert bind(directory, "ada@corp.example", "wrong") == (49, "775")
        assert bind(directory, "ada@corp.example", "ada-demo-password") == (49, "775")
        now = b"%d" % filetime(hands.now)
        assert read_entry(client, ADA, "badPwdCount", "lockoutTime", "msDS-User-Account-Control-Computed") == {
            "badPwdCount": [b"10"],
            "lockoutTime": [now],
            "msDS-User-Account-Control-Computed": [b"16"],
        }


def test_nine_wrong_passwords_and_a_right_one_start_again(directory: SandboxDirectory) -> None:
    for _ in range(2):
        for _ in range(9):
            assert bind(directory, "ada@corp.example", "wrong") == (49, "52e")
        assert bind(directory, "ada@corp.example", "ada-demo-password") == (0, "")
    with service(directory) as client:
        assert read_entry(client, ADA, "badPwdCount") == {"badPwdCount": [b"0"]}


def test_a_lockout_ends_by_itself(directory: SandboxDirectory, hands: Hands) -> None:
    hands.move(minutes=29, seconds=59)
    assert bind(directory, "lucy@corp.example", "lucy-demo-password") == (49, "775")
    hands.move(seconds=1)
    assert bind(directory, "lucy@corp.example", "lucy-demo-password") == (0, "")
    with service(directory) as client:
        assert read_entry(client, LUCY, "badPwdCount", "lockoutTime") == {"badPwdCount": [b"0"], "lockoutTime": [b"0"]}


def test_old_wrong_passwords_do_not_count(directory: SandboxDirectory, hands: Hands) -> None:
    for _ in range(9):
        bind(directory, "ada@corp.example", "wrong")
    hands.move(minutes=30)
    bind(directory, "ada@corp.example", "wrong")
    with service(directory) as client:
        assert read_entry(client, ADA, "badPwdCount", "lockoutTime") == {"badPwdCount": [b"1"]}


def test_unlock_lifts_a_lockout(directory: SandboxDirectory) -> None:
    directory.unlock("lucy")
    assert bind(directory, "lucy@corp.example", "lucy-demo-password") == (0, "")


def test_a_new_password_counts_from_now(directory: SandboxDirectory, hands: Hands) -> None:
    hands.move(hours=1)
    directory.set_password("ADA", "another-demo-password")
    assert bind(directory, "ada@corp.example", "ada-demo-password") == (49, "52e")
    assert bind(directory, "ada@corp.example", "another-demo-password") == (0, "")
    with service(directory) as client:
        assert read_entry(client, ADA, "pwdLastSet") == {"pwdLastSet": [b"%d" % filetime(hands.now)]}


def test_a_new_password_ends_must_change_and_expired(directory: SandboxDirectory) -> None:
    for user in ("nina", "peter"):
        directory.set_password(user, "new-demo-password")
        assert bind(directory, f"{user}@corp.example", "new-demo-password") == (0, "")


def test_passwords_grow_old_but_the_services_does_not(directory: SandboxDirectory, hands: Hands) -> None:
    hands.move(days=88)
    assert bind(directory, "ada@corp.example", "ada-demo-password") == (0, "")
    hands.move(days=1)
    assert bind(directory, "ada@corp.example", "ada-demo-password") == (49, "532")
    assert bind(directory, "svc-broker@corp.example", "svc-broker-demo-password") == (0, "")


def test_disable_and_delete(directory: SandboxDirectory) -> None:
    directory.disable("ada")
    assert bind(directory, "ada@corp.example", "ada-demo-password") == (49, "533")
    directory.delete("ada")
    assert bind(directory, "ada@corp.example", "ada-demo-password") == (49, "52e")


def test_the_controls_refuse_a_name_that_is_not_there(directory: SandboxDirectory) -> None:
    for call in (directory.disable, directory.delete, directory.unlock):
        with pytest.raises(NotFound):
            call("nobody")
    with pytest.raises(NotFound):
        directory.set_password("SRE", "x")
    with pytest.raises(NotFound):
        directory.add_to_group("ada", "grace")


@pytest.mark.parametrize("password", ["ada-demo-password", "wrong"])
def test_a_password_in_clear_is_refused_right_or_wrong(directory: SandboxDirectory, password: str) -> None:
    assert bind(directory, "ada@corp.example", password, over="clear") == (8, "")
    assert bind(directory, "ada@corp.example", password, over="starttls")[0] in (0, 49)
    assert directory.binds[0] == BindAttempt(name="ada@corp.example", result=8, tls=False)


def test_a_password_in_clear_is_taken_where_the_directory_is_lax(make: Make) -> None:
    directory = make(insecure_allow_clear_bind=True)
    assert bind(directory, "ada@corp.example", "ada-demo-password", over="clear") == (0, "")
    assert bind(directory, "ada@corp.example", "wrong", over="clear") == (49, "52e")
    assert not directory.binds[0].tls


@pytest.mark.parametrize("tls", [True, False])
def test_a_name_without_a_password_is_refused(make: Make, *, tls: bool) -> None:
    with Bare(make(insecure_allow_clear_bind=True), tls=tls) as client:
        assert code_of(client.ask(0x60, *bind_parts("ada@corp.example", ""))) == 53


def test_a_password_without_a_name_is_refused(directory: SandboxDirectory) -> None:
    with Bare(directory, tls=True) as client:
        assert code_of(client.ask(0x60, *bind_parts("", "x"))) == 49


@pytest.mark.parametrize("over", ["clear", "ldaps"])
def test_an_anonymous_bind_is_a_success(directory: SandboxDirectory, over: str) -> None:
    with connection(directory, over=over) as client:
        assert client.bind()
    assert directory.binds == ()


def test_ldap_version_2_and_sasl_are_refused(directory: SandboxDirectory) -> None:
    with Bare(directory, tls=True) as client:
        assert code_of(client.ask(0x60, *bind_parts("ada@corp.example", "ada-demo-password", version=2))) == 2
        version, name, _ = bind_parts("", "")
        assert code_of(client.ask(0x60, version, name, b"\xa3\x09\x04\x07GSS-API")) == 7


def test_what_reached_the_wire_is_known_but_no_password(directory: SandboxDirectory) -> None:
    bind(directory, "ada@corp.example", "ada-demo-password")
    bind(directory, "CORP\\ada", "a wrong one", over="starttls")
    assert directory.binds == (
        BindAttempt(name="ada@corp.example", result=0, tls=True),
        BindAttempt(name="CORP\\ada", result=49, data="52e", tls=True),
    )
    assert "password" not in repr(directory.binds)
    assert "wrong" not in repr(directory.binds)
