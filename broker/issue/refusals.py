"""What AWS's error codes mean for whoever reads them: final refusals, and "not here, not now"."""

import re
from collections.abc import Mapping

from broker.issue.issuer import IssueRefused

BUSY = frozenset(
    {
        "BandwidthLimitExceeded",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Worth another try (botocore's own list of throttling and transient codes); so are status 429 and 5xx."""
CLOSED = "RegionDisabledException"
"""STS of this region is not active for the account; another region's may be."""

_TRUST = (
    "Ask the broker's operators to compare the role's trust policy with `deploy/aws`: it must allow the broker "
    "sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity, and the external id must be the same on both sides."
)
_DURATION = (
    "Most often the role's maximum session duration in IAM is shorter than `max_session` in the mapping document, or "
    "the broker itself runs on a role, which caps sessions at one hour. Ask its operators."
)
_OWN = "Ask the broker's operators to check the broker's own AWS credentials with `broker config check`."
_KNOWN: Mapping[str, tuple[str, str]] = {
    "AccessDenied": ("AWS does not let the broker assume this role.", _TRUST),
    "ValidationError": (
        "AWS refuses the request for this role as invalid.",
        _DURATION,
    ),
    "PackedPolicyTooLarge": (
        "The session's tags are too large for AWS.",
        "Ask the broker's operators to shorten `aws.tag_prefix` and the providers' names.",
    ),
    "ExpiredToken": ("The broker's own AWS credentials have expired.", _OWN),
    "ExpiredTokenException": ("The broker's own AWS credentials have expired.", _OWN),
    "InvalidClientTokenId": ("AWS does not know the broker's own credentials.", _OWN),
    "UnrecognizedClientException": ("AWS does not know the broker's own credentials.", _OWN),
    "SignatureDoesNotMatch": ("AWS does not accept the broker's signature.", _OWN),
    "RequestExpired": ("AWS finds the broker's clock wrong.", "Ask the broker's operators to correct its clock."),
    CLOSED: (
        "AWS STS is not active in any of the broker's regions for this account.",
        "Ask the broker's operators to activate STS in IAM, Account settings, or to change `aws.regions`.",
    ),
}
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,63}", re.ASCII)


def refusal(code: str) -> IssueRefused:
    """The refusal for an error code of AWS; what AWS wrote beside it is not repeated."""
    message, remedy = _KNOWN.get(code, ("AWS refuses to give credentials for this role.", ""))
    return IssueRefused(message, aws_code=code if _CODE.fullmatch(code) else "unreadable", remedy=remedy)
