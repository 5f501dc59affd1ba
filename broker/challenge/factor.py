"""The contract of a second factor, and of the stores that factors need.

A factor is enrolled for a person (our own id), offered, and checked. A check either returns `Shown` or raises
`FactorRefused` / `errors.TooManyAttempts` / `errors.Unavailable`; nothing else gets out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol

from broker.authenticate.identity import PersonId
from broker.challenge.proof import Method, Shown
from broker.errors import BrokerError


class FactorReason(StrEnum):
    """Why a factor was refused. For the audit trail: outside there is one generic text."""

    MALFORMED = "malformed-code"
    WRONG = "wrong-code"
    REPLAYED = "code-used-before"
    NOT_ENROLLED = "no-such-factor"
    CLOCK_OFF = "clock-off"
    ENROLMENT_CODE = "enrolment-code-not-valid"
    PASSWORD_NOT_FRESH = "password-not-fresh"  # noqa: S105 (a reason, not a password)
    ALREADY_ENROLLED = "already-enrolled"
    LAST_FACTOR = "last-factor"
    UNREADABLE = "factor-cannot-be-opened"
    ENROLMENT_EXPIRED = "enrolment-expired"
    PROOF_NEEDED = "existing-factor-not-shown"


class FactorRefused(BrokerError):
    """The factor does not count. `reason` is for the audit trail."""

    code: ClassVar[str] = "factor-refused"

    def __init__(self, reason: FactorReason, message: str = "That code is not right.", *, remedy: str = "") -> None:
        """Keep the reason; the message is safe to show."""
        super().__init__(message, remedy=remedy or "Wait for the next code and type that one.")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRecord:
    """One enrolled factor as it is kept. `secret` is sealed (see `keys.Keyring.seal`) or a hash, never in clear."""

    id: str
    person: PersonId
    method: Method
    label: str
    secret: bytes
    last_step: int
    """TOTP: the last time step that was used up (-1: none). Monotonic: it only ever grows."""
    enrolled_at: datetime
    last_used_at: datetime | None = None


class FirstFactor(StrEnum):
    """What came of `FactorStore.add_first_factor`."""

    ADDED = "added"
    ALREADY_ENROLLED = "already-enrolled"
    CODE_NEEDED = "code-needed"
    CODE_NOT_VALID = "code-not-valid"


class FactorStore(Protocol):
    """Keeps factors, and redeems enrolment codes with them; raises `errors.Unavailable` when away."""

    def factors(self, person: PersonId) -> Sequence[FactorRecord]:
        """All factors of a person, oldest first; recovery codes are not among them."""

    def add_first_factor(self, record: FactorRecord, *, code: bytes | None) -> FirstFactor:
        """Keep a person's first factor and use up the enrolment code with this hash: both, or neither, atomically.

        Looked at in this order. ALREADY_ENROLLED: the person has a factor. CODE_NEEDED: `code` is None and the person
        was reset (`was_reset`). CODE_NOT_VALID: unknown, expired at `record.enrolled_at`, made no later than the
        person's last reset, or used up. A code for an account works once; one for a group works once for each person.
        Of calls in parallel for one person, or with one account's code, exactly one is ADDED.
        """

    def add_factor(self, record: FactorRecord) -> bool:
        """Keep one more; False: there is a factor with this id already."""

    def burn_step(self, factor: str, step: int, now: datetime) -> bool:
        """Set `last_step` to `step` if it was lower, atomically; False: that step was used up already."""

    def remove_factors(self, person: PersonId, now: datetime) -> int:
        """Forget all factors and recovery codes of a person (an operator's reset); how many factors there were.

        That it happened is remembered for good, also for a person without factors: see `was_reset`. Enrolment codes
        made until `now` are void for this person.
        """

    def was_reset(self, person: PersonId) -> bool:
        """Whether `remove_factors` was ever called for this person."""

    def replace_recovery_codes(self, person: PersonId, hashes: Sequence[bytes], now: datetime) -> None:
        """Set the recovery codes; those from before are void."""

    def burn_recovery_code(self, person: PersonId, hashed: bytes, now: datetime) -> bool:
        """Use one up, atomically; False: there is no such unused code."""

    def recovery_codes_left(self, person: PersonId) -> int:
        """How many are unused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentCode:
    """A one-time code from an operator that lets one account (or one member of a group) enrol a first factor."""

    id: str
    """Made of its text, by a MAC: found by who types it, told to nobody by who reads the store."""
    hashed: bytes
    """MAC over its text and all that it is bound to: provider, subject, group, times."""
    provider: str
    subject: str = ""
    """The account's immutable id at the provider; empty when the code is for a group."""
    group: str = ""
    """The group's id; empty when the code is for one account."""
    made_at: datetime
    expires_at: datetime
    created_by: str


class EnrolmentStore(Protocol):
    """Keeps enrolment codes; raises `errors.Unavailable` when away. `FactorStore.add_first_factor` uses them up."""

    def add_code(self, code: EnrolmentCode) -> None:
        """Keep one."""

    def find_code(self, code: str) -> EnrolmentCode | None:
        """The code with this id, used or not, expired or not."""


class Factor(Protocol):
    """One kind of second factor."""

    @property
    def method(self) -> Method:
        """Its kind."""

    @property
    def title(self) -> str:
        """What people call it, `Authenticator app`."""

    @property
    def template(self) -> str:
        """The template of its prompt, below `web/templates/`."""

    def enrolled(self, person: PersonId) -> bool:
        """Whether this person can be asked for it."""

    def check(self, person: PersonId, answer: str, now: datetime) -> Shown:
        """Check what the person typed; burnt before it counts."""
