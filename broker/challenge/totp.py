"""TOTP (RFC 6238): six digits from an authenticator app, SHA-1, 30 s steps.

Promised: a code counts once, whatever is typed how often and on how many instances at a time; guessing is counted per
person; the seed is kept sealed for one person and one factor. Not promised: resistance to phishing.
"""

import base64
import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import pyotp
import segno

from broker.authenticate.identity import PersonId
from broker.challenge.factor import FactorReason, FactorRecord, FactorRefused
from broker.challenge.proof import Method, Shown
from broker.challenge.tools import FactorTools
from broker.keys import KeyringError, Purpose

SEED_BYTES = 20
STEP_SECONDS = 30
LONGEST_INPUT = 10
ENROLMENT_TIME = timedelta(minutes=10)
"""Between the page with the QR code and the code that confirms it."""

_CODE = re.compile(r"[0-9]{3} ?[0-9]{3}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEnrolment:
    """An enrolment under way: `sealed` is for the session, the rest is for one page and is never kept."""

    sealed: str = field(repr=False)
    text_key: str = field(repr=False)
    """The seed in groups of four, for people who cannot scan."""
    uri: str = field(repr=False)
    qr_svg: str = field(repr=False)
    """An `<svg>` element without styles or scripts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEnrolment:
    """What `PendingEnrolment.sealed` holds."""

    factor: str
    seed: bytes = field(repr=False)
    begun_at: datetime


class Totp:
    """Enrols and checks authenticator apps."""

    method: Final = Method.TOTP
    title: Final = "Authenticator app"
    template: Final = "challenge/totp.html"

    def __init__(self, tools: FactorTools) -> None:
        """See `FactorTools`."""
        self._tools = tools

    def enrolled(self, person: PersonId) -> bool:
        """Whether this person has an app enrolled."""
        return bool(self._records(person))

    def check(self, person: PersonId, answer: str, now: datetime) -> Shown:
        """Check a code. Raises `FactorRefused`, `TooManyAttempts`, `Unavailable`.

        (1) at most ten characters, six ASCII digits (one space between two threes); (2) our clock is trusted;
        (3) a factor is enrolled and its seed opens; (4) the attempt is counted, before the code is looked at;
        (5) the code is that of this step, the one before or the one after, compared in constant time; (6) that step,
        and with it every earlier one, is used up atomically.
        """
        code = digits(answer)  # (1)
        self._tools.clock_check.require()  # (2)
        seeds = self._seeds(person)  # (3)
        self._tools.count_attempt(person, now)  # (4)
        matches = [(factor, step) for factor, seed in seeds for step in [matching_step(seed, code, now)] if step >= 0]
        if not matches:  # check: totp-code
            raise FactorRefused(FactorReason.WRONG)  # (5)
        factor, step = matches[0]
        if not self._tools.factors.burn_step(factor, step, now):  # check: totp-replay
            raise FactorRefused(FactorReason.REPLAYED)  # (6)
        self._tools.succeeded(person)
        return Shown(method=self.method, factor=factor, at=now)

    def begin(self, person: PersonId, *, account: str, now: datetime) -> PendingEnrolment:
        """A fresh seed for `account` (the name that the app will show). Nothing is kept but by the caller."""
        random = self._tools.random
        opened = OpenedEnrolment(factor=f"totp-{random(16).hex()}", seed=random(SEED_BYTES), begun_at=now)
        content = json.dumps([opened.factor, opened.seed.hex(), now.timestamp()]).encode()
        sealed = self._tools.keyring.seal(Purpose.SEED, content, associated=_pending(person))
        return self._page(opened, base64.urlsafe_b64encode(sealed).decode(), account)

    def resume(self, person: PersonId, sealed: str, *, account: str, now: datetime) -> PendingEnrolment:
        """The same page again, after a typing error."""
        return self._page(self.opened(person, sealed, now), sealed, account)

    def opened(self, person: PersonId, sealed: str, now: datetime) -> OpenedEnrolment:
        """What `begin` sealed for this person at most ten minutes ago; else `FactorRefused`."""
        try:
            content = self._tools.keyring.open(
                Purpose.SEED, base64.urlsafe_b64decode(sealed), associated=_pending(person)
            )
        except (KeyringError, ValueError):
            raise _over() from None
        factor, seed, begun = json.loads(content)
        opened = OpenedEnrolment(factor=factor, seed=bytes.fromhex(seed), begun_at=datetime.fromtimestamp(begun, UTC))
        if not timedelta(0) <= now - opened.begun_at <= ENROLMENT_TIME:  # check: enrolment-time
            raise _over()
        return opened

    def record(
        self, person: PersonId, opened: OpenedEnrolment, *, step: int, label: str, now: datetime
    ) -> FactorRecord:
        """The factor to keep, with the confirming code's step used up already."""
        secret = self._tools.keyring.seal(Purpose.SEED, opened.seed, associated=_stored(person, opened.factor))
        return FactorRecord(
            id=opened.factor,
            person=person,
            method=self.method,
            label=label or self.title,
            secret=secret,
            last_step=step,
            enrolled_at=now,
            last_used_at=now,
        )

    def _records(self, person: PersonId) -> list[FactorRecord]:
        return [record for record in self._tools.factors.factors(person) if record.method is self.method]

    def _seeds(self, person: PersonId) -> list[tuple[str, bytes]]:
        """The person's seeds by factor id. One that does not open (another's row, a lost key) does not count."""
        records = self._records(person)
        if not records:
            raise FactorRefused(
                FactorReason.NOT_ENROLLED, "You have no authenticator app enrolled.", remedy="Use another factor."
            )
        seeds = list(self._readable(person, records))
        if not seeds:
            raise FactorRefused(
                FactorReason.UNREADABLE,
                "Your authenticator app cannot be checked.",
                remedy="Ask your help desk: the broker cannot open your factor (a key of its keyring is missing, or "
                "the stored factor was altered). A reset lets you enrol again.",
            )
        return seeds

    def _readable(self, person: PersonId, records: list[FactorRecord]) -> Iterator[tuple[str, bytes]]:
        for record in records:
            try:
                seed = self._tools.keyring.open(Purpose.SEED, record.secret, associated=_stored(person, record.id))
            except KeyringError:
                continue
            yield record.id, seed

    def _page(self, opened: OpenedEnrolment, sealed: str, account: str) -> PendingEnrolment:
        text = base64.b32encode(opened.seed).decode()
        # The key-uri format allows no colon in either name.
        uri = pyotp.TOTP(text).provisioning_uri(name=account.replace(":", "-"), issuer_name=self._tools.settings.issuer)
        return PendingEnrolment(
            sealed=sealed,
            text_key=" ".join(text[start : start + 4] for start in range(0, len(text), 4)),
            uri=uri,
            qr_svg=segno.make(uri, error="m", micro=False).svg_inline(
                omitsize=True, svgclass=None, lineclass=None, dark="#000", light="#fff", border=4
            ),
        )


def digits(answer: str) -> str:
    """The six digits that were typed, at most with one space in the middle; else `FactorRefused`, at no cost.

    Full-width and other digits are refused here: pyotp would normalise them, and count the same code twice.
    """
    if len(answer) > LONGEST_INPUT or not _CODE.fullmatch(answer.strip(" ")):  # check: totp-form
        raise FactorRefused(
            FactorReason.MALFORMED, "A code is six digits.", remedy="Type the six digits that your app shows."
        )
    return answer.replace(" ", "")


def matching_step(seed: bytes, code: str, now: datetime) -> int:
    """The latest of this step, the one before and the one after whose code this is; -1: none. Constant time."""
    otp = pyotp.TOTP(base64.b32encode(seed).decode())
    here = int(now.timestamp()) // STEP_SECONDS
    window = (here - 1, here, here + 1)
    return max(step if hmac.compare_digest(otp.generate_otp(step), code) else -1 for step in window)


def _pending(person: PersonId) -> list[str]:
    return ["totp-enrolment", person]


def _stored(person: PersonId, factor: str) -> list[str]:
    return ["totp-seed", person, factor]


def _over() -> FactorRefused:
    return FactorRefused(
        FactorReason.ENROLMENT_EXPIRED, "This enrolment cannot go on.", remedy="Begin again and scan the new QR code."
    )
