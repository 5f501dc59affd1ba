"""`Proof`: an identity plus the factors shown, and when. Its strength is computed, never stored as a flag."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from broker.authenticate.identity import Identity, PersonId


class Method(StrEnum):
    """The kinds of second factor, by the names that the mapping document uses."""

    TOTP = "totp"
    WEBAUTHN = "webauthn"
    HARDWARE_TOKEN = "hardware_token"  # noqa: S105 (a kind of factor, not a secret)
    RECOVERY_CODE = "recovery_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One factor that was shown, and when it was checked."""

    method: Method
    factor: str
    """The factor's id, for the audit trail."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Who it is, and what they have shown so far."""

    person: PersonId
    session_name: str
    """The person's readable, unique, never re-assigned name in AWS."""
    identity: Identity
    shown: tuple[Shown, ...] = ()

    def with_shown(self, shown: Shown) -> "Proof":
        """The same, with one more factor."""
        return replace(self, shown=(*self.shown, shown))

    def latest(self, methods: Iterable[Method] = tuple(Method)) -> Shown | None:
        """The most recently shown factor of one of `methods`."""
        wanted = frozenset(methods)
        return max((s for s in self.shown if s.method in wanted), key=lambda s: s.at, default=None)

    def age(self, now: datetime, methods: Iterable[Method] = tuple(Method)) -> timedelta | None:
        """How long ago the latest of `methods` was shown; None: never. A time in the future counts as never."""
        latest = self.latest(methods)
        if latest is None or latest.at > now:
            return None
        return now - latest.at
