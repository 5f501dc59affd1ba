"""Sockets and threads: one thread accepts, one serves each client. Every wait has an end."""

import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack

from broker.clock import monotonic
from broker.sandbox.directory import ber
from broker.sandbox.directory.limits import Limits
from broker.sandbox.directory.messages import write_disconnection
from broker.sandbox.directory.session import Session, Then

_BACKLOG = 64
_LONGEST_JOIN_SECONDS = 5.0


class Connection:
    """One client's socket. `serve` returns when it is over, whatever the client sends or fails to send."""

    def __init__(self, client: socket.socket, session: Session, context: ssl.SSLContext, limits: Limits) -> None:
        self._socket = client
        self._session = session
        self._context = context
        self._limits = limits
        self._closing = threading.Lock()
        self._aborted = False

    def serve(self, lock: threading.Lock, *, tls: bool) -> None:
        """Answer message after message; `lock` guards what the session reads and changes."""
        try:
            with contextlib.suppress(OSError):  # the client or `abort` has hung up, a wait has ended, or TLS has failed
                if tls:
                    self._wrap()
                while self._answer_one(lock):
                    pass
        finally:
            with self._closing:
                self._aborted = True
                self._socket.close()

    def abort(self) -> None:
        """End it from another thread: what it waits for fails."""
        with self._closing:
            if not self._aborted:
                self._aborted = True
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not the TLS layer's: it is in use

    def _wrap(self) -> None:
        """The handshake. What came in clear behind a StartTLS is read as part of it, and so ends the connection."""
        with self._closing:
            if self._aborted:
                return
            self._socket = self._context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._socket.settimeout(self._limits.idle_seconds)
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.do_handshake()

    def _answer_one(self, lock: threading.Lock) -> bool:
        """Read one message and send its answer; whether to go on."""
        until = monotonic() + self._limits.idle_seconds
        try:
            request = ber.read(
                lambda count: self._take(count, until), limit=self._limits.message_bytes, tag=ber.SEQUENCE
            )
        except ber.BerError as error:
            self._socket.settimeout(self._limits.idle_seconds)
            self._socket.sendall(write_disconnection(str(error)))
            return False
        with lock:
            answer = self._session.handle(ber.encode(request.tag, request.body))
        self._socket.settimeout(self._limits.idle_seconds)
        self._socket.sendall(b"".join(answer.messages))
        if answer.then is Then.START_TLS:
            self._wrap()
            self._session.now_under_tls()
        return answer.then is not Then.HANG_UP

    def _take(self, count: int, until: float) -> bytes:
        """Exactly `count` octets, and not one more, before `until`."""
        chunks = []
        while count:
            self._socket.settimeout(max(until - monotonic(), 0.001))
            chunk = self._socket.recv(min(count, 65536))
            if not chunk:
                raise ConnectionResetError
            chunks.append(chunk)
            count -= len(chunk)
        return b"".join(chunks)


class Listener:
    """The two ports, open from the moment this exists until `close`."""

    def __init__(
        self,
        address: str,
        ports: tuple[int, int],
        *,
        context: ssl.SSLContext,
        open_session: Callable[[bool], Session],
        lock: threading.Lock,
        limits: Limits,
    ) -> None:
        """`open_session` makes the session of a new client, told whether it is on the TLS port. Raises `OSError`."""
        with ExitStack() as opened:
            self._clear = opened.enter_context(_listen(address, ports[0]))
            self._secure = opened.enter_context(_listen(address, ports[1]))
            self._wake, self._woken = (opened.enter_context(end) for end in socket.socketpair())
            self._sockets = opened.pop_all()
        self._context = context
        self._open_session = open_session
        self._lock = lock
        self._limits = limits
        self._serving: dict[Connection, threading.Thread] = {}
        self._guard = threading.Lock()
        self._accepting = threading.Thread(target=self._accept, name="sandbox-directory", daemon=True)
        self._accepting.start()

    @property
    def ports(self) -> tuple[int, int]:
        """The ports of LDAP and of LDAPS."""
        return self._clear.getsockname()[1], self._secure.getsockname()[1]

    def close(self) -> None:
        """Close the ports and end every connection; their threads are gone when this returns."""
        self._wake.send(b"\0")
        self._accepting.join(_LONGEST_JOIN_SECONDS)
        self._sockets.close()
        with self._guard:
            serving = dict(self._serving)
        for connection in serving:
            connection.abort()
        for thread in serving.values():
            thread.join(_LONGEST_JOIN_SECONDS)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            for source in (self._clear, self._secure, self._woken):
                selector.register(source, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    return
                for source in (self._clear, self._secure):
                    if source in ready:
                        with contextlib.suppress(OSError):  # gone again before it was accepted
                            self._serve(source.accept()[0], tls=source is self._secure)

    def _serve(self, client: socket.socket, *, tls: bool) -> None:
        with self._guard:
            if len(self._serving) >= self._limits.connections:  # check: sandbox-ldap-connections
                client.close()
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(client, self._open_session(tls), self._context, self._limits)
            thread = threading.Thread(target=self._run, args=(connection, tls), name="sandbox-directory", daemon=True)
            self._serving[connection] = thread
        thread.start()

    def _run(self, connection: Connection, tls: bool) -> None:  # noqa: FBT001 (a thread's target)
        try:
            connection.serve(self._lock, tls=tls)
        finally:
            with self._guard:
                del self._serving[connection]


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
        listener.settimeout(0)  # a client that is gone before accept must not hold the accepting thread
    except OSError:
        listener.close()
        raise
    return listener
