"""Values for tests: each builder takes only what a test is about, and fills in the rest so that it fits together.

By default it is `NOW`, a Monday noon in winter in Berlin; Ada of corp-ad signed in five minutes ago and showed a TOTP
code four minutes ago; the mapping gives her read-only in payments-dev.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from broker.authenticate.identity import Group, Identity, Kind, PersonId
from broker.challenge.proof import Method, Proof, Shown
from broker.entitle.entitlement import Account, Condition, Entitlement, Role, Rule
from broker.evaluate import BUILT_IN
from broker.evaluate.condition import Circumstances
from broker.evaluate.decide import decide
from broker.evaluate.verdict import Permit

NOW = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def a_group(name: str = "SRE", *, provider: str = "corp-ad", rid: int = 1104, under: str = "OU=Groups") -> Group:
    """An AD security group; another `rid` is another group."""
    return Group(
        provider=provider,
        id=f"S-1-5-21-1004336348-1177238915-682003330-{rid}",
        name=name,
        dn=f"CN={name},{under},DC=corp,DC=example",
    )


def an_identity(
    username: str = "ada",
    *,
    groups: Sequence[Group] = (),
    provider: str = "corp-ad",
    subject: str = "",
    kind: Kind = Kind.PERSON,
    at: datetime = NOW - 5 * MINUTE,
    read_at: datetime | None = None,
) -> Identity:
    """Somebody that the directory knows; the subject follows from the name unless it is given."""
    return Identity(
        provider=provider,
        subject=subject or f"00000000-0000-4000-8000-{username.encode().hex()[:12]:0>12}",
        kind=kind,
        username=username,
        display_name=username.title(),
        email=f"{username}@corp.example",
        groups=frozenset(groups or [a_group()]),
        authenticated_at=at,
        read_at=read_at or at,
    )


def shown(method: Method = Method.TOTP, *, at: datetime = NOW - 4 * MINUTE, factor: str = "factor-1") -> Shown:
    """A second factor that was checked."""
    return Shown(method=method, factor=factor, at=at)


def shown_totp(*, at: datetime = NOW - 4 * MINUTE, factor: str = "factor-1") -> Shown:
    """A TOTP code that was checked."""
    return shown(Method.TOTP, at=at, factor=factor)


def a_proof(
    *factors: Shown, identity: Identity | None = None, person: str = "p-ada", session_name: str = "ada"
) -> Proof:
    """Somebody who showed `factors`; without any, a TOTP code. `a_proof_without_factor` shows nothing."""
    return Proof(
        person=PersonId(person),
        session_name=session_name,
        identity=identity or an_identity(),
        shown=factors or (shown_totp(),),
    )


def a_proof_without_factor(identity: Identity | None = None) -> Proof:
    """Somebody who only typed a password."""
    return replace(a_proof(identity=identity), shown=())


def an_account(
    name: str = "payments-dev",
    *,
    id: str = "210987654321",  # noqa: A002 (the field's own name)
    env: str = "dev",
    partition: str = "aws",
    tags: Mapping[str, str] | None = None,
    external_id: str = "",
) -> Account:
    """An AWS account."""
    return Account(
        name=name,
        id=id,
        env=env,
        partition=partition,
        tags={"team": "payments"} if tags is None else tags,
        external_id=external_id,
    )


def a_role(name: str = "read-only", *, iam_role: str = "federated/ReadOnly", max_session: timedelta = 8 * HOUR) -> Role:
    """A role of the mapping document."""
    return Role(name=name, iam_role=iam_role, max_session=max_session)


def a_rule(name: str = "sre-reads-everything", *conditions: Condition, owner: str = "") -> Rule:
    """A mapping or a guardrail."""
    return Rule(name=name, where="mappings.yaml:1", conditions=conditions, owner=owner)


def the_built_in_guardrail() -> Rule:
    """What every entitlement carries."""
    return Rule(name="built-in", where="built-in", conditions=tuple(BUILT_IN))


def an_entitlement(
    *,
    account: Account | None = None,
    role: Role | None = None,
    role_arn: str = "",
    grants: Sequence[Rule] | None = None,
    guardrails: Sequence[Rule] = (),
    revision: str = "3b1f0c9d2e4a5f60718293a4b5c6d7e8",
) -> Entitlement:
    """One role in one account; `guardrails` come on top of the built-in one."""
    account, role = account or an_account(), role or a_role()
    return Entitlement(
        account=account,
        role=role,
        role_arn=role_arn or f"arn:{account.partition}:iam::{account.id}:role/{role.iam_role}",
        grants=tuple([a_rule()] if grants is None else grants),
        guardrails=(the_built_in_guardrail(), *guardrails),
        revision=revision,
    )


def circumstances(
    *, now: datetime = NOW, address: str | None = "10.1.2.3", tls_version: str = "1.3", request_id: str = "req-1"
) -> Circumstances:
    """The moment of a request; `address=None`: not known."""
    return Circumstances(
        now=now, address=ip_address(address) if address else None, tls_version=tls_version, request_id=request_id
    )


def a_permit(*, proof: Proof | None = None, entitlement: Entitlement | None = None, at: datetime = NOW) -> Permit:
    """A real one, decided at `at`; fails when the proof and the entitlement do not make one."""
    verdict = decide(proof or a_proof(), entitlement or an_entitlement(), circumstances(now=at))
    assert isinstance(verdict, Permit), verdict
    return verdict
