"""The contract of an issuer, and `Lease`: what leaves the house."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from broker.errors import BrokerError
from broker.evaluate.verdict import Permit


class IssueRefused(BrokerError):
    """AWS, or our own check of AWS's limits, says no: final, not worth a retry. `aws_code` is for the audit trail."""

    code: ClassVar[str] = "issue-refused"

    def __init__(self, message: str, *, aws_code: str = "", remedy: str = "") -> None:
        """Keep AWS's error code."""
        super().__init__(message, remedy=remedy or "Ask the broker's operators to look at the role's trust policy.")
        self.aws_code = aws_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """STS credentials for one role, for a short time. The secrets are in no repr."""

    id: str
    account: str
    """12 digits."""
    role_arn: str
    session_name: str
    source_identity: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
    region: str
    """The region whose STS endpoint answered."""
    chained: bool
    """Whether the broker asked with a role's credentials (role chaining): AWS's limits are narrower then."""


class Issuer(Protocol):
    """Turns a fresh `Permit` into a `Lease`; accepts nothing else."""

    def issue(self, permit: Permit, *, lease: str, asked: timedelta | None, now: datetime) -> Lease:
        """Credentials under the id `lease`, for at most `asked`.

        Raises `IssueRefused` (final) or `errors.Unavailable` (every region is away or throttled). Refuses a permit
        that was decided more than a few seconds before `now`.
        """

    def check(self) -> str:
        """The caller identity that the broker itself has in AWS (an ARN), for `readyz` and start-up.

        Raises `IssueRefused` for root credentials and `errors.Unavailable`.
        """
