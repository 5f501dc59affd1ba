"""Recovery codes: ten codes of 128 bit, shown once, each good for one sign-in without the other factors."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from broker.authenticate.identity import PersonId
from broker.challenge.codes import canonical, new_code
from broker.challenge.factor import FactorReason, FactorRefused
from broker.challenge.proof import Method, Proof, Shown
from broker.challenge.tools import FactorTools
from broker.keys import Purpose, framed

HOW_MANY = 10


class RecoveryCodes:
    """Makes and checks recovery codes."""

    method: Final = Method.RECOVERY_CODE
    title: Final = "Recovery code"
    template: Final = "challenge/recovery_code.html"

    def __init__(self, tools: FactorTools) -> None:
        """See `FactorTools`."""
        self._tools = tools

    def enrolled(self, person: PersonId) -> bool:
        """Whether this person has an unused code."""
        return self._tools.factors.recovery_codes_left(person) > 0

    def renew(self, proof: Proof, now: datetime) -> Sequence[str]:
        """Ten new codes, to be shown once; all earlier ones are void. Raises `FactorRefused`, `Unavailable`.

        Needs a factor shown in the last five minutes, so that a session left open cannot be made to last.
        """
        self._tools.require_shown(proof, now)
        codes = [new_code(self._tools.random) for _ in range(HOW_MANY)]
        hashes = [self._tools.keyring.mac(Purpose.SEED, _data(proof.person, canonical(code) or "")) for code in codes]
        self._tools.factors.replace_recovery_codes(proof.person, hashes, now)
        return codes

    def check(self, person: PersonId, answer: str, now: datetime) -> Shown:
        """Check a code. Raises `FactorRefused`, `TooManyAttempts`, `Unavailable`.

        (1) it has the form of a code; (2) there is an unused one; (3) the attempt is counted, under the same count as
        every other factor, before the code is looked at; (4) it is used up atomically.
        """
        code = canonical(answer)  # (1)
        if code is None:  # check: recovery-code-form
            raise FactorRefused(
                FactorReason.MALFORMED,
                "That is not a recovery code.",
                remedy="Type one of your recovery codes: 26 letters and digits; case and hyphens do not matter.",
            )
        if not self.enrolled(person):  # (2)
            raise FactorRefused(
                FactorReason.NOT_ENROLLED, "You have no unused recovery code.", remedy="Use another factor."
            )
        self._tools.count_attempt(person, now)  # (3)
        candidates = self._tools.keyring.macs(Purpose.SEED, _data(person, code))
        burnt = next((h for h in candidates if self._tools.factors.burn_recovery_code(person, h, now)), None)  # (4)
        if burnt is None:  # check: recovery-code
            raise FactorRefused(FactorReason.WRONG, remedy="Check it, or type another of your recovery codes.")
        self._tools.succeeded(person)
        return Shown(method=self.method, factor=f"recovery-{burnt.hex()[:16]}", at=now)


def _data(person: PersonId, code: str) -> bytes:
    return framed(["recovery-code", person, code])
