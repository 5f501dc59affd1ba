"""The calls to AWS STS: which region, how often, how long, and what counts as an answer.

One client for each region and process, made when the first is needed. Regions are tried in their order, all of them
once and then all of them once more, with a random pause in between. Only what says "not here, not now" moves on: no
connection, a status of 5xx or 429, throttling, a region that is not active. Everything else is an answer, and final.

An attempt begins only if it can end within the budget; when the time left is short, a client with half the time-outs
is used. (Looking up the host's name has no time-out of its own.) A region that could not be reached goes last for half
a minute, so that its time-outs are not paid again by everybody.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import CredentialResolver, SharedCredentialProvider
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 (botocore's own base of what failed before an answer)
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session

from broker.clock import Clock
from broker.errors import ConfigurationError, Problem, Unavailable
from broker.issue.aws import AwsSettings
from broker.issue.loopback import is_loopback
from broker.issue.refusals import BUSY, CLOSED, refusal

NAME = "AWS STS"
ATTEMPTS = 2
PAUSE = 0.5
"""Seconds, at most, between the first round through the regions and the second."""
REST = 30.0
"""Seconds for which a region that could not be reached goes last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What STS answered."""

    body: Mapping[str, Any] = field(repr=False)
    """The response, as boto3 reads it. Secrets may be in it."""
    region: str
    date: datetime | None
    """STS's own time, from the `Date` header."""


class _MoveOn(Enum):
    """Why this region gave no answer."""

    AWAY = "away"
    BUSY = "busy"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Client:
    """A boto3 client, and the seconds that one call with it takes at most."""

    boto: Any
    seconds: float


_Clients = Mapping[str, tuple[_Client, ...]]
"""By region, the most patient first."""


class Sts:
    """STS in several regions. Safe for threads; after a fork the child makes clients of its own."""

    def __init__(
        self,
        settings: AwsSettings,
        *,
        clock: Clock,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        random: Callable[[], float],
        endpoints: Mapping[str, str],
    ) -> None:
        """Nothing is sent. `endpoints` (region: URL) is for the demo and tests, loopback only.

        Raises `errors.ConfigurationError` for a profile or key file that cannot be used.
        """
        for url in endpoints.values():
            if not is_loopback(url):  # check: endpoint-loopback
                message = f"an endpoint of one's own is for loopback only, not for {url}"
                raise ValueError(message)
        self._settings, self._endpoints = settings, endpoints
        self._clock, self._monotonic, self._sleep, self._random = clock, monotonic, sleep, random
        self._resting: dict[str, float] = {}
        self._offset: timedelta | None = None
        _session(settings)  # what cannot be used is told at the start
        self._made: tuple[int, _Clients] = (0, {})

    def call(self, operation: str, parameters: Mapping[str, Any]) -> Answer:
        """The answer of the first region that gives one.

        Raises `IssueRefused` for what AWS refuses, `Unavailable` when no region answered within the budget.
        """
        deadline = self._monotonic() + self._settings.budget.total_seconds()
        closed: set[str] = set()
        for attempt in range(ATTEMPTS):
            if attempt:
                left = deadline - self._monotonic()
                self._sleep(max(0.0, min(self._random() * PAUSE, left)))
            for region in self._in_order(closed):
                client = self._client(region, deadline - self._monotonic())
                if client is None:
                    raise Unavailable(NAME)
                answer = self._once(client.boto, region, operation, parameters)
                if isinstance(answer, Answer):
                    return answer
                if answer is _MoveOn.CLOSED:
                    closed.add(region)
                elif answer is _MoveOn.AWAY:
                    self._resting[region] = self._monotonic() + REST
            if len(closed) == len(self._settings.regions):
                raise refusal(CLOSED)
        raise Unavailable(NAME)

    def clock_offset(self) -> timedelta | None:
        """STS's clock minus ours, to about a second, as of the last answer; None: there was none yet."""
        return self._offset

    def _in_order(self, closed: set[str]) -> list[str]:
        now = self._monotonic()
        regions = [region for region in self._settings.regions if region not in closed]
        return sorted(regions, key=lambda region: self._resting.get(region, now) > now)

    def _client(self, region: str, left: float) -> _Client | None:
        """The most patient client that still fits into the time left."""
        return next((client for client in self._clients()[region] if client.seconds <= left), None)

    def _clients(self) -> _Clients:
        """Those of this process: connections must not be shared with the parent. The last of two makers wins."""
        process, clients = self._made
        if process != os.getpid():
            clients = self._make_clients()
            self._made = os.getpid(), clients
        return clients

    def _once(self, boto: Any, region: str, operation: str, parameters: Mapping[str, Any]) -> Answer | _MoveOn:  # noqa: ANN401 (boto3 ships no types)
        """One attempt in one region."""
        try:
            body = getattr(boto, operation)(**parameters)
        except ClientError as error:
            self._note(error.response)
            return _move_on(error)
        except (ConnectionError, HTTPClientError, ResponseParserError):
            return _MoveOn.AWAY
        except ParamValidationError as error:
            raise refusal(type(error).__name__) from error
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
            message = "The broker has no AWS credentials of its own"
            raise Unavailable(NAME, message, remedy="Ask the broker's operators to check `aws:`.") from error
        except BotoCoreError as error:
            raise Unavailable(NAME) from error
        return Answer(body=body, region=region, date=self._note(body))

    def _note(self, response: Mapping[str, Any]) -> datetime | None:
        """STS's time, remembered against ours."""
        date = _date(response)
        if date is not None:  # the header is cut to a second: half of one is its expected error
            self._offset = date + timedelta(milliseconds=500) - self._clock()
        return date

    def _make_clients(self) -> _Clients:
        logging.getLogger("botocore").setLevel(logging.INFO)  # what it says below that has credentials in it
        settings, session = self._settings, _session(self._settings)
        connect, read = settings.connect_timeout.total_seconds(), settings.read_timeout.total_seconds()
        return {
            region: tuple(
                _Client(
                    boto=session.client(
                        "sts",
                        region_name=region,
                        endpoint_url=self._endpoints.get(region),
                        config=_config(settings, connect / haste, read / haste),
                    ),
                    seconds=(connect + read) / haste,
                )
                for haste in (1, 2)
            )
            for region in settings.regions
        }


