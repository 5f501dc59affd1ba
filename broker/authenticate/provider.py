"""The contract of an identity provider, and the ways in which it says no.

A provider answers with an `Identity` or raises `SignInRefused` (the provider was asked, and says no: final) or
`errors.Unavailable` (nobody could be asked: nothing is known) or `TooManyPasswords`. Nothing else gets out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Protocol

from broker.authenticate.identity import Group, Identity
from broker.errors import BrokerError, Problem, TooManyAttempts


class Reason(StrEnum):
    """Why a sign-in was refused. For the audit trail and operators only: outside there is one generic text."""

    WRONG_PASSWORD = "wrong-password"  # noqa: S105 (a reason, not a password)
    UNKNOWN_USER = "unknown-user"
    NAME_NOT_ALLOWED = "name-not-allowed"
    EMPTY = "empty-name-or-password"
    AMBIGUOUS = "ambiguous-name"
    LOGON_HOURS = "outside-logon-hours"
    WORKSTATION = "workstation-not-allowed"
    PASSWORD_EXPIRED = "password-expired"  # noqa: S105 (as above)
    MUST_CHANGE_PASSWORD = "password-must-change"  # noqa: S105 (as above)
    PASSWORD_CHANGED = "password-changed-since-sign-in"  # noqa: S105 (as above)
    DISABLED = "account-disabled"
    ACCOUNT_EXPIRED = "account-expired"
    LOCKED = "account-locked"
    GONE = "account-gone"
    OTHER = "refused-by-provider"


class SignInRefused(BrokerError):
    """The provider says no. `reason` is for the audit trail; the message is the same for every reason."""

    code: ClassVar[str] = "sign-in-refused"

    def __init__(self, reason: Reason, *, subject: str = "", username: str = "") -> None:
        """Keep the reason, and the account's immutable id and name where the provider found one."""
        super().__init__(
            "The name or the password is not right, or the account cannot sign in.",
            remedy="Check both and try again; if it goes on, ask your help desk.",
        )
        self.reason = reason
        self.subject = subject
        self.username = username


class TooManyPasswords(TooManyAttempts):
    """Too many tries: this password was not looked at. The message is the same for a name that nobody has."""

    def __init__(self, *, retry_at: datetime | None, subject: str = "", username: str = "") -> None:
        """Keep when to try again; and as `SignInRefused` the account, never what was typed."""
        remedy = "Wait, then try again." if retry_at else "Ask your help desk to reset the count."
        super().__init__("There were too many attempts for this name.", retry_at=retry_at, remedy=remedy)
        self.subject = subject
        self.username = username


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of `broker directory check USER`: what was tried, and what came of it."""

    name: str
    passed: bool
    detail: str
    """What was seen; no secret in it."""


Known = Callable[[str], str]
"""Of an account (its subject): the id of the browser that asks, if it has signed in to that account before; else ""."""


def a_stranger(subject: str) -> str:
    """`Known` of a browser that nobody has seen."""
    del subject
    return ""


class PasswordProvider(Protocol):
    """A provider that checks a name and a password itself (Active Directory, LDAP)."""

    @property
    def name(self) -> str:
        """The provider's name in `broker.yaml`."""

    def authenticate(self, username: str, password: str, known: Known = a_stranger) -> Identity:
        """Establish who it is. Where `known` knows the account, its tries are counted apart from those of strangers.

        Raises `SignInRefused`, `TooManyPasswords` (counted by account, before the password reaches the wire), or
        `errors.Unavailable`.
        """

    def current(self, identity: Identity) -> Identity:
        """What the provider says about this account now, found by `identity.subject`; `authenticated_at` is kept.

        Raises `SignInRefused` when the account is disabled, expired, locked or gone, or its password changed after
        `identity.authenticated_at`; `errors.Unavailable` when nobody could be asked.
        """

    def lookup(self, username: str) -> Identity:
        """The same for an account named by an operator (`broker explain --user`); proves nothing about who asks.

        `authenticated_at` is the instant of the look-up. Raises as `current` does.
        """

    def group(self, dn: str) -> Group | None:
        """The group with this distinguished name now; None where there is none that may grant. Raises `Unavailable`."""

    def forgive(self, subject: str) -> None:
        """Forget the wrong passwords that were counted for this account: an operator's reset.

        The counts by name need the directory: raises `Unavailable` after the account's own count is cleared.
        """

    def clock_offset(self) -> timedelta | None:
        """How far the provider's clock is ahead of ours; None where it does not say. Raises `errors.Unavailable`."""

    def close(self) -> None:
        """Let go of every connection that is kept; the provider may go on to be used."""

    def problems(self) -> list[Problem]:
        """What a start should refuse: a server that was reached and contradicts the settings. Away is no problem."""

    def check(self, username: str = "") -> list[Step]:
        """What a sign-in would see, step by step, without the password; without a name: reachability only."""
