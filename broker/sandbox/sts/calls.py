"""The call log: one record for each request, in the shape and with the names of a CloudTrail event.

Source: CloudTrail User Guide, "CloudTrail record contents" and "userIdentity element". Unlike CloudTrail's own, the
records hold no session token at all.
"""

from collections import deque
from collections.abc import Mapping
from threading import Lock
from typing import TypedDict

KEPT = 10_000


class Call(TypedDict):
    """One event."""

    eventTime: str
    eventSource: str
    eventName: str
    awsRegion: str
    sourceIPAddress: str
    userAgent: str
    userIdentity: Mapping[str, object]
    requestParameters: Mapping[str, object] | None
    responseElements: Mapping[str, object] | None
    errorCode: str | None
    errorMessage: str | None
    requestID: str
    eventID: str
    recipientAccountId: str


class CallLog:
    """The last `KEPT` calls, oldest first. Safe for threads."""

    def __init__(self) -> None:
        """Empty."""
        self._calls: deque[Call] = deque(maxlen=KEPT)
        self._lock = Lock()

    def add(self, call: Call) -> None:
        """Write one down; beyond `KEPT` the oldest goes."""
        with self._lock:
            self._calls.append(call)

    def all(self) -> tuple[Call, ...]:
        """What was written."""
        with self._lock:
            return tuple(self._calls)
