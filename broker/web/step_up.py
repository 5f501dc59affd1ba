"""From "show a second factor" to the page that asks for it, and back."""

from flask import url_for

from broker.entitle.entitlement import Rule
from broker.evaluate.verdict import Objection, StepUp
from broker.flow import Parts, factors
from broker.sessions.session import Session


def way(parts: Parts, session: Session, said: Rule | Objection, *, back: str) -> str:
    """The challenge that opens the door, and leads `back`; empty where none of the person's factors would do."""
    if not isinstance(said, StepUp):
        return ""
    method = next((one.method for one in factors(parts, session) if one.method in said.methods), None)
    return url_for("signin.challenge_page", method=method.value, next=back) if method else ""
