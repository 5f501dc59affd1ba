"""`assume_role`: temporary credentials from AWS STS, for a `Permit` and nothing else."""

import random
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from broker.clock import Clock, monotonic
from broker.evaluate.verdict import Permit
from broker.issue.aws import AwsSettings
from broker.issue.issuer import IssueRefused, Lease
from broker.issue.session import SessionRequest, session_request
from broker.issue.sts import Answer, Sts

FRESH = timedelta(seconds=5)
"""How old a permit may be: it is made to be used at once."""
SLACK = timedelta(seconds=60)
"""How far an expiry may lie behind what was asked for, for clocks that differ and answers that take their time."""

_CALLER = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(iam|sts)::[0-9]{12}:(?P<kind>root|user|assumed-role|federated-user)(/[!-~]+)?",
    re.ASCII,
)
_OPERATORS = "Tell the broker's operators: this answer did not come from AWS, or the role is set up in an unusual way."


class AssumeRole:
    """An `Issuer` by AWS STS AssumeRole. Safe for threads and forks."""

    def __init__(
        self,
        settings: AwsSettings,
        *,
        clock: Clock,
        monotonic: Callable[[], float] = monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random.random,
        endpoint_url: str | Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is sent. `random` gives numbers from 0 to 1, for the pause between attempts.

        `endpoint_url` (one, or one by region) replaces AWS's own: for the demo and tests, loopback only, else
        `ValueError`. Raises `errors.ConfigurationError` for credentials of the broker's own that cannot be used.
        """
        if endpoint_url is None or isinstance(endpoint_url, str):
            endpoint_url = dict.fromkeys(settings.regions, endpoint_url) if endpoint_url else {}
        self._settings = settings
        self._sts = Sts(settings, clock=clock, monotonic=monotonic, sleep=sleep, random=random, endpoints=endpoint_url)
        self._caller: re.Match[str] | None = None

    def issue(self, permit: Permit, *, lease: str, asked: timedelta | None, now: datetime) -> Lease:
        """Credentials under the id `lease`.

        The checks, each an `IssueRefused`:

        1. the permit is one, and was decided at most 5 seconds before `now`;
        2. the broker's own credentials are not root's, and of the role's partition;
        3. the request is within AWS's limits (`session.py`);
        4. the answer is about this role and this session, carries the source identity, whole credentials, and an
           expiry that lies ahead and not behind what was asked for.

        Raises `Unavailable` when no region answered.
        """
        # (1) a fresh permit
        permit = _fresh(permit, now)
        # (2) by whom
        caller = self._caller or self._identify()
        if caller["partition"] != permit.entitlement.account.partition:  # check: partition
            message = "This account is in another AWS partition than the broker's own credentials."
            raise IssueRefused(message, remedy="Run a broker of its own for each partition.")
        # (3) what for
        chained = self._settings.chained
        request = session_request(
            permit,
            lease=lease,
            asked=asked,
            chained=caller["kind"] == "assumed-role" if chained == "auto" else chained,
            tag_prefix=self._settings.tag_prefix,
        )
        # (4) and did it come
        return _lease(self._sts.call("assume_role", request.parameters()), request, permit, lease, now)

    def check(self) -> str:
        """The ARN that the broker itself has in AWS; asks STS each time.

        Raises `IssueRefused` for root credentials, `Unavailable` when no region answered.
        """
        return self._identify()[0]

    def clock_offset(self) -> timedelta | None:
        """AWS's clock minus ours, to about a second, as of the last answer; None: there was none yet."""
        return self._sts.clock_offset()

    def _identify(self) -> re.Match[str]:
        arn = self._sts.call("get_caller_identity", {}).body.get("Arn", "")
        caller = _CALLER.fullmatch(arn)
        if caller is None:  # check: caller-identity
            message = "AWS does not say who the broker is."
            raise IssueRefused(message, remedy=_OPERATORS)
        if caller["kind"] == "root":  # check: root-credentials
            message = "The broker has the credentials of an account's root user, and refuses to work with them."
            raise IssueRefused(message, remedy="Make a role or a user for the broker as `deploy/aws` shows.")
        self._caller = caller
        return caller


def _fresh(permit: object, now: datetime) -> Permit:
    """The permit, if it is one and was decided just now."""
    if not isinstance(permit, Permit):  # check: permit-only
        message = "an issuer accepts a Permit and nothing else"
        raise TypeError(message)
    if not timedelta() <= now - permit.decided_at <= FRESH:  # check: permit-fresh
        message = "The decision is not fresh."
        raise IssueRefused(message, remedy="Ask again.")
    return permit


def _lease(answer: Answer, request: SessionRequest, permit: Permit, lease: str, now: datetime) -> Lease:
    """(4): the lease, if the answer is what was asked for; else the credentials in it are dropped."""
    got: Mapping[str, Any] = answer.body.get("Credentials") or {}
    secrets = [got.get(key) or "" for key in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    expires = got.get("Expiration")
    if not all(secrets) or not isinstance(expires, datetime):  # check: whole-credentials
        message = "AWS's answer holds no whole credentials."
        raise IssueRefused(message, remedy=_OPERATORS)
    if (answer.body.get("AssumedRoleUser") or {}).get("Arn") != request.assumed_role_arn:  # check: assumed-role
        message = "AWS's answer is about another role or another session."
        raise IssueRefused(message, remedy=_OPERATORS)
    if answer.body.get("SourceIdentity") != request.session_name:  # check: source-identity
        message = "AWS's answer does not carry your source identity."
        raise IssueRefused(message, remedy=_OPERATORS)
    lasts = expires - (answer.date or now)
    if not timedelta() < lasts <= timedelta(seconds=request.seconds) + SLACK:  # check: expiry
        message = "The credentials in AWS's answer do not last as long as was asked for."
        raise IssueRefused(message, remedy=_OPERATORS)
    return Lease(
        id=lease,
        account=permit.entitlement.account.id,
        role_arn=request.role_arn,
        session_name=request.session_name,
        source_identity=request.session_name,
        access_key_id=secrets[0],
        secret_access_key=secrets[1],
        session_token=secrets[2],
        expires_at=expires.astimezone(UTC),
        region=answer.region,
        chained=request.chained,
    )
