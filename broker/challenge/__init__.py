"""PROVE IT: a second factor turns an `Identity` into a `Proof`.

Owns: the factors (one file each, registered in `FACTORS`), enrolment and who may enrol, recovery codes, the rule about
the server's own clock, and the protocols of the stores that they need.
Does not own: who somebody is (`authenticate/`), how fresh a factor must be for a role (`evaluate/mfa.py`), the pages
(`web/`), or writing down what happened (`flow`).
"""

from collections.abc import Callable

from broker.challenge.factor import Factor
from broker.challenge.proof import Method
from broker.challenge.recovery import RecoveryCodes
from broker.challenge.tools import FactorTools
from broker.challenge.totp import Totp

FACTORS: tuple[Callable[[FactorTools], Factor], ...] = (Totp, RecoveryCodes)
"""One line for each kind of second factor."""


def build_factors(tools: FactorTools) -> dict[Method, Factor]:
    """Every registered factor, ready to check."""
    return {factor.method: factor for factor in (make(tools) for make in FACTORS)}
