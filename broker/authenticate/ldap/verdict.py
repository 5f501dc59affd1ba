"""What a directory's answer to a bind means. Pure.

AD says why in the diagnostic message ("… data 52e, v1db1"; the text around it differs by server). OpenLDAP says it in
the password policy control (draft-behera-ldap-password-policy section 6.2), and there *a bind that must not count
comes with result 0*: an account that must first change its password, or one on its last grace logins.
"""

import re

from broker.authenticate.ldap.answer import BindAnswer, Unusable
from broker.authenticate.provider import Reason

_SUB_CODE = re.compile(r"\bdata ([0-9a-f]+)\b")
_AD_REASONS = {
    "525": Reason.UNKNOWN_USER,
    "52e": Reason.WRONG_PASSWORD,
    "530": Reason.LOGON_HOURS,
    "531": Reason.WORKSTATION,
    "532": Reason.PASSWORD_EXPIRED,
    "533": Reason.DISABLED,
    "701": Reason.ACCOUNT_EXPIRED,
    "773": Reason.MUST_CHANGE_PASSWORD,
    "775": Reason.LOCKED,
}
_POLICY_REASONS = {
    0: Reason.PASSWORD_EXPIRED,
    1: Reason.LOCKED,
    2: Reason.MUST_CHANGE_PASSWORD,
}
_SUCCESS, _INVALID_CREDENTIALS = 0, 49
_REFUSALS = {19, 32, 34, 48, 50, 53}
"""constraintViolation, noSuchObject, invalidDNSyntax, inappropriateAuthentication, insufficientAccessRights,
unwillingToPerform: a no to this account, in words of a server's own."""
_SEQUENCE, _WARNING, _GRACE, _ERROR = 0x30, 0xA0, 0x81, 0x81


def verdict(answer: BindAnswer) -> Reason | None:
    """None when the password is right and may be used; otherwise why not.

    Raises `Unusable` where the answer says nothing about the account (busy, stronger authentication required, …).
    """
    policy = _policy_reason(answer.policy)
    if answer.code == _SUCCESS:
        return policy
    if answer.code == _INVALID_CREDENTIALS:
        found = _SUB_CODE.search(answer.message)
        return policy or (_AD_REASONS.get(found[1], Reason.OTHER) if found else Reason.WRONG_PASSWORD)
    if answer.code in _REFUSALS:
        return policy or Reason.OTHER
    message = f"the server answered a bind with result {answer.code}"
    raise Unusable(message)


def _policy_reason(control: bytes | None) -> Reason | None:
    """What the control objects to. One that cannot be read is an objection."""
    if not control:
        return None
    try:
        fields = dict(_elements(_only(control, _SEQUENCE)))
        warnings = dict(_elements(fields.get(_WARNING, b"")))
    except ValueError:
        return Reason.OTHER
    if _ERROR in fields:  # check: policy-error-beside-success
        return _POLICY_REASONS.get(int.from_bytes(fields[_ERROR], "big"), Reason.OTHER)
    if _GRACE in warnings:  # check: grace-login
        return Reason.PASSWORD_EXPIRED
    return None


def _only(octets: bytes, tag: int) -> bytes:
    (found, body), *more = _elements(octets)
    if found != tag or more:
        message = "not the one element"
        raise ValueError(message)
    return body


def _elements(octets: bytes) -> list[tuple[int, bytes]]:
    """(tag, content) of BER elements in their short form, one after the other; all that this control can hold."""
    found = []
    while octets:
        if len(octets) < 2 or len(octets) < 2 + octets[1]:  # noqa: PLR2004 (tag and length)
            message = "cut short"
            raise ValueError(message)
        found.append((octets[0], octets[2 : 2 + octets[1]]))
        octets = octets[2 + octets[1] :]
    return found
