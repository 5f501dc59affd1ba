"""What stands in `broker.yaml`: the sections, with the meaning, unit and default of every key."""

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from broker.authenticate.identity import Group, GroupForm
from broker.challenge.settings import MfaSettings
from broker.duration import Duration
from broker.entitle.dn import parse_dn
from broker.entitle.group_id import fold_id
from broker.entitle.index import distinguished
from broker.issue.aws import AwsSettings
from broker.storage import StorageSettings

_HOST = r"(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])"
_ORIGIN = re.compile(rf"(?P<scheme>https?)://(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?/?")
_BIND = re.compile(rf"{_HOST}:(?P<port>[0-9]{{1,5}})")
_LAST_PORT = 65535
_USUAL_PORT = {"http": "80", "https": "443"}
_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Section(BaseModel):
    """A part of `broker.yaml`: unknown keys are errors, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ServerSettings(Section):
    """How the broker is reached."""

    url: str = Field(
        description="The address in people's browsers, `https://broker.corp.example`; no other host is served."
    )
    bind: str = Field("127.0.0.1:8400", description="Where the server listens, `host:port`.")
    workers: int = Field(2, ge=1, le=64, description="Processes.")
    threads: int = Field(4, ge=1, le=64, description="Threads in each process.")
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        (),
        description="Networks of the proxies in front; only they are believed about the client.",
    )
    tls_version_header: str = Field(
        "", description="Header in which a trusted proxy tells the TLS version of the client, such as `X-TLS-Version`."
    )

    monitors: tuple[IPv4Network | IPv6Network, ...] = Field(
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
        description="Networks from which /metrics may be read, by the caller's own socket address.",
    )

    @field_validator("url")
    @classmethod
    def _origin(cls, url: str) -> str:
        """As browsers send it: without the usual port, in lower case."""
        found = _ORIGIN.fullmatch(url.lower())
        if found is None or not _is_port(found["port"] or "1"):
            message = "must be a plain origin such as https://broker.corp.example, without a path"
            raise ValueError(message)
        if found["scheme"] != "https" and found["host"] not in _LOCAL:  # check: https-only
            message = "must begin with https:// (http:// is for localhost only)"
            raise ValueError(message)
        usual = found["port"] in {None, _USUAL_PORT[found["scheme"]]}
        return f"{found['scheme']}://{found['host']}" + ("" if usual else f":{found['port']}")

    @field_validator("bind")
    @classmethod
    def _address(cls, bind: str) -> str:
        found = _BIND.fullmatch(bind.lower())
        if found is None or not _is_port(found["port"]):
            message = "must be host:port, such as 127.0.0.1:8400"
            raise ValueError(message)
        return bind

    @field_validator("tls_version_header")
    @classmethod
    def _header(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9-]*", name):
            message = "must be the name of a header, such as X-TLS-Version"
            raise ValueError(message)
        return name


def _is_port(text: str) -> bool:
    return 0 < int(text) <= _LAST_PORT


class SessionSettings(Section):
    """How long a browser stays signed in."""

    absolute: Duration = Field(
        timedelta(hours=12),
        ge=timedelta(minutes=5),
        le=timedelta(hours=24),
        description="From the password on, whatever happens; at most 24h.",
    )
    idle: Duration = Field(
        timedelta(hours=1),
        ge=timedelta(minutes=1),
        le=timedelta(hours=24),
        description="Since the last request; at most `absolute`.",
    )
    admin_idle: Duration = Field(
        timedelta(minutes=15),
        ge=timedelta(minutes=1),
        le=timedelta(hours=24),
        description="The same for people in a group of `owners`, while they are in it; `idle` where that is shorter.",
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.idle > self.absolute:
            message = "idle must not be longer than absolute"
            raise ValueError(message)
        return self


class DirectorySettings(Section):
    """What happens while no controller of a directory can be asked."""

    outage_grace: Duration = Field(
        timedelta(minutes=5), description="For so long groups read before still count; at most 1h."
    )
    outage_grace_of_role: Mapping[str, Duration] = Field(
        {}, description="The same for one role of the mapping document, `admin: 0s`."
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        longest = max([self.outage_grace, *self.outage_grace_of_role.values()])
        if longest > timedelta(hours=1):  # check: outage-grace-limit
            message = "an outage_grace is at most 1h: for so long somebody who left would keep what they had"
            raise ValueError(message)
        return self


class OwnerGroup(Section):
    """A directory group whose members own the broker."""

    provider: str = Field(description="The provider's name in this file.")
    id: str = Field("", description="The group's immutable id (AD: its SID). Better than the dn.")
    dn: str = Field("", description="Its distinguished name, where there is no id.")

    def means(self, group: Group) -> bool:
        """Whether `group` is this one: by id, or by DN where no id is given. A DN that cannot be read is nobody's."""
        if group.provider != self.provider:  # check: owner-provider
            return False
        if self.id:
            return fold_id(group.id) == fold_id(self.id)
        return distinguished(group) == parse_dn(self.dn)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.dn) == bool(self.id):  # check: owner-is-named
            message = "give the id or the dn, one of them"
            raise ValueError(message)
        if self.dn:
            parse_dn(self.dn)  # its ValueError says what is wrong
        return self


class AuditSettings(Section):
    """The audit trail's copy outside the database."""

    stdout: Literal["required", "best-effort", "off"] = Field(
        "required", description="Whether each event's signed JSON line must reach stdout before anything is issued."
    )


class KeySettings(Section):
    """Where the broker's own keys are."""

    file: Path = Field(description="Made by `broker keys generate`; owner-only. A systemd credential's path works too.")


class MappingSettings(Section):
    """Where the role-mapping document is."""

    files: tuple[Path, ...] = Field(min_length=1, description="Files, or folders of *.yaml; together one document.")


class Settings(Section):
    """The whole of `broker.yaml`."""

    server: ServerSettings
    keys: KeySettings
    mappings: MappingSettings
    providers: Mapping[str, SerializeAsAny[BaseModel]] = Field(
        min_length=1, description="Identity providers by name; `type` says which kind."
    )
    aws: AwsSettings
    storage: StorageSettings
    mfa: MfaSettings = MfaSettings()
    sessions: SessionSettings = SessionSettings()
    directory: DirectorySettings = DirectorySettings()
    owners: tuple[OwnerGroup, ...] = Field((), description="Groups whose members own the broker; none by default.")
    audit: AuditSettings = AuditSettings()

    @property
    def group_forms(self) -> dict[str, GroupForm]:
        """Provider -> how its groups are known."""
        kinds = self.providers.items()
        return {name: own.group_form for name, own in kinds}  # type: ignore[attr-defined]  # every kind in PROVIDERS says it

    @model_validator(mode="after")
    def _owners_are_reachable(self) -> Self:
        unknown = sorted({owner.provider for owner in self.owners} - set(self.providers))
        if unknown:
            message = f"owners: there is no provider {' or '.join(unknown)} in this file"
            raise ValueError(message)
        return self
