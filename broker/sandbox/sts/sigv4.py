"""Signature Version 4, verified: who signed this request, and that it is fresh and untouched.

The rules are those of the IAM User Guide, "AWS Signature Version 4 for API requests" (elements, signed request,
troubleshooting). botocore can only sign, so the verification is the sandbox's own. `read` does checks 1 to 7, which
need no key; `verify` does 8 to 11:

 1. there is exactly one authentication, in the Authorization header or in the query;
 2. its algorithm is AWS4-HMAC-SHA256;
 3. all its elements are there, once;
 4. the credential scope is KEY/DAY/REGION/sts/aws4_request;
 5. the date is of AWS's form, and of the scope's day;
 6. the date is within 15 minutes of the clock, whatever X-Amz-Expires says (as STS answers: "- 15 min.");
 7. the Host header and every X-Amz-* header is signed;
 8. the key is known and active;
 9. the session token is the one of this key, and there is none for a long-term key;
10. the signature over the canonical request is right, compared in constant time;
11. the session has not expired.

Not checked: that Content-Type is signed (AWS does not either), and replays inside the 15 minutes (nor does AWS).
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from broker.sandbox.sts.refusal import Code, Refusal, incomplete, mismatch, unknown_token
from broker.sandbox.sts.sessions import Caller, Directory, Sessions, long_term_caller

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = timedelta(minutes=15)

_STAMP = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_REGION = re.compile(r"[a-z]{2,5}(?:-[a-z]+){1,3}-\d{1,2}", re.ASCII)
_ELEMENTS = ("Credential", "SignedHeaders", "Signature")
AUTHENTICATION = frozenset(
    {
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
    }
)
"""Query parameters that belong to the signature and not to the action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came: nothing decoded but the query."""

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Sequence[tuple[str, str]]
    """Names in lower case, in the order of arrival."""
    body: bytes = field(repr=False)

    def values(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a request says about its signature: nothing of it is believed before `verify`."""

    access_key_id: str
    day: str
    region: str
    stamp: str
    signed_headers: tuple[str, ...]
    signature: str
    token: str = field(repr=False)
    presigned: bool

    @property
    def scope(self) -> str:
        """The credential scope without the key."""
        return f"{self.day}/{self.region}/sts/aws4_request"


def read(request: Received, now: datetime) -> Claim:
    """Checks 1 to 7; raises `Refusal`."""
    # (1) exactly one authentication
    authorization = request.values("authorization")
    presigned = [value for name, value in request.query if name == "X-Amz-Signature"]
    if not authorization and not presigned:  # check: sts-unsigned
        raise Refusal(Code.MISSING_AUTHENTICATION_TOKEN, "Request is missing Authentication Token", 403)
    if len(authorization) + len(presigned) != 1:  # check: sts-two-signatures
        message = "The request must hold exactly one signature, in the Authorization header or in the query."
        raise incomplete(message)
    elements = _from_query(request.query) if presigned else _from_header(authorization[0], request)
    # (4) the scope
    scope = elements["Credential"].split("/")
    if len(scope) != 5 or scope[4] != "aws4_request":  # noqa: PLR2004 (the elements of a scope)
        message = "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term"
        raise incomplete(message)
    key, day, region, service, _ = scope
    if service != "sts":  # check: sts-scope-service
        message = f"Credential should be scoped to correct service: 'sts'. Got '{service}'."
        raise mismatch(message)
    if not _REGION.fullmatch(region):  # check: sts-scope-region
        message = "Credential should be scoped to a valid region."
        raise mismatch(message)
    _fresh(elements["Date"], day, now)
    claim = Claim(
        access_key_id=key,
        day=day,
        region=region,
        stamp=elements["Date"],
        signed_headers=tuple(elements["SignedHeaders"].split(";")),
        signature=elements["Signature"],
        token=elements.get("Token", ""),
        presigned=bool(presigned),
    )
    _covers(claim, request)
    return claim


def verify(claim: Claim, request: Received, directory: Directory, sessions: Sessions, now: datetime) -> Caller:
    """Checks 8 to 11: the caller, or `Refusal`."""
    # (8) the key is known, (9) and the token is its own
    owner_and_key = directory.keys.get(claim.access_key_id)
    session = sessions.get(claim.access_key_id)
    if owner_and_key is not None:
        owner, key = owner_and_key
        if not key.active or claim.token:  # check: sts-long-term-key
            raise unknown_token()
        secret, caller = key.secret, long_term_caller(owner)
    elif session is not None:
        if not session.has_token(claim.token):  # check: sts-session-token
            raise unknown_token()
        secret, caller = session.secret, session.caller
    else:
        raise unknown_token()
    # (10) the signature
    expected = signature(claim, request, secret)
    if not hmac.compare_digest(expected.encode(), claim.signature.encode()):  # check: sts-signature
        message = (
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details."
        )
        raise mismatch(message)
    # (11) not expired
    if session is not None and now >= session.expires:  # check: sts-session-expired
        raise Refusal(Code.EXPIRED_TOKEN, "The security token included in the request is expired", 403)
    return caller


