"""What a directory entry says about an account: who it is, and whether it may be used now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from broker.authenticate.identity import Group
from broker.authenticate.ldap.answer import Entry
from broker.authenticate.ldap.controllers import Facts, Session
from broker.authenticate.ldap.lockout import BadPasswords, LockoutPolicy
from broker.authenticate.ldap.names import Name
from broker.authenticate.provider import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account as it was read."""

    entry: Entry
    subject: str
    """Immutable."""
    username: str
    display_name: str
    email: str
    names: tuple[str, ...]
    """What may be typed for it, as far as the directory says; where there is none, empty texts."""

    @property
    def dn(self) -> str:
        """Where it is now."""
        return self.entry.dn


class Dialect(Protocol):
    """How one kind of directory is asked. Methods raise `Unusable` for what cannot be read."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """What to read of an account."""

    @property
    def whole(self) -> bool:
        """Whether a search that points to another server has missed something; AD always points to its partitions."""

    @property
    def method(self) -> str:
        """How groups are found, for people to read."""

    def by_name(self, name: Name) -> str:
        """The filter for an account that may sign in, by what was typed."""

    def by_subject(self, subject: str) -> str:
        """The same, by its immutable id. Raises `ValueError` where that is none."""

    def account(self, entry: Entry) -> Account:
        """Who it is."""

    def objection(self, account: Account, facts: Facts, *, now: datetime, since: datetime | None) -> Reason | None:
        """Why the account may not be used now; with `since`, also when its password changed after that."""

    def lockout_policy(self, facts: Facts) -> LockoutPolicy | None:
        """The directory's own limit; None where nothing locks, or nobody tells."""

    def bad_passwords(self, account: Account, facts: Facts) -> BadPasswords | None:
        """How near to that limit the account is; None where nobody tells."""

    def groups(self, session: Session, account: Account) -> frozenset[Group]:
        """All groups that may grant, nested ones included: all of them, or `Unusable`."""

    def group_at(self, session: Session, dn: str) -> Group | None:
        """The group with this DN; None where there is none that may grant."""


CLOCK_ERROR = timedelta(seconds=1)
"""How far the measured offset between a server's clock and ours may be off; doubts count against the session."""


def changed_since(changed: datetime, since: datetime, offset: timedelta | None) -> bool:
    """Whether a password was changed after `since`: one clock is the server's, the other ours.

    The measured offset is taken out. What remains is at most `CLOCK_ERROR`, and then it counts as changed: a sign-in
    within a second or two of a change must be repeated; one before the change never lives on.
    """
    return changed - (offset or timedelta(0)) + CLOCK_ERROR > since