def _config(settings: AwsSettings, connect: float, read: float) -> Config:
    return Config(
        connect_timeout=connect,
        read_timeout=read,
        max_pool_connections=settings.connections,
        retries={"total_max_attempts": 1, "mode": "standard"},  # tries are counted here, over all regions
        ignore_configured_endpoint_urls=True,  # a variable of the environment must not say who STS is
    )


def _session(settings: AwsSettings) -> Any:  # noqa: ANN401 (boto3 ships no types)
    """A session that finds the broker's own credentials where the settings say; else `ConfigurationError`."""
    try:
        core = _by_file(settings.access_key_file) if settings.access_key_file else _by_sdk(settings.profile)
        if settings.access_key_file and core.get_credentials() is None:
            raise _unusable(settings, "there is no access key under [default] in this file")
    except BotoCoreError as error:
        raise _unusable(settings, "it cannot be read, or is not complete") from error
    core.set_config_variable("sts_regional_endpoints", "regional")
    return boto3.Session(botocore_session=core)


def _by_sdk(profile: str) -> Session:
    """By what the AWS SDK finds: the environment, its configuration files, the machine's own role."""
    core = Session(profile=profile or None)
    core.get_scoped_config()  # raises for a profile that is not there
    return core


def _by_file(file: Path) -> Session:
    """By the key in `file`. For this session the environment has no `AWS_` variable, and the SDK no file of its own."""
    nowhere = {"config_file": os.devnull, "credentials_file": os.devnull}
    settled = {
        name: (None, None, nowhere.get(name, default), convert)
        for name, (_in_file, _in_environment, default, convert) in Session.SESSION_VARIABLES.items()
    }
    core = Session(session_vars=settled)
    core.register_component("credential_provider", CredentialResolver([SharedCredentialProvider(str(file), "default")]))
    return core


def _unusable(settings: AwsSettings, what: str) -> ConfigurationError:
    key = "access_key_file" if settings.access_key_file else "profile"
    named = settings.access_key_file or settings.profile or "the configuration files of the AWS SDK"
    remedy = f"look at {named}; the form is that of ~/.aws/credentials"
    return ConfigurationError([Problem(where=f"aws.{key}", what=what, remedy=remedy)])


def _move_on(error: ClientError) -> _MoveOn:
    """Whether another region or another moment may answer; else raises what AWS said."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == CLOSED:
        return _MoveOn.CLOSED
    if code in BUSY or status == 429 or status >= 500:  # noqa: PLR2004 (HTTP's)
        return _MoveOn.BUSY
    raise refusal(code) from error


def _date(response: Mapping[str, Any]) -> datetime | None:
    header = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        date = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    return date if date.tzinfo is not None else None
