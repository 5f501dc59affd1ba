"""The server itself: TLS, read-only, bounded, loopback only, and never stopped by what a client sends."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox.ldap_client import SUFFIX, Bare, Hands, bind, bind_parts, code_of, connection, message, search, service

from broker.errors import ConfigurationError
from broker.sandbox.directory import Limits, SandboxDirectory, read_seed
from broker.sandbox.directory.ber import OCTETS, SEQUENCE, encode, encode_integer, encode_text, parse
from broker.sandbox.directory.binds import Accounts
from broker.sandbox.directory.planting import plant
from broker.sandbox.directory.search import Searcher
from broker.sandbox.directory.session import Session
from broker.sandbox.pki import SandboxPki

ADA = f"CN=Ada Lovelace,OU=Staff,{SUFFIX}"
LIMITS = Limits(message_bytes=4096, connections=4, idle_seconds=30)
START_TLS = encode_text("1.3.6.1.4.1.1466.20037", 0x80)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SandboxPki:
    return SandboxPki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def directory(pki: SandboxPki) -> Iterator[SandboxDirectory]:
    with SandboxDirectory(read_seed(), pki=pki, clock=Hands(), limits=LIMITS) as running:
        yield running


def _is_alive(directory: SandboxDirectory) -> bool:
    """Waits until earlier clients of the test are gone: their threads may still be leaving."""
    for _ in range(200):
        try:
            return bind(directory, "ada@corp.example", "ada-demo-password") == (0, "")
        except ldap3.core.exceptions.LDAPExceptionError:
            time.sleep(0.02)
    return False


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sandbox-directory"]


# --- where it listens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["0.0.0.0", "10.1.2.3", "::", "localhost", "example.com", ""])  # noqa: S104 (refused)
def test_it_listens_on_loopback_only(pki: SandboxPki, address: str) -> None:
    with pytest.raises(ConfigurationError, match="loopback only"):
        SandboxDirectory(read_seed(), pki=pki, clock=Hands(), address=address)


def test_it_listens_where_it_is_told(pki: SandboxPki) -> None:
    with SandboxDirectory(read_seed(), pki=pki, clock=Hands(), address="127.0.0.2") as running:
        socket.create_connection(("127.0.0.2", running.ldap_port), timeout=5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.ldap_port), timeout=5)


def test_stop_leaves_nothing_behind_and_start_takes_the_same_ports(pki: SandboxPki) -> None:
    before = set(_threads())
    running = SandboxDirectory(read_seed(), pki=pki, clock=Hands())
    assert (running.ldap_port, running.ldaps_port) == (0, 0)
    running.start()
    ports = running.ldap_port, running.ldaps_port
    assert 0 not in ports
    with Bare(running) as idle, Bare(running, tls=True) as secure, Bare(running) as half:
        half.socket.sendall(b"\x30\x0c\x02")
        running.set_password("ada", "kept-demo-password")
        running.stop()
        running.stop()
        assert idle.is_closed()
        assert secure.is_closed()
        assert half.is_closed()
    assert set(_threads()) <= before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]), timeout=5)
    with running:
        running.start()
        assert (running.ldap_port, running.ldaps_port) == ports
        assert bind(running, "ada@corp.example", "kept-demo-password") == (0, "")
    assert set(_threads()) <= before


def test_a_port_in_use_is_an_error_and_leaves_nothing_open(directory: SandboxDirectory, pki: SandboxPki) -> None:
    other = SandboxDirectory(read_seed(), pki=pki, clock=Hands(), tls_port=directory.ldaps_port)
    with pytest.raises(OSError, match="in use"):
        other.start()
    other.stop()


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", ["ldaps", "starttls"])
def test_ldaps_and_start_tls_are_for_who_trusts_the_ca(directory: SandboxDirectory, over: str) -> None:
    assert bind(directory, "ada@corp.example", "ada-demo-password", over=over) == (0, "")
    with Bare(directory) as client:
        if over == "starttls":
            client.ask(0x77, START_TLS)
        else:
            client.socket.close()
            client.socket = socket.create_connection(("127.0.0.1", directory.ldaps_port), timeout=5)
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(client.socket, server_hostname="localhost")
    assert _is_alive(directory)


def test_start_tls_twice_is_refused(directory: SandboxDirectory) -> None:
    with Bare(directory) as client:
        assert code_of(client.ask(0x77, START_TLS)) == 0
        client.wrap()
        assert code_of(client.ask(0x77, START_TLS)) == 1
        assert code_of(client.ask(0x60, *bind_parts("ada@corp.example", "ada-demo-password"))) == 0


def test_what_was_sent_in_clear_behind_start_tls_is_never_obeyed(
    directory: SandboxDirectory,
) -> None:
    before = directory.binds
    with Bare(directory) as client:
        smuggled = message(0x60, *bind_parts("ada@corp.example", "ada-demo-password"), message_id=2)
        client.socket.sendall(message(0x77, START_TLS) + smuggled)
        client.read()
        assert client.is_closed()
    assert directory.binds == before


def test_who_was_bound_in_clear_is_nobody_under_tls(pki: SandboxPki) -> None:
    with (
        SandboxDirectory(read_seed(), pki=pki, clock=Hands(), insecure_allow_clear_bind=True) as lax,
        service(lax, over="clear") as client,
    ):
        assert search(client, "(sAMAccountName=ada)").entries
        assert client.start_tls()
        assert search(client, "(sAMAccountName=ada)").code == 1


# --- every request has its answer, and nothing can be changed ---------------------------------------------------------


def test_every_write_is_refused(directory: SandboxDirectory) -> None:
    with service(directory) as client:
        client.add(f"CN=x,OU=Staff,{SUFFIX}", "user")
        assert client.result["result"] == 53
        client.modify(ADA, {"description": [(ldap3.MODIFY_REPLACE, ["changed"])]})
        assert client.result["result"] == 53
        client.modify_dn(ADA, "CN=Eve")
        assert client.result["result"] == 53
        client.delete(ADA)
        assert client.result["result"] == 53
        assert client.extend.standard.who_am_i() is None
        assert client.result["result"] == 2
        assert search(client, "(description=changed)").entries == {}
        assert set(search(client, "(sAMAccountName=ada)").entries) == {ADA}


@pytest.mark.parametrize(
    ("request_tag", "response_tag", "code"),
    [
        (0x60, 0x61, 2),
        (0x63, 0x65, 2),
        (0x66, 0x67, 53),
        (0x68, 0x69, 53),
        (0x4A, 0x6B, 53),
        (0x6C, 0x6D, 53),
        (0x6E, 0x6F, 2),
        (0x77, 0x78, 2),
    ],
)
@pytest.mark.parametrize("body", [b"", b"junk", b"\x04\x01\xff" * 8])
def test_a_request_that_makes_no_sense_is_answered(
    directory: SandboxDirectory, request_tag: int, response_tag: int, code: int, body: bytes
) -> None:
    with Bare(directory, tls=True) as client:
        answer = client.ask(request_tag, body, message_id=7)
        assert (answer.tag, code_of(answer)) == (response_tag, code)
        assert code_of(client.ask(0x60, *bind_parts("", ""), message_id=8)) == 0


def test_a_search_that_names_no_attributes_gets_all() -> None:
    session = _session(bound=True)
    present = encode_text("objectClass", 0x87)
    named, unnamed = (session.handle(_search_of(ADA, 0, 0, 0, present, names)).messages for names in (["*"], []))
    assert named == unnamed
    assert b"Lovelace" in named[0]


def test_abandon_has_no_answer_and_unbind_ends_it(directory: SandboxDirectory) -> None:
    with Bare(directory) as client:
        client.socket.sendall(message(0x50, b"\x05"))
        assert code_of(client.ask(0x60, *bind_parts("", ""), message_id=2)) == 0
        client.socket.sendall(message(0x42, message_id=3))
        assert client.socket.recv(1) == b""


def test_requests_sent_together_are_answered_in_order(directory: SandboxDirectory) -> None:
    with Bare(directory) as client:
        client.socket.sendall(b"".join(message(0x60, *bind_parts("", ""), message_id=n) for n in range(1, 6)))
        assert [next(client.read().elements()).integer() for _ in range(5)] == [1, 2, 3, 4, 5]


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"\x30\x80\x00\x00",
        b"\x30\x03\x02\x01\x01",
        b"\x30\x00",
        b"\x04\x02ab",
        message(0x7E),
        message(0x60, message_id=0),
        message(0x60, message_id=-1),
        message(0x60, message_id=2**31),
    ],
)
def test_what_is_not_ldap_ends_the_connection_and_nothing_else(directory: SandboxDirectory, junk: bytes) -> None:
    with Bare(directory) as client:
        client.socket.sendall(junk)
        assert client.is_closed()
    assert _is_alive(directory)


def test_a_message_over_the_limit_ends_the_connection_before_it_is_read(directory: SandboxDirectory) -> None:
    with Bare(directory) as client:
        client.socket.sendall(b"\x30\x82\x10\x01")
        _, notice = client.read().elements()
        assert (notice.tag, code_of(notice)) == (0x78, 2)
        assert b"1.3.6.1.4.1.1466.20036" in notice.body
        assert client.socket.recv(1) == b""


def test_a_message_at_the_limit_is_answered(directory: SandboxDirectory) -> None:
    padding = encode(OCTETS, bytes(LIMITS.message_bytes - 20))
    whole = message(0x4A, padding)
    assert len(whole) <= LIMITS.message_bytes + 4
    with Bare(directory) as client:
        client.socket.sendall(whole)
        assert code_of(list(client.read().elements())[1]) == 53


def test_a_crowd_is_turned_away_and_others_come_in_when_it_leaves(directory: SandboxDirectory) -> None:
    assert _is_alive(directory)
    for _ in range(200):
        if len(_threads()) == 1:  # the one that accepts; the clients of other tests are gone
            break
        time.sleep(0.02)
    crowd = [Bare(directory) for _ in range(LIMITS.connections)]
    for guest in crowd:
        assert code_of(guest.ask(0x60, *bind_parts("", ""))) == 0
    with Bare(directory) as late:
        assert late.is_closed()
    for guest in crowd:
        guest.socket.close()
    assert _is_alive(directory)


@pytest.mark.parametrize("sent", [b"", b"\x30", b"\x30\x0c\x02\x01"])
@pytest.mark.parametrize("tls", [True, False])
def test_a_silent_client_is_let_go(pki: SandboxPki, sent: bytes, *, tls: bool) -> None:
    brief = Limits(idle_seconds=0.1)
    with (
        SandboxDirectory(read_seed(), pki=pki, clock=Hands(), limits=brief) as running,
        socket.create_connection(("127.0.0.1", running.ldaps_port if tls else running.ldap_port), timeout=5) as client,
    ):
        client.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_a_client_that_drips_is_let_go(pki: SandboxPki) -> None:
    """Each octet comes in time, the message does not."""
    brief = Limits(idle_seconds=0.3)
    drops = message(0x60, *bind_parts("a" * 100, "x")) * 5

    def drip(client: Bare) -> None:
        for octet in drops:
            client.socket.sendall(bytes([octet]))
            time.sleep(0.05)

    with (
        SandboxDirectory(read_seed(), pki=pki, clock=Hands(), limits=brief) as running,
        Bare(running) as client,
        pytest.raises(ConnectionError),
    ):
        drip(client)


# --- fuzz -------------------------------------------------------------------------------------------------------------


def _session(*, bound: bool) -> Session:
    hands, seed = Hands(), read_seed()
    tree = plant(seed, hands())
    accounts = Accounts(tree, seed, hands, reveal_unknown_users=False)
    limits = Limits(filter_items=50)
    searcher = Searcher(tree, accounts, seed.domain, hands, limits)
    session = Session(accounts, searcher, limits, tls=True, insecure_allow_clear_bind=False, note=lambda _: None)
    if bound:
        session.handle(message(0x60, *bind_parts("CORP\\ada", "ada-demo-password")))
    return session


tags = st.sampled_from([*range(0x80, 0x8B), *range(0xA0, 0xAB), 0x01, 0x02, 0x04, 0x0A, 0x30, 0x31])
operations = st.sampled_from([0x60, 0x63, 0x66, 0x68, 0x6C, 0x6E, 0x77])
bodies = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"cn", b"member", b"objectSid", b"userAccountControl", SUFFIX.encode(), ADA.encode()]),
    st.sampled_from([b"1.2.840.113556.1.4.1941", b"1.2.840.113556.1.4.803", b"<GUID=1>", b"S-1-5-21-1", b"<SID=1>"]),
)
elements = st.recursive(
    st.builds(encode, tags, bodies),
    lambda inner: st.builds(lambda tag, parts: encode(tag, *parts), tags, st.lists(inner, max_size=4)),
    max_leaves=12,
)


def _search_of(base: str, scope: int, size: int, types: int, condition: bytes, names: list[str]) -> bytes:
    return message(
        0x63,
        encode_text(base),
        encode_integer(scope, 0x0A),
        encode_integer(0, 0x0A),
        encode_integer(size),
        encode_integer(0),
        encode(0x01, bytes([types])),
        condition,
        encode(SEQUENCE, *(encode_text(name) for name in names)),
    )


requests = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda parts: encode(SEQUENCE, *parts), st.lists(elements, max_size=4)),
    st.builds(lambda tag, parts: message(tag, *parts), operations, st.lists(elements)),
    st.builds(lambda tag, controls: message(tag, controls=encode(0xA0, *controls)), operations, st.lists(elements)),
    st.builds(
        _search_of,
        st.one_of(st.text(max_size=20), st.sampled_from([SUFFIX, ADA, "", "DC=x", "<SID=S-1-5>"])),
        st.integers(min_value=-1, max_value=3),
        st.integers(min_value=-5, max_value=5),
        st.integers(min_value=0, max_value=255),
        elements,
        st.lists(st.sampled_from(["*", "cn", "tokenGroups", "canonicalName", "x", "1.1"]), max_size=3),
    ),
    st.builds(lambda name, password: message(0x60, *bind_parts(name, password)), st.text(), st.text()),
)  # fmt: skip


def _tag_of(octets: bytes) -> int:
    """The operation of a message that the server wrote."""
    return list(parse(octets).expect(SEQUENCE).elements())[1].tag


@pytest.mark.parametrize("bound", [True, False])
def test_no_request_is_an_exception_and_each_is_answered_once(*, bound: bool) -> None:
    session = _session(bound=bound)

    @settings(deadline=None, max_examples=200)
    @given(requests)
    def check(octets: bytes) -> None:
        answer = session.handle(octets)
        tags = [_tag_of(octets) for octets in answer.messages]
        assert all(tag in (0x64, 0x73) for tag in tags[:-1]), "entries and references come before the end"
        if answer.messages:
            assert tags[-1] not in (0x64, 0x73), "there is an end"
        else:
            assert parse(octets).elements_up_to(3)[1].tag in (0x42, 0x50), "only unbind and abandon have no answer"

    check()


@settings(deadline=None, max_examples=40)
@given(junk=st.lists(requests, max_size=3), tls=st.booleans())
def test_junk_on_the_wire_never_stops_the_server(directory: SandboxDirectory, junk: list[bytes], *, tls: bool) -> None:
    with contextlib.suppress(OSError), Bare(directory, tls=tls) as client:
        client.socket.sendall(b"".join(junk))
    assert _is_alive(directory)


def test_many_at_once_get_their_own_answers(pki: SandboxPki) -> None:
    people = [
        p for p in read_seed().people if p.account in {"ada", "alan", "grace", "carl", "mallory", "mia", "leo", "olga"}
    ]
    wrong: list[str] = []

    def work(account: str, password: str, running: SandboxDirectory) -> None:
        for _ in range(5):
            with connection(running, f"CORP\\{account}", password) as client:
                if not client.bind() or search(client, f"(sAMAccountName={account})").code != 0:
                    wrong.append(account)

    with SandboxDirectory(read_seed(), pki=pki, clock=Hands()) as running:
        threads = [threading.Thread(target=work, args=(p.account, p.password, running)) for p in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not wrong
        assert sum(1 for attempt in running.binds if attempt.result == 0) == 5 * len(people)


def test_no_secret_in_a_repr(directory: SandboxDirectory, tmp_path: Path) -> None:
    assert "password" not in repr(directory)
    assert "demo-password" not in repr(read_seed())
    assert "demo-password" not in repr(SandboxPki(tmp_path))
