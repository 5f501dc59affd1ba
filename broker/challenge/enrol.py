"""Who may enrol a second factor, and with what.

A factor that anybody with the password can enrol is no second factor. So a first one needs a password shown in the
last minutes *and*, unless policy says `self`, an operator's one-time code; after an operator's reset a code always. A
further one needs an existing one.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from broker.authenticate.identity import Identity, PersonId
from broker.challenge.clock_check import LIMIT as CLOCKS_APART
from broker.challenge.codes import canonical, new_code
from broker.challenge.factor import (
    EnrolmentCode,
    FactorReason,
    FactorRecord,
    FactorRefused,
    FirstFactor,
)
from broker.challenge.proof import Proof, Shown
from broker.challenge.settings import EnrolmentPolicy
from broker.challenge.tools import FRESH, FactorTools
from broker.challenge.totp import PendingEnrolment, Totp, digits, matching_step
from broker.errors import InvalidRequest
from broker.keys import Purpose, framed

LONGEST_LABEL = 64


class Asks(StrEnum):
    """What an enrolment needs beside a fresh password."""

    NOTHING = "nothing"
    CODE = "enrolment-code"
    FACTOR = "existing-factor"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEnrolmentCode:
    """A fresh enrolment code: its text is shown once, to the operator."""

    text: str = field(repr=False)
    code: EnrolmentCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A factor was enrolled; the code that confirmed it counts as shown."""

    shown: Shown
    enrolment_code: str = ""
    """The id of the enrolment code that was used up, for the audit trail."""


