"""One key: its purpose, its file form, and the keys derived from it."""

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from broker.errors import BrokerError

KEY_BYTES = 32
PREFIX = "aws-federation-broker/v1"
"""In front of everything that is derived, sealed or MACed, so that no other program's data can be taken for ours."""

RandomBytes = Callable[[int], bytes]
"""Gives so many unguessable bytes."""

Encoded = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_-]{43})?$")]
"""32 bytes in URL-safe base64 without padding, or nothing."""


class KeyringError(BrokerError):
    """Something sealed cannot be opened, or a key is missing or used for what it is not for. Says nothing more."""

    code: ClassVar[str] = "keyring-error"


class Purpose(StrEnum):
    """What a key is for. A key of one purpose never serves another."""

    SEED = "seed"
    """Seals second factors; makes the MACs of recovery codes and enrolment codes."""
    AUDIT = "audit"
    """Signs the audit trail (Ed25519)."""
    BROWSER = "browser"
    """Makes the MACs by which a browser is known that has signed somebody in before."""
    CSRF = "csrf"
    PERSON = "person"
    """Makes the MACs of stored people: whose account and whose session name is whose."""
    SESSION = "session"
    """Makes the MACs of stored sessions."""
    SNAPSHOT = "snapshot"


class Use(StrEnum):
    """What is done with a key; each use has a derived key of its own."""

    SEAL = "seal"
    MAC = "mac"
    SIGN = "sign"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """An Ed25519 signature (64 bytes), and the id of the key that made it."""

    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """What `broker keys list` may show of a key."""

    id: str
    purpose: Purpose
    created_at: datetime
    current: bool
    retired: bool


class Entry(BaseModel):
    """A key as it stands in the file: with its secret, or (a retired audit key) with its public half alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
    purpose: Purpose
    created_at: AwareDatetime
    secret: Encoded = Field(default="", repr=False)
    public: Encoded = ""

    @classmethod
    def new(cls, purpose: Purpose, *, now: datetime, random: RandomBytes) -> "Entry":
        """A fresh key."""
        return cls(id=f"{purpose}-{random(8).hex()}", purpose=purpose, created_at=now, secret=encode(random(KEY_BYTES)))

    def derived(self, use: Use) -> bytes:
        """The 32-byte key of this entry for one use (RFC 5869; purpose and use are the `info`)."""
        if not self.secret:
            message = "that key is retired"
            raise KeyringError(message)
        info = framed([PREFIX, self.purpose, use])
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(decode(self.secret))

    def public_only(self) -> "Entry":
        """The same signing key without its secret."""
        if self.public:
            return self
        private = Ed25519PrivateKey.from_private_bytes(self.derived(Use.SIGN))
        return self.model_copy(update={"secret": "", "public": encode(private.public_key().public_bytes_raw())})


def framed(parts: Iterable[str]) -> bytes:
    """`parts` joined so that no two different lists give the same bytes: each behind its length (8 bytes)."""
    encoded = [part.encode(errors="surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(8, "big") + part for part in encoded)


def encode(data: bytes) -> str:
    """URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The 32 bytes behind an `Encoded`."""
    return base64.urlsafe_b64decode(text + "=")
