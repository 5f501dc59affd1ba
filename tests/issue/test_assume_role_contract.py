import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from contracts.issuer import IssuerContract, Stage
from issue.stages import BROKER, REGION, STRANGER, TRUSTING, WITH_EXTERNAL_ID, an_issuer, key_file, sandbox, stage_of
from neighbours.ministack import Ministack

from broker.sandbox.sts import AccessKey
from broker.sandbox.sts.world import allow, broker_trust

ROLE = "arn:aws:iam::{}:role/federated/ReadOnly"


@pytest.fixture(scope="module")
def before_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with sandbox() as sts:
        yield stage_of(sts, tmp_path_factory.mktemp("keys"))


class TestSandbox(IssuerContract):
    @pytest.fixture
    def stage(self, before_sandbox: Stage) -> Stage:
        return before_sandbox


NO_SOURCE_IDENTITY = "ministack neither keeps nor returns SourceIdentity, and we insist on it"


class TestMinistack(IssuerContract):
    KNOWN_DIFFERENCES = dict.fromkeys(
        [
            "test_aws_sees_the_role_and_the_person",
            "test_each_lease_carries_the_source_identity_of_its_person",
            "test_an_external_id_is_passed_on",
            "test_a_session_lasts_no_longer_than_asked_and_allowed",
            "test_a_permit_that_is_a_moment_old_is_taken",
            "test_the_secrets_are_in_no_repr",
        ],
        NO_SOURCE_IDENTITY,
    )

    @pytest.fixture
    def stage(self, before_ministack: Stage) -> Stage:
        return before_ministack


@pytest.fixture(scope="module")
def before_ministack(ministack: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder, home = tmp_path_factory.mktemp("keys"), BROKER.split(":")[4]
    iam = _iam(ministack, home)
    user = BROKER.rpartition("/")[2]
    iam.create_user(UserName=user)
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    policy = allow(actions, [ROLE.format("*")])
    iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=policy)
    made = iam.create_access_key(UserName=user)["AccessKey"]
    for account, principal, external_id in (
        (TRUSTING, BROKER, ""),
        (WITH_EXTERNAL_ID, BROKER, WITH_EXTERNAL_ID.external_id),
        (STRANGER, f"arn:aws:iam::{home}:user/somebody", ""),
    ):
        trust = json.loads(broker_trust([principal], external_id))
        for statement in trust["Statement"]:  # ministack knows no condition key for the source identity
            statement.get("Condition", {}).pop("StringLike", None)
        _iam(ministack, account.id).create_role(
            RoleName="ReadOnly", Path="/federated/", AssumeRolePolicyDocument=json.dumps(trust)
        )
    key = key_file(folder, AccessKey(id=made["AccessKeyId"], secret=made["SecretAccessKey"]))
    return Stage(
        issuer=an_issuer(ministack.url, key),
        url=ministack.url,
        broker_arn=BROKER,
        trusting=TRUSTING,
        with_external_id=WITH_EXTERNAL_ID,
        stranger=STRANGER,
        offline=lambda: an_issuer("http://127.0.0.1:9", key),
    )


def _iam(ministack: Ministack, account: str) -> Any:  # noqa: ANN401 (boto3 ships no types)
    return boto3.client(
        "iam",
        endpoint_url=ministack.url,
        region_name=REGION,
        aws_access_key_id=account,
        aws_secret_access_key=ministack.secret,
    )


def test_the_difference_is_what_we_say_it_is(ministack: Ministack, tmp_path: Path) -> None:
    """A positive control: ministack does give the credentials, without the source identity."""
    home = "999988887777"
    iam = _iam(ministack, home)
    trust = broker_trust([f"arn:aws:iam::{home}:root"])
    cleaned = json.loads(trust)
    for statement in cleaned["Statement"]:
        statement.get("Condition", {}).pop("StringLike", None)
    iam.create_role(RoleName="Control", AssumeRolePolicyDocument=json.dumps(cleaned))
    sts = boto3.client(
        "sts",
        endpoint_url=ministack.url,
        region_name=REGION,
        aws_access_key_id=home,
        aws_secret_access_key=ministack.secret,
    )
    answer = sts.assume_role(RoleArn=f"arn:aws:iam::{home}:role/Control", RoleSessionName="ada", SourceIdentity="ada")
    assert answer["Credentials"]["SessionToken"]
    assert "SourceIdentity" not in answer
    assert tmp_path.exists()
