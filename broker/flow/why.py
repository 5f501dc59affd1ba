"""WHY DON'T I HAVE IT? What a person may know about one role: which of their groups count, and what stands in the way.

The verdict is the corridor's own. Looking grants nothing and is not recorded, as `broker explain` is not.

What is told, and to whom. Of a role that the person has, or that one of their own groups is meant to give: every rule
that has a part in it. Of another role in an account where they have one: which groups would give it, and whom to ask;
they work there, and must be able to ask for the right thing. Of anything else nothing at all, not even whether it
exists: a role in an account where they have none reads the same as a name that somebody made up, so that nobody can
list the accounts, or learn which groups guard them, by asking. Denies and mappings for other people's groups that make
no difference to this person are never told.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from broker.entitle.resolve import resolve
from broker.entitle.snapshot import Snapshot
from broker.entitle.trace import Line, Part
from broker.errors import NotFound
from broker.evaluate.condition import Circumstances
from broker.evaluate.decide import Answer
from broker.evaluate.verdict import Objection, StepUp
from broker.flow import factors, present
from broker.flow.explain import Explanation, explain
from broker.flow.parts import Parts
from broker.sessions.session import Session

ACCOUNT_ID = re.compile(r"[0-9]{12}", re.ASCII)
OWN = frozenset({Part.GIVES, Part.EXPIRED, Part.REPLACED})
"""The parts by which a mapping concerns somebody in one of its groups."""


class Standing(StrEnum):
    """How a person stands to a role."""

    READY = "ready"
    STEP_UP = "step-up"
    """Given; a fresher or stronger second factor opens it."""
    LOCKED = "locked"
    """Given; a condition says no for now."""
    DENIED = "denied"
    """One of their groups is kept from it, whatever gives it."""
    NOT_GIVEN = "not-given"
    UNKNOWN = "unknown"
    """Not given, or there is no such role: the same to whoever asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The answer."""

    role: str
    """`account/role`; as it was typed where nothing may be told of it."""
    standing: Standing
    objection: Objection | None
    """What the corridor would say; None: yes, or nothing gives it."""
    rules: tuple[Line, ...]
    """Those that may be told; guardrails are among the answers."""
    answers: tuple[Answer, ...]
    """What each condition says; none where nothing gives the role."""
    groups: tuple[str, ...]
    """All of the person's, by name."""
    provider: str
    read_at: datetime
    """When account state and groups were read."""
    mine: tuple[str, ...]
    """Every role that the person has, now or not now."""
    can_prove: bool = False
    """Step-up: whether they have a factor that would do."""

    @property
    def given(self) -> bool:
        """Whether the mapping gives it."""
        return self.standing in {Standing.READY, Standing.STEP_UP, Standing.LOCKED}

    @property
    def owners(self) -> tuple[str, ...]:
        """Whom to ask, as the rules name them; those that object first of all."""
        objecting = {answer.rule for answer in self.answers if answer.objection}
        first = [line.rule.owner for line in self.rules if line.part is Part.DENIES or line.rule.name in objecting]
        return tuple(dict.fromkeys(filter(None, (*first, *(line.rule.owner for line in self.rules)))))


def why(parts: Parts, session: Session, *, role: str, circumstances: Circumstances) -> Why:
    """How the person of this session stands to `role`: `account/role`, with the account's name or number, or an ARN.

    Raises what `present` raises; never `NotFound`.
    """
    proof = present(parts, session, circumstances, grace=parts.freshness.outage_grace)
    snapshot, groups = parts.mapping(), proof.identity.groups
    mine = tuple(found.key for found in resolve(snapshot, groups, now=circumstances.now))
    key = key_of(snapshot, role)
    try:
        explanation = explain(snapshot, proof, role=key, circumstances=circumstances)
    except NotFound:
        explanation = None
    about = Why(
        role=role,
        standing=Standing.UNKNOWN,
        objection=None,
        rules=(),
        answers=(),
        groups=tuple(sorted({group.name for group in groups}, key=str.casefold)),
        provider=proof.identity.provider,
        read_at=proof.identity.read_at,
        mine=mine,
    )
    if not _may_know(mine, key, explanation):  # check: why-of-a-foreign-account
        return about
    if explanation is None:
        return replace(about, role=key, standing=Standing.NOT_GIVEN)
    found = _explained(replace(about, role=key), explanation)
    wanted = found.objection.methods if isinstance(found.objection, StepUp) else frozenset()
    return replace(found, can_prove=any(factor.method in wanted for factor in factors(parts, session)))


def key_of(snapshot: Snapshot, asked: str) -> str:
    """`account/role` for whatever way a role was named; text that names none stays as it is."""
    accounts, roles = snapshot.catalogue.accounts, snapshot.catalogue.roles
    if asked.startswith("arn:"):
        of_account = (name for name, account in accounts.items() if f"::{account.id}:" in asked)
        keys = ((account, role) for account in of_account for role in roles)
        return next(("/".join(key) for key in keys if _arn(snapshot, *key) == asked), asked)
    account, slash, role = asked.replace(":", "/", 1).partition("/")
    if slash and ACCOUNT_ID.fullmatch(account):
        return next((f"{name}/{role}" for name, own in accounts.items() if own.id == account), asked)
    return asked


def _arn(snapshot: Snapshot, account: str, role: str) -> str:
    """Empty where the account lacks what the role's ARN is made of."""
    try:
        return snapshot.catalogue.role_arn(account, role)
    except ValueError:
        return ""


def _may_know(mine: Iterable[str], key: str, explanation: Explanation | None) -> bool:
    """Whether one of the person's own groups is meant to give this role, or gives any in its account."""
    lines = explanation.trace.lines if explanation else ()
    if any(line.by and line.part in OWN for line in lines):
        return True
    account = key.partition("/")[0]
    return any(own.partition("/")[0] == account for own in mine)


def _standing(explanation: Explanation) -> Standing:
    if explanation.allowed:
        return Standing.READY
    if explanation.trace.entitlement is not None:
        return Standing.STEP_UP if isinstance(explanation.objection, StepUp) else Standing.LOCKED
    denied = any(line.part is Part.DENIES for line in explanation.trace.lines)
    given = any(line.part is Part.GIVES for line in explanation.trace.lines)
    return Standing.DENIED if denied and given else Standing.NOT_GIVEN


def _explained(about: Why, explanation: Explanation) -> Why:
    """What may be told. Of several mappings that give it the one that passes is enough, where one does."""
    given = explanation.trace.entitlement is not None
    passing = explanation.grant
    return replace(
        about,
        standing=_standing(explanation),
        objection=explanation.objection if given else None,
        rules=tuple(_told(explanation, given=given)),
        answers=tuple(one for one in explanation.answers if one.guardrail or not passing or one.rule == passing),
    )


def _told(explanation: Explanation, *, given: bool) -> Iterator[Line]:
    """The rules that make, or would make, a difference to this person."""
    for line in explanation.trace.lines:
        of_others = line.part is Part.NO_GROUP and not given
        own = bool(line.by) and line.part in {*OWN, Part.DENIES}
        if own or of_others or (line.part is Part.GUARDS and given):
            yield line
