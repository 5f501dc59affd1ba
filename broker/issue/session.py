"""From a `Permit` to the AssumeRole request: the session's name, source identity, tags and duration.

Everything comes from what the broker knows itself; nothing that a client typed gets in, but for a shorter duration.
Every limit of AWS is checked here, before the call (botocore's service model for STS; IAM User Guide, "Passing session
tags in AWS STS"), with ASCII patterns: to Python a letter is much that AWS does not take.

The session name and the source identity are the person's session name and nothing else: readable in CloudTrail, never
given to two people, the same in each of their sessions. What tells sessions apart is the tag `broker:lease`. No tag is
transitive: what is true of this session need not be true of one that is chained from it (the source identity stays).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Any

from broker.evaluate.verdict import Permit
from broker.issue.issuer import IssueRefused

SHORTEST = timedelta(minutes=15)
LONGEST = timedelta(hours=12)
LONGEST_CHAINED = timedelta(hours=1)
"""AWS's cap on a session that is asked for with a role's own credentials (role chaining)."""
REVISION_SHOWN = 16
"""Characters of the mapping revision in its tag: enough to find it, frugal with AWS's packed size."""

SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
EXTERNAL_ID = re.compile(r"[\w+=,.@:\/-]{2,1224}", re.ASCII)
TAG_KEY = re.compile(r"[\w .:/=+@-]{1,128}", re.ASCII)
TAG_VALUE = re.compile(r"[\w .:/=+@-]{0,256}", re.ASCII)
ROLE_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role/(?P<path>([!-.0-~]{1,510}/)*)(?P<name>[\w+=,.@-]{1,64})",
    re.ASCII,
)
_MAPPING = "Correct the mapping document, and check it with `broker mappings validate`."
_BROKER = "This is a fault of the broker or its configuration; tell its operators."


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """What AWS is asked for."""

    role_arn: str
    session_name: str
    """Also the source identity."""
    tags: tuple[tuple[str, str], ...]
    seconds: int
    chained: bool
    """Whether the broker asks with a role's own credentials."""
    external_id: str = field(default="", repr=False)

    @property
    def assumed_role_arn(self) -> str:
        """The ARN that the session will have in AWS: without the role's path."""
        found = ROLE_ARN.fullmatch(self.role_arn)
        if found is None:
            message = f"not checked: {self.role_arn!r}"
            raise ValueError(message)
        partition, account, name = found["partition"], found["account"], found["name"]
        return f"arn:{partition}:sts::{account}:assumed-role/{name}/{self.session_name}"

    def parameters(self) -> dict[str, Any]:
        """The parameters of AssumeRole, as boto3 wants them."""
        given = {
            "RoleArn": self.role_arn,
            "RoleSessionName": self.session_name,
            "SourceIdentity": self.session_name,
            "DurationSeconds": self.seconds,
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags],
        }
        return given | ({"ExternalId": self.external_id} if self.external_id else {})


def session_request(
    permit: Permit, *, lease: str, asked: timedelta | None, chained: bool, tag_prefix: str
) -> SessionRequest:
    """The request for this permit. Raises `IssueRefused` for whatever AWS would not take.

    The checks: 1. the role's ARN: its shape, and that it is of the entitlement's own account and partition; 2. the
    session name; 3. the external id; 4. the tags; 5. the duration.
    """
    account = permit.entitlement.account
    # (1) the role
    arn = ROLE_ARN.fullmatch(permit.entitlement.role_arn)
    if arn is None or not 20 <= len(arn[0]) <= 2048 or len(arn["path"]) > 511:  # noqa: PLR2004 (AWS's)  # check: role-arn
        message = "The ARN of this role is not one that AWS knows."
        raise IssueRefused(message, remedy=_MAPPING)
    if (arn["account"], arn["partition"]) != (account.id, account.partition):  # check: role-of-account
        message = "The ARN of this role is not in the account that the mapping gives."
        raise IssueRefused(message, remedy=_BROKER)
    # (2) the name
    if not SESSION_NAME.fullmatch(permit.proof.session_name):  # check: session-name
        message = "Your session name is not one that AWS takes."
        raise IssueRefused(message, remedy=_BROKER)
    # (3) the external id
    if account.external_id and not EXTERNAL_ID.fullmatch(account.external_id):  # check: external-id
        message = "The external id of this account is not one that AWS takes."
        raise IssueRefused(message, remedy=_MAPPING)
    return SessionRequest(
        role_arn=permit.entitlement.role_arn,
        session_name=permit.proof.session_name,
        tags=_tags(permit, lease, tag_prefix),  # (4)
        seconds=_seconds(permit, asked, chained=chained),  # (5)
        chained=chained,
        external_id=account.external_id,
    )


def _tags(permit: Permit, lease: str, prefix: str) -> tuple[tuple[str, str], ...]:
    """Six fixed keys (AWS takes 50), values from the server's own data; each within AWS's limits."""
    tags = tuple((prefix + key, value) for key, value in _facts(permit, lease))
    reserved = prefix.lower().startswith("aws:")
    if reserved or not all(TAG_KEY.fullmatch(k) and TAG_VALUE.fullmatch(v) for k, v in tags):  # check: session-tags
        message = "The tags of this session are not ones that AWS takes."
        raise IssueRefused(message, remedy=_BROKER)
    return tags


def _facts(permit: Permit, lease: str) -> Iterator[tuple[str, str]]:
    proof = permit.proof
    factor = proof.latest()
    if factor is None:  # check: issue-without-factor
        message = "No second factor was shown."
        raise IssueRefused(message, remedy="Show a second factor and ask again.")
    yield "lease", lease
    yield "person", proof.person
    yield "provider", proof.identity.provider
    yield "mapping", permit.entitlement.revision[:REVISION_SHOWN]
    yield "mfa", factor.method.value
    yield "mfa-at", f"{factor.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _seconds(permit: Permit, asked: timedelta | None, *, chained: bool) -> int:
    """The least of what was asked, what the role allows and what AWS allows; whole seconds."""
    if asked is not None and asked < SHORTEST:  # check: shortest-session
        message = "AWS gives no session shorter than 15 minutes (900 seconds)."
        raise IssueRefused(message, remedy="Ask for 15 minutes or more.")
    allowed = min(permit.entitlement.role.max_session, LONGEST_CHAINED if chained else LONGEST)
    if allowed < SHORTEST:  # check: shortest-role-session
        message = "The longest session of this role is shorter than AWS's 15 minutes."
        raise IssueRefused(message, remedy=_MAPPING)
    return int((allowed if asked is None else min(asked, allowed)).total_seconds())
