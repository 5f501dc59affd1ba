"""How an `aws-broker` program is signed in, through the same corridor: asked, answered, and written down.

What a stranger sends to the token endpoint and what is nobody's is not recorded: there is no person to name. The end of
a grant is written down before the grant ends: while the trail is away it stays (and gives no credentials: no audit, no
credentials), and whoever comes again, the thief as well, is written down then.
"""

from dataclasses import replace

from broker.evaluate.condition import Circumstances
from broker.flow import present
from broker.flow.parts import Parts, proof_of, record
from broker.record.event import Outcome, Tag
from broker.sessions.grants import DEVICE, GrantRefused, Tokens, Why, grant_id
from broker.sessions.session import Session

DENIED = "the person said no"
LOGGED_OUT = "logged out"
DISPLACED = "more grants than a person may have"


def authorize(
    parts: Parts, session: Session, *, challenge: str, redirect_uri: str, device: str, circumstances: Circumstances
) -> str:
    """The person says yes: a code for the program. Raises what `present` raises, and `NotSignedIn`."""
    proof = present(parts, session, circumstances, grace=parts.freshness.outage_grace)
    session = replace(session, identity=proof.identity)
    now = parts.clock()
    code, errand = parts.grants.code(session, challenge=challenge, redirect_uri=redirect_uri, device=device, now=now)
    record(parts, Tag.CLI_AUTHORIZED, Outcome.ALLOWED, circumstances, proof, _about(errand))
    return code


def refuse(parts: Parts, session: Session, *, device: str, circumstances: Circumstances) -> None:
    """The person says no."""
    note = {"device": device, "reason": DENIED}
    record(parts, Tag.CLI_REFUSED, Outcome.DENIED, circumstances, proof_of(session), note)


def redeem(
    parts: Parts, code: str, *, verifier_challenge: str, redirect_uri: str, circumstances: Circumstances
) -> Tokens:
    """The program's first tokens. Raises `GrantRefused`, `Unavailable`."""
    try:
        tokens = parts.grants.redeem(
            code,
            verifier_challenge=verifier_challenge,
            redirect_uri=redirect_uri,
            now=parts.clock(),
            address=str(circumstances.address or ""),
        )
    except GrantRefused as no:
        _refused(parts, no, circumstances)
        raise
    for old in tokens.displaced:
        _end(parts, old, circumstances, DISPLACED)
    record(parts, Tag.CLI_SIGNED_IN, Outcome.ALLOWED, circumstances, proof_of(tokens.grant), _about(tokens.grant))
    return tokens


def refresh(parts: Parts, token: str, circumstances: Circumstances) -> Tokens:
    """New tokens for old. Raises `GrantRefused`, `Unavailable`."""
    try:
        return parts.grants.refresh(token, parts.clock(), address=str(circumstances.address or ""))
    except GrantRefused as no:
        _refused(parts, no, circumstances)
        raise


def end(parts: Parts, token: str, circumstances: Circumstances) -> None:
    """Log the program out; nothing happens where the token is nobody's. Raises `Unavailable`."""
    grant = parts.grants.named_by(token, parts.clock())
    if grant is not None:
        _end(parts, grant, circumstances, LOGGED_OUT)


def _refused(parts: Parts, no: GrantRefused, circumstances: Circumstances) -> None:
    """Write it down, and end what was used twice. Raises `Unavailable` instead of the refusal: no tokens either way."""
    if no.session is None:
        return
    reused = no.reason is Why.REUSED
    note = {**_about(no.session), "reason": no.reason.value}
    tag = Tag.CLI_REUSE_DETECTED if reused else Tag.CLI_REFUSED
    record(parts, tag, Outcome.DENIED, circumstances, proof_of(no.session), note)
    if reused:  # check: grant-ended-by-second-use
        parts.grants.end(no.session)


def _end(parts: Parts, grant: Session, circumstances: Circumstances, reason: str) -> None:
    note = {**_about(grant), "reason": reason}
    record(parts, Tag.CLI_ENDED, Outcome.DONE, circumstances, proof_of(grant), note)
    parts.grants.end(grant)


def _about(session: Session) -> dict[str, str]:
    return {"device": session.notes.get(DEVICE, ""), "grant": grant_id(session)}
