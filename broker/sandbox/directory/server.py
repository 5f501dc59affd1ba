"""`SandboxDirectory`: the sockets around a `Session` for each client, and the controls that tests and the demo use."""

import threading
from collections import deque
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

from broker.clock import Clock
from broker.errors import ConfigurationError, Problem
from broker.sandbox.directory.binds import Accounts, BindAttempt
from broker.sandbox.directory.connection import Listener
from broker.sandbox.directory.limits import Limits
from broker.sandbox.directory.planting import plant
from broker.sandbox.directory.search import Searcher
from broker.sandbox.directory.seed import Seed
from broker.sandbox.directory.session import Session
from broker.sandbox.pki import SandboxPki


class SandboxDirectory:
    """An AD-like LDAP server on loopback: LDAP with StartTLS on one port, LDAPS on the other; read-only.

    Promised: sub-codes, lockout, nested groups and refusals as measured on Samba AD DC; every request that has an
    answer gets one; junk, a silent client or a crowd of them never stop it. Its people and their state live as long as
    the object, over `stop` and `start`, and so do its ports once it has them.

    Not promised: the Configuration and Schema partitions, the global catalogue's ports, SASL, ranged retrieval, writes.
    """

    def __init__(  # noqa: PLR0913 (by name, all but the first)
        self,
        seed: Seed,
        *,
        pki: SandboxPki,
        clock: Clock,
        address: str = "127.0.0.1",
        port: int = 0,
        tls_port: int = 0,
        insecure_allow_clear_bind: bool = False,
        reveal_unknown_users: bool = False,
        limits: Limits | None = None,
    ) -> None:
        """Port 0 takes a free one. `insecure_allow_clear_bind` takes passwords without TLS, as a lax AD does.

        `reveal_unknown_users` answers 525 for a name that nobody has, where Samba answers 52e. Raises
        `ConfigurationError` for an address that is not loopback.
        """
        if not _is_loopback(address):  # check: sandbox-ldap-loopback-only
            problem = Problem(
                where="address",
                what="the sandbox listens on loopback only",
                remedy="Use 127.0.0.1 or another of 127.*.",
            )
            raise ConfigurationError([problem])
        self._address = address
        self._pki = pki
        self._limits = limits or Limits()
        self._insecure_allow_clear_bind = insecure_allow_clear_bind
        self._lock = threading.Lock()
        self._tree = plant(seed, clock())
        self._accounts = Accounts(self._tree, seed, clock, reveal_unknown_users=reveal_unknown_users)
        self._searcher = Searcher(self._tree, self._accounts, seed.domain, clock, self._limits)
        self._binds: deque[BindAttempt] = deque(maxlen=self._limits.remembered_binds)
        self._ports = (port, tls_port)
        self._listener: Listener | None = None

    def start(self) -> None:
        """Listen; answers as soon as this returns. Does nothing where it listens already."""
        if self._listener is None:
            self._listener = Listener(
                self._address,
                self._ports,
                context=self._pki.server_context(),
                open_session=self._open,
                lock=self._lock,
                limits=self._limits,
            )
            self._ports = self._listener.ports

    def stop(self) -> None:
        """Close every connection and both ports; nothing is left running. Does nothing where it does not listen."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def ldap_port(self) -> int:
        """The port of LDAP with StartTLS; 0 before the first start where none was given."""
        return self._ports[0]

    @property
    def ldaps_port(self) -> int:
        """The port of LDAPS."""
        return self._ports[1]

    @property
    def ca_file(self) -> Path:
        """What a client must trust (PEM)."""
        return self._pki.ca_file

    @property
    def binds(self) -> tuple[BindAttempt, ...]:
        """The last bind attempts that reached the server, oldest first; anonymous ones are not among them."""
        with self._lock:
            return tuple(self._binds)

    def set_password(self, user: str, password: str) -> None:
        """Reset a password; pwdLastSet moves to now. Raises `NotFound`, as all of these do."""
        with self._lock:
            self._accounts.set_password(self._accounts.account(user), password)

    def disable(self, user: str) -> None:
        """Disable an account."""
        with self._lock:
            self._accounts.disable(self._accounts.account(user))

    def delete(self, user: str) -> None:
        """Remove an account, and its memberships."""
        with self._lock:
            self._accounts.delete(self._accounts.account(user))

    def unlock(self, user: str) -> None:
        """Lift a lockout, and forget the wrong passwords."""
        with self._lock:
            self._accounts.unlock(self._accounts.account(user))

    def add_to_group(self, user: str, group: str) -> None:
        """Put an account directly into a group; both by sAMAccountName."""
        with self._lock:
            self._tree.link(self._accounts.group(group), self._accounts.account(user))

    def remove_from_group(self, user: str, group: str) -> None:
        """Take an account out of a group; both by sAMAccountName."""
        with self._lock:
            self._tree.unlink(self._accounts.group(group), self._accounts.account(user))

    def _open(self, tls: bool) -> Session:  # noqa: FBT001 (a callback)
        return Session(
            self._accounts,
            self._searcher,
            self._limits,
            tls=tls,
            insecure_allow_clear_bind=self._insecure_allow_clear_bind,
            note=self._binds.append,
        )


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
