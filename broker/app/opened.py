"""Settings -> parts: which implementation is behind which protocol."""

import logging
import secrets
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from broker.authenticate import PROVIDERS
from broker.authenticate.identity import Group
from broker.authenticate.provider import PasswordProvider
from broker.challenge import build_factors
from broker.challenge.clock_check import ClockCheck, ClockSource
from broker.challenge.enrol import Enrolment
from broker.challenge.recovery import RecoveryCodes
from broker.challenge.tools import FactorTools
from broker.clock import Clock, monotonic, utc_now
from broker.entitle.snapshot import Snapshot
from broker.evaluate.condition import Circumstances
from broker.flow.mapping import Cache, InForce
from broker.flow.parts import Freshness, Parts, record
from broker.issue import AssumeRole, ConsoleSignIn
from broker.issue.console import LocalSignIn
from broker.issue.limit import LeaseLimit
from broker.keys import Keyring, Purpose
from broker.record.event import Outcome, Tag
from broker.record.heard import Heard
from broker.record.ids import uuid7
from broker.record.trail import TrailStore
from broker.record.writer import AuditTrail
from broker.sessions.grants import Grants
from broker.sessions.handoff import HandOffs
from broker.sessions.session import TOKEN_BYTES, Limits, Sessions
from broker.settings import OwnerGroup, Settings, metrics_folder, read_mapping_files
from broker.storage import Storage, StorageSettings, open_storage
from broker.web.metrics import Metrics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where the broker stands: for real, or in the demo with its own STS."""

    clock: Clock = utc_now
    sts_endpoint: str = ""
    """Only `broker demo` and tests give one."""
    sign_in: LocalSignIn | None = None
    """The same for the console."""
    lines: bool = True
    """Whether events go to standard output too; the operator's program keeps that for its answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Everything that one process of the broker is made of."""

    settings: Settings
    parts: Parts
    storage: Storage
    trail: AuditTrail
    metrics: Metrics
    mapping: InForce
    keyring: Keyring
    serving: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        """Sign the end of the audit chain, and let go of every connection. Raises `Unavailable` when it cannot."""
        self.stopping.set()
        try:
            if self.serving.is_set():
                note(self.parts, Tag.BROKER_STOPPED)
            self.trail.close(self.parts.clock())
        finally:
            for provider in self.parts.providers.values():
                provider.close()
            self.storage.close()


REAL = Stand()


def open_broker(settings: Settings, stand: Stand = REAL) -> Broker:
    """Put the parts together. Raises `ConfigurationError`, `IssueRefused` (root credentials), `Unavailable`."""
    clock, away = stand.clock, settings.directory
    keyring = Keyring.load(settings.keys.file)
    storage = open_storage(settings.storage, keyring, clock=clock)
    storage.upgrade()
    metrics = Metrics(multiprocess_folder=metrics_folder())
    trail = _trail(settings, storage, keyring, stand)
    providers = _providers(settings, storage, clock)
    issuer = AssumeRole(settings.aws, clock=clock, endpoint_url=stand.sts_endpoint or None)
    tools = _tools(settings, storage, keyring, {**_clocks(providers), "AWS STS": issuer.clock_offset})
    mapping = _mapping(settings, storage, keyring, clock)
    parts = Parts(
        clock=clock,
        new_id=lambda: uuid7(clock(), secrets.token_bytes),
        providers=providers,
        people=storage.people,
        sessions=Sessions(storage.sessions, limits=_limits(settings), new_token=_new_token),
        grants=Grants(storage.sessions, limits=_limits(settings), new_token=_new_token),
        factors=build_factors(tools),
        enrolment=Enrolment(tools),
        recovery=RecoveryCodes(tools),
        mapping=mapping,
        issuer=issuer,
        console=ConsoleSignIn(settings.aws, issuer=settings.server.url, clock=clock, local=stand.sign_in),
        hand_offs=HandOffs(storage.sessions, limits=_limits(settings), new_token=_new_token),
        lease_limit=LeaseLimit(attempts=storage.attempts, rule=settings.aws.lease_rule()),
        habits=storage.habits,
        trail=Heard(trail, written=metrics.written, lost=metrics.lost),
        freshness=Freshness(outage_grace=away.outage_grace, outage_grace_of_role=away.outage_grace_of_role),
    )
    broker = Broker(
        settings=settings, parts=parts, storage=storage, trail=trail, metrics=metrics, mapping=mapping, keyring=keyring
    )
    storage.on_reset(lambda: note(parts, Tag.STORAGE_RESET))
    mapping.noted = lambda snapshot, why: _note_mapping(parts, snapshot, why)
    return broker


