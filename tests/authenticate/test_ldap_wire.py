"""Servers that misbehave, and what must not happen then: hanging, guessing, sending a password twice."""

import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from authenticate.scripted_ldap import (
    ADA,
    ADA_ENTRY,
    BIND,
    BIND_DONE,
    EXTENDED_DONE,
    SEARCH,
    SEARCH_DONE,
    Cut,
    Request,
    Script,
    ScriptedServer,
    done,
    entry,
    honest,
    message,
    pointer,
    scripted,
)
from contracts.provider import MemoryAttempts, closed_port, names, refusal

from broker.authenticate.ldap import LdapProvider, LdapSettings
from broker.authenticate.ldap.answer import Away, Deadline, Unusable
from broker.authenticate.ldap.settings import Address
from broker.authenticate.ldap.wire import Link, _entry, tls_context
from broker.authenticate.provider import Reason
from broker.clock import utc_now
from broker.errors import BrokerError, ConfigurationError, Unavailable
from broker.sandbox.pki import SandboxPki

Make = Callable[..., LdapProvider]


@pytest.fixture
def make() -> Iterator[Make]:
    """A provider for scripted servers, closed when the test ends."""
    with ExitStack() as stack:

        def provider(*urls: str, monotonic: Callable[[], float] = time.monotonic, **changes: object) -> LdapProvider:
            given = {
                "kind": "generic",
                "servers": urls,
                "insecure_plain_ldap": True,
                "bind_dn": "cn=reader",
                "password": "service",
                "user_bases": ("ou=Staff,dc=corp",),
                "group_base": "ou=Groups,dc=corp",
                "refusal_floor": 0,
                "receive_timeout": 0.4,
                "connect_timeout": 0.4,
                "budget": 0.8,
            }
            settings = LdapSettings.model_validate(given | changes)
            made = LdapProvider("ldap", settings, attempts=MemoryAttempts(), clock=utc_now, monotonic=monotonic)
            stack.callback(made.close)
            return made

        yield provider


@contextmanager
def unavailable_within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    with pytest.raises(Unavailable):
        yield
    assert time.monotonic() - started < seconds


def test_the_scripted_server_is_a_directory_that_works(make: Make) -> None:
    with scripted(honest) as server:
        provider = make(server.url)
        identity = provider.authenticate("ada", "right")
        assert (identity.username, names(identity.groups)) == ("ada", {"readers"})
        assert refusal(lambda: provider.authenticate("ada", "wrong")).reason is Reason.WRONG_PASSWORD


# --- time


def test_a_server_that_takes_no_connection_ends_within_the_budget(make: Make) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:  # the queue is full: a further connection is not even answered
            client.settimeout(0)
            client.connect_ex(listener.getsockname())
        with unavailable_within(2):
            make(f"ldap://127.0.0.1:{listener.getsockname()[1]}").authenticate("ada", "right")
        for client in waiting:
            client.close()


@pytest.mark.parametrize("silent_at", [BIND, SEARCH])
def test_a_server_that_falls_silent_ends_within_the_budget(make: Make, silent_at: int) -> None:
    with (
        scripted(lambda request: None if request.operation == silent_at else honest(request)) as server,
        unavailable_within(2),
    ):
        make(server.url).authenticate("ada", "right")


