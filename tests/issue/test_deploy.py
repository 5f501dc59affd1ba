"""The policies in `deploy/aws` are right: with them the broker works, and nothing else does."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from builders import HOUR, a_permit, a_role, an_entitlement
from contracts.issuer import ONE_TRY, someone
from issue.stages import BROKER, BROKER_ROLE, REGION, TRUSTING, WITH_EXTERNAL_ID, an_issuer, key_file
from neighbours.ministack import Ministack

from broker.clock import utc_now
from broker.entitle.entitlement import Account
from broker.issue.issuer import IssueRefused, Lease
from broker.sandbox.sts import AccessKey, Role, SandboxSts, User, World, new_access_key

HERE = Path(__file__).parents[2] / "deploy" / "aws"
LONGEST_TRUST_POLICY = 2048
"""Characters without blanks; AWS's default quota."""
SERVICE = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)


def policy(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


OWN = policy("broker-policy.json")
TRUST = policy("role-trust-policy.json")
EXTERNAL = policy("role-trust-policy-external-id.json").replace(
    "REPLACE-WITH-THE-EXTERNAL-ID", WITH_EXTERNAL_ID.external_id
)
USER_TRUST = TRUST.replace(BROKER_ROLE, BROKER)


def arn(account: Account, name: str = "federated/ReadOnly") -> str:
    return f"arn:aws:iam::{account.id}:role/{name}"


@pytest.fixture
def sts() -> Iterator[SandboxSts]:
    admin = '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
    world = World(
        users=(
            User(arn=BROKER, keys=(new_access_key(),), policy=OWN),
            User(arn="arn:aws:iam::111122223333:user/admin", keys=(new_access_key(),), policy=admin),
        ),
        roles=(
            Role(arn=BROKER_ROLE, trust=SERVICE, policy=OWN),
            Role(arn=arn(TRUSTING), trust=TRUST),
            Role(arn=arn(TRUSTING, "federated/ForUser"), trust=USER_TRUST),
            Role(arn=arn(TRUSTING, "elsewhere/ForUser"), trust=USER_TRUST),
            Role(arn=arn(WITH_EXTERNAL_ID), trust=EXTERNAL),
        ),
    )
    with SandboxSts(world, clock=utc_now) as running:
        yield running


def issue(
    sts: SandboxSts, folder: Path, account: Account, *, role: str = "federated/ReadOnly", key: AccessKey | None = None
) -> Lease:
    now = utc_now()
    credentials = key or sts.session_for(BROKER_ROLE, "i-0123456789")
    entitlement = an_entitlement(account=account, role=a_role(iam_role=role, max_session=HOUR))
    permit = a_permit(proof=someone(now=now), entitlement=entitlement, at=now)
    issuer = an_issuer(sts.url, key_file(folder, credentials))
    return issuer.issue(permit, lease="lease-1", asked=None, now=now)


def test_with_them_the_broker_works(sts: SandboxSts, tmp_path: Path) -> None:
    key = sts.world.users[0].keys[0]
    assert issue(sts, tmp_path, TRUSTING).source_identity == "ada"
    assert issue(sts, tmp_path, WITH_EXTERNAL_ID).source_identity == "ada"
    assert issue(sts, tmp_path, TRUSTING, role="federated/ForUser", key=key).source_identity == "ada"


def test_a_role_outside_of_the_path_is_out_of_reach_though_it_trusts_the_broker(
    sts: SandboxSts, tmp_path: Path
) -> None:
    with pytest.raises(IssueRefused) as caught:
        issue(sts, tmp_path, TRUSTING, role="elsewhere/ForUser", key=sts.world.users[0].keys[0])
    assert caught.value.aws_code == "AccessDenied"


def test_the_external_id_must_match(sts: SandboxSts, tmp_path: Path) -> None:
    for external_id in ("", "another"):
        account = Account(name="partner", id=WITH_EXTERNAL_ID.id, external_id=external_id)
        with pytest.raises(IssueRefused) as caught:
            issue(sts, tmp_path, account)
        assert caught.value.aws_code == "AccessDenied"


GOOD: dict[str, Any] = {
    "RoleArn": arn(TRUSTING),
    "RoleSessionName": "ada",
    "SourceIdentity": "ada",
    "Tags": [{"Key": "broker:lease", "Value": "l"}],
}


def change(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 (parameters of boto3)
    return {key: value for key, value in (GOOD | changed).items() if value is not None}


@pytest.mark.parametrize(
    ("parameters", "allowed"),
    [
        (GOOD, True),
        (change(SourceIdentity=None), False),
        (change(Tags=None), False),
        (change(Tags=[{"Key": "team", "Value": "admins"}]), False),
        (change(Tags=[*GOOD["Tags"], {"Key": "team", "Value": "admins"}]), False),
        (change(TransitiveTagKeys=["broker:lease"]), False),
    ],
    ids=["as the broker asks", "nameless", "without tags", "other tags", "one more tag", "transitive"],
)
def test_a_role_opens_only_for_what_the_broker_asks(
    sts: SandboxSts, parameters: dict[str, Any], *, allowed: bool
) -> None:
    session = sts.session_for(BROKER_ROLE, "i-0123456789")
    client = boto3.client(
        "sts",
        endpoint_url=sts.url,
        region_name=REGION,
        aws_access_key_id=session.access_key_id,
        aws_secret_access_key=session.secret_access_key,
        aws_session_token=session.session_token,
        config=ONE_TRY,
    )
    if allowed:
        assert client.assume_role(**parameters)["Credentials"]
        return
    with pytest.raises(ClientError, match="AccessDenied"):
        client.assume_role(**parameters)


def test_nobody_else_may_become_the_role_not_even_an_admin_of_the_broker_s_account(sts: SandboxSts) -> None:
    key = sts.world.users[1].keys[0]
    client = boto3.client(
        "sts",
        endpoint_url=sts.url,
        region_name=REGION,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=ONE_TRY,
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        client.assume_role(**GOOD)


@pytest.mark.parametrize("path", sorted(HERE.glob("*.json")), ids=lambda path: path.name)
def test_they_are_within_aws_s_limits_and_name_only_what_they_need(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert len(json.dumps(document, separators=(",", ":"))) <= LONGEST_TRUST_POLICY
    assert document["Version"] == "2012-10-17"
    actions = {action for statement in document["Statement"] for action in _listed(statement["Action"])}
    assert actions == {"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}
    for statement in document["Statement"]:
        assert statement["Condition"]["StringLike"]["sts:SourceIdentity"] == "?*"
        assert statement.get("Principal") != "*"
        assert statement.get("Resource") != "*"


def _listed(value: Any) -> list[str]:  # noqa: ANN401 (JSON)
    return value if isinstance(value, list) else [value]


def test_the_commands_of_the_readme_run(ministack: Ministack, tmp_path: Path) -> None:
    aws = shutil.which("aws", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert aws, "the AWS CLI is a development dependency"
    home = "565656565656"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_ENDPOINT_URL": ministack.url}
    environment |= {"AWS_ACCESS_KEY_ID": home, "AWS_SECRET_ACCESS_KEY": ministack.secret, "AWS_REGION": REGION}
    environment |= {"AWS_PAGER": "", "AWS_DEFAULT_REGION": REGION}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=HERE, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    run(aws, "iam", "create-role", "--role-name", "federation-broker", "--assume-role-policy-document", SERVICE)
    blocks = re.findall(r"```sh\n(.*?)```", (HERE / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    commands = [shlex.split(line) for block in blocks for line in block.strip().splitlines()]
    assert len(commands) == 7
    for command in commands:
        assert command[0] == "aws"
        run(aws, *command[1:])
    role = json.loads(run(aws, "iam", "get-role", "--role-name", "ReadOnly", "--output", "json"))["Role"]
    assert role["Arn"] == f"arn:aws:iam::{home}:role/federated/ReadOnly"
    assert role["MaxSessionDuration"] == 28800
