"""What the corridor is made of, and how it writes down what happens in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from broker.authenticate.provider import PasswordProvider, SignInRefused
from broker.challenge.enrol import Enrolment
from broker.challenge.factor import Factor, FactorRefused
from broker.challenge.proof import Method, Proof
from broker.challenge.recovery import RecoveryCodes
from broker.clock import Clock
from broker.entitle.snapshot import Snapshot
from broker.errors import BrokerError, NotSignedIn, TooManyAttempts, Unavailable
from broker.evaluate.condition import Circumstances
from broker.issue.console import Console
from broker.issue.issuer import Issuer, IssueRefused
from broker.issue.limit import LeaseLimit
from broker.record.event import Event, Outcome, Tag
from broker.record.trail import Trail
from broker.sessions.grants import Grants
from broker.sessions.habits import HabitStore
from broker.sessions.handoff import HandOffs
from broker.sessions.people import PeopleStore
from broker.sessions.session import Session, Sessions

NOTHING: Mapping[str, str] = MappingProxyType({})
FIELDS = frozenset(Event.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How old account state and groups may be when credentials are issued."""

    limit: timedelta = timedelta(seconds=60)
    outage_grace: timedelta = timedelta(minutes=5)
    """Only while no controller can be asked at all."""
    outage_grace_of_role: Mapping[str, timedelta]
    """By the role's name in the mapping document; overrides `outage_grace`."""

    def grace(self, role: str) -> timedelta:
        """The grace for the role `account/role`."""
        return self.outage_grace_of_role.get(role.rpartition("/")[2], self.outage_grace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the corridor is made of; `app/` puts it together."""

    clock: Clock
    new_id: Callable[[], str]
    providers: Mapping[str, PasswordProvider]
    people: PeopleStore
    sessions: Sessions
    grants: Grants
    factors: Mapping[Method, Factor]
    enrolment: Enrolment
    recovery: RecoveryCodes
    mapping: Callable[[], Snapshot]
    """The snapshot in force."""
    issuer: Issuer
    console: Console
    hand_offs: HandOffs
    lease_limit: LeaseLimit
    habits: HabitStore
    trail: Trail
    freshness: Freshness


def record(
    parts: Parts,
    tag: Tag,
    outcome: Outcome,
    circumstances: Circumstances,
    proof: Proof | None = None,
    note: Mapping[str, str] = NOTHING,
) -> None:
    """Write one event: who (from `proof`), from where, and `note`; what is no field of `Event` goes to its details."""
    actor = who(proof) if proof else {}
    fields = {**actor, **{key: value for key, value in note.items() if key in FIELDS}}
    event = Event(
        tag=tag,
        outcome=outcome,
        at=parts.clock(),
        id=parts.new_id(),
        address=str(circumstances.address or ""),
        request_id=circumstances.request_id,
        details={key: value for key, value in note.items() if key not in FIELDS},
        **fields,
    )
    parts.trail.record(event)


def factor_event(
    parts: Parts, tag: Tag, circumstances: Circumstances, proof: Proof, method: Method, no: BrokerError
) -> None:
    """What was wrong with a factor: told apart in the trail only."""
    note = {"method": method.value, "reason": reason_of(no)}
    record(parts, tag, outcome_of(no), circumstances, proof, note)


def limited(parts: Parts, proof: Proof, circumstances: Circumstances, note: Mapping[str, str]) -> None:
    """Count a lease, or a link to one: who may have one may not have any number. Raises `TooManyAttempts`."""
    try:
        parts.lease_limit.take(proof.person, circumstances.now)
    except TooManyAttempts as no:
        note = {**note, "reason": reason_of(no)}
        record(parts, Tag.CREDENTIALS_RATE_LIMITED, Outcome.DENIED, circumstances, proof, note)
        raise


def who(proof: Proof) -> dict[str, str]:
    """The fields of an event that say who acted."""
    return {
        "actor": proof.person,
        "actor_name": proof.identity.username,
        "provider": proof.identity.provider,
        "subject": proof.identity.subject,
        "session_name": proof.session_name,
    }


def outcome_of(no: BrokerError) -> Outcome:
    """Whether a rule said no, or nobody could be asked."""
    return Outcome.FAILED if isinstance(no, Unavailable) else Outcome.DENIED


def reason_of(no: BrokerError) -> str:
    """Why not, as the trail has it: what the error tells a stranger is less."""
    match no:
        case SignInRefused() | FactorRefused():
            return no.reason.value
        case IssueRefused():
            return no.aws_code or no.code
        case _:
            return no.code


def proof_of(session: Session) -> Proof:
    """What a session has established; raises `NotSignedIn` before the password."""
    proof = session.proof
    if proof is None:
        message = "Nobody is signed in here."
        raise NotSignedIn(message, remedy="Sign in first.")
    return proof
