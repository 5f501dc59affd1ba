"""THE CORRIDOR. Whatever the door, a request for AWS goes through these few functions, in this order.

    sign_in -> next_step -> enrol | show_factor -> roles -> lease

Stages decide and never record; this file records and never decides. Only here does a `StepUp` run backwards, by being
returned to the caller. No audit, no credentials: the decision and the issue are both written before anything leaves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from broker.authenticate.identity import Identity
from broker.authenticate.provider import PasswordProvider, SignInRefused
from broker.challenge.factor import Factor, FactorRefused
from broker.challenge.proof import Method, Proof
from broker.clock import Clock
from broker.entitle.entitlement import Entitlement
from broker.entitle.resolve import find, resolve
from broker.entitle.snapshot import Snapshot
from broker.errors import NotFound, NotSignedIn, TooManyAttempts, Unavailable
from broker.evaluate.condition import Circumstances
from broker.evaluate.decide import decide
from broker.evaluate.verdict import Permit, Refusal, StepUp, Verdict
from broker.issue.issuer import Issuer, IssueRefused, Lease
from broker.record.event import Event, Outcome, Tag
from broker.record.trail import Trail
from broker.sessions.people import PeopleStore, recognise
from broker.sessions.session import Session, Sessions


NOTHING: Mapping[str, str] = MappingProxyType({})
FIELDS = frozenset(Event.__dataclass_fields__)


class Next(StrEnum):
    """What a session has to do next."""

    SIGN_IN = "sign-in"
    ENROL = "enrol"
    CHALLENGE = "challenge"
    GO_ON = "go-on"


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
    """What the corridor is made of; `app.py` puts it together."""

    clock: Clock
    new_id: Callable[[], str]
    providers: Mapping[str, PasswordProvider]
    people: PeopleStore
    sessions: Sessions
    factors: Mapping[Method, Factor]
    mapping: Callable[[], Snapshot]
    """The snapshot in force."""
    issuer: Issuer
    trail: Trail
    freshness: Freshness


def next_step(parts: Parts, session: Session | None) -> Next:
    """The one dispatcher: every step of a sign-in comes back here, never to another step."""
    proof = session.proof if session else None
    if proof is None:
        return Next.SIGN_IN
    if proof.latest() is not None:
        return Next.GO_ON
    if any(factor.enrolled(proof.person) for factor in parts.factors.values()):
        return Next.CHALLENGE
    return Next.ENROL


def sign_in(
    parts: Parts, session: Session, *, provider: str, username: str, password: str, circumstances: Circumstances
) -> Session:
    """Establish who it is. The session returned carries the identity; nothing more has been proved.

    Raises what `PasswordProvider.authenticate` raises, and `NotFound` for a provider that is not configured.
    """
    if provider not in parts.providers:
        message = "There is no such identity provider."
        raise NotFound(message)
    try:
        identity = parts.providers[provider].authenticate(username, password)
    except SignInRefused as no:
        note = {"provider": provider, "subject": no.subject, "actor_name": no.username, "reason": no.reason.value}
        record(parts, Tag.SIGN_IN_REFUSED, Outcome.DENIED, circumstances, None, note)
        raise
    except (TooManyAttempts, Unavailable) as error:
        record(
            parts,
            Tag.SIGN_IN_REFUSED,
            Outcome.FAILED,
            circumstances,
            None,
            {"provider": provider, "reason": error.code},
        )
        raise
    person, is_new = recognise(parts.people, identity, new_id=parts.new_id)
    session = session.signed_in(
        person=person.id, session_name=person.session_name, identity=identity, now=parts.clock()
    )
    if is_new:
        record(parts, Tag.PERSON_CREATED, Outcome.DONE, circumstances, session.proof)
    record(parts, Tag.SIGN_IN_SUCCEEDED, Outcome.ALLOWED, circumstances, session.proof)
    return session


def show_factor(
    parts: Parts, session: Session, *, method: Method, answer: str, circumstances: Circumstances
) -> Session:
    """Check a second factor; the session returned carries it.

    Raises what `Factor.check` raises, `NotSignedIn` before the password, `NotFound` for a factor that is not offered.
    """
    proof = _proof(session)
    factor = parts.factors.get(method)
    if factor is None:
        message = "That second factor is not offered here."
        raise NotFound(message)
    try:
        shown = factor.check(proof.person, answer, parts.clock())
    except FactorRefused as no:
        note = {"method": method.value, "reason": no.reason.value}
        record(parts, Tag.FACTOR_REFUSED, Outcome.DENIED, circumstances, proof, note)
        raise
    except (TooManyAttempts, Unavailable) as error:
        note = {"method": method.value, "reason": error.code}
        record(parts, Tag.FACTOR_REFUSED, Outcome.FAILED, circumstances, proof, note)
        raise
    note = {"method": shown.method.value, "factor": shown.factor}
    record(parts, Tag.FACTOR_SHOWN, Outcome.ALLOWED, circumstances, proof, note)
    return replace(session, shown=(*session.shown, shown), seen_at=parts.clock())


def present(parts: Parts, session: Session, circumstances: Circumstances, *, grace: timedelta) -> Proof:
    """The session's proof with account state and groups as they are now (`Freshness.limit` old at most).

    While no controller can be asked, what was read last serves for `grace`. An account that may no longer sign in
    ends the session. Raises `NotSignedIn`, `SignInRefused`, `Unavailable`.
    """
    proof = _proof(session)
    age = circumstances.now - proof.identity.read_at
    if not timedelta(0) <= age <= parts.freshness.limit:  # check: identity-freshness
        return _reread(parts, session, proof, circumstances, grace)
    return proof


def _reread(parts: Parts, session: Session, proof: Proof, circumstances: Circumstances, grace: timedelta) -> Proof:
    provider = parts.providers.get(proof.identity.provider)
    if provider is None:
        parts.sessions.end(session)
        message = "The identity provider of this session is no longer configured."
        raise NotSignedIn(message, remedy="Sign in again.")
    try:
        identity = provider.current(proof.identity)
    except Unavailable:
        age = circumstances.now - proof.identity.read_at
        if not timedelta(0) <= age <= grace:  # check: outage-grace
            raise
        return proof
    except SignInRefused as no:
        parts.sessions.end_all(proof.person)
        record(parts, Tag.SESSION_ENDED, Outcome.DENIED, circumstances, proof, {"reason": no.reason.value})
        raise
    return _keep(parts, session, identity)


def roles(parts: Parts, session: Session, circumstances: Circumstances) -> list[tuple[Entitlement, Verdict]]:
    """Every role that the mapping gives this person, with the verdict of this moment. Grants nothing by itself."""
    proof = present(parts, session, circumstances, grace=parts.freshness.outage_grace)
    found = resolve(parts.mapping(), proof.identity.groups, now=circumstances.now)
    return [(entitlement, decide(proof, entitlement, circumstances)) for entitlement in found]


def lease(
    parts: Parts, session: Session, *, role: str, asked: timedelta | None, circumstances: Circumstances
) -> Lease | Refusal | StepUp:
    """The main job: credentials for `account/role`, or the reason why not.

    Raises `NotSignedIn`, `SignInRefused`, `Unavailable` (directory, STS or audit trail), `IssueRefused`.
    """
    proof = present(parts, session, circumstances, grace=parts.freshness.grace(role))
    circumstances = replace(circumstances, now=parts.clock())
    snapshot = parts.mapping()
    entitlement = find(resolve(snapshot, proof.identity.groups, now=circumstances.now), role)
    verdict = decide(proof, entitlement, circumstances)
    note = {"lease_id": parts.new_id(), "mapping_revision": snapshot.revision, **_about(entitlement, role)}
    match verdict:
        case Permit():
            record(
                parts, Tag.CREDENTIALS_DECIDED, Outcome.ALLOWED, circumstances, proof, {**note, "rule": verdict.grant}
            )
            return _issue(parts, verdict, asked, circumstances, note)
        case Refusal() | StepUp():
            note |= {"reason": verdict.reason, "rule": verdict.rule}
            record(parts, Tag.CREDENTIALS_REFUSED, Outcome.DENIED, circumstances, proof, note)
            return verdict
        case _:
            assert_never(verdict)


def _issue(
    parts: Parts, permit: Permit, asked: timedelta | None, circumstances: Circumstances, note: Mapping[str, str]
) -> Lease:
    """Issue, write it down, and only then let go of it."""
    try:
        issued = parts.issuer.issue(permit, lease=note["lease_id"], asked=asked, now=parts.clock())
    except (IssueRefused, Unavailable) as error:
        code = getattr(error, "aws_code", "") or error.code
        failed = {**note, "reason": code}
        record(parts, Tag.CREDENTIALS_FAILED, Outcome.FAILED, circumstances, permit.proof, failed)
        raise
    note = {
        **note,
        "access_key_id": issued.access_key_id,
        "session_name": issued.session_name,
        "expires_at": issued.expires_at.isoformat(),
        "region": issued.region,
    }
    record(parts, Tag.CREDENTIALS_ISSUED, Outcome.ALLOWED, circumstances, permit.proof, note)
    return issued


def record(
    parts: Parts,
    tag: Tag,
    outcome: Outcome,
    circumstances: Circumstances,
    proof: Proof | None = None,
    note: Mapping[str, str] = NOTHING,
) -> None:
    """Write one event: who (from `proof`), from where, and `note`; what is no field of `Event` goes to its details."""
    who = _who(proof) if proof else {}
    fields = {**who, **{key: value for key, value in note.items() if key in FIELDS}}
    event = Event(
        tag=tag,
        outcome=outcome,
        at=parts.clock(),
        id=parts.new_id(),
        address=str(circumstances.address or ""),
        request_id=circumstances.request_id,
        details={key: value for key, value in note.items() if key not in FIELDS},
        **fields,  # type: ignore[arg-type]  # every other field of Event is text
    )
    parts.trail.record(event)


def _who(proof: Proof) -> dict[str, str]:
    return {
        "actor": proof.person,
        "actor_name": proof.identity.username,
        "provider": proof.identity.provider,
        "subject": proof.identity.subject,
        "session_name": proof.session_name,
    }


def _about(entitlement: Entitlement | None, role: str) -> dict[str, str]:
    if entitlement is None:
        return {"asked_for": role[:128]}
    return {"asked_for": entitlement.key, "account": entitlement.account.id, "role_arn": entitlement.role_arn}


def _proof(session: Session) -> Proof:
    proof = session.proof
    if proof is None:
        message = "Nobody is signed in here."
        raise NotSignedIn(message, remedy="Sign in first.")
    return proof


def _keep(parts: Parts, session: Session, identity: Identity) -> Proof:
    fresh = replace(session, identity=identity)
    if not parts.sessions.keep(fresh):
        message = "This session has ended."
        raise NotSignedIn(message, remedy="Sign in again.")
    return _proof(fresh)