@contextmanager
def open_trail(settings: Settings, stand: Stand = REAL) -> Iterator[AuditTrail]:
    """The audit trail alone, to write to: for what an operator does while the rest may not work.

    Raises `ConfigurationError`, `Unavailable`.
    """
    keyring = Keyring.load(settings.keys.file)
    storage = open_storage(settings.storage, keyring, clock=stand.clock)
    try:
        storage.upgrade()
        trail = _trail(settings, storage, keyring, stand)
        yield trail
        trail.close(stand.clock())
    finally:
        storage.close()


@contextmanager
def open_directories(settings: Settings, stand: Stand = REAL) -> Iterator[Mapping[str, PasswordProvider]]:
    """The directories alone: for what an operator does while the mapping document may not work."""
    with closing(open_storage(settings.storage, clock=stand.clock)) as storage, ExitStack() as stack:
        providers = _providers(settings, storage, stand.clock)
        for provider in providers.values():
            stack.callback(provider.close)
        yield providers


@contextmanager
def read_trail(settings: StorageSettings) -> Iterator[TrailStore]:
    """The audit trail as it is kept, to read. Needs no key, changes nothing. Raises `Unavailable`."""
    storage = open_storage(settings.model_copy(update={"short_lived": ""}))
    try:
        storage.check()
        yield storage.trail
    finally:
        storage.close()


def _trail(settings: Settings, storage: Storage, keyring: Keyring, stand: Stand) -> AuditTrail:
    return AuditTrail(
        storage.trail,
        keyring,
        clock=stand.clock,
        randomness=secrets.token_bytes,
        stream=sys.stdout.buffer if stand.lines and settings.audit.stdout != "off" else None,
        stream_required=settings.audit.stdout == "required",
    )


def _providers(settings: Settings, storage: Storage, clock: Clock) -> dict[str, PasswordProvider]:
    kinds = dict(PROVIDERS.values())
    return {
        name: kinds[type(own)](name, own, attempts=storage.attempts, clock=clock)
        for name, own in settings.providers.items()
    }


def _clocks(providers: Mapping[str, PasswordProvider]) -> dict[str, ClockSource]:
    return {f"directory {name}": provider.clock_offset for name, provider in providers.items()}


def _tools(settings: Settings, storage: Storage, keyring: Keyring, clocks: Mapping[str, ClockSource]) -> FactorTools:
    return FactorTools(
        factors=storage.factors,
        enrolment_codes=storage.enrolment,
        attempts=storage.attempts,
        keyring=keyring,
        clock_check=ClockCheck(clocks, monotonic=monotonic),
        settings=settings.mfa,
    )


def _limits(settings: Settings) -> Limits:
    own = settings.sessions
    return Limits(
        absolute=own.absolute,
        idle=own.idle,
        admin_idle=own.admin_idle,
        is_owner=lambda groups: is_owner(settings.owners, groups),
    )


def is_owner(owners: tuple[OwnerGroup, ...], groups: frozenset[Group]) -> bool:
    """Whether one of `groups` is declared to own the broker."""
    return any(owner.means(group) for owner in owners for group in groups)


def _new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def _mapping(settings: Settings, storage: Storage, keyring: Keyring, clock: Clock) -> InForce:
    cache = Cache(store=storage.snapshots, macs=lambda data: keyring.macs(Purpose.SNAPSHOT, data))
    return InForce(
        lambda: read_mapping_files(settings.mappings.files), cache=cache, providers=settings.group_forms, clock=clock
    )


def note(parts: Parts, tag: Tag) -> None:
    """Write down what happened to the broker itself."""
    about = {"actor": "broker", "mapping_revision": parts.mapping().revision}
    record(parts, tag, Outcome.DONE, Circumstances(now=parts.clock()), None, about)


def _note_mapping(parts: Parts, snapshot: Snapshot | None, why: str) -> None:
    tag = Tag.MAPPING_REJECTED if snapshot is None else Tag.MAPPING_APPLIED
    outcome = Outcome.FAILED if snapshot is None else Outcome.DONE
    note = {"actor": "broker", "reason": why, "mapping_revision": snapshot.revision if snapshot else ""}
    record(parts, tag, outcome, Circumstances(now=parts.clock()), None, note)
