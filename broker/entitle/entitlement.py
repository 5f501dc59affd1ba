"""`Entitlement`: one role in one account that the mapping document gives to somebody, and under which conditions.

An entitlement is not a permission: `evaluate/` decides whether its conditions hold now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Protocol

BUILT_IN = "built-in"
"""The name of the rule that every entitlement carries; no rule of the document may have it."""


class Condition(Protocol):
    """What a mapping asks of the moment. `evaluate/` gives it meaning; here it is only carried."""

    @property
    def name(self) -> str:
        """Its key in the document, like `mfa` or `source_ip`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An AWS account, as declared in the document."""

    name: str
    id: str
    """12 digits."""
    env: str = ""
    partition: str = "aws"
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """How a session in a role looks, as declared in the document."""

    name: str
    iam_role: str
    """Path and name of the IAM role, with `{account.…}` not yet filled in."""
    max_session: timedelta
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One named mapping or guardrail as far as it concerns one entitlement: its conditions must all pass."""

    name: str
    where: str
    """`file:line`, for admins."""
    conditions: tuple[Condition, ...]
    owner: str = ""
    """Whom to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """One role in one account: any one of `grants` must pass, and every one of `guardrails`."""

    account: Account
    role: Role
    role_arn: str
    """Built from the account's partition and id and the role's `iam_role`; never named by a client."""
    grants: tuple[Rule, ...]
    """The mappings that give it; an empty one grants nothing."""
    guardrails: tuple[Rule, ...]
    """Always at least the built-in one that asks for a second factor."""
    revision: str
    """Of the mapping document."""

    @property
    def key(self) -> str:
        """`account/role`, as people and programs name it."""
        return f"{self.account.name}/{self.role.name}"