class Enrolment:
    """Enrols authenticator apps, makes enrolment codes, resets."""

    def __init__(self, tools: FactorTools) -> None:
        """See `FactorTools`."""
        self._tools = tools
        self._totp = Totp(tools)

    def asks(self, person: PersonId) -> Asks:
        """What this person's next enrolment needs; for the page, and decided again by `complete`."""
        if self._tools.factors.factors(person):
            return Asks.FACTOR
        if self._tools.settings.enrolment is EnrolmentPolicy.SELF and not self._tools.factors.was_reset(person):
            return Asks.NOTHING
        return Asks.CODE

    def begin(self, proof: Proof, now: datetime) -> PendingEnrolment:
        """A fresh seed for the page; keep its `sealed` in the session. Raises `FactorRefused`, `Unavailable`."""
        self._require(self.asks(proof.person), proof, begun_at=now, now=now)
        return self._totp.begin(proof.person, account=proof.identity.username, now=now)

    def resume(self, proof: Proof, sealed: str, now: datetime) -> PendingEnrolment:
        """The same page again, after a typing error."""
        return self._totp.resume(proof.person, sealed, account=proof.identity.username, now=now)

    def complete(
        self, proof: Proof, sealed: str, answer: str, now: datetime, *, enrolment_code: str = "", label: str = ""
    ) -> Enrolled:
        """Keep the factor, and count the confirming code as shown. Raises as `Factor.check` does.

        (1) the answer has the form of a code, our clock is trusted; (2) the enrolment was begun for this person at most
        ten minutes ago, with a password then at most five minutes old, or an existing factor was shown; (3) the attempt
        is counted; (4) the enrolment code, where one is asked for, is for this account or a group of it; (5) the TOTP
        code is right; (6) the factor is kept, with that step used up, and the enrolment code is used up if it has not
        expired: atomically, and only if it is still the first factor. Nothing is used up before (6).
        """
        code = digits(answer)  # (1)
        self._tools.clock_check.require()
        opened = self._totp.opened(proof.person, sealed, now)  # (2)
        asks = self.asks(proof.person)
        self._require(asks, proof, begun_at=opened.begun_at, now=now)
        self._tools.count_attempt(proof.person, now)  # (3)
        redeemed = self._found(enrolment_code, proof.identity) if asks is Asks.CODE else None  # (4)
        step = matching_step(opened.seed, code, now)  # (5)
        if step < 0:  # check: enrolment-totp-code
            raise FactorRefused(FactorReason.WRONG)
        record = self._totp.record(proof.person, opened, step=step, label=label.strip()[:LONGEST_LABEL], now=now)
        self._keep(record, first=asks is not Asks.FACTOR, code=redeemed)  # (6)
        self._tools.succeeded(proof.person)
        shown = Shown(method=self._totp.method, factor=record.id, at=now)
        return Enrolled(shown=shown, enrolment_code=redeemed.id if redeemed else "")

    def create_code(
        self, *, provider: str, subject: str = "", group: str = "", created_by: str, now: datetime
    ) -> NewEnrolmentCode:
        """A one-time code for one account (its immutable id) or for each member of a group (its id) of `provider`.

        Only MACs of it are kept. Raises `InvalidRequest` unless it is for exactly one of the two.
        """
        if not provider or bool(subject) == bool(group):  # check: enrolment-code-bound
            message = "An enrolment code is for one account or for one group of a provider."
            raise InvalidRequest(message, remedy="Name the account, or the group.")
        shown = new_code(self._tools.random)
        text = canonical(shown) or ""
        expires_at = now + self._tools.settings.code_lifetime
        data = _data(text, provider, subject, group, now, expires_at)
        code = EnrolmentCode(
            id=_id(self._tools.keyring.mac(Purpose.SEED, _data(text))),
            hashed=self._tools.keyring.mac(Purpose.SEED, data),
            provider=provider,
            subject=subject,
            group=group,
            made_at=now,
            expires_at=expires_at,
            created_by=created_by,
        )
        self._tools.enrolment_codes.add_code(code)
        return NewEnrolmentCode(text=shown, code=code)

    def reset(self, person: PersonId, now: datetime) -> int:
        """An operator's reset: no factor, no recovery code, no failures; how many factors there were.

        From then on this person needs an enrolment code made later than `now`, under either policy. Ending
        sessions is the caller's.
        """
        removed = self._tools.factors.remove_factors(person, now)
        self._tools.forgive(person)
        return removed

    def forgive(self, person: PersonId) -> None:
        """Forget the wrong codes that were counted: an operator's unlock. The factors stay."""
        self._tools.forgive(person)

    def _require(self, asks: Asks, proof: Proof, *, begun_at: datetime, now: datetime) -> None:
        if asks is Asks.FACTOR:
            self._tools.require_shown(proof, now)
            return
        age = begun_at - proof.identity.authenticated_at
        if not -CLOCKS_APART <= age <= FRESH:  # check: enrolment-fresh-password
            raise FactorRefused(
                FactorReason.PASSWORD_NOT_FRESH,
                "Sign in again before you enrol.",
                remedy="A first factor can be enrolled within five minutes of the password.",
            )

    def _found(self, typed: str, identity: Identity) -> EnrolmentCode:
        """The enrolment code that was typed, if it is for this account; whether it can be used, the store decides."""
        text = canonical(typed)
        macs = self._tools.keyring.macs(Purpose.SEED, _data(text)) if text else []
        found = next((code for mac in macs if (code := self._tools.enrolment_codes.find_code(_id(mac)))), None)
        if text is None or found is None or not _meant_for(found, identity):  # check: enrolment-code-for-this-account
            raise _refused()
        data = _data(text, found.provider, found.subject, found.group, found.made_at, found.expires_at)
        if not self._tools.keyring.matches(Purpose.SEED, data, found.hashed):  # check: enrolment-code-mac
            raise _refused()
        return found

    def _keep(self, record: FactorRecord, *, first: bool, code: EnrolmentCode | None) -> None:
        if first:
            outcome = self._tools.factors.add_first_factor(record, code=code.hashed if code else None)
        else:
            outcome = FirstFactor.ADDED if self._tools.factors.add_factor(record) else FirstFactor.ALREADY_ENROLLED
        if outcome is FirstFactor.ALREADY_ENROLLED:  # check: enrolment-of-a-first-factor
            raise FactorRefused(
                FactorReason.ALREADY_ENROLLED, "That is enrolled already.", remedy="Sign in with the factor you have."
            )
        if outcome not in {FirstFactor.ADDED, FirstFactor.ALREADY_ENROLLED}:  # check: enrolment-code-used-up
            raise _refused()


def _meant_for(code: EnrolmentCode, identity: Identity) -> bool:
    if code.provider != identity.provider:  # check: enrolment-code-provider
        return False
    if code.subject:
        return code.subject == identity.subject
    return any(group.provider == code.provider and group.id == code.group for group in identity.groups)


def _data(text: str, *bound: str | datetime) -> bytes:
    """What is MACed: the text alone, to find the code by; the text with all that it is bound to, to trust the code."""
    parts = (part.astimezone(UTC).isoformat() if isinstance(part, datetime) else part for part in bound)
    return framed(["enrolment-code", text, *parts])


def _id(mac: bytes) -> str:
    return f"enrolment-{mac[:8].hex()}"


def _refused() -> FactorRefused:
    return FactorRefused(
        FactorReason.ENROLMENT_CODE,
        "An enrolment code for your account is needed.",
        remedy="Ask your help desk for one: it works once, for a limited time.",
    )
