"""What `broker.yaml` says under `mfa:`."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from broker.authenticate.attempts import AttemptRule

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[1-9][0-9]{0,5}[smhd]", value):
        message = "a duration is a whole number and its unit, like 90s, 15m, 8h or 2d"
        raise ValueError(message)
    return timedelta(**{_UNITS[value[-1]]: int(value[:-1])})


Duration = Annotated[timedelta, BeforeValidator(_duration, json_schema_input_type=str)]


class EnrolmentPolicy(StrEnum):
    """What a first enrolment needs beside a fresh password."""

    CODE = "code"
    """A one-time code from an operator."""
    SELF = "self"
    """Nothing more; after a reset a code all the same."""


class MfaSettings(BaseModel):
    """Second factors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrolment: EnrolmentPolicy = Field(
        EnrolmentPolicy.CODE,
        description="What a first enrolment needs beside a fresh password: `code`, an operator's one-time code, or "
        "`self`, nothing more. After a reset a code is needed under either.",
    )
    issuer: str = Field(
        "AWS access",
        min_length=1,
        max_length=64,
        pattern=r"^[^:]*$",
        description="What authenticator apps call the account; no colon.",
    )
    code_lifetime: Duration = Field(
        timedelta(hours=24),
        gt=timedelta(0),
        le=timedelta(days=30),
        description="How long an enrolment code can be used.",
    )
    tries: int = Field(5, ge=1, le=10, description="Wrong answers of one person, over all sessions, before a wait.")
    window: Duration = Field(
        timedelta(minutes=15), ge=timedelta(minutes=1), description="The time in which they count, and the first wait."
    )
    longest_wait: Duration = Field(
        timedelta(hours=1), ge=timedelta(minutes=1), description="The wait doubles up to this."
    )
    hard_stop: int = Field(
        100, ge=1, le=100, description="Wrong answers in a row after which only an operator's reset helps."
    )

    @property
    def rule(self) -> AttemptRule:
        """How often one person may try."""
        return AttemptRule(
            tries=self.tries, window=self.window, longest_wait=self.longest_wait, hard_stop=self.hard_stop
        )
