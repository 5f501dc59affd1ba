"""What `broker.yaml` says under `mfa:`."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from broker.authenticate.attempts import AttemptRule
from broker.duration import Duration


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
        100,
        ge=1,
        le=100,
        description="Wrong answers, one less for each day without a try, after which only an operator's unlock helps.",
    )

    @property
    def rule(self) -> AttemptRule:
        """How often one person may try."""
        return AttemptRule(
            tries=self.tries, window=self.window, longest_wait=self.longest_wait, hard_stop=self.hard_stop
        )
