"""What stands in `broker.yaml`: the sections, with the meaning, unit and default of every key."""

from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator

from broker.challenge.settings import MfaSettings
from broker.entitle.duration import Duration
from broker.issue.aws import AwsSettings
from broker.storage import StorageSettings


class Section(BaseModel):
    """A part of `broker.yaml`: unknown keys are errors, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
        parts = urlsplit(url)
        local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            message = "must begin with https:// (http:// is for localhost only)"
            raise ValueError(message)
        if not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username:
            message = "must be a plain origin such as https://broker.corp.example"
            raise ValueError(message)
        return url.rstrip("/")


class SessionSettings(Section):
    """How long a browser stays signed in."""

    absolute: Duration = Field(timedelta(hours=12), description="From the password on, whatever happens.")
    idle: Duration = Field(timedelta(hours=1), description="Since the last request.")


class DirectorySettings(Section):
    """What happens while no controller of a directory can be asked."""

    outage_grace: Duration = Field(timedelta(minutes=5), description="For so long groups read before still count.")
    outage_grace_of_role: Mapping[str, Duration] = Field(
        {}, description="The same for one role of the mapping document, `admin: 0s`."
    )


class OwnerGroup(Section):
    """A directory group whose members own the broker."""

    provider: str = Field(description="The provider's name in this file.")
    id: str = Field("", description="The group's immutable id (AD: its SID). Better than the dn.")
    dn: str = Field("", description="Its distinguished name, where there is no id.")

    @field_validator("dn")
    @classmethod
    def _one_of_both(cls, dn: str, info: Any) -> str:  # noqa: ANN401 (pydantic's own type is not exported whole)
        if bool(dn) == bool(info.data.get("id")):
            message = "give the id or the dn"
            raise ValueError(message)
        return dn


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
