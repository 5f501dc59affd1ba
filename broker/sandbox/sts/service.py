"""From a received request to an answer and a line in the call log, in the order in which STS decides."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from broker.clock import Clock
from broker.sandbox.sts import wire
from broker.sandbox.sts.actions import ACTIONS
from broker.sandbox.sts.assume import Asked
from broker.sandbox.sts.calls import Call, CallLog
from broker.sandbox.sts.faults import Faults, Throttle
from broker.sandbox.sts.refusal import Code, Refusal, region_disabled, unknown_token
from broker.sandbox.sts.sessions import Caller, CallerKind, Directory, Sessions
from broker.sandbox.sts.sigv4 import AUTHENTICATION, Received, read, verify
from broker.sandbox.sts.world import Random, unique_id

MOST_PARAMETERS = 500
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer as it goes back."""

    status: int
    body: str = field(repr=False)
    request_id: str


class _Progress:
    """What is known of a request so far, for the call log."""

    __slots__ = ("access_key_id", "action", "answer", "caller", "parameters", "refusal", "region")

    def __init__(self) -> None:
        self.action = self.region = self.access_key_id = ""
        self.caller: Caller | None = None
        self.parameters: wire.Parameters | None = None
        self.answer: Mapping[str, Any] | None = None
        self.refusal: Refusal | None = None


class Service:
    """The STS without its socket. Safe for threads."""

    def __init__(self, directory: Directory, *, clock: Clock, random: Random, throttle: Throttle) -> None:
        """Take what it stands on; `directory` and `enabled_regions` may be replaced at any time."""
        self.directory = directory
        self.enabled_regions: frozenset[str] | None = None
        self.sessions = Sessions(random)
        self.faults = Faults()
        self.log = CallLog()
        self._clock = clock
        self._random = random
        self._throttle = throttle

    def answer(self, request: Received, address: str) -> Reply:
        """Decide, answer and write down."""
        now = self._clock()
        request_id = str(uuid.UUID(bytes=self._random(16), version=4))
        progress = _Progress()
        try:
            progress.answer = self._decide(request, address, now, progress)
            body, status = wire.answer(progress.action, progress.answer, request_id), 200
        except Refusal as refusal:
            progress.refusal = refusal
            body, status = wire.error(refusal.code, refusal.message, refusal.status, request_id), refusal.status
        event_id = str(uuid.UUID(bytes=self._random(16), version=4))
        self.log.add(_record(progress, request, address, now, request_id, event_id))
        return Reply(status=status, body=body, request_id=request_id)

    def _decide(self, request: Received, address: str, now: datetime, progress: _Progress) -> Mapping[str, Any]:
        directory = self.directory
        # (1) a fault that a test asked for
        fault = self.faults.next()
        if fault is not None:
            raise Refusal(fault.code, fault.code, fault.status)
        # (2) the action exists in this version
        given = _parameters(request)
        progress.action = _action(given)
        # (3) the signature
        claim = read(request, now)
        progress.access_key_id, progress.region = claim.access_key_id, claim.region
        caller = verify(claim, request, directory, self.sessions, now)
        # (4) the caller still exists, and the region is one of its partition
        gone = directory.policy_of(caller) is None
        if gone or wire.partition_of(claim.region) != caller.partition:  # check: sts-caller-gone
            raise unknown_token()
        progress.caller = caller
        # (5) the region is active
        if self.enabled_regions is not None and claim.region not in self.enabled_regions:  # check: sts-region-disabled
            raise region_disabled(caller.account)
        # (6) the quota
        if not self._throttle.take(caller.account, claim.region):  # check: sts-throttle
            raise Refusal(Code.THROTTLING, "Rate exceeded")
        # (7) the parameters, within the service model's limits
        progress.parameters = wire.parameters(progress.action, given)
        # (8) the action's own rules
        return ACTIONS[progress.action](
            Asked(
                caller=caller,
                parameters=progress.parameters,
                directory=directory,
                sessions=self.sessions,
                now=now,
                region=claim.region,
                address=address,
            )
        )