def test_a_silent_tls_handshake_ends_within_the_budget(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, unavailable_within(2):
        url = f"ldaps://127.0.0.1:{listener.getsockname()[1]}"
        make(url, insecure_plain_ldap=False).authenticate("ada", "right")


def test_a_server_that_sends_a_byte_now_and_then_ends_within_the_budget(make: Make) -> None:
    """Each byte comes well within the receive time-out; only the budget ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def drip() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(b"\x30\x84\x00\x00\xff\xff")
                while not over.wait(0.1):
                    try:
                        client.sendall(b"\0")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with unavailable_within(2):
            make(f"ldap://127.0.0.1:{listener.getsockname()[1]}").authenticate("ada", "right")
        over.set()
        thread.join()


def test_a_silent_controller_leaves_time_for_the_next(make: Make) -> None:
    with scripted(lambda _: None) as silent, scripted(honest) as server:
        assert make(silent.url, server.url, budget=3).authenticate("ada", "right").username == "ada"


def test_a_controller_that_failed_is_left_alone_then_asked_by_one_request(make: Make) -> None:
    now = [0.0]

    def hang_up(request: Request) -> bytes:
        raise Cut(request)

    with scripted(hang_up) as broken, scripted(honest) as server:
        provider = make(broken.url, server.url, monotonic=lambda: now[0])
        for _ in range(5):
            provider.lookup("ada")
        assert broken.connections == 1
        now[0] += 1.1
        for _ in range(5):
            provider.lookup("ada")
        assert broken.connections == 2


# --- answers


@pytest.mark.parametrize("code", [1, 3, 4, 10, 11, 12, 50, 53, 80])
def test_groups_from_a_search_that_did_not_end_well_are_no_groups(make: Make, code: int) -> None:
    with scripted(partial(honest, groups_done=done(SEARCH_DONE, code))) as server:
        provider = make(server.url)
        with pytest.raises(Unavailable):
            provider.authenticate("ada", "right")
        connections = server.connections
        with pytest.raises(Unavailable):  # the server is not away for that: it is asked again
            provider.lookup("ada")
        assert server.connections == connections


def test_a_pointer_to_elsewhere_among_groups_is_no_full_answer(make: Make) -> None:
    groups = pointer("ldap://elsewhere.test/")
    with scripted(partial(honest, groups=groups)) as server, pytest.raises(Unavailable):
        make(server.url).authenticate("ada", "right")


def test_a_referral_is_no_answer_and_nothing_is_sent_there(make: Make) -> None:
    with scripted(honest) as elsewhere:
        referral = done(SEARCH_DONE, 10, referral=elsewhere.url)
        with scripted(partial(honest, account_done=referral)) as server, pytest.raises(Unavailable):
            make(server.url).authenticate("ada", "right")
        bind = done(BIND_DONE, 10, referral=elsewhere.url)
        with scripted(partial(honest, bind=bind)) as server, pytest.raises(Unavailable):
            make(server.url).authenticate("ada", "right")
        assert elsewhere.connections == 0


@pytest.mark.parametrize("code", [51, 52])
def test_a_busy_controller_is_passed_over(make: Make, code: int) -> None:
    busy = partial(honest, account_done=done(SEARCH_DONE, code))
    with scripted(busy) as first, scripted(honest) as second:
        assert make(first.url, second.url).authenticate("ada", "right").username == "ada"


def test_values_in_part_are_no_full_answer() -> None:
    whole = {"dn": "cn=x", "raw_attributes": {"member": [b"1"]}}
    assert _entry(whole).all("MEMBER") == (b"1",)
    with pytest.raises(Unusable):
        _entry({"dn": "cn=x", "raw_attributes": {"member;range=0-1499": [b"1"]}})


@pytest.mark.parametrize("code", [1, 2, 3, 7, 8, 10, 14, 51, 52, 80, 90])
def test_a_bind_result_that_says_nothing_about_the_account_blames_nobody(make: Make, code: int) -> None:
    with scripted(partial(honest, bind=done(BIND_DONE, code))) as first, scripted(honest) as second:
        with pytest.raises(Unavailable):
            make(first.url, second.url).authenticate("ada", "right")
        assert [b"right" in bind for bind in (*first.binds(), *second.binds())].count(True) == 1


def test_another_kind_of_success_is_no_successful_bind(make: Make) -> None:
    with (
        scripted(partial(honest, bind=done(EXTENDED_DONE))) as server,
        pytest.raises(Unavailable),
    ):
        make(server.url).authenticate("ada", "wrong")


def test_a_password_that_got_no_answer_is_not_sent_again(make: Make) -> None:
    """The server may have counted it; two servers must not both."""

    def lossy(request: Request) -> bytes | None:
        if request.operation == BIND and b"right" in request.octets:
            raise Cut
        return honest(request)

    with scripted(lossy) as first, scripted(honest) as second:
        provider = make(first.url, second.url)
        with pytest.raises(Unavailable):
            provider.authenticate("ada", "right")
        assert second.connections == 0
        assert provider.authenticate("ada", "right").username == "ada"  # the next try goes to the next server


def test_the_users_connection_is_its_own_and_ends_with_the_bind(make: Make) -> None:
    with scripted(honest) as server:
        provider = make(server.url)
        provider.authenticate("ada", "right")
        provider.authenticate("ada", "right")
        kinds = ["service" if b"cn=reader" in bind else "user" for bind in server.binds()]
        assert kinds == ["service", "user", "user"]
        assert server.connections == 3


@pytest.mark.parametrize("seed", range(8))
def test_noise_is_an_outage_and_nothing_else(make: Make, seed: int) -> None:
    noise = random.Random(seed)  # noqa: S311 (a repeatable noise)

    def noisy(request: Request) -> bytes | None:
        answer = bytearray(honest(request) or b"")
        if request.operation == BIND and b"cn=reader" in request.octets and seed % 2:
            return bytes(answer)
        for _ in range(noise.randint(1, 4)):
            answer[noise.randrange(len(answer))] = noise.randrange(256)
        return bytes(answer)

    with scripted(noisy) as server:
        provider = make(server.url, receive_timeout=0.1, budget=0.3, monotonic=_fast())
        for _ in range(30):
            try:
                provider.lookup("ada")
            except BrokerError:
                continue


def _fast() -> Callable[[], float]:
    """A clock that is a minute further each time a breaker might look, so that none stays open."""
    base, jumps = time.monotonic(), [0]

    def monotonic() -> float:
        jumps[0] += 1
        return base + (jumps[0] // 40) * 60 + (time.monotonic() - base)

    return monotonic


def test_an_answer_to_somebody_elses_question_is_an_outage(make: Make) -> None:
    with (
        scripted(lambda request: message(request.number + 1, done(BIND_DONE))) as server,
        pytest.raises(Unavailable),
    ):
        make(server.url).authenticate("ada", "right")


def test_a_closed_link_is_not_opened_again_behind_our_back() -> None:
    with scripted(honest) as server:
        address = Address(url=server.url, host="127.0.0.1", port=server.port, security="none")
        context = tls_context(None)
        link = Link(address, context, Deadline(5, time.monotonic), connect_timeout=1, receive_timeout=1)
        link.close()
        with pytest.raises(Away):
            link.bind(ADA, b"right")
        assert server.connections <= 1
        assert server.requests == []


@pytest.mark.parametrize(("dn", "password"), [("", b"x"), (ADA, b""), ("", b"")])
def test_the_link_itself_sends_no_empty_credentials(dn: str, password: bytes) -> None:
    with scripted(honest) as server:
        address = Address(url=server.url, host="127.0.0.1", port=server.port, security="none")
        link = Link(address, tls_context(None), Deadline(5, time.monotonic), connect_timeout=1, receive_timeout=1)
        with pytest.raises(ValueError, match="never reach"):
            link.bind(dn, password)
        link.close()
        assert server.requests == []


# --- secrecy


def test_a_refused_start_tls_is_the_end_and_nothing_else_is_sent(make: Make) -> None:
    with scripted(partial(honest, starttls=done(EXTENDED_DONE, 52))) as server:
        with pytest.raises(Unavailable):
            make(server.url, insecure_plain_ldap=False).authenticate("ada", "right")
        assert [request.operation for request in server.requests] == [0x77]


def test_plain_ldap_to_an_address_that_is_not_this_machines_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` may be made to resolve to anything."""

    class Elsewhere:
        closed = False

        def settimeout(self, _: float) -> None: ...
        def connect(self, _: object) -> None: ...
        def setsockopt(self, *_: object) -> None: ...
        def getpeername(self) -> tuple[str, int]:
            return "192.0.2.7", 389

        def close(self) -> None:
            self.closed = True

    made = Elsewhere()
    monkeypatch.setattr("broker.authenticate.ldap.wire.socket.socket", lambda *_: made)
    address = Address(url="ldap://localhost", host="127.0.0.1", port=389, security="none")
    with pytest.raises(Away, match="loopback"):
        Link(address, tls_context(None), Deadline(5, time.monotonic), connect_timeout=1, receive_timeout=1)
    assert made.closed


@pytest.mark.parametrize(
    ("version", "works"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
def test_only_tls_1_2_and_newer_are_spoken(tmp_path: Path, version: ssl.TLSVersion, works: bool) -> None:  # noqa: FBT001
    pki = SandboxPki(tmp_path)
    context = pki.server_context()
    with pytest.warns(DeprecationWarning, match="TLSv1_1") if version is ssl.TLSVersion.TLSv1_1 else ExitStack():
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client, suppress(OSError):
                context.wrap_socket(client, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        address = Address(url="", host="127.0.0.1", port=port, security="ldaps")
        deadline = Deadline(5, time.monotonic)
        own = tls_context(pki.ca_file)
        own.set_ciphers("ALL:@SECLEVEL=0")
        if works:
            link = Link(address, own, deadline, connect_timeout=2, receive_timeout=2)
            assert link.tls_version() == version.name.replace("_", ".")
            link.close()
        else:
            with pytest.raises(Away):
                Link(address, own, deadline, connect_timeout=2, receive_timeout=2)
        thread.join()


def test_a_ca_file_that_is_none_is_refused_at_start(make: Make, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate", encoding="utf-8")
    for path in (tmp_path / "ca.pem", tmp_path / "absent.pem"):
        with pytest.raises(ConfigurationError, match="ca_file"):
            make("ldaps://dc1.corp.example", insecure_plain_ldap=False, ca_file=path)


# --- Active Directory

_AD_ROOT = entry(
    "",
    {
        "supportedCapabilities": ["1.2.840.113556.1.4.800"],
        "defaultNamingContext": ["dc=corp"],
        "currentTime": ["20261123211303.0Z"],
    },
)


def active_directory(request: Request, *, threshold: int = 0, **changes: object) -> bytes | None:
    if b"lockoutThreshold" in request.octets:
        policy = {"lockoutThreshold": [str(threshold)], "lockOutObservationWindow": ["-18000000000"]}
        return request.reply(entry("dc=corp", policy), done(SEARCH_DONE))
    if b"groupType" in request.octets:
        return request.reply(done(SEARCH_DONE))
    if b"tokenGroups" in request.octets:
        return request.reply(entry(ADA, changes.get("token", {})), done(SEARCH_DONE))
    guid, sid = b"\1" * 16, bytes((1, 5)) + (5).to_bytes(6, "big") + bytes((21, 0, 0, 0)) + b"\1\0\0\0" * 4
    account = {
        "objectGUID": [guid],
        "objectSid": [sid],
        "sAMAccountName": ["ada"],
        "userAccountControl": ["512"],
        "msDS-User-Account-Control-Computed": ["0"],
        "accountExpires": ["0"],
        "pwdLastSet": ["132223104000000000"],
    } | changes.get("account", {})
    return honest(request, root=_AD_ROOT, account=entry(ADA, account))


def _ad(make: Make, server: ScriptedServer) -> LdapProvider:
    return make(server.url, kind="active-directory", group_base="")


@pytest.mark.parametrize("token", [{}, {"tokenGroups": []}, {"tokenGroups": [b"junk"]}])
def test_absent_token_groups_are_an_outage_not_no_groups(make: Make, token: dict[str, list[bytes]]) -> None:
    everyone = bytes((1, 1)) + (1).to_bytes(6, "big") + bytes(4)
    with scripted(partial(active_directory, token=token)) as server, pytest.raises(Unavailable):
        _ad(make, server).authenticate("ada", "right")
    with scripted(partial(active_directory, token={"tokenGroups": [everyone]})) as server:
        assert _ad(make, server).authenticate("ada", "right").groups == frozenset()


def test_a_sid_of_another_domain_is_kept_by_its_number(make: Make) -> None:
    foreign = bytes((1, 5)) + (5).to_bytes(6, "big") + bytes((21, 0, 0, 0)) + b"\7\0\0\0" * 4
    with scripted(partial(active_directory, token={"tokenGroups": [foreign]})) as server:
        (group,) = _ad(make, server).authenticate("ada", "right").groups
    assert (group.id, group.dn) == ("S-1-5-21-7-7-7-7", "")


@pytest.mark.parametrize(
    "unreadable",
    ["userAccountControl", "msDS-User-Account-Control-Computed", "accountExpires", "pwdLastSet", "objectGUID"],
)
def test_an_account_whose_state_cannot_be_read_is_an_outage(make: Make, unreadable: str) -> None:
    with scripted(partial(active_directory, account={unreadable: []})) as server, pytest.raises(Unavailable):
        _ad(make, server).authenticate("ada", "right")


def test_a_domain_that_locks_at_once_is_a_problem_and_nobody_is_tried(make: Make) -> None:
    with scripted(partial(active_directory, threshold=1)) as server:
        provider = _ad(make, server)
        assert ["first wrong password" in problem.what for problem in provider.problems()] == [True]
        assert any(not step.passed and "lockout" in step.name for step in provider.check())
        with pytest.raises(BrokerError):
            provider.authenticate("ada", "wrong")
        assert not any(b"wrong" in bind for bind in server.binds())


def test_servers_that_are_away_are_no_problem_at_start(make: Make) -> None:
    assert make(f"ldap://127.0.0.1:{closed_port()}").problems() == []


def test_an_account_found_under_another_id_is_an_outage(make: Make) -> None:
    answers = iter([ADA_ENTRY, {**ADA_ENTRY, "entryUUID": ["99999999-0000-4000-8000-000000000002"]}])

    def swapping(request: Request) -> bytes | None:
        if request.operation == SEARCH and b"inetOrgPerson" in request.octets:
            return honest(request, account=entry(ADA, next(answers)))
        return honest(request)

    script: Script = swapping
    with scripted(script) as server, pytest.raises(Unavailable):
        make(server.url).authenticate("ada", "right")
