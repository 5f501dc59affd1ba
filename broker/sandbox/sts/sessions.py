"""Who calls, and the temporary credentials that the sandbox has handed out.

Only a digest of each session token is kept. Sessions are bounded: beyond `LIMIT` the oldest is forgotten, which its
holder sees as `InvalidClientTokenId`.
"""

import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from threading import Lock

from broker.sandbox.sts.world import AccessKey, Random, Role, Root, User, World, new_access_key, unique_id

LIMIT = 20_000
TOKEN_PREFIX = "IQoJb3JpZ2luX2Vj"  # noqa: S105 (how every real session token begins, base64 of "!\noriginX_ec")
ORDINARY_TOKEN = 1_024
"""Bytes of a token that carries nothing. Documented: not fixed, typically under 4,096."""
LARGEST_TOKEN = 4_096


class CallerKind(StrEnum):
    """As whom a request comes; the value is the `type` in CloudTrail's userIdentity."""

    USER = "IAMUser"
    ROOT = "Root"
    ROLE = "AssumedRole"
    FEDERATED = "FederatedUser"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What STS hands out."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expiration: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The principal behind a key, long-term or temporary."""

    kind: CallerKind
    partition: str
    account: str
    arn: str
    """As GetCallerIdentity tells it."""
    principal_arn: str
    """`aws:PrincipalArn`: the user or role itself, whose policies apply."""
    user_id: str
    temporary: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: frozenset[str] = frozenset()
    """Keys among `tags`, in lower case, that go along into the next role."""
    source_identity: str = ""
    session_policies: tuple[str, ...] = ()
    issued: datetime | None = None
    by_long_term_key: bool = False
    """Whether these temporary credentials were asked for with a key of a user, and not along a chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Temporary credentials as the sandbox remembers them."""

    caller: Caller
    secret: str = field(repr=False)
    token_digest: bytes = field(repr=False)
    expires: datetime

    def has_secret(self, secret: str) -> bool:
        """Whether `secret` is this session's, in constant time."""
        return hmac.compare_digest(secret.encode(), self.secret.encode())

    def has_token(self, token: str) -> bool:
        """Whether `token` is this session's, in constant time."""
        return hmac.compare_digest(hashlib.sha256(token.encode()).digest(), self.token_digest)


class Sessions:
    """The temporary credentials that are remembered, by access key id. Safe for threads."""

    def __init__(self, random: Random) -> None:
        """Take the source of unguessable bytes."""
        self._random = random
        self._known: OrderedDict[str, Session] = OrderedDict()
        self._lock = Lock()

    def mint(self, caller: Caller, expires: datetime, *, size: int = ORDINARY_TOKEN) -> Credentials:
        """Hand out and remember credentials of `caller`; the token has `size` bytes, unguessable."""
        key = new_access_key(self._random, prefix="ASIA")
        text = base64.b64encode(self._random(size)).decode()
        token = (TOKEN_PREFIX + text)[:size]
        digest = hashlib.sha256(token.encode()).digest()
        session = Session(caller=caller, secret=key.secret, token_digest=digest, expires=expires)
        with self._lock:
            self._known[key.id] = session
            while len(self._known) > LIMIT:
                self._known.popitem(last=False)
        return Credentials(access_key_id=key.id, secret_access_key=key.secret, session_token=token, expiration=expires)

    def get(self, access_key_id: str) -> Session | None:
        """The session of this key, if it is remembered."""
        with self._lock:
            return self._known.get(access_key_id)


class Directory:
    """A `World` with its look-ups made fast."""

    def __init__(self, world: World) -> None:
        """Index `world`."""
        self.world = world
        owners: tuple[User | Root, ...] = (*world.users, *world.roots)
        self.roles: dict[str, Role] = {role.arn: role for role in world.roles}
        self.users: dict[str, User] = {user.arn: user for user in world.users}
        self.keys: dict[str, tuple[User | Root, AccessKey]] = {
            key.id: (owner, key) for owner in owners for key in owner.keys
        }

    def policy_of(self, caller: Caller) -> str | None:
        """The identity policy that applies to `caller` now; None when its user or role is gone."""
        if caller.kind is CallerKind.ROOT:
            return ""
        owner = self.users.get(caller.principal_arn) or self.roles.get(caller.principal_arn)
        return None if owner is None else owner.policy


def long_term_caller(owner: User | Root) -> Caller:
    """The caller behind a long-term key."""
    _, partition, _, _, account, _ = owner.arn.split(":", 5)
    root = isinstance(owner, Root)
    return Caller(
        kind=CallerKind.ROOT if root else CallerKind.USER,
        partition=partition,
        account=account,
        arn=owner.arn,
        principal_arn=owner.arn,
        user_id=account if root else unique_id("AIDA", owner.arn),
    )


def role_caller(role: Role, session_name: str) -> Caller:
    """The caller that a session of `role` is, without tags, source identity and session policies."""
    _, partition, _, _, account, _ = role.arn.split(":", 5)
    return Caller(
        kind=CallerKind.ROLE,
        partition=partition,
        account=account,
        arn=f"arn:{partition}:sts::{account}:assumed-role/{role.arn.rsplit('/', 1)[1]}/{session_name}",
        principal_arn=role.arn,
        user_id=f"{unique_id('AROA', role.arn)}:{session_name}",
        temporary=True,
    )
