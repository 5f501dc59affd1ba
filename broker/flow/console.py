"""The console: a lease, as `lease` gives it, that signs in a browser and is seen by nobody.

Its decision and its issue are recorded as for every lease; that it opened the console is recorded under the same lease
id, before the sign-in leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from broker.entitle.entitlement import Entitlement, Rule
from broker.errors import NotFound, Unavailable
from broker.evaluate.condition import Circumstances
from broker.evaluate.verdict import Objection, Refusal, StepUp
from broker.flow import lease, roles
from broker.flow.parts import Parts, limited, proof_of, reason_of, record
from broker.issue.console import SignIn
from broker.issue.destination import Destination
from broker.issue.issuer import IssueRefused, Lease
from broker.record.event import Outcome, Tag
from broker.sessions.handoff import Wish
from broker.sessions.session import Session

_LINK = (
    "A console link works once, within a minute, in a browser where the person who asked for it is signed in. Run "
    "`aws-broker console` again, or choose the role among yours."
)
NOT_GIVEN = Refusal(condition="mapping", rule="", reason="No mapping gives you this role.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A hand-off to the browser of the same person."""

    token: str
    ends_at: datetime


def console(
    parts: Parts, session: Session, *, role: str, destination: Destination, circumstances: Circumstances
) -> SignIn | Refusal | StepUp:
    """The main job by the other door: a sign-in to the console for `account/role`, or the reason why not.

    Raises what `lease` raises; `IssueRefused` and `Unavailable` also for AWS's sign-in.
    """
    issued = lease(parts, session, role=role, asked=None, circumstances=circumstances)
    if not isinstance(issued, Lease):
        return issued
    proof = proof_of(session)
    note = {
        "lease_id": issued.id,
        "access_key_id": issued.access_key_id,
        "account": issued.account,
        "role_arn": issued.role_arn,
        "asked_for": role,
        **_where(destination.service, destination.region),
    }
    try:
        opened = parts.console.open(issued, destination)
    except (IssueRefused, Unavailable) as error:
        record(parts, Tag.CONSOLE_FAILED, Outcome.FAILED, circumstances, proof, {**note, "reason": reason_of(error)})
        raise
    record(parts, Tag.CONSOLE_OPENED, Outcome.ALLOWED, circumstances, proof, note)
    return opened


def look(
    parts: Parts, session: Session, *, role: str, circumstances: Circumstances
) -> tuple[Entitlement | None, Rule | Objection]:
    """What would be decided about this role now, for a page to say. Grants nothing, and is not recorded.

    No entitlement comes with the refusal of a role that the person does not have, whether there is such a role or not.
    """
    found = roles(parts, session, circumstances, only=role)
    return next(((mine, verdict) for mine, verdict in found if mine.key == role), (None, NOT_GIVEN))


def hand_off(
    parts: Parts, session: Session, *, role: str, destination: Destination, circumstances: Circumstances
) -> Link | Refusal:
    """A link that opens the console in a browser in which the same person is signed in; a refusal if that is no use.

    A step-up is no refusal: it is done in the browser. What opens is decided there. Raises what `roles` raises.
    """
    _, verdict = look(parts, session, role=role, circumstances=circumstances)
    if isinstance(verdict, Refusal):
        return verdict
    proof = proof_of(session)
    limited(parts, proof, circumstances, {"asked_for": role})
    wish = Wish(role=role, service=destination.service, region=destination.region)
    where = _where(wish.service, wish.region)
    record(parts, Tag.CONSOLE_LINK_CREATED, Outcome.DONE, circumstances, proof, {"asked_for": role, **where})
    token, ends_at = parts.hand_offs.make(session, wish, parts.clock())
    return Link(token=token, ends_at=ends_at)


def wish(parts: Parts, session: Session, token: str) -> Wish:
    """What stands behind a link, for its own person. Raises `NotFound`, the same for every reason."""
    return _there(parts.hand_offs.find(token, proof_of(session).person, parts.clock()))


def use(parts: Parts, session: Session, token: str) -> Wish:
    """The same, once: the link is used up. Raises `NotFound`, also for the second of two."""
    return _there(parts.hand_offs.use(token, proof_of(session).person, parts.clock()))


def _there(found: Wish | None) -> Wish:
    if found is None:
        message = "This link does not work here."
        raise NotFound(message, remedy=_LINK)
    return found


def _where(service: str, region: str) -> Mapping[str, str]:
    return {key: value for key, value in (("service", service), ("console_region", region)) if value}
