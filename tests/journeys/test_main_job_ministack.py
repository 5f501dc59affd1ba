"""The main job before an STS that is not ours: ministack with its access control switched on.

It neither keeps nor returns SourceIdentity, on which the broker insists: so what the journey should end in is written
down as a strict xfail, and beside it what the broker does with such an answer.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from journeys import domain as ad
from journeys.place import BROKER_USER, DEV, EXTERNAL_ID, READ, REGIONS, Running, furnish, running
from journeys.visitor import Visitor, holds_credentials, with_app
from neighbours.ministack import Ministack
from neighbours.samba import SambaServer

from broker.record.event import Tag
from broker.record.trail import Query
from broker.sandbox.sts import AccessKey
from broker.sandbox.sts.client import caller_identity
from broker.sandbox.sts.world import allow, broker_trust

HOME, USER = BROKER_USER.split(":")[4], BROKER_USER.rpartition("/")[2]
NO_SOURCE_IDENTITY = "ministack neither keeps nor returns SourceIdentity, and we insist on it"


def _iam(ministack: Ministack, account: str) -> Any:  # noqa: ANN401 (boto3 ships no types)
    return boto3.client(
        "iam",
        endpoint_url=ministack.url,
        region_name=REGIONS[0],
        aws_access_key_id=account,
        aws_secret_access_key=ministack.secret,
    )


def _role(ministack: Ministack, name: str, principal: str) -> None:
    trust = json.loads(broker_trust([principal], EXTERNAL_ID))
    for statement in trust["Statement"]:  # ministack knows no condition key for the source identity
        statement.get("Condition", {}).pop("StringLike", None)
    _iam(ministack, DEV).create_role(RoleName=name, Path="/federated/", AssumeRolePolicyDocument=json.dumps(trust))


@pytest.fixture(scope="module")
def broker_key(ministack: Ministack) -> AccessKey:
    """The broker's user in ministack, and two roles: one trusts it, the other somebody else."""
    iam = _iam(ministack, HOME)
    iam.create_user(UserName=USER)
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    policy = allow(actions, [f"arn:aws:iam::{DEV}:role/*"])
    iam.put_user_policy(UserName=USER, PolicyName="own", PolicyDocument=policy)
    made = iam.create_access_key(UserName=USER)["AccessKey"]
    _role(ministack, "ReadOnly", BROKER_USER)
    _role(ministack, "Admin", f"arn:aws:iam::{HOME}:user/somebody-else")
    return AccessKey(id=made["AccessKeyId"], secret=made["SecretAccessKey"])


@pytest.fixture(scope="module")
def broker(
    ministack: Ministack,
    domain: SambaServer,
    groups: Mapping[str, str],
    broker_key: AccessKey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("ministack") / "broker"
    place = furnish(folder, sts=ministack.url, key=broker_key, domain=domain, groups=groups)
    with running(place) as served:
        yield served


@pytest.fixture(scope="module")
def erik(broker: Running, domain: SambaServer) -> Visitor:
    """Signed in, reader and administrator."""
    ad.join(domain, "erik", "aws-readers")
    return with_app(broker.broker, "erik", broker.url).sign_in()


def _last_reason(broker: Running) -> str:
    (failed,) = broker.broker.storage.trail.search(Query(tag=Tag.CREDENTIALS_FAILED), limit=1)
    return str(json.loads(failed.payload or "")["reason"])


def test_aws_says_who_the_broker_is(broker: Running) -> None:
    assert broker.broker.parts.issuer.check() == BROKER_USER


@pytest.mark.xfail(reason=NO_SOURCE_IDENTITY, strict=True, raises=AssertionError)
def test_credentials_are_those_of_the_right_caller(erik: Visitor, ministack: Ministack) -> None:
    answer = erik.lease(READ)
    assert answer.status == 200
    arn = caller_identity(ministack.url, REGIONS[0], answer.json()["credentials"])
    assert arn == f"arn:aws:sts::{DEV}:assumed-role/ReadOnly/erik"


def test_an_answer_without_the_source_identity_hands_out_nothing(broker: Running, erik: Visitor) -> None:
    answer = erik.lease(READ)
    assert (answer.status, holds_credentials(answer)) == (502, False)
    assert "source identity" in answer.json()["title"]
    trail = broker.broker.storage.trail
    assert trail.search(Query(tag=Tag.CREDENTIALS_FAILED), limit=1)
    assert not trail.search(Query(tag=Tag.CREDENTIALS_ISSUED), limit=1)


def test_a_role_that_does_not_trust_the_broker_is_refused_by_aws_and_says_so(broker: Running, erik: Visitor) -> None:
    answer = erik.lease("payments-dev/admin")
    assert (answer.status, holds_credentials(answer)) == (502, False)
    assert "trust policy" in answer.json()["detail"]
    assert _last_reason(broker) == "AccessDenied"


def test_the_clock_of_aws_is_read_from_its_answers(broker: Running) -> None:
    broker.broker.parts.issuer.check()
    offset = broker.broker.parts.issuer.clock_offset()  # type: ignore[attr-defined]  # AssumeRole has it, the protocol not
    assert offset is not None
    assert abs(offset.total_seconds()) < 30
