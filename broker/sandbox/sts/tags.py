"""Session tags and session policies: what may be passed, and how much room it takes.

Source: IAM User Guide, "Pass session tags in AWS STS" (rules and errors), STS API Reference, AssumeRole.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from broker.sandbox.sts.conditions import MalformedPolicy
from broker.sandbox.sts.policy import Kind, parse
from broker.sandbox.sts.refusal import Code, Refusal, constraints, failure, parameter, validation
from broker.sandbox.sts.sessions import Caller
from broker.sandbox.sts.wire import Parameters

POLICY_CHARACTERS = 2_048
"""AssumeRole, "Policy": the plaintext of session policies. The model's own shape carries no maximum."""
POLICY_ARNS = 10
"""AssumeRole, "PolicyArns". The model's own list carries no maximum."""
PACKED_BYTES = 1_024
"""What 100 percent of the packed size are here. AWS does not publish its format or limit, so this one is made up:
the zlib-compressed length of policy, ARNs and tags. It grows with what is sent, as AWS's does; the figures differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """The tags of a new session."""

    requested: Mapping[str, str]
    inherited: Mapping[str, str]
    """From the calling session, transitive."""
    transitive: frozenset[str]
    """In lower case, of both."""

    @property
    def all(self) -> dict[str, str]:
        """What the session has."""
        return {**self.inherited, **self.requested}


def session_tags(given: Parameters, caller: Caller) -> Tags:
    """The tags of the session that is asked for; raises `Refusal`."""
    pairs = [(tag["Key"], tag["Value"]) for tag in given.get("Tags", [])]
    keys = [key.lower() for key, _ in pairs]
    transitive = {key.lower() for key in given.get("TransitiveTagKeys", [])}
    # (1) no key of AWS's own
    if any(key.startswith("aws:") for key in keys):  # check: sts-tag-prefix
        message = "Tag keys that begin with 'aws:' are reserved for system use."
        raise parameter(message)
    # (2) each key once, whatever its case
    if len(set(keys)) != len(keys):  # check: sts-tag-duplicate
        message = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise parameter(message)
    # (3) only tags that are sent can be transitive
    if not transitive <= set(keys):  # check: sts-tag-transitive
        message = "The specified transitive tag key must be included in the requested tags."
        raise parameter(message)
    # (4) what came down the chain stays as it is
    if caller.transitive & set(keys):  # check: sts-tag-inherited
        message = (
            "One of the specified tag keys can't be set because it conflicts with a transitive tag key from the "
            "calling session."
        )
        raise parameter(message)
    inherited = {key: value for key, value in caller.tags.items() if key.lower() in caller.transitive}
    return Tags(requested=dict(pairs), inherited=inherited, transitive=frozenset(transitive) | caller.transitive)


def session_policies(given: Parameters, managed: Mapping[str, str], account: str) -> tuple[str, ...]:
    """The texts of the session policies that are asked for; raises `Refusal`."""
    text, arns = given.get("Policy", ""), [item.get("arn", "") for item in given.get("PolicyArns", [])]
    # (1) not too long
    if len(text) > POLICY_CHARACTERS:  # check: sts-policy-length
        percent = -(-100 * len(text) // POLICY_CHARACTERS)
        raise _too_large(percent)
    # (2) a policy at all
    if text:
        try:
            parse(text, Kind.IDENTITY)
        except MalformedPolicy as error:
            raise Refusal(Code.MALFORMED_POLICY_DOCUMENT, str(error)) from error
    # (3) not too many managed ones
    if len(arns) > POLICY_ARNS:  # check: sts-policy-arns
        raise constraints(
            [failure("[...]", "policyArns", f"Member must have length less than or equal to {POLICY_ARNS}")]
        )
    # (4) which exist, in the account or as AWS's own
    if any(arn not in managed or arn.split(":")[4] not in (account, "aws") for arn in arns):  # check: sts-policy-known
        message = (
            "At least one Policy ARN in the PolicyArns parameter does not match an existing IAM Managed Policy ARN."
        )
        raise validation(message)
    return tuple(filter(None, [text, *(managed[arn] for arn in arns)]))


def packed_size(given: Parameters, tags: Tags) -> int | None:
    """The packed size in percent, None when nothing is packed; raises `PackedPolicyTooLarge`.

    Inherited tags take room too; that a tag is transitive takes none.
    """
    packed = [given.get("Policy", ""), given.get("PolicyArns", []), sorted(tags.all.items())]
    if not any(packed):
        return None
    percent = -(-100 * len(zlib.compress(json.dumps(packed).encode(), 9)) // PACKED_BYTES)
    if percent > 100:  # check: sts-packed-size  # noqa: PLR2004 (percent)
        raise _too_large(percent)
    return percent


def _too_large(percent: int) -> Refusal:
    message = f"Packed policy consumes {percent}% of allotted space, please use smaller policy."
    return Refusal(Code.PACKED_POLICY_TOO_LARGE, message)
