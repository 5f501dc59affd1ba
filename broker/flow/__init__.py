"""THE CORRIDOR. Whatever the door, a request for AWS goes through these few functions, in this order.

    sign_in -> next_step -> enrol | show_factor -> roles -> lease

Stages decide and never record; this file records and never decides. Only here does a `StepUp` run backwards, by being
returned to the caller. No audit, no credentials: the decision and the issue are both written before anything leaves.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import assert_never

from broker.authenticate.identity import Identity
from broker.authenticate.provider import Known, SignInRefused, TooManyPasswords, a_stranger
from broker.challenge.enrol import Asks
from broker.challenge.factor import Factor, FactorRefused
from broker.challenge.proof import Method, Proof
from broker.challenge.totp import PendingEnrolment
from broker.entitle.entitlement import Entitlement
from broker.entitle.resolve import find, replaced_groups, resolve
from broker.errors import NotFound, NotSignedIn, TooManyAttempts, Unavailable
from broker.evaluate.condition import Circumstances
from broker.evaluate.decide import Weighed, decide, weigh_all
from broker.evaluate.verdict import Permit, Refusal, StepUp
from broker.flow.habits import note_use
from broker.flow.parts import Freshness, Parts, factor_event, limited, outcome_of, proof_of, reason_of, record
from broker.flow.sessions import end_here, end_refused, make_room
from broker.issue.issuer import IssueRefused, Lease
from broker.keys import KeyringError
from broker.record.event import Outcome, Tag
from broker.sessions.people import Person, recognise
from broker.sessions.session import Session

__all__ = [
    "Freshness",
    "Next",
    "Parts",
    "enrol",
    "enrolment",
    "factors",
    "lease",
    "next_step",
    "present",
    "roles",
    "show_factor",
    "sign_in",
    "sign_out",
]

log = logging.getLogger(__name__)


class Next(StrEnum):
    """What a session has to do next."""

    SIGN_IN = "sign-in"
    ENROL = "enrol"
    CHALLENGE = "challenge"
    GO_ON = "go-on"


def next_step(parts: Parts, session: Session | None) -> Next:
    """The one dispatcher: every step of a sign-in comes back here, never to another step."""
    if session is None or session.proof is None:
        return Next.SIGN_IN
    if session.proof.latest() is not None:
        return Next.GO_ON
    return Next.CHALLENGE if factors(parts, session) else Next.ENROL


def factors(parts: Parts, session: Session) -> list[Factor]:
    """The second factors that the person of this session can be asked for; raises `NotSignedIn` before the password."""
    person = proof_of(session).person
    return [factor for factor in parts.factors.values() if factor.enrolled(person)]


def sign_in(
    parts: Parts,
    session: Session,
    *,
    provider: str,
    username: str,
    password: str,
    circumstances: Circumstances,
    known: Known = a_stranger,
) -> Session:
    """Establish who it is, in a browser of which `known` tells. The session returned carries no more than the identity.

    Raises what `PasswordProvider.authenticate` raises, and `NotFound` for a provider that is not configured.
    """
    if provider not in parts.providers:
        message = "There is no such identity provider."
        raise NotFound(message)
    try:
        identity = parts.providers[provider].authenticate(username, password, known)
    except (SignInRefused, TooManyPasswords, Unavailable) as no:
        whose = {} if isinstance(no, Unavailable) else {"subject": no.subject, "actor_name": no.username}
        note = {"provider": provider, "reason": reason_of(no), **whose}
        record(parts, Tag.SIGN_IN_REFUSED, outcome_of(no), circumstances, None, note)
        raise
    person, is_new = _recognised(parts, identity, circumstances)
    session = session.signed_in(
        person=person.id, session_name=person.session_name, identity=identity, now=parts.clock()
    )
    make_room(parts, session, circumstances)
    if is_new:
        record(parts, Tag.PERSON_CREATED, Outcome.DONE, circumstances, session.proof)
    record(parts, Tag.SIGN_IN_SUCCEEDED, Outcome.ALLOWED, circumstances, session.proof, _replaced(parts, identity))
    return session


def _recognised(parts: Parts, identity: Identity, circumstances: Circumstances) -> tuple[Person, bool]:
    try:
        return recognise(parts.people, identity, new_id=parts.new_id)
    except (KeyringError, Unavailable) as no:  # altered in the store, or the store is away
        whose = {"provider": identity.provider, "subject": identity.subject, "actor_name": identity.username}
        record(parts, Tag.SIGN_IN_REFUSED, Outcome.FAILED, circumstances, None, {"reason": no.code, **whose})
        raise


def show_factor(
    parts: Parts, session: Session, *, method: Method, answer: str, circumstances: Circumstances
) -> Session:
    """Check a second factor; the session returned carries it.

    Raises what `Factor.check` raises, `NotSignedIn` before the password, `NotFound` for a factor that is not offered.
    """
    proof = proof_of(session)
    factor = parts.factors.get(method)
    if factor is None:
        message = "That second factor is not offered here."
        raise NotFound(message)
    try:
        shown = factor.check(proof.person, answer, parts.clock())
    except (FactorRefused, TooManyAttempts, Unavailable) as no:
        factor_event(parts, Tag.FACTOR_REFUSED, circumstances, proof, method, no)
        raise
    note = {"method": shown.method.value, "factor": shown.factor}
    record(parts, Tag.FACTOR_SHOWN, Outcome.ALLOWED, circumstances, proof, note)
    return replace(session, shown=(*session.shown, shown), seen_at=parts.clock())


def enrolment(
    parts: Parts, session: Session, sealed: str, circumstances: Circumstances
) -> tuple[PendingEnrolment, Asks]:
    """The enrolment page's content: the one under way in `sealed`, or a new one; and what it asks for.

    Raises `FactorRefused` when this person may not enrol now (the password was shown too long ago); that ends the
    session, so that the next step is the password. Raises `Unavailable`.
    """
    proof, now = proof_of(session), parts.clock()
    asks = parts.enrolment.asks(proof.person)
    if sealed:
        try:
            return parts.enrolment.resume(proof, sealed, now), asks
        except FactorRefused:
            pass  # it ran out: begin anew
    try:
        return parts.enrolment.begin(proof, now), asks
    except FactorRefused as no:
        sign_out(parts, session, circumstances, reason=no.reason.value)
        raise


def enrol(
    parts: Parts, session: Session, *, sealed: str, answer: str, enrolment_code: str, circumstances: Circumstances
) -> tuple[Session, Sequence[str]]:
    """Keep the factor that was just confirmed; the session carries it as shown. With it come ten recovery codes.

    The account must still be one that may sign in, with no grace while nobody can tell; and what is about to happen is
    recorded before anything is kept. Raises what `present` and `Enrolment.complete` raise.
    """
    proof = present(parts, session, circumstances, grace=timedelta(0))
    session = replace(session, identity=proof.identity)
    record(parts, Tag.FACTOR_ENROLMENT_STARTED, Outcome.DONE, circumstances, proof, {"method": Method.TOTP.value})
    try:
        enrolled = parts.enrolment.complete(proof, sealed, answer, parts.clock(), enrolment_code=enrolment_code)
    except (FactorRefused, TooManyAttempts, Unavailable) as no:
        factor_event(parts, Tag.FACTOR_ENROLMENT_REFUSED, circumstances, proof, Method.TOTP, no)
        raise
    shown = enrolled.shown
    note = {"method": shown.method.value, "factor": shown.factor, "enrolment_code": enrolled.enrolment_code}
    record(parts, Tag.FACTOR_ENROLLED, Outcome.DONE, circumstances, proof, note)
    codes = parts.recovery.renew(proof.with_shown(shown), parts.clock())
    record(parts, Tag.RECOVERY_CODES_CREATED, Outcome.DONE, circumstances, proof)
    return replace(session, shown=(*session.shown, shown), seen_at=parts.clock()), codes


def sign_out(parts: Parts, session: Session, circumstances: Circumstances, *, reason: str = "signed out") -> None:
    """End this session, on every instance."""
    parts.sessions.end(session)
    record(parts, Tag.SESSION_ENDED, Outcome.DONE, circumstances, session.proof, {"reason": reason})


def present(parts: Parts, session: Session, circumstances: Circumstances, *, grace: timedelta) -> Proof:
    """The session's proof with account state and groups as they are now (`Freshness.limit` old at most).

    While no controller can be asked, what was read last serves for `grace`. An account that may no longer sign in
    ends the session. Raises `NotSignedIn`, `SignInRefused`, `Unavailable`.
    """
    proof = proof_of(session)
    age = circumstances.now - proof.identity.read_at
    if not timedelta(0) <= age <= parts.freshness.limit:  # check: identity-freshness
        return _reread(parts, session, proof, circumstances, grace)
    return proof


def _reread(parts: Parts, session: Session, proof: Proof, circumstances: Circumstances, grace: timedelta) -> Proof:
    provider = parts.providers.get(proof.identity.provider)
    if provider is None:
        end_here(parts, session, circumstances, "provider-not-configured")
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
        end_refused(parts, session, circumstances, no.reason)
        raise
    return _keep(parts, session, identity)


def roles(parts: Parts, session: Session, circumstances: Circumstances, only: str | None = None) -> list[Weighed]:
    """What the mapping gives this person (or the one role `only`), and what is to be said of it now. Grants nothing."""
    proof = present(parts, session, circumstances, grace=parts.freshness.outage_grace)
    found = resolve(parts.mapping(), proof.identity.groups, now=circumstances.now, only=only)
    return weigh_all(proof, found, circumstances)


def lease(
    parts: Parts, session: Session, *, role: str, asked: timedelta | None, circumstances: Circumstances
) -> Lease | Refusal | StepUp:
    """The main job: credentials for `account/role`, or the reason why not.

    Raises `NotSignedIn`, `SignInRefused`, `TooManyAttempts` (leases), `Unavailable` (directory, stores, STS or audit
    trail), `IssueRefused`.
    """
    proof = present(parts, session, circumstances, grace=parts.freshness.grace(role))
    circumstances = replace(circumstances, now=parts.clock())
    snapshot = parts.mapping()
    entitlement = find(resolve(snapshot, proof.identity.groups, now=circumstances.now, only=role), role)
    verdict = decide(proof, entitlement, circumstances)
    note = {"lease_id": parts.new_id(), "mapping_revision": snapshot.revision, **_about(entitlement, role)}
    match verdict:
        case Permit():
            limited(parts, proof, circumstances, note)
            decided = {**note, "rule": verdict.grant}
            record(parts, Tag.CREDENTIALS_DECIDED, Outcome.ALLOWED, circumstances, proof, decided)
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
        failed = {**note, "reason": reason_of(error)}
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
    note_use(parts, permit.proof.person, permit.entitlement.key)
    return issued


def _about(entitlement: Entitlement | None, role: str) -> dict[str, str]:
    if entitlement is None:
        return {"asked_for": role[:128]}
    return {"asked_for": entitlement.key, "account": entitlement.account.id, "role_arn": entitlement.role_arn}


def _replaced(parts: Parts, identity: Identity) -> dict[str, str]:
    """Groups of the document whose DN another group bears by now: they grant nothing, and somebody should know."""
    found = replaced_groups(parts.mapping(), identity.groups)
    if not found:
        return {}
    names = ", ".join(sorted({name for name, _ in found}))
    log.warning("groups of the mapping document were replaced in the directory and grant nothing: %s", names)
    return {"replaced_groups": names}


def _keep(parts: Parts, session: Session, identity: Identity) -> Proof:
    fresh = parts.sessions.change(session, lambda kept: replace(kept, identity=identity))
    if fresh is None:  # check: reread-of-an-ended-session
        message = "This session has ended."
        raise NotSignedIn(message, remedy="Sign in again.")
    return proof_of(fresh)
