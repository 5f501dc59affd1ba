"""`Identity`: who somebody is, as a provider established it.

Keyed by provider and immutable subject, never by what was typed.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType

PersonId = NewType("PersonId", str)
"""The broker's own id of a person; factors, sessions and the audit trail hang on it."""


class Kind(StrEnum):
    """What acts: a person at a keyboard, or an app in the corporate network."""

    PERSON = "person"
    WORKLOAD = "workload"


class GroupForm(StrEnum):
    """How a provider's groups are known, and so what the role mapping can say of them."""

    NAME = "name"
    """By plain names alone."""
    DN = "dn"
    """By distinguished names; there are no other ids."""
    ID = "id"
    """By immutable ids; distinguished names are for people."""
    SID = "sid"
    """The same, and the ids are the SIDs of a domain's groups."""

    @property
    def has_dns(self) -> bool:
        """Whether the groups have distinguished names."""
        return self is not GroupForm.NAME

    @property
    def has_ids(self) -> bool:
        """Whether they have ids that outlive their names."""
        return self in {GroupForm.ID, GroupForm.SID}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Group:
    """One group that the provider says the subject is in, directly or nested.

    `id` is the provider's immutable id (AD: the SID as `S-1-…`; a provider without one: the plain name). `dn` is the
    distinguished name where the provider has one; `name` is what people call it (AD: the cn).
    """

    provider: str
    id: str
    name: str
    dn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who somebody is, established by `provider`; says nothing about a second factor or about AWS."""

    provider: str
    """The provider's name in `broker.yaml`."""
    subject: str
    """The provider's immutable id of the account (AD: objectGUID as lower-case text)."""
    kind: Kind = Kind.PERSON
    username: str
    """For people to read (AD: sAMAccountName). Never a key."""
    display_name: str
    email: str = ""
    groups: frozenset[Group]
    """Security groups, nested ones included, complete or the identity was not made."""
    authenticated_at: datetime
    """When the first factor (password, IdP session) was shown."""
    read_at: datetime
    """When account state and groups were read from the provider."""

    def reread(self, *, groups: frozenset[Group], read_at: datetime) -> "Identity":
        """The same person with what the provider says now."""
        return replace(self, groups=groups, read_at=read_at)
