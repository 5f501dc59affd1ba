"""The federation endpoint and the console behind it, without their sockets. Safe for threads."""

import json
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import TypedDict
from urllib.parse import parse_qsl, urlencode

from broker.clock import Clock
from broker.sandbox.signin import pages, rules
from broker.sandbox.signin.rules import Refused
from broker.sandbox.sts import SandboxSts, Session
from broker.sandbox.sts.faults import Faults
from broker.sandbox.sts.service import identity_of
from broker.sandbox.sts.wire import timestamp
from broker.sandbox.sts.world import Random

VALID = timedelta(minutes=15)
ERRAND = timedelta(minutes=1)
"""How long the browser has from the sign-in to the console."""
COOKIE = "sandbox-console"
KEPT = 10_000
FORM = "application/x-www-form-urlencoded"
MOST_PARAMETERS = 20


class ConsoleLogin(TypedDict):
    """What CloudTrail writes down of a sign-in (CloudTrail User Guide, "AWS Management Console sign-in events")."""

    eventTime: str
    eventSource: str
    eventName: str
    sourceIPAddress: str
    userIdentity: Mapping[str, object]
    responseElements: Mapping[str, str]
    additionalEventData: Mapping[str, str]
    eventID: str
    recipientAccountId: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    query: str = field(repr=False)
    body: bytes = field(repr=False)
    content_type: str
    cookie: str = field(repr=False)
    """The value of `COOKIE`."""
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer as it goes back."""

    status: int
    body: str = field(default="", repr=False)
    content_type: str = "text/html; charset=utf-8"
    location: str = field(default="", repr=False)
    set_cookie: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Somebody who may sign in, or has."""

    access_key_id: str
    session: Session
    ends_at: datetime
    """Of the console session."""
    until: datetime
    """How long the token behind which this stands is good."""
    issuer: str = ""
    """Where the browser came from."""


