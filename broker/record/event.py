"""`Event`: one line of the audit trail, in one canonical shape.

Who did what, from where, by which request, with which outcome and why. No secret ever stands in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Tag(StrEnum):
    """What happened. A tag is never re-used for something else; `docs/audit.md` lists them all."""

    BROKER_STARTED = "broker:started"
    BROKER_STOPPED = "broker:stopped"
    SIGN_IN_SUCCEEDED = "sign-in:succeeded"
    SIGN_IN_REFUSED = "sign-in:refused"
    PERSON_CREATED = "person:created"
    ENROLMENT_CODE_CREATED = "enrolment-code:created"
    FACTOR_ENROLMENT_STARTED = "factor:enrolment-started"
    FACTOR_ENROLLED = "factor:enrolled"
    FACTOR_ENROLMENT_REFUSED = "factor:enrolment-refused"
    FACTOR_SHOWN = "factor:shown"
    FACTOR_REFUSED = "factor:refused"
    FACTOR_RESET = "factor:reset"
    RECOVERY_CODES_CREATED = "recovery-codes:created"
    ATTEMPTS_RESET = "attempts:reset"
    SESSION_ENDED = "session:ended"
    CLI_AUTHORIZED = "cli:authorized"
    CLI_SIGNED_IN = "cli:signed-in"
    CLI_REFUSED = "cli:refused"
    CLI_REUSE_DETECTED = "cli:reuse-detected"
    CLI_ENDED = "cli:ended"
    CREDENTIALS_DECIDED = "credentials:decided"
    CREDENTIALS_ISSUED = "credentials:issued"
    CREDENTIALS_REFUSED = "credentials:refused"
    CREDENTIALS_FAILED = "credentials:failed"
    CREDENTIALS_RATE_LIMITED = "credentials:rate-limited"
    CONSOLE_OPENED = "console:opened"
    CONSOLE_FAILED = "console:failed"
    CONSOLE_LINK_CREATED = "console:link-created"
    MAPPING_APPLIED = "mapping:applied"
    MAPPING_REJECTED = "mapping:rejected"
    KEYS_ROTATED = "keys:rotated"
    STORAGE_RESET = "storage:reset"
    AUDIT_CHAIN_STARTED = "audit:chain-started"
    AUDIT_PRUNED = "audit:pruned"


class Outcome(StrEnum):
    """How it ended."""

    ALLOWED = "allowed"
    DENIED = "denied"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. Every field is text or an instant, empty where it does not apply."""

    tag: Tag
    outcome: Outcome
    at: datetime
    id: str
    """Time-ordered (UUIDv7), unique."""
    actor: str = ""
    """The person's id, `operator:NAME` for the operator's program, `broker` for the broker itself."""
    actor_name: str = ""
    provider: str = ""
    subject: str = ""
    address: str = ""
    request_id: str = ""
    lease_id: str = ""
    access_key_id: str = ""
    account: str = ""
    role_arn: str = ""
    session_name: str = ""
    mapping_revision: str = ""
    reason: str = ""
    details: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What else belongs to this tag; documented beside it in `docs/audit.md`."""


SEARCH_COLUMNS: Final = (
    "id",
    "tag",
    "outcome",
    "actor",
    "subject",
    "account",
    "role_arn",
    "session_name",
    "address",
    "request_id",
    "lease_id",
    "access_key_id",
)
"""What a store keeps beside the payload to search by (and `Link.at`); `broker audit verify` compares them with it."""

SEARCH_LIMIT: Final = 256
"""Characters of a search column: what an index of any database can hold. The payload has all of them."""


def columns_of(event: Event) -> dict[str, str]:
    """The search columns of `event`: what a store must keep with its link, exactly so."""
    return {name: str(getattr(event, name))[:SEARCH_LIMIT] for name in SEARCH_COLUMNS}
