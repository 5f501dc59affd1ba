"""The public halves of the audit keys: what an auditor needs, and nothing secret."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from broker.keys.entry import Entry, Purpose, Signature, decode
from broker.keys.file import KeyFile, as_text, read_public


class Verifier(Protocol):
    """Verifies signatures; `Keyring` and `PublicKeyring` both do."""

    def verify(self, purpose: Purpose, data: bytes, signature: Signature) -> bool:
        """Whether a known key of `purpose`, retired ones included, made this signature over `data`."""


class PublicKeyring:
    """Verifies the audit trail without any secret. Immutable."""

    __slots__ = ("_entries", "_keys")

    def __init__(self, entries: Sequence[Entry]) -> None:
        """Take the public halves of the signing keys among `entries`."""
        self._entries = tuple(entry.public_only() for entry in entries if entry.purpose is Purpose.AUDIT)
        self._keys = {entry.id: Ed25519PublicKey.from_public_bytes(decode(entry.public)) for entry in self._entries}

    @classmethod
    def load(cls, path: Path) -> "PublicKeyring":
        """Read what `to_text` gave; raises `ConfigurationError`, also when a secret stands in the file."""
        return cls(read_public(path).keys)

    def to_text(self) -> str:
        """The file for auditors."""
        return as_text(KeyFile(keys=self._entries))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, oldest first."""
        return tuple(self._keys)

    def verify(self, purpose: Purpose, data: bytes, signature: Signature) -> bool:
        """Whether a known key of `purpose`, retired ones included, made this signature over `data`."""
        key = self._keys.get(signature.key_id) if purpose is Purpose.AUDIT else None
        if key is None:
            return False
        try:
            key.verify(signature.value, data)
        except InvalidSignature:
            return False
        return True
