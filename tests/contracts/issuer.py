"""The contract of an issuer: one suite for the sandbox's STS and for a stand-in that is not ours.

An implementation gives a `Stage`. What a stand-in is known to do differently stands in `KNOWN_DIFFERENCES`; each is a
strict xfail with its reason.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import boto3
import pytest
from botocore.config import Config
from builders import HOUR, MINUTE, a_permit, a_proof, a_role, an_entitlement, an_identity, shown_totp

from broker.challenge.proof import Proof
from broker.clock import utc_now
from broker.entitle.entitlement import Account, Entitlement
from broker.errors import Unavailable
from broker.evaluate.verdict import Permit, Refusal
from broker.issue.issuer import Issuer, IssueRefused, Lease

ONE_TRY = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """An issuer, and what its AWS looks like. Its roles last `max_session`."""

    issuer: Issuer
    url: str
    broker_arn: str
    trusting: Account
    """Its role `federated/ReadOnly` trusts the broker, as `deploy/aws` says."""
    with_external_id: Account
    """The same, and demands the external id that the account here has."""
    stranger: Account
    """Its role of that name trusts somebody else."""
    offline: Callable[[], Issuer]
    """The same issuer with nobody listening."""
    max_session: timedelta = field(default=HOUR)

    def entitlement(self, account: Account | None = None, *, role: str = "federated/ReadOnly") -> Entitlement:
        return an_entitlement(
            account=account or self.trusting, role=a_role(iam_role=role, max_session=self.max_session)
        )

    def permit(
        self, person: str = "ada", *, account: Account | None = None, role: str = "federated/ReadOnly", now: datetime
    ) -> Permit:
        return a_permit(proof=someone(person, now=now), entitlement=self.entitlement(account, role=role), at=now)

    def whoami(self, lease: Lease) -> str:
        """Whom AWS sees when the lease is used."""
        client = boto3.client(
            "sts",
            endpoint_url=self.url,
            region_name=lease.region,
            aws_access_key_id=lease.access_key_id,
            aws_secret_access_key=lease.secret_access_key,
            aws_session_token=lease.session_token,
            config=ONE_TRY,
        )
        return str(client.get_caller_identity()["Arn"])


def someone(name: str = "ada", *, now: datetime) -> Proof:
    identity = an_identity(name, at=now - 5 * MINUTE)
    return a_proof(shown_totp(at=now - MINUTE), identity=identity, person=f"p-{name}", session_name=name)


class IssuerContract:
    """Subclass it and give a `stage` fixture."""

    KNOWN_DIFFERENCES: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _known_differences(self, request: pytest.FixtureRequest) -> None:
        reason = self.KNOWN_DIFFERENCES.get(request.node.originalname)
        if reason:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True, raises=IssueRefused))

    def issue(self, stage: Stage, person: str = "ada", *, asked: timedelta | None = None, **more: Any) -> Lease:  # noqa: ANN401 (what `Stage.permit` takes)
        now = utc_now()
        return stage.issuer.issue(stage.permit(person, now=now, **more), lease=f"lease-{person}", asked=asked, now=now)

    def test_aws_sees_the_role_and_the_person(self, stage: Stage) -> None:
        lease = self.issue(stage)
        expected = f"arn:aws:sts::{stage.trusting.id}:assumed-role/ReadOnly/ada"
        assert stage.whoami(lease) == expected
        assert (lease.id, lease.account, lease.session_name) == ("lease-ada", stage.trusting.id, "ada")
        assert lease.role_arn == f"arn:aws:iam::{stage.trusting.id}:role/federated/ReadOnly"

    def test_each_lease_carries_the_source_identity_of_its_person(self, stage: Stage) -> None:
        people = [f"person-{number}" for number in range(24)]
        with ThreadPoolExecutor(8) as pool:
            leases = list(pool.map(lambda person: self.issue(stage, person), people))
        assert [lease.source_identity for lease in leases] == people
        assert [stage.whoami(lease).rpartition("/")[2] for lease in leases] == people

    def test_an_external_id_is_passed_on(self, stage: Stage) -> None:
        assert self.issue(stage, account=stage.with_external_id).account == stage.with_external_id.id

    def test_a_wrong_or_missing_external_id_is_refused_by_aws(self, stage: Stage) -> None:
        for external_id in ("", "another-one"):
            with pytest.raises(IssueRefused) as caught:
                self.issue(stage, account=replace(stage.with_external_id, external_id=external_id))
            assert caught.value.aws_code == "AccessDenied"
            assert "trust policy" in caught.value.remedy

    def test_a_role_that_trusts_somebody_else_is_refused(self, stage: Stage) -> None:
        with pytest.raises(IssueRefused) as caught:
            self.issue(stage, account=stage.stranger)
        assert caught.value.aws_code == "AccessDenied"

    def test_a_role_that_does_not_exist_is_refused(self, stage: Stage) -> None:
        with pytest.raises(IssueRefused) as caught:
            self.issue(stage, role="federated/NoSuchRole")
        assert caught.value.aws_code == "AccessDenied"

    @pytest.mark.parametrize("asked", [None, 20 * MINUTE, 30 * HOUR])
    def test_a_session_lasts_no_longer_than_asked_and_allowed(self, stage: Stage, asked: timedelta | None) -> None:
        before = utc_now().replace(microsecond=0)
        lease = self.issue(stage, asked=asked)
        expected = min(asked or stage.max_session, stage.max_session)
        assert before + expected <= lease.expires_at <= utc_now() + expected + timedelta(seconds=1)
        assert lease.expires_at.utcoffset() == timedelta()

    def test_a_session_that_is_too_short_for_aws_is_refused_before_the_call(self, stage: Stage) -> None:
        now = utc_now()
        permit = stage.permit(now=now)
        with pytest.raises(IssueRefused, match="15 minutes") as caught:
            stage.issuer.issue(permit, lease="l", asked=timedelta(seconds=899), now=now)
        assert caught.value.aws_code == ""

    @pytest.mark.parametrize("age", [timedelta(seconds=6), timedelta(hours=1), timedelta(microseconds=-1)])
    def test_a_permit_that_is_not_fresh_is_refused(self, stage: Stage, age: timedelta) -> None:
        now = utc_now()
        with pytest.raises(IssueRefused, match="not fresh"):
            stage.issuer.issue(stage.permit(now=now - age), lease="l", asked=None, now=now)

    def test_a_permit_that_is_a_moment_old_is_taken(self, stage: Stage) -> None:
        now = utc_now()
        permit = stage.permit(now=now - timedelta(seconds=5))
        assert stage.issuer.issue(permit, lease="l", asked=None, now=now).source_identity == "ada"

    def test_nothing_but_a_permit_is_taken(self, stage: Stage) -> None:
        now = utc_now()
        permit = stage.permit(now=now)
        lookalike = type(
            "Permit", (), {name: getattr(permit, name) for name in ("proof", "entitlement", "decided_at")}
        )()
        refusal = Refusal(condition="mfa", rule="r", reason="No.")
        others: list[Any] = [permit.proof, permit.entitlement, refusal, lookalike, None, True]
        for other in others:
            with pytest.raises(TypeError, match="a Permit and nothing else"):
                stage.issuer.issue(other, lease="l", asked=None, now=now)

    def test_the_secrets_are_in_no_repr(self, stage: Stage) -> None:
        lease = self.issue(stage)
        for secret in (lease.secret_access_key, lease.session_token):
            assert len(secret) > 16
            assert secret not in repr(lease)
            assert secret not in str(lease)
        assert lease.access_key_id in repr(lease)

    def test_the_broker_knows_who_it_is(self, stage: Stage) -> None:
        assert stage.issuer.check() == stage.broker_arn

    def test_with_nobody_listening_it_is_unavailable(self, stage: Stage) -> None:
        issuer, now = stage.offline(), utc_now()
        for call in (issuer.check, lambda: issuer.issue(stage.permit(now=now), lease="l", asked=None, now=now)):
            with pytest.raises(Unavailable) as caught:
                call()
            assert caught.value.neighbour == "AWS STS"
