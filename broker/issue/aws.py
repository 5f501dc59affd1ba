"""The `aws:` section of `broker.yaml`: how the broker itself reaches AWS."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from broker.authenticate.attempts import AttemptRule
from broker.duration import Duration
from broker.issue.destination import HOSTS

Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$")]
Host = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+$")]
Partition = Annotated[str, StringConstraints(pattern=r"^aws(-[a-z]+)*$")]
_MINUTE = timedelta(minutes=1)
_PREFIX = re.compile(r"[A-Za-z][\w.:/=+@-]{0,63}", re.ASCII)


class ConsoleHosts(BaseModel):
    """The console's host names in one partition."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sign_in: Host = Field(description="The host of the federation endpoint, `signin.…`.")
    console: Host = Field(description="The host of the console's home, `console.…`.")


class AwsSettings(BaseModel):
    """Where the broker asks for credentials, and with which credentials of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    regions: tuple[Region, ...] = Field(
        min_length=1,
        max_length=8,
        description="Regions whose STS is asked, in this order; two or more survive an outage.",
    )
    profile: str = Field(
        "", description="A profile of the AWS configuration files; empty: what the AWS SDK finds by itself."
    )
    access_key_file: Path | None = Field(
        None,
        description="A file in the form of ~/.aws/credentials whose [default] is used, and nothing else: no `AWS_` "
        "variable and no configuration file of the AWS SDK counts then.",
    )
    chained: Literal["auto"] | bool = Field(
        "auto", description="Whether the broker's own credentials are a role's: then AWS caps sessions at one hour."
    )
    tag_prefix: str = Field("broker:", description="What the keys of all session tags begin with.")
    connect_timeout: Duration = Field(timedelta(seconds=2), description="For one attempt.")
    read_timeout: Duration = Field(timedelta(seconds=5), description="For one attempt.")
    budget: Duration = Field(timedelta(seconds=10), description="For all attempts in all regions together.")
    connections: int = Field(32, ge=1, le=256, description="Connections kept open to one region, at most.")
    leases_per_minute: int = Field(
        30,
        ge=1,
        le=100_000,
        description="Leases, and links of `aws-broker console`, that one person may take in a minute; then a minute's "
        "wait.",
    )

    console_proxy: str = Field(
        "",
        pattern=r"^(([a-z0-9.-]+|\[[0-9a-f:]+\]):[0-9]{1,5})?$",
        description="`host:port` of a proxy through which the console's sign-in is reached; empty: none, whatever the "
        "environment says. What is sent stays secret from it.",
    )
    console_hosts: Mapping[Partition, ConsoleHosts] = Field(
        {},
        description="The console in partitions whose hosts are not public, by partition: "
        "`{aws-eusc: {sign_in: signin.…, console: console.…}}`.",
    )

    @field_validator("console_hosts")
    @classmethod
    def _not_known(cls, hosts: Mapping[str, ConsoleHosts]) -> Mapping[str, ConsoleHosts]:
        if HOSTS.keys() & hosts.keys():  # check: console-hosts-known
            message = f"AWS's own hosts of {', '.join(sorted(HOSTS.keys() & hosts.keys()))} stay as they are"
            raise ValueError(message)
        return hosts

    @field_validator("regions")
    @classmethod
    def _each_once(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(regions)) != len(regions):
            message = "a region stands here twice"
            raise ValueError(message)
        return regions

    @field_validator("tag_prefix")
    @classmethod
    def _not_reserved(cls, prefix: str) -> str:
        if not _PREFIX.fullmatch(prefix) or prefix.lower().startswith("aws"):
            message = "begins with a letter and not with aws, and is made of letters, digits and _.:/=+@- (at most 64)"
            raise ValueError(message)
        return prefix

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.profile and self.access_key_file:
            message = "give profile or access_key_file, not both"
            raise ValueError(message)
        if not timedelta() < self.connect_timeout + self.read_timeout <= self.budget:
            message = (
                "budget leaves no time for one attempt; make it longer than connect_timeout and read_timeout together"
            )
            raise ValueError(message)
        if timedelta() in (self.connect_timeout, self.read_timeout):
            message = "a time-out of nothing lets nothing through"
            raise ValueError(message)
        return self

    def lease_rule(self) -> AttemptRule:
        """How often a person may take one. A lost count does no harm: whoever has a lease could have another."""
        tries = self.leases_per_minute
        return AttemptRule(tries=tries, window=_MINUTE, longest_wait=_MINUTE, hard_stop=None, left_after_loss=tries)
