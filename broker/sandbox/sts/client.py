"""Asks the sandbox's STS who somebody is, with botocore as any SDK would."""

from collections.abc import Mapping

from botocore.config import Config
from botocore.session import Session


def caller_identity(url: str, region: str, credentials: Mapping[str, str]) -> str:
    """The ARN that STS sees behind credentials in the form of `credential_process`."""
    client = Session().create_client(
        "sts",
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        config=Config(retries={"total_max_attempts": 1}),
    )
    arn: str = client.get_caller_identity()["Arn"]
    return arn
