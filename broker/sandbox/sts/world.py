"""The IAM behind the sandbox's STS: which users, keys, roles and managed policies exist, and what their policies say.

A `World` is a frozen value: IAM changes by giving `SandboxSts.world` another one. Every policy is the JSON text that
one would give to AWS; text that AWS would refuse is refused here, when the world is built, with a `ValueError`.
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from broker.sandbox.sts.conditions import MalformedPolicy
from broker.sandbox.sts.policy import Kind, parse

Random = Callable[[int], bytes]
"""Gives that many unguessable bytes."""

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):(?P<kind>user|role)/(?P<path>(?:[!-.0-~]+/)*)"
    r"(?P<name>[A-Za-z0-9_+=,.@-]{1,64})"
)
_SHORTEST, _LONGEST = timedelta(hours=1), timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A long-term key pair (`AKIA...`)."""

    id: str
    secret: str = field(repr=False)
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An IAM user; `policy` is its identity policy, empty for none."""

    arn: str
    keys: tuple[AccessKey, ...] = ()
    policy: str = ""

    def __post_init__(self) -> None:
        """Refuse what IAM would not have stored."""
        _check_arn(self.arn, "user")
        _check_policy(self.policy, Kind.IDENTITY, self.arn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """An account's root user with an access key: what nobody should have, here so that its refusal can be tested."""

    account: str
    keys: tuple[AccessKey, ...]
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """`arn:aws:iam::ACCOUNT:root`."""
        return f"arn:{self.partition}:iam::{self.account}:root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """An IAM role. `trust` says who may assume it, `policy` what it may do itself (to chain into another role)."""

    arn: str
    trust: str
    max_session: timedelta = _SHORTEST
    policy: str = ""

    def __post_init__(self) -> None:
        """Refuse what IAM would not have stored."""
        _check_arn(self.arn, "role")
        _check_policy(self.trust, Kind.TRUST, self.arn)
        _check_policy(self.policy, Kind.IDENTITY, self.arn)
        if not self.trust:
            message = f"{self.arn} has no trust policy"
            raise ValueError(message)
        if not _SHORTEST <= self.max_session <= _LONGEST:
            message = f"{self.arn}: MaxSessionDuration is 1 to 12 hours"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that exists. `managed` holds the managed policies: ARN to policy text."""

    users: tuple[User, ...] = ()
    roots: tuple[Root, ...] = ()
    roles: tuple[Role, ...] = ()
    managed: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse two things of one name, one key of two owners, and a broken managed policy."""
        owners: tuple[User | Root, ...] = (*self.users, *self.roots)
        keys = [key.id for owner in owners for key in owner.keys]
        arns = [*(owner.arn for owner in owners), *(role.arn for role in self.roles)]
        for what, names in (("access key", keys), ("ARN", arns)):
            if len(set(names)) != len(names):
                message = f"the same {what} stands twice in this world"
                raise ValueError(message)
        for arn, text in self.managed.items():
            _check_policy(text, Kind.IDENTITY, arn)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRole:
    """What the demo says about one role; `demo_world` makes its trust policy."""

    account: str
    name: str
    """With its path, if any: `team/Deploy`."""
    external_id: str = ""
    max_session: timedelta = _SHORTEST
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """The role's ARN."""
        return f"arn:{self.partition}:iam::{self.account}:role/{self.name}"


def demo_world(
    roles: Iterable[DemoRole],
    *,
    broker_user_arn: str,
    broker_role_arn: str = "",
    key: AccessKey | None = None,
    managed: Mapping[str, str] | None = None,
) -> World:
    """The world of a broker that may assume `roles`, as one would set it up by its documents.

    The broker is the user `broker_user_arn` with `key` (a new one by default), and also the role `broker_role_arn`
    where one is given (its sessions come from `SandboxSts.session_for`, as from an instance profile). Each role trusts
    exactly these, demands its external id, a source identity and a session name, and allows session tags. The broker's
    account has a root key too, so that its refusal can be shown.
    """
    wanted = tuple(roles)
    brokers = [broker_user_arn, *([broker_role_arn] if broker_role_arn else [])]
    found = _ARN.fullmatch(broker_user_arn)
    if found is None:
        message = "broker_user_arn is the ARN of an IAM user"
        raise ValueError(message)
    policy = allow(["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], [role.arn for role in wanted])
    own = [Role(arn=broker_role_arn, trust=_SERVICE_TRUST, policy=policy)] if broker_role_arn else []
    return World(
        users=(User(arn=broker_user_arn, keys=(key or new_access_key(),), policy=policy),),
        roots=(Root(account=found["account"], partition=found["partition"], keys=(new_access_key(),)),),
        roles=(
            *own,
            *(Role(arn=r.arn, trust=broker_trust(brokers, r.external_id), max_session=r.max_session) for r in wanted),
        ),
        managed=managed or {},
    )


_SERVICE_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


def broker_trust(principals: list[str], external_id: str = "") -> str:
    """The trust policy that a broker's role should have: these callers, this external id, always a source identity."""
    conditions: dict[str, object] = {"StringLike": {"sts:SourceIdentity": "*", "sts:RoleSessionName": "*"}}
    assume = conditions | ({"StringEquals": {"sts:ExternalId": external_id}} if external_id else {})
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": principals}, "Action": "sts:AssumeRole", "Condition": assume},
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": principals},
                    "Action": ["sts:TagSession", "sts:SetSourceIdentity"],
                },
            ],
        }
    )


def allow(actions: list[str], resources: list[str]) -> str:
    """An identity policy that allows `actions` on `resources`; with no resources it allows nothing (empty text)."""
    if not resources:
        return ""
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def new_access_key(random: Random = secrets.token_bytes, *, prefix: str = "AKIA") -> AccessKey:
    """A key pair of AWS's own shape: 20 characters, base32 after the prefix; a secret of 40 characters, 240 bits."""
    return AccessKey(
        id=prefix + base64.b32encode(random(10)).decode(),
        secret=base64.b64encode(random(30)).decode(),
    )


def unique_id(prefix: str, arn: str) -> str:
    """The stable unique id (`AIDA...` of a user, `AROA...` of a role) that this world gives to `arn`."""
    return prefix + base64.b32encode(hashlib.sha256(arn.encode()).digest()).decode()[:17]


def _check_arn(arn: str, kind: str) -> None:
    found = _ARN.fullmatch(arn)
    if found is None or found["kind"] != kind:
        message = f"{arn!r} is not the ARN of an IAM {kind}"
        raise ValueError(message)


def _check_policy(text: str, kind: Kind, owner: str) -> None:
    if not text:
        return
    try:
        parse(text, kind)
    except MalformedPolicy as error:
        message = f"{owner}: {error}"
        raise ValueError(message) from error
