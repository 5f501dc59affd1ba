"""The listener on loopback, and a hostile page in the browser beside the right one."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from broker.workstation.failure import CANCELLED, Failure
from broker.workstation.listener import LARGEST, MOST, SLOW, Listener

SECRET = "s" * 43


class Waiting:
    """A listener that waits in a thread; `found` is what it got."""

    def __init__(self, speed: float = 1.0, seconds: float = 30.0) -> None:
        self.listener = Listener(SECRET)
        self.found: dict[str, str] | None = None
        self.failure: Failure | None = None
        self._begin = time.monotonic()
        self._speed = speed
        self._thread = threading.Thread(target=self._wait, args=(seconds,))
        self._thread.start()

    def clock(self) -> float:
        return (time.monotonic() - self._begin) * self._speed

    def _wait(self, seconds: float) -> None:
        try:
            self.found, tell = self.listener.wait(self.clock, seconds)
        except Failure as failure:
            self.failure = failure
        else:
            tell(True)  # noqa: FBT003 (its only parameter)

    def ends(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.listener.port), timeout=20)

    def ask(self, head: str, data: bytes = b"") -> bytes:
        """What comes back for a request; the end of the connection, if nothing does."""
        with self.connect() as connection:
            connection.sendall(head.encode() + data)
            found = b""
            try:
                while piece := connection.recv(4096):
                    found += piece
            except ConnectionResetError:
                pass
            return found

    @property
    def right(self) -> str:
        """As a browser follows a redirect."""
        return self.head()

    def head(self, *, method: str = "GET", path: str = f"/callback/{SECRET}?code=c&state=s", **headers: str) -> str:
        given = {"Host": f"127.0.0.1:{self.listener.port}", "Sec-Fetch-Mode": "navigate"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return f"{method} {path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in given.items()) + "\r\n"


@contextmanager
def waiting(speed: float = 1.0, seconds: float = 30.0) -> Iterator[Waiting]:
    found = Waiting(speed, seconds)
    try:
        yield found
    finally:
        if found.found is None and found.failure is None:
            found.ask(found.right)
        found.ends()


def test_the_right_request_is_answered_once_and_the_port_closes() -> None:
    with waiting() as one:
        page = one.ask(one.right)
        assert page.startswith(b"HTTP/1.1 200 OK")
        for header in (b"Cache-Control: no-store", b"Referrer-Policy: no-referrer", b"default-src 'none'"):
            assert header in page
        one.ends()
        assert one.found == {"code": "c", "state": "s"}
        with pytest.raises(ConnectionRefusedError):
            one.connect()


def test_it_is_bound_to_this_machine_alone() -> None:
    with waiting() as one:
        assert urlsplit(one.listener.redirect_uri).hostname == "127.0.0.1"
        assert one.listener._socket.getsockname()[0] == "127.0.0.1"  # noqa: SLF001 (what is promised)


def test_where_127_0_0_1_cannot_be_bound_it_is_the_other_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket.bind

    def bind(self: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == "127.0.0.1":
            raise OSError
        real(self, address)

    monkeypatch.setattr(socket.socket, "bind", bind)
    listener = Listener(SECRET)
    try:
        assert listener.redirect_uri == f"http://[::1]:{listener.port}/callback/{SECRET}"
    finally:
        listener.close()


HOSTILE = {
    "too many fields": {"path": f"/callback/{SECRET}?" + "&".join(f"a{i}=1" for i in range(30))},
    "another path": {"path": "/callback/guess?code=evil&state=s"},
    "no path": {"path": "/?code=evil"},
    "a longer path": {"path": f"/callback/{SECRET}/?code=evil"},
    "a form": {"method": "POST", "Content_Length": "0"},
    "a question": {"method": "OPTIONS"},
    "a name that leads here": {"Host": "evil.example"},
    "localhost": {"Host": "localhost"},
    "no port": {"Host": "127.0.0.1"},
    "a script": {"Origin": "https://evil.example"},
    "a sandboxed script": {"Origin": "null"},
    "an image": {"Sec_Fetch_Mode": "no-cors"},
    "a fetch": {"Sec_Fetch_Mode": "cors"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_gets_nothing_and_does_not_end_the_waiting(name: str) -> None:
    with waiting() as one:
        answer = one.ask(one.head(**HOSTILE[name]))
        assert answer.startswith(b"HTTP/1.1 404")
        assert b"aws-broker" not in answer
        assert one.found is None
        assert one.ask(one.right).startswith(b"HTTP/1.1 200")
        one.ends()
        assert one.found == {"code": "c", "state": "s"}


@pytest.mark.parametrize(
    "garbage", [b"\r\n\r\n", b"GET\r\n\r\n", b"\xff\xfe\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"]
)
def test_garbage_does_not_end_the_waiting(garbage: bytes) -> None:
    with waiting() as one:
        assert one.ask("", garbage).startswith(b"HTTP/1.1 404")
        assert one.ask(one.right).startswith(b"HTTP/1.1 200")


def test_an_oversized_head_is_hung_up_on() -> None:
    with waiting() as one:
        assert one.ask(f"GET /callback/{SECRET}?code=", b"x" * (LARGEST + 1)) == b""
        assert one.found is None
        assert one.ask(one.right).startswith(b"HTTP/1.1 200")


def test_a_head_that_is_too_large_counts_not_even_with_an_end() -> None:
    with waiting() as one:
        head = one.head(X_Large="x" * LARGEST)
        assert one.ask(head) == b""
        assert one.found is None


def test_connections_that_say_nothing_keep_nobody_out() -> None:
    with waiting() as one:
        silent = [one.connect() for _ in range(3 * MOST)]
        try:
            assert one.ask(one.right).startswith(b"HTTP/1.1 200")
            one.ends()
            assert one.found == {"code": "c", "state": "s"}
        finally:
            for each in silent:
                each.close()


def test_at_most_so_many_connections_are_held_and_the_oldest_gives_way() -> None:
    with waiting() as one:
        silent = [one.connect() for _ in range(MOST + 1)]
        try:
            silent[0].settimeout(20)
            assert silent[0].recv(1) == b""
            silent[1].settimeout(0.3)
            with pytest.raises(TimeoutError):
                silent[1].recv(1)
        finally:
            for each in silent:
                each.close()


def test_whoever_is_slow_is_hung_up_on() -> None:
    with waiting(speed=20.0, seconds=20 * SLOW) as one, one.connect() as slow:
        slow.sendall(b"GET /callb")
        slow.settimeout(20)
        assert slow.recv(1) == b""
        assert one.clock() >= SLOW
        assert one.found is None


def test_a_parameter_that_comes_twice_is_missing() -> None:
    with waiting() as one:
        one.ask(one.head(path=f"/callback/{SECRET}?code=a&code=b&state=s"))
        one.ends()
        assert one.found == {"state": "s"}


def test_a_head_in_pieces_is_put_together() -> None:
    with waiting() as one, one.connect() as connection:
        for piece in (one.right[:20], one.right[20:60], one.right[60:]):
            connection.sendall(piece.encode())
            time.sleep(0.02)
        one.ends()
        assert one.found == {"code": "c", "state": "s"}


def test_nobody_is_waited_for_longer_than_said() -> None:
    with waiting(speed=50.0, seconds=10.0) as one:
        one.ends()
        assert one.failure is not None
        assert one.failure.code == CANCELLED
        with pytest.raises(ConnectionRefusedError):
            one.connect()