def _parameters(request: Received) -> dict[str, str]:
    """The action's parameters, from query and form together, each once; raises `Refusal`."""
    pairs = [pair for pair in request.query if pair[0] not in AUTHENTICATION]
    kinds = [value.partition(";")[0].strip().lower() for value in request.values("content-type")]
    if request.method == "POST" and request.body and kinds == [_FORM]:
        pairs += decode(request.body)
    found = dict(pairs)
    if len(found) != len(pairs):  # check: sts-parameter-twice
        raise Refusal(Code.MALFORMED_QUERY_STRING, "A parameter is given twice.")
    return found


def decode(form: bytes) -> list[tuple[str, str]]:
    """The pairs of a query string or form body; raises `Refusal`."""
    if not form:
        return []
    try:
        text = form.decode("ascii")
        return parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError as error:
        message = "The query string contains a syntax error."
        raise Refusal(Code.MALFORMED_QUERY_STRING, message) from error


def _action(given: dict[str, str]) -> str:
    """Take action and version out of `given`; raises `Refusal`."""
    action, version = given.pop("Action", ""), given.pop("Version", "NO_VERSION_SPECIFIED")
    if not action:
        raise Refusal(Code.MISSING_ACTION, "The request is missing an action or a required parameter.")
    if action not in ACTIONS or version != wire.VERSION:
        raise Refusal(Code.INVALID_ACTION, f"Could not find operation {action[:64]} for version {version[:64]}")
    return action


def _record(
    progress: _Progress, request: Received, address: str, now: datetime, request_id: str, event_id: str
) -> Call:
    caller, refusal = progress.caller, progress.refusal
    return Call(
        eventTime=wire.timestamp(now),
        eventSource="sts.amazonaws.com",
        eventName=progress.action,
        awsRegion=progress.region,
        sourceIPAddress=address,
        userAgent=(request.values("user-agent") or [""])[0],
        userIdentity=identity_of(caller, progress.access_key_id),
        requestParameters=None if progress.parameters is None else _shown(progress.parameters),
        responseElements=None if progress.answer is None else _shown(progress.answer),
        errorCode=refusal.code if refusal else None,
        errorMessage=refusal.message if refusal else None,
        requestID=request_id,
        eventID=event_id,
        recipientAccountId=caller.account if caller else "",
    )


def identity_of(caller: Caller | None, access_key_id: str) -> dict[str, object]:
    """CloudTrail's `userIdentity`."""
    if caller is None:
        return {"type": "Unknown", "accessKeyId": access_key_id}
    found: dict[str, object] = {
        "type": str(caller.kind),
        "principalId": caller.user_id,
        "arn": caller.arn,
        "accountId": caller.account,
        "accessKeyId": access_key_id,
    }
    if caller.kind is CallerKind.USER:
        found["userName"] = caller.principal_arn.rsplit("/", 1)[1]
    if caller.issued is not None:
        created = {"creationDate": wire.timestamp(caller.issued), "mfaAuthenticated": "false"}
        found["sessionContext"] = {"attributes": created} | (
            {"sourceIdentity": caller.source_identity} if caller.source_identity else {}
        )
    if caller.kind is CallerKind.ROLE and isinstance(context := found.get("sessionContext"), dict):
        context["sessionIssuer"] = {
            "type": "Role",
            "arn": caller.principal_arn,
            "accountId": caller.account,
            "principalId": unique_id("AROA", caller.principal_arn),
        }
    return found


def _shown(values: Mapping[str, Any]) -> dict[str, object]:
    """Parameters or an answer with CloudTrail's names, without secrets."""
    found: dict[str, object] = {}
    for name, value in values.items():
        if name in ("SecretAccessKey", "SessionToken", "TokenCode") or value is None:
            continue
        if name == "Tags":
            found["principalTags"] = {tag["Key"]: tag["Value"] for tag in value}
        else:
            found[name[0].lower() + name[1:]] = _shown(value) if isinstance(value, Mapping) else value
    return found
