"""How STS says no: AWS's error codes, texts and HTTP status.

Source of codes and status: STS API Reference, "Common Errors", and the exceptions of botocore's service model; of the
texts: what AWS is seen to answer.
"""

from enum import StrEnum


class Code(StrEnum):
    """AWS's error codes."""

    ACCESS_DENIED = "AccessDenied"
    EXPIRED_TOKEN = "ExpiredToken"  # noqa: S105 (an error code)
    INCOMPLETE_SIGNATURE = "IncompleteSignature"
    INVALID_ACTION = "InvalidAction"
    INVALID_CLIENT_TOKEN_ID = "InvalidClientTokenId"  # noqa: S105 (an error code)
    INVALID_PARAMETER_VALUE = "InvalidParameterValue"
    MALFORMED_HTTP_REQUEST = "MalformedHttpRequest"
    MALFORMED_POLICY_DOCUMENT = "MalformedPolicyDocument"
    MALFORMED_QUERY_STRING = "MalformedQueryString"
    MISSING_ACTION = "MissingAction"
    MISSING_AUTHENTICATION_TOKEN = "MissingAuthenticationToken"  # noqa: S105 (an error code)
    MISSING_CONTENT_LENGTH = "MissingContentLength"
    PACKED_POLICY_TOO_LARGE = "PackedPolicyTooLarge"
    REGION_DISABLED_EXCEPTION = "RegionDisabledException"
    REQUEST_ENTITY_TOO_LARGE = "RequestEntityTooLarge"
    REQUEST_HEADER_SECTION_TOO_LARGE = "RequestHeaderSectionTooLarge"
    REQUEST_URI_TOO_LONG = "RequestURITooLong"
    SIGNATURE_DOES_NOT_MATCH = "SignatureDoesNotMatch"
    THROTTLING = "Throttling"
    UNKNOWN_OPERATION_EXCEPTION = "UnknownOperationException"
    VALIDATION_ERROR = "ValidationError"


class Refusal(Exception):
    """An error answer. `code` and `message` go to the caller."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """Keep all three."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def validation(message: str) -> Refusal:
    """`ValidationError`, 400."""
    return Refusal(Code.VALIDATION_ERROR, message)


def failure(value: str | None, path: str, constraint: str) -> str:
    """One broken limit, for `constraints`."""
    shown = "null" if value is None else f"'{value[:256]}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def constraints(failures: list[str]) -> Refusal:
    """`ValidationError` for limits of the service model, in the words of AWS's common validation."""
    plural = "" if len(failures) == 1 else "s"
    return validation(f"{len(failures)} validation error{plural} detected: " + "; ".join(failures))


def parameter(message: str) -> Refusal:
    """`InvalidParameterValue`, 400."""
    return Refusal(Code.INVALID_PARAMETER_VALUE, message)


def denied(message: str) -> Refusal:
    """`AccessDenied`, 403."""
    return Refusal(Code.ACCESS_DENIED, message, 403)


def unknown_token() -> Refusal:
    """`InvalidClientTokenId`, 403: the key, or its session token, is not known. One text for all the reasons."""
    return Refusal(Code.INVALID_CLIENT_TOKEN_ID, "The security token included in the request is invalid.", 403)


def incomplete(message: str) -> Refusal:
    """`IncompleteSignature`, 400: there is a signature, and it is not in form."""
    return Refusal(Code.INCOMPLETE_SIGNATURE, message)


def mismatch(message: str) -> Refusal:
    """`SignatureDoesNotMatch`, 403."""
    return Refusal(Code.SIGNATURE_DOES_NOT_MATCH, message, 403)


def region_disabled(account: str) -> Refusal:
    """`RegionDisabledException`, 403."""
    message = (
        f"STS is not activated in this region for account:{account}. Your account administrator can activate STS in "
        "this region using the IAM Console."
    )
    return Refusal(Code.REGION_DISABLED_EXCEPTION, message, 403)
