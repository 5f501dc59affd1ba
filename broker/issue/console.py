"""`ConsoleSignIn`: from a `Lease` to a sign-in at the AWS console.

Two steps (IAM User Guide, "Enable custom identity broker access to the AWS console"): the broker gives the credentials
to AWS's federation endpoint and gets a sign-in token; the person's browser brings that token there and is signed in.
The token is worth as much as the credentials for 15 minutes: it is in no repr, no log and no error, and the form that
carries it is for the person's browser alone.
"""

import json
import random
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlencode

from broker.clock import Clock, monotonic
from broker.errors import Unavailable
from broker.issue.aws import AwsSettings
from broker.issue.destination import HOSTS, Destination, Hosts
from broker.issue.https import Answer, NoAnswer, Patience, Road, Unverified, post
from broker.issue.issuer import IssueRefused, Lease
from broker.issue.loopback import is_loopback

NAME = "AWS sign-in"
PATH = "/federation"
VALID = timedelta(minutes=15)
"""How long AWS takes a sign-in token."""
SHORTEST, LONGEST = timedelta(minutes=15), timedelta(hours=12)
"""What AWS takes as SessionDuration."""
ROUND = timedelta(minutes=15)
"""SessionDuration is a multiple of it: AWS has been seen to refuse odd numbers."""
SLACK = timedelta(seconds=60)
"""What the lease has lost on its way from STS, and what the console's session may last longer than it."""
TRIES = 2
PAUSE = 0.5
"""Seconds, at most, between them."""

