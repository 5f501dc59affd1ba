"""What an LDAP provider needs to know, as it stands under `providers:` in `broker.yaml`."""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from broker.authenticate.attempts import AttemptRule
from broker.authenticate.identity import GroupForm

_PORTS = {"ldaps": 636, "ldap": 389}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where one server listens, and how the connection is made secret."""

    url: str
    host: str
    port: int
    security: Literal["ldaps", "starttls", "none"]


class GenericSchema(BaseModel):
    """How a directory that is not AD names things. The defaults fit OpenLDAP with inetOrgPerson and groupOfNames."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_filter: str = Field(
        "(objectClass=inetOrgPerson)",
        description="LDAP filter of the accounts that may sign in. It is asked again on every re-read: an account that "
        "no longer matches is gone.",
    )
    name_attribute: str = Field("uid", description="Attribute with the plain user name.")
    principal_attribute: str = Field(
        "mail",
        description="Attribute looked up for names like ada@corp.example. One that people cannot change themselves: "
        "with somebody else's address in it both would be refused as ambiguous.",
    )
    subject_attribute: str = Field(
        "entryUUID",
        description="Attribute with the account's immutable id; one value, never used again for somebody else. Not a "
        "name and not a mail address: those change hands.",
    )
    group_filter: str = Field("(objectClass=groupOfNames)", description="LDAP filter of the groups that may grant.")
    group_member_attribute: str = Field("member", description="Attribute of a group that lists its members' DNs.")
    group_id_attribute: str = Field(
        "entryUUID",
        description="Attribute with a group's immutable id. Empty: the DN as the server spells it, in lower case; a "
        "group that is deleted and made again under its name then keeps its rights.",
    )


class LdapSettings(BaseModel):
    """One directory: Active Directory (default), or another LDAP server with `kind: generic`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["active-directory", "generic"] = Field(
        "active-directory", description="Proved at start and on every controller, not believed."
    )
    servers: tuple[str, ...] = Field(
        min_length=1,
        description="Domain controllers in the order in which they are asked: `ldaps://dc1.corp.example`, or "
        "`ldap://dc1.corp.example` for StartTLS. Names as in their certificates.",
    )
    ca_file: Path | None = Field(
        None, description="CA certificates (PEM) that vouch for the controllers, and no others; default: the system's."
    )
    insecure_plain_ldap: bool = Field(
        default=False,
        description="Send passwords over ldap:// without TLS. Refused for any server that is not on this machine.",
    )
    bind_dn: str = Field(
        min_length=1,
        description="The service account that looks people up (AD: DN or user principal name); it needs to read only.",
    )
    password: SecretStr = Field(
        min_length=1, description="The service account's password; better `password_file`, a path."
    )
    domain: str = Field("", description="The NetBIOS name, for CORP\\ada. Empty: that spelling is refused.")
    upn_suffixes: tuple[str, ...] = Field(
        (), description="Suffixes for names like ada@corp.example. Empty: that spelling is refused."
    )
    user_bases: tuple[str, ...] = Field(
        min_length=1, description="DNs below which accounts may sign in; outside of them nobody exists."
    )
    group_base: str = Field("", description="DN below which groups are read; AD: the whole domain by default.")
    groups: Literal["token-groups", "in-chain", "walk"] | None = Field(
        None,
        description="How nested groups are resolved. AD: token-groups (default; one search, the primary group "
        "included) or in-chain (slow in large domains). Others: walk (level by level).",
    )
    generic: GenericSchema = Field(GenericSchema(), description="Attribute names, with `kind: generic` only.")
    connect_timeout: float = Field(3.0, gt=0, le=30, description="Seconds for TCP and for TLS, each.")
    receive_timeout: float = Field(3.0, gt=0, le=30, description="Seconds of silence after which a server is away.")
    budget: float = Field(
        5.0, gt=0, le=60, description="Seconds for one request over all servers; then it ends as unavailable."
    )
    refusal_floor: float = Field(
        0.3,
        ge=0,
        le=5,
        description="Seconds that a refusal takes at least (a slower one: the next multiple), so that its time does "
        "not tell who exists. Longer than the directory's slowest usual answer to a wrong password.",
    )
    group_cache_seconds: float = Field(
        60.0, ge=0, le=3600, description="For so long a group keeps the name it had. Membership is never cached."
    )
    attempt_tries: int = Field(
        5,
        ge=1,
        le=50,
        description="Wrong passwords per account before it must wait; lowered below AD's own lockout. "
        "With `kind: generic` it must be below the directory's own limit (ppolicy's `pwdMaxFailure`).",
    )
    attempt_window_minutes: int = Field(
        15,
        ge=1,
        le=1440,
        description="In how many minutes; raised to AD's own observation window. With `kind: generic`: "
        "ppolicy's `pwdFailureCountInterval` must be above 0 and no longer than this.",
    )
    lockout_threshold: int | None = Field(
        None,
        ge=2,
        description="Wrong passwords that lock an account, where a fine-grained password policy is stricter than the "
        "domain's own lockoutThreshold (which is read).",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        addresses = self.addresses()
        if self.insecure_plain_ldap:
            remote = [where.url for where in addresses if where.security == "none" and not is_loopback(where.host)]
            if remote:  # check: plain-ldap-on-loopback-only
                message = f"insecure_plain_ldap would send passwords in clear to {', '.join(remote)}: use ldaps://"
                raise ValueError(message)
        allowed = ("token-groups", "in-chain") if self.active_directory else ("walk",)
        if self.groups is not None and self.groups not in allowed:  # check: group-method-fits-kind
            message = f"groups: {self.groups} does not work with kind: {self.kind}; use {' or '.join(allowed)}"
            raise ValueError(message)
        if self.active_directory and "generic" in self.model_fields_set:
            message = "generic: has no effect with kind: active-directory; remove it"
            raise ValueError(message)
        if not self.active_directory and not self.group_base:
            message = "kind: generic needs group_base, the DN below which groups are read"
            raise ValueError(message)
        return self

    @property
    def active_directory(self) -> bool:
        """Whether it is AD."""
        return self.kind == "active-directory"

    @property
    def group_form(self) -> GroupForm:
        """How its groups are known."""
        if self.active_directory:
            return GroupForm.SID
        return GroupForm.ID if self.generic.group_id_attribute else GroupForm.DN

    def addresses(self) -> tuple[Address, ...]:
        """The servers, read. Raises `ValueError` for one that is not an LDAP URL."""
        return tuple(_address(url, plain=self.insecure_plain_ldap) for url in self.servers)

    def attempt_rule(self) -> AttemptRule:
        """The rule before the domain's own lockout policy lowers it. No hard stop: names are no secret."""
        window = timedelta(minutes=self.attempt_window_minutes)
        return AttemptRule(tries=self.attempt_tries, window=window, hard_stop=None)


def _address(url: str, *, plain: bool) -> Address:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.username:
        message = "a server is ldaps://host, ldaps://host:port, or the same with ldap:// for StartTLS"
        raise ValueError(message)
    security: Literal["ldaps", "starttls", "none"] = "ldaps"
    if parts.scheme == "ldap":
        security = "none" if plain else "starttls"
    return Address(url=url, host=parts.hostname, port=parts.port or _PORTS[parts.scheme], security=security)


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine: `localhost` or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
