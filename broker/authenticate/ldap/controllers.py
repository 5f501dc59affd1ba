"""The directory's servers in their order: which one is asked, over which connection, and when to give up.

A request goes to the first server whose breaker is closed, and to the next only when that one is away. Everything
ends within the request's deadline. A password reaches the wire at most once: after that, no answer is no answer.
"""

import logging
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import TypeVar

from broker.authenticate.ldap.answer import Away, BindAnswer, Deadline, TimedOut, Unusable
from broker.authenticate.ldap.breaker import Breaker
from broker.authenticate.ldap.settings import Address, LdapSettings
from broker.authenticate.ldap.values import generalized_time, interval
from broker.authenticate.ldap.wire import Link
from broker.clock import Clock
from broker.errors import Unavailable

T = TypeVar("T")
_log = logging.getLogger(__name__)

_ACTIVE_DIRECTORY = b"1.2.840.113556.1.4.800"
"""LDAP_CAP_ACTIVE_DIRECTORY_OID among supportedCapabilities (MS-ADTS 3.1.1.3.4.3)."""
_IDLE_SECONDS = 60.0
"""A connection unused for longer is not used again: a firewall may have dropped it, which costs a time-out to see."""
_MOST_IDLE = 8
_FACTS_SECONDS = 600.0
_ROOT_DSE = ("supportedCapabilities", "defaultNamingContext", "currentTime")
_LOCKOUT = ("lockoutThreshold", "lockOutObservationWindow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a server says about itself and its domain."""

    active_directory: bool
    naming_context: str
    """The domain's DN; empty where the server names none."""
    offset: timedelta | None
    """The server's clock minus ours, to about half a second; None where it does not tell its time."""
    lockout_threshold: int = 0
    """Wrong passwords that lock an account; 0: never."""
    lockout_window: timedelta = timedelta(0)
    """For so long AD remembers a wrong password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One server that answered, and an own connection to it as the service account."""

    link: Link
    facts: Facts


class Controller:
    """One server: its breaker, its idle connections, its facts."""

    def __init__(self, address: Address, monotonic: Callable[[], float], *, budget: float) -> None:
        self.address = address
        self.breaker = Breaker(monotonic, first=1.0, longest=30.0, probe=budget)
        self.facts: Facts | None = None
        self.facts_until = 0.0
        self._monotonic = monotonic
        self._lock = Lock()
        self._idle: list[tuple[Link, float]] = []

    def borrow(self) -> Link | None:
        """The connection that was used last; None when there is none that is fresh enough."""
        with self._lock:
            while self._idle:
                link, since = self._idle.pop()
                if self._monotonic() - since < _IDLE_SECONDS:
                    return link
                link.close()
        return None

    def give_back(self, link: Link) -> None:
        """Keep the connection for the next request."""
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append((link, self._monotonic()))
                return
        link.close()

    def forget(self) -> None:
        """Close all idle connections, and ask for the facts again."""
        with self._lock:
            idle, self._idle, self.facts = self._idle, [], None
        for link, _ in idle:
            link.close()


class Controllers:
    """All servers of one directory. Thread-safe; to be made after a fork."""

    def __init__(
        self, name: str, settings: LdapSettings, tls: ssl.SSLContext, *, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self.name = name
        self._settings, self._tls = settings, tls
        self._clock, self._monotonic = clock, monotonic
        self.controllers = tuple(
            Controller(address, monotonic, budget=settings.budget) for address in settings.addresses()
        )
        # A refused service account is tried again seldom: each try counts towards its own lockout.
        self._service = Breaker(monotonic, first=300.0, longest=3600.0, probe=settings.budget)

    def deadline(self) -> Deadline:
        """The end of a request that begins now."""
        return Deadline(self._settings.budget, self._monotonic)

    def close(self) -> None:
        """Close all idle connections."""
        for controller in self.controllers:
            controller.forget()

    def run(self, work: Callable[[Session], T], deadline: Deadline) -> T:
        """Do `work`, which must only read, on the first server that is not away.

        Raises `Unavailable` when all are, or when one answered with something that is of no use.
        """
        for controller in self._admitted():
            try:
                result = self._on(controller, work, deadline)
            except Away as away:
                self._failed(controller, away)
            except Unusable as unusable:
                controller.breaker.worked()
                raise self._no_use(controller, unusable) from unusable
            else:
                controller.breaker.worked()
                return result
        raise self._unavailable()

    def bind(self, dn: str, password: bytes, deadline: Deadline) -> BindAnswer:
        """Show a person's password to one server, over a connection that is used for nothing else.

        Only a server to which nothing has been sent yet is passed over for the next. Raises `Unavailable`.
        """
        for controller in self._admitted():
            try:
                link = self.connect(controller, deadline)
            except Away as away:
                self._failed(controller, away)
                continue
            try:
                answer = link.bind(dn, password)
            except Away as away:
                self._failed(controller, away)
                raise self._unavailable() from away
            finally:
                link.close()
            controller.breaker.worked()
            return answer
        raise self._unavailable()

    def connect(self, controller: Controller, deadline: Deadline) -> Link:
        """A new connection as nobody. Raises `Away`."""
        return Link(
            controller.address,
            self._tls,
            deadline,
            connect_timeout=self._settings.connect_timeout,
            receive_timeout=self._settings.receive_timeout,
        )

    def open(self, controller: Controller, deadline: Deadline) -> Link:
        """A new connection as the service account. Raises `Away`, and `Unusable` when that account is refused."""
        if not self._service.admits():  # check: service-account-hold
            message = "the service account was refused a moment ago; it is not tried again yet, so as not to lock it"
            raise Unusable(message)
        link = self.connect(controller, deadline)
        try:
            answer = link.bind(self._settings.bind_dn, self._settings.password.get_secret_value().encode())
        except Away:
            link.close()
            raise
        if answer.code != 0:  # check: service-bind
            link.close()
            self._service.failed()
            message = f"the service account was refused (result {answer.code}): check bind_dn and its password"
            raise Unusable(message)
        self._service.worked()
        return link

    def facts(self, controller: Controller, link: Link) -> Facts:
        """What this server says about itself, at most ten minutes old. Raises `Away` and `Unusable`."""
        facts = controller.facts
        if facts is None or self._monotonic() >= controller.facts_until:
            facts = self.read_facts(link)
            controller.facts, controller.facts_until = facts, self._monotonic() + _FACTS_SECONDS
        return facts

    def read_facts(self, link: Link) -> Facts:
        """The same, asked now."""
        before = self._clock()
        root = link.read("", _ROOT_DSE)
        ours = before + (self._clock() - before) / 2
        if root is None:
            message = "the server does not say what it is (no rootDSE)"
            raise Unusable(message)
        is_ad = _ACTIVE_DIRECTORY in root.all("supportedCapabilities")
        if self._settings.active_directory and not is_ad:  # check: server-is-active-directory
            message = "the server is not an Active Directory domain controller; set kind: generic"
            raise Unusable(message)
        # Whole seconds are told: on average the true time is half a second later.
        told = root.decoded("currentTime", _instant) + timedelta(seconds=0.5) if root.all("currentTime") else None
        offset = told - ours if told else None
        facts = Facts(active_directory=is_ad, naming_context=root.text("defaultNamingContext"), offset=offset)
        return self._with_lockout(facts, link) if self._settings.active_directory else facts

    def _with_lockout(self, facts: Facts, link: Link) -> Facts:
        domain = link.read(facts.naming_context, _LOCKOUT)
        if domain is None:
            message = "the domain's lockout policy cannot be read"
            raise Unusable(message)
        return Facts(
            active_directory=True,
            naming_context=facts.naming_context,
            offset=facts.offset,
            lockout_threshold=domain.number("lockoutThreshold"),
            lockout_window=interval(domain.number("lockOutObservationWindow")),
        )

    def _on(self, controller: Controller, work: Callable[[Session], T], deadline: Deadline) -> T:
        """Do `work` on one server; a kept connection that turns out to be dead is replaced once."""
        kept = controller.borrow()
        if kept is not None:
            try:
                return self._with(controller, kept, work, deadline)
            except TimedOut:
                raise
            except Away:
                controller.forget()
        return self._with(controller, self.open(controller, deadline), work, deadline)

    def _with(self, controller: Controller, link: Link, work: Callable[[Session], T], deadline: Deadline) -> T:
        healthy = True
        link.renew(deadline)
        try:
            return work(Session(link=link, facts=self.facts(controller, link)))
        except Away:
            healthy = False
            raise
        finally:
            if healthy:
                controller.give_back(link)
            else:
                link.close()

    def _admitted(self) -> Iterator[Controller]:
        """In order; a server is asked for permission only when its turn comes, since that may reserve a probe."""
        return (controller for controller in self.controllers if controller.breaker.admits())

    def _failed(self, controller: Controller, away: Away) -> None:
        controller.breaker.failed()
        _log.warning("directory %s: %s is away: %s", self.name, controller.address.url, away)

    def _no_use(self, controller: Controller, unusable: Unusable) -> Unavailable:
        _log.error("directory %s: %s: %s", self.name, controller.address.url, unusable)
        return self._unavailable()

    def _unavailable(self) -> Unavailable:
        return Unavailable(f"directory {self.name}")


def _instant(octets: bytes) -> datetime:
    return generalized_time(octets.decode())