_TOKEN = re.compile(r"[!-~]{16,16384}", re.ASCII)
_KEY_ID = re.compile(r"ASIA[A-Z0-9]{12,124}", re.ASCII)
_OPERATORS = "Tell the broker's operators: this answer did not come from AWS, or AWS has changed its form."
_TLS = "Ask the broker's operators: this machine's certificates are old, or something stands in between."
_REFUSED = (
    "Try again. If it stays so and the broker's own credentials are temporary (a role's, or of GetSessionToken), its "
    "operators set `aws.chained: true`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A form for the person's browser and nobody else, sent by POST so that the token is in no address."""

    action: str
    """Where the form goes."""
    fields: Mapping[str, str] = field(repr=False)
    """The token is among them."""
    ends_at: datetime
    """From then on AWS does not take it any more."""
    origins: tuple[str, ...]
    """Where the form leads, redirects included: what a page's CSP must allow (`form-action`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSignIn:
    """The sandbox in AWS's place: for `broker demo` and tests. `ValueError` for what is not on loopback."""

    sign_in: str
    """Origin."""
    console: str
    """Origin to which its sign-in leads."""

    def __post_init__(self) -> None:
        """Refuse every other machine."""
        for url in (self.sign_in, self.console):
            if not is_loopback(url):  # check: sign-in-loopback
                message = f"a sign-in endpoint of one's own is for loopback only, not for {url}"
                raise ValueError(message)


class Console(Protocol):
    """Signs a lease in at the console."""

    def open(self, lease: Lease, destination: Destination) -> SignIn:
        """The form that signs in. Raises `IssueRefused` (final) or `errors.Unavailable`."""

    def leave(self, partition: str) -> str:
        """The address that ends the browser's present session there; empty: not known."""


class ConsoleSignIn:
    """A `Console` by AWS's federation endpoint. Safe for threads."""

    def __init__(
        self,
        settings: AwsSettings,
        *,
        issuer: str,
        clock: Clock,
        monotonic: Callable[[], float] = monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random.random,
        local: LocalSignIn | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Nothing is sent. `issuer` is the broker's own address, which AWS shows when a console session has ended.

        `tls` verifies certificates; None: as this machine does. `local` is for the demo and tests.
        """
        self._settings, self._issuer, self._local = settings, issuer, local
        self._clock, self._monotonic, self._sleep, self._random = clock, monotonic, sleep, random
        self._road = Road(tls=tls or ssl.create_default_context(), proxy=settings.console_proxy)
        own = settings.console_hosts.items()
        self._hosts = {name: Hosts(sign_in=told.sign_in, console=told.console) for name, told in own} | dict(HOSTS)

    def open(self, lease: Lease, destination: Destination) -> SignIn:
        """The form that signs in to the lease's role.

        The checks, each an `IssueRefused`:

        1. the lease is temporary credentials that have not expired;
        2. the console of the role's partition is known, and the destination is in that partition;
        3. AWS gives a token: status 200, and neither a redirect nor a page;
        4. the answer is an object of exactly one SigninToken, of bounded length and printable.

        Raises `Unavailable` when the endpoint did not answer in time, twice.
        """
        now = self._clock()
        # (1) what is signed in
        if not _KEY_ID.fullmatch(lease.access_key_id) or lease.expires_at <= now:  # check: console-lease
            message = "These credentials do not open the console: they are not temporary, or have expired."
            raise IssueRefused(message, remedy="Try again.")
        # (2) where
        hosts = self._hosts_of(lease.role_arn.split(":")[1], destination)
        # (3) and does AWS take it
        origin, answer = self._token(_bases(hosts, lease.region, self._local), self._form(lease, now))
        if answer.status != 200:  # noqa: PLR2004 (HTTP's)  # check: sign-in-status
            message = "AWS does not open the console with these credentials."
            raise IssueRefused(message, aws_code=f"SignIn{answer.status}", remedy=_REFUSED)
        # (4) the token
        token = _token_in(answer.body)
        where = {"Issuer": self._issuer, "Destination": destination.url(hosts)}
        return SignIn(
            action=origin + PATH,
            fields={"Action": "login", **where, "SigninToken": token},
            ends_at=now + VALID,
            origins=_origins(hosts, self._local),
        )

    def leave(self, partition: str) -> str:
        """The address that signs the browser out of the console in this partition; empty: not known."""
        hosts = self._hosts.get(partition)
        if hosts is None:
            return ""
        return f"{self._local.sign_in if self._local else f'https://{hosts.sign_in}'}/oauth?Action=logout"

    def _hosts_of(self, partition: str, destination: Destination) -> Hosts:
        hosts = self._hosts.get(partition)
        if hosts is None:  # check: console-partition
            message = f"The broker does not know the console of the partition {partition}."
            raise IssueRefused(
                message, remedy="Its operators name it in `aws.console_hosts`; access keys work as ever."
            )
        if not destination.within(partition):  # check: console-region-of-partition
            message = f"The region {destination.region} is not one of the role's partition."
            raise IssueRefused(message, remedy="Choose another region, or none.")
        return hosts

    def _form(self, lease: Lease, now: datetime) -> bytes:
        session = {
            "sessionId": lease.access_key_id,
            "sessionKey": lease.secret_access_key,
            "sessionToken": lease.session_token,
        }
        form = {"Action": "getSigninToken", "Session": json.dumps(session, separators=(",", ":"))}
        return urlencode(form | _duration(lease, now)).encode()

    def _token(self, origins: Sequence[str], body: bytes) -> tuple[str, Answer]:
        """The first answer, and whose it is. What says "not now" is asked once more, on the other road if there is one.

        Asking twice does no harm: a token that nobody gets opens nothing.
        """
        settings = self._settings
        deadline = self._monotonic() + settings.budget.total_seconds()
        for number, origin in enumerate(origins):
            if number:
                self._sleep(max(0.0, min(self._random() * PAUSE, deadline - self._monotonic())))
            patience = Patience(
                connect=settings.connect_timeout.total_seconds(),
                read=settings.read_timeout.total_seconds(),
                all=(deadline - self._monotonic()) / (len(origins) - number),
            )
            try:
                answer = post(origin + PATH, body, road=self._road, patience=patience, monotonic=self._monotonic)
            except NoAnswer:
                continue
            except Unverified as error:
                message = "What answers in the place of AWS sign-in cannot prove to be it"
                raise Unavailable(NAME, message, remedy=_TLS) from error
            if answer.status != 429 and answer.status < 500:  # noqa: PLR2004 (HTTP's)
                return origin, answer
        raise Unavailable(NAME)


def _bases(hosts: Hosts, region: str, local: LocalSignIn | None) -> Sequence[str]:
    """The origins to ask, in this order. The second road is the region whose STS has just answered."""
    if local is not None:
        return [local.sign_in] * TRIES
    second = f"{region}.{hosts.sign_in}" if hosts.regional else hosts.sign_in
    return [f"https://{hosts.sign_in}", f"https://{second}"]


def _origins(hosts: Hosts, local: LocalSignIn | None) -> tuple[str, ...]:
    """AWS's own domain: from its sign-in it leads through several hosts of it, and a browser asks at each."""
    if local is not None:
        return local.sign_in, local.console
    above = {host.partition(".")[2] for host in (hosts.sign_in, hosts.console)}
    return tuple(f"https://*.{domain}" for domain in sorted(above))


def _duration(lease: Lease, now: datetime) -> dict[str, str]:
    """How long the console's session lasts: as long as the lease, and no longer.

    AWS takes a number only for credentials that were got with a long-term key. Without one, and for what is too short
    for a number, its own rule is the same: the session ends with the credentials.
    """
    if lease.chained:  # check: console-duration-chained
        return {}
    left = (lease.expires_at - now + SLACK) // ROUND * ROUND
    if left < SHORTEST:  # check: console-duration-short
        return {}
    return {"SessionDuration": str(int(min(left, LONGEST).total_seconds()))}


def _token_in(body: bytes) -> str:
    try:
        found = json.loads(body.decode(), object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        found = None
    token = found["SigninToken"] if isinstance(found, dict) and found.keys() == {"SigninToken"} else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):  # check: sign-in-answer
        message = "AWS's answer holds no sign-in token."
        raise IssueRefused(message, aws_code="SignInUnreadable", remedy=_OPERATORS)
    return token


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):  # check: sign-in-answer-key-twice
        message = "a key stands there twice"
        raise ValueError(message)
    return found
