"""An `AssumeRole` issuer before the sandbox's STS, as the demo has it."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from builders import HOUR, an_account
from contracts.issuer import Stage

from broker.clock import utc_now
from broker.issue.assume_role import AssumeRole
from broker.issue.aws import AwsSettings
from broker.sandbox.sts import AccessKey, Credentials, DemoRole, SandboxSts, demo_world

REGION, OTHER_REGION = "eu-central-1", "eu-west-1"
TRUSTING = an_account("payments-dev", id="210987654321")
WITH_EXTERNAL_ID = an_account("partner", id="320987654321", external_id="b7c1-4711")
STRANGER = an_account("stranger", id="430987654321")
BROKER = "arn:aws:iam::111122223333:user/federation-broker"
BROKER_ROLE = "arn:aws:iam::111122223333:role/federation-broker"
SOMEBODY = "arn:aws:iam::111122223333:user/somebody"


def key_file(folder: Path, key: AccessKey | Credentials) -> Path:
    """The key, as the operator would write it to a file."""
    lines = ["[default]"]
    if isinstance(key, AccessKey):
        lines += [f"aws_access_key_id = {key.id}", f"aws_secret_access_key = {key.secret}"]
    else:
        lines += [f"aws_access_key_id = {key.access_key_id}", f"aws_secret_access_key = {key.secret_access_key}"]
        lines += [f"aws_session_token = {key.session_token}"]
    path = folder / f"key-{random.getrandbits(64):x}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def an_issuer(
    url: str | Mapping[str, str],
    key: Path,
    *,
    regions: tuple[str, ...] = (REGION,),
    **more: Any,  # noqa: ANN401 (settings, or parts of the issuer)
) -> AssumeRole:
    """An issuer that never pauses, unless told otherwise."""
    settings = {name: more.pop(name) for name in list(more) if name in AwsSettings.model_fields}
    parts: dict[str, Any] = {"clock": utc_now, "sleep": lambda _: None} | more
    return AssumeRole(AwsSettings(regions=regions, access_key_file=key, **settings), endpoint_url=url, **parts)


@contextmanager
def sandbox(*, max_session: timedelta = HOUR) -> Iterator[SandboxSts]:
    """The world of the contract: one account trusts the broker, one wants an external id, one trusts somebody else."""
    role = "federated/ReadOnly"
    ours = [
        DemoRole(account=account.id, name=role, external_id=account.external_id, max_session=max_session)
        for account in (TRUSTING, WITH_EXTERNAL_ID)
    ]
    theirs = [DemoRole(account=STRANGER.id, name=role, max_session=max_session)]
    world = demo_world(ours, broker_user_arn=BROKER, broker_role_arn=BROKER_ROLE)
    others = demo_world(theirs, broker_user_arn=SOMEBODY)
    world = replace(world, users=(*world.users, *others.users), roles=(*world.roles, *others.roles))
    with SandboxSts(world, clock=utc_now) as sts:
        yield sts


def stage_of(sts: SandboxSts, folder: Path, *, max_session: timedelta = HOUR) -> Stage:
    """The broker as a user with a long-term key."""
    key = key_file(folder, sts.world.users[0].keys[0])
    return Stage(
        issuer=an_issuer(sts.url, key),
        url=sts.url,
        broker_arn=BROKER,
        trusting=TRUSTING,
        with_external_id=WITH_EXTERNAL_ID,
        stranger=STRANGER,
        offline=lambda: an_issuer("http://127.0.0.1:9", key),
        max_session=max_session,
    )