def signature(claim: Claim, request: Received, secret: str) -> str:
    """The signature that the holder of `secret` would have made."""
    canonical = hashlib.sha256(_canonical(claim, request).encode()).hexdigest()
    to_sign = f"{ALGORITHM}\n{claim.stamp}\n{claim.scope}\n{canonical}"
    key = f"AWS4{secret}".encode()
    for part in (*claim.scope.split("/"), to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


def _canonical(claim: Claim, request: Received) -> str:
    pairs = [(name, value) for name, value in request.query if name != "X-Amz-Signature"]
    query = "&".join("=".join(pair) for pair in sorted((_encoded(name), _encoded(value)) for name, value in pairs))
    headers = "".join(
        f"{name}:{','.join(' '.join(value.split()) for value in request.values(name))}\n"
        for name in claim.signed_headers
    )
    payload = hashlib.sha256(request.body).hexdigest()
    return "\n".join((request.method, request.path, query, headers, ";".join(claim.signed_headers), payload))


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _from_header(authorization: str, request: Received) -> dict[str, str]:
    # (2) the algorithm
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:  # check: sts-algorithm
        message = f"Authorization header requires the algorithm {ALGORITHM}."
        raise incomplete(message)
    # (3) all elements, once
    pairs = [tuple(part.strip().split("=", 1)) for part in rest.split(",")]
    names = [pair[0] for pair in pairs]
    stamps, tokens = request.values("x-amz-date"), request.values("x-amz-security-token")
    missing = [f"Authorization header requires '{name}' parameter." for name in _ELEMENTS if names.count(name) != 1]
    if len(stamps) != 1:
        missing.append("Authorization header requires existence of a single 'X-Amz-Date' header.")
    if missing or len(tokens) > 1 or any(len(pair) != 2 for pair in pairs):  # noqa: PLR2004 (name and value)
        raise incomplete(" ".join(missing) or "Authorization header is not in form.")
    elements = dict((pair[0], pair[1]) for pair in pairs)  # noqa: C402 (the pairs are checked, their type is not)
    return elements | {"Date": stamps[0], "Token": tokens[0] if tokens else ""}


def _from_query(query: Sequence[tuple[str, str]]) -> dict[str, str]:
    # (3) all elements, once
    found = {name: [value for key, value in query if key == name] for name in AUTHENTICATION}
    needed = AUTHENTICATION - {"X-Amz-Security-Token"}
    missing = sorted(name for name in needed if len(found[name]) != 1)
    if missing or len(found["X-Amz-Security-Token"]) > 1:
        message = " ".join(f"AWS query-string parameters must include '{name}'." for name in missing)
        raise incomplete(message or "AWS query-string parameters must not repeat.")
    one = {name.removeprefix("X-Amz-"): values[0] for name, values in found.items() if values}
    # (2) the algorithm
    if one["Algorithm"] != ALGORITHM:  # check: sts-algorithm-query
        message = f"AWS query-string parameters require the algorithm {ALGORITHM}."
        raise incomplete(message)
    return one | {"Token": one.get("Security-Token", "")}


def _fresh(stamp: str, day: str, now: datetime) -> None:
    # (5) the date
    if not _STAMP.fullmatch(stamp):
        message = f"Date must be in ISO-8601 'basic format'. Got '{stamp}'. See https://en.wikipedia.org/wiki/ISO_8601"
        raise incomplete(message)
    if stamp[:8] != day:  # check: sts-scope-date
        message = (
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{day}' != '{stamp[:8]}', from '{stamp}'."
        )
        raise mismatch(message)
    try:
        when = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        message = f"'{stamp}' is no date."
        raise incomplete(message) from error
    # (6) the window
    if when < now - SKEW:  # check: sts-signature-old
        message = f"Signature expired: {stamp} is now earlier than {_stamp(now - SKEW)} ({_stamp(now)} - 15 min.)"
        raise mismatch(message)
    if when > now + SKEW:  # check: sts-signature-future
        message = (
            f"Signature not yet current: {stamp} is still later than {_stamp(now + SKEW)} ({_stamp(now)} + 15 min.)"
        )
        raise mismatch(message)


def _stamp(when: datetime) -> str:
    return when.strftime("%Y%m%dT%H%M%SZ")


def _covers(claim: Claim, request: Received) -> None:
    # (7) what must be signed is signed, and what is said to be signed is there
    signed = set(claim.signed_headers)
    if "host" not in signed:  # check: sts-host-signed
        message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        raise mismatch(message)
    loose = sorted({name for name, _ in request.headers if name.startswith("x-amz-")} - signed)
    if loose:  # check: sts-amz-headers-signed
        message = f"There were headers present in the request which were not signed: {', '.join(loose)}"
        raise mismatch(message)
    absent = sorted(name for name in signed if not request.values(name))
    if absent or list(claim.signed_headers) != sorted(signed):
        message = "SignedHeaders must be sorted, in lower case, and present in the request."
        raise incomplete(message)
