"""What AWS's federation endpoint asks of a request; what does not fit is a `Refused`, which becomes its error page."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from broker.sandbox.sts import CallerKind, SandboxSts, Session

CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
SHORTEST, LONGEST = 900, 43_200
CREDENTIALS = "Invalid credentials parameter. The request sent by the client was syntactically incorrect."
"""As AWS is seen to say."""
_MEMBERS = frozenset({"sessionId", "sessionKey", "sessionToken"})
_PATH = re.compile(r"/(?P<service>[a-z0-9-]{1,40})/home", re.ASCII)
_REGION = re.compile(r"[a-z]{2,5}(-[a-z]+){1,3}-\d{1,2}", re.ASCII)


class Refused(Exception):
    """AWS's way to say no: a page with this text and status."""

    def __init__(self, text: str, *, status: int = 400, issuer: str = "") -> None:
        """`issuer` is the address that the page offers to go back to."""
        super().__init__(text)
        self.text, self.status, self.issuer = text, status, issuer


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A page of the console."""

    service: str
    region: str


def only(given: Mapping[str, str], *known: str) -> None:
    """Refuse parameters that nobody knows."""
    if set(given) - {"Action", *known}:  # check: signin-unknown-parameter
        message = "The request holds a parameter that is not known."
        raise Refused(message)


def credentials(sts: SandboxSts, text: str, now: datetime) -> tuple[str, Session]:
    """The access key id and whom it stands for.

    The checks: 1. a JSON object of three texts; 2. temporary credentials; 3. known, with their own secret and token;
    4. not expired; 5. of a kind that may sign in.
    """
    # (1) the form
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(CREDENTIALS) from None
    if not isinstance(found, dict) or found.keys() != _MEMBERS:  # check: signin-session-members
        raise Refused(CREDENTIALS)
    if not all(isinstance(value, str) for value in found.values()):  # check: signin-session-texts
        raise Refused(CREDENTIALS)
    # (2) temporary: the STS hands out nothing else; (3) these very ones
    key = found["sessionId"]
    session = sts.known(key)
    if session is None:  # check: signin-unknown-key
        raise Refused(CREDENTIALS)
    if not (
        session.has_secret(found["sessionKey"]) and session.has_token(found["sessionToken"])
    ):  # check: signin-secret
        raise Refused(CREDENTIALS)
    # (4) not expired
    if now >= session.expires:  # check: signin-expired
        raise Refused(CREDENTIALS)
    # (5) a role's or a federated user's
    if session.caller.kind not in {CallerKind.ROLE, CallerKind.FEDERATED}:  # check: signin-session-token
        raise Refused(CREDENTIALS)
    return key, session


def ends_at(session: Session, duration: str | None, now: datetime) -> datetime:
    """When the console session ends: by SessionDuration where it is allowed, else with the credentials."""
    if duration is None:
        return session.expires
    if not re.fullmatch(r"[0-9]{1,6}", duration) or not SHORTEST <= int(duration) <= LONGEST:  # check: signin-duration
        message = "Invalid SessionDuration parameter."
        raise Refused(message)
    if int(duration) % SHORTEST:  # check: signin-duration-round
        message = "Invalid SessionDuration parameter."
        raise Refused(message)
    if not session.caller.by_long_term_key:  # a federated user's, or along a chain  # check: signin-duration-chained
        message = "SessionDuration cannot be given for these credentials."
        raise Refused(message)
    return now + timedelta(seconds=int(duration))


def place(destination: str, partition: str) -> Place:
    """The page of the console that a Destination names; a refusal for anywhere else."""
    message = "Invalid Destination parameter."
    try:
        parts = urlsplit(destination)
        port = parts.port
    except ValueError:
        raise Refused(message) from None
    console = CONSOLES.get(partition, "")
    region, _, host = ("", "", parts.netloc) if parts.netloc == console else parts.netloc.partition(".")
    if parts.scheme != "https" or port is not None or not console or host != console:  # check: signin-destination
        raise Refused(message)
    found = _PATH.fullmatch(parts.path)
    asked = parse_qs(parts.query).get("region", [""])[0]
    if found is None or asked != region or (region and not _REGION.fullmatch(region)):
        raise Refused(message)
    return Place(service=found["service"], region=region)