class Tokens:
    """What stands behind a random token, for a while. The oldest goes when there are too many."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._known: OrderedDict[str, Granted] = OrderedDict()
        self._lock = Lock()

    def add(self, granted: Granted, *, size: int = 32) -> str:
        """A new token for it, of `size` random bytes."""
        token = self._random(size).hex()
        with self._lock:
            self._known[token] = granted
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return token

    def get(self, token: str) -> Granted | None:
        """What stands behind it, also when its time is over."""
        with self._lock:
            return self._known.get(token)

    def take(self, token: str) -> Granted | None:
        """The same, for the last time."""
        with self._lock:
            return self._known.pop(token, None)


class Service:
    """Decides and answers; its two origins are known once the sockets are there."""

    def __init__(self, sts: SandboxSts, *, clock: Clock, random: Random) -> None:
        self._sts, self._clock, self._random = sts, clock, random
        self._signins, self._arrivals, self._consoles = Tokens(random), Tokens(random), Tokens(random)
        self._logins: list[ConsoleLogin] = []
        self._lock = Lock()
        self.faults = Faults()
        self.url = self.console_url = ""

    @property
    def logins(self) -> tuple[ConsoleLogin, ...]:
        """Who has signed in, oldest first."""
        with self._lock:
            return tuple(self._logins)

    def sign_in(self, request: Request) -> Reply:
        """The origin of the federation endpoint."""
        try:
            return self._sign_in(request)
        except Refused as no:
            return Reply(status=no.status, body=pages.error(no.status, no.text, no.issuer))

    def console(self, request: Request) -> Reply:
        """The console's origin."""
        now = self._clock()
        asked = dict(parse_qsl(request.query))
        arrived = self._arrivals.take(asked.pop("code", ""))
        if arrived is not None and now < arrived.until:  # the address without the code, so that it can be kept
            cookie = self._consoles.add(arrived)
            here = request.path + (f"?{urlencode(asked)}" if asked else "")
            return Reply(status=302, location=here, set_cookie=f"{COOKIE}={cookie}; HttpOnly; SameSite=Lax; Path=/")
        granted = self._consoles.get(request.cookie)
        if granted is None:  # check: signin-console-cookie
            return Reply(status=403, body=pages.nobody())
        if now >= granted.ends_at:  # check: signin-console-ended
            return Reply(status=403, body=pages.ended(granted.issuer))
        out, service = f"{self.url}/oauth?Action=logout", request.path.split("/")[1]
        page = pages.console(granted.session, granted.ends_at, service, asked.get("region", ""), sign_out=out)
        return Reply(status=200, body=page)

    def _sign_in(self, request: Request) -> Reply:
        fault = self.faults.next()
        if fault is not None:
            raise Refused(fault.code, status=fault.status)
        if request.path == "/federation":
            return self._federation(_parameters(request), request.address)
        if request.path == "/oauth" and _parameters(request).get("Action") == "logout":
            self._consoles.take(request.cookie)
            return Reply(status=200, body=pages.signed_out(), set_cookie=f"{COOKIE}=; Max-Age=0; Path=/")
        message = "There is nothing here."
        raise Refused(message, status=404)

    def _federation(self, given: dict[str, str], address: str) -> Reply:
        match given.get("Action"):
            case "getSigninToken":
                return self._get_token(given)
            case "login":
                return self._login(given, address)
            case _:  # missing or unknown
                message = "Invalid Action parameter."
                raise Refused(message)

    def _get_token(self, given: Mapping[str, str]) -> Reply:
        rules.only(given, "Session", "SessionDuration")
        now = self._clock()
        key, session = rules.credentials(self._sts, given.get("Session", ""), now)
        ends = rules.ends_at(session, given.get("SessionDuration"), now)
        token = self._signins.add(
            Granted(access_key_id=key, session=session, ends_at=ends, until=now + VALID), size=400
        )
        return Reply(status=200, body=json.dumps({"SigninToken": token}), content_type="application/json")

    def _login(self, given: Mapping[str, str], address: str) -> Reply:
        rules.only(given, "Issuer", "Destination", "SigninToken")
        now, issuer = self._clock(), given.get("Issuer", "")
        granted = self._signins.get(given.get("SigninToken", ""))
        if granted is None or now >= granted.until:  # check: signin-token
            message = "Your sign-in has expired, or it never was one. Go back and sign in again."
            raise Refused(message, issuer=issuer)
        found = rules.place(given.get("Destination", ""), granted.session.caller.partition)
        self._note(granted, given["Destination"], address, now)
        code = self._arrivals.add(replace(granted, until=now + ERRAND, issuer=issuer))
        region = {"region": found.region} if found.region else {}
        where = f"{self.console_url}/{found.service}/home?{urlencode({**region, 'code': code})}"
        return Reply(status=302, location=where)

    def _note(self, granted: Granted, destination: str, address: str, now: datetime) -> None:
        caller = granted.session.caller
        login = ConsoleLogin(
            eventTime=timestamp(now),
            eventSource="signin.amazonaws.com",
            eventName="ConsoleLogin",
            sourceIPAddress=address,
            userIdentity=identity_of(caller, granted.access_key_id),
            responseElements={"ConsoleLogin": "Success"},
            additionalEventData={"LoginTo": destination, "MobileVersion": "No", "MFAUsed": "No"},
            eventID=str(uuid.UUID(bytes=self._random(16), version=4)),
            recipientAccountId=caller.account,
        )
        with self._lock:
            self._logins = [*self._logins[-KEPT:], login]


def _parameters(request: Request) -> dict[str, str]:
    """Query and form together, each name once."""
    message = "The request is not in form."
    texts = [request.query]
    if request.method == "POST":
        if request.content_type.partition(";")[0].strip().lower() != FORM:
            raise Refused(message)
        texts.append(request.body.decode("ascii", errors="replace"))
    try:
        found = [
            pair
            for text in texts
            if text
            for pair in parse_qsl(
                text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_PARAMETERS
            )
        ]
    except ValueError:
        raise Refused(message) from None
    if len(dict(found)) != len(found):  # check: signin-parameter-twice
        raise Refused(message)
    return dict(found)
