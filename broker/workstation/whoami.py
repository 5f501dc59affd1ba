"""Who is signed in, as the broker says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .failure import one_line
from .signedin import SignedIn


class WhoAmI(NamedTuple):
    """The answer of `GET /api/v1/whoami`, as far as people want to know it."""

    username: str
    display_name: str
    provider: str
    session_name: str
    signed_in_at: str
    factors: tuple[str, ...]

    @property
    def who(self) -> str:
        """The person and the account, on one line: so that somebody else's is noticed."""
        account = f"{self.username}, {self.provider}"
        return one_line(
            f"{self.display_name} ({account})" if self.display_name else f"{self.username} ({self.provider})"
        )

    @property
    def lines(self) -> Mapping[str, str]:
        """For people."""
        return {
            "signed in": self.username + (f" ({self.display_name})" if self.display_name else ""),
            "through": self.provider,
            "in AWS": self.session_name,
            "since": self.signed_in_at,
            "proven by": ", ".join(self.factors),
        }


def whoami(signed_in: SignedIn) -> WhoAmI:
    """Ask. Raises `Failure`, with code 4 when nobody is signed in."""
    body = signed_in.get("/api/v1/whoami")
    return WhoAmI(
        username=body.text("username"),
        display_name=body.text("display_name", default=""),
        provider=body.text("provider"),
        session_name=body.text("session_name"),
        signed_in_at=body.text("signed_in_at", most=40),
        factors=tuple(body.texts("factors")),
    )
