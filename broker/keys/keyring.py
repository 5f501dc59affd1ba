"""`Keyring`: what the broker does with its keys."""

import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.keys.entry import PREFIX, Entry, KeyringError, KeyRow, Purpose, RandomBytes, Signature, Use, encode, framed
from broker.keys.file import KeyFile, read_private, write
from broker.keys.public import PublicKeyring

_FORMAT = 1
_HEADER_BYTES = 2
_NONCE_BYTES = 12


class Keyring:
    """All keys of a broker. Immutable: `rotate` and `retire` give a new one, to be saved."""

    __slots__ = ("_entries", "_public", "_signers", "is_demo")

    def __init__(self, entries: Sequence[Entry], *, demo: bool) -> None:
        """Made by `load` and `generate`. `is_demo`: made by `broker demo`; `broker serve` refuses it."""
        self._entries = tuple(entries)
        self._public = PublicKeyring(self._entries)
        self._signers = {entry.id: _signer(entry) for entry in self._all(Purpose.AUDIT)}
        self.is_demo = demo

    def __repr__(self) -> str:
        return f"Keyring({', '.join(entry.id for entry in self._entries)})"

    @classmethod
    def load(cls, path: Path) -> "Keyring":
        """Read the file at `path`; raises `ConfigurationError` naming every problem and what to do.

        Refused: a file that others can read or change, or that (as its symbolic link) belongs to anybody but root or
        this user; unknown fields and purposes; duplicates. A purpose without a key is no error here: see `missing`.
        """
        content = read_private(path)
        return cls(content.keys, demo=content.demo)

    @classmethod
    def generate(cls, *, now: datetime, demo: bool = False, random: RandomBytes = secrets.token_bytes) -> "Keyring":
        """A new key for every purpose."""
        return cls([Entry.new(purpose, now=now, random=random) for purpose in Purpose], demo=demo)

    def save(self, path: Path) -> None:
        """Write the file with mode 0600, durably, replacing what was there in one step."""
        content = KeyFile(demo=self.is_demo, keys=self._entries)
        write(path, content, draft_name=f".{path.name}.{secrets.token_hex(8)}")

    def rotate(self, purpose: Purpose, *, now: datetime, random: RandomBytes = secrets.token_bytes) -> "Keyring":
        """With a new current key for `purpose`; the older ones go on opening, matching and verifying."""
        return Keyring([*self._entries, Entry.new(purpose, now=now, random=random)], demo=self.is_demo)

    def retire(self, key_id: str) -> "Keyring":
        """Without the secret of an older key: what it sealed stays closed for good. An audit key still verifies.

        Raises `KeyringError` for an unknown key, and for the current one of its purpose.
        """
        kept: list[Entry] = []
        for entry in self._entries:
            if entry.id != key_id or entry is self._current(entry.purpose):
                kept.append(entry)
            elif entry.purpose is Purpose.AUDIT:
                kept.append(entry.public_only())
        if tuple(kept) == self._entries:
            message = "there is no such key to retire, or it is the current one of its purpose"
            raise KeyringError(message, remedy="See `broker keys list`; rotate before you retire.")
        return Keyring(kept, demo=self.is_demo)

    def listing(self) -> list[KeyRow]:
        """Every key, oldest first, without material."""
        current = {id(self._current(purpose)) for purpose in Purpose if purpose not in self.missing}
        return [
            KeyRow(
                id=entry.id,
                purpose=entry.purpose,
                created_at=entry.created_at,
                current=id(entry) in current,
                retired=not entry.secret,
            )
            for entry in self._entries
        ]

    @property
    def missing(self) -> tuple[Purpose, ...]:
        """Purposes without a key (a newer release may bring one); `rotate` adds it."""
        there = {entry.purpose for entry in self._entries if entry.secret}
        return tuple(purpose for purpose in Purpose if purpose not in there)

    def seal(self, purpose: Purpose, plaintext: bytes, *, associated: Sequence[str]) -> bytes:
        """Encrypt with AES-256-GCM under the current key; opens only with the same purpose and `associated`.

        Shape: format (1 byte), length of the key id (1 byte), key id, nonce (12 bytes), ciphertext and tag.
        """
        _refuse_signing_key(purpose)
        entry = self._current(purpose)
        nonce = secrets.token_bytes(_NONCE_BYTES)  # never an argument: a nonce that comes twice breaks the seal
        sealed = AESGCM(entry.derived(Use.SEAL)).encrypt(nonce, plaintext, framed([PREFIX, purpose, *associated]))
        return bytes([_FORMAT, len(entry.id)]) + entry.id.encode() + nonce + sealed

    def open(self, purpose: Purpose, sealed: bytes, *, associated: Sequence[str]) -> bytes:
        """The plaintext; raises `KeyringError` for whatever is wrong: key, purpose, associated data, any bit."""
        _refuse_signing_key(purpose)
        if len(sealed) < _HEADER_BYTES or sealed[0] != _FORMAT:
            message = "this was not sealed by the broker"
            raise KeyringError(message)
        nonce_at = _HEADER_BYTES + sealed[1]
        sealed_at = nonce_at + _NONCE_BYTES
        key_id = sealed[_HEADER_BYTES:nonce_at].decode("ascii", "replace")
        entry = next((entry for entry in self._all(purpose) if entry.id == key_id), None)
        if entry is None:
            message = "this was sealed with a key that the broker does not have"
            raise KeyringError(message, remedy="Restore the keyring from your backup.")
        try:
            associated_data = framed([PREFIX, purpose, *associated])
            return AESGCM(entry.derived(Use.SEAL)).decrypt(
                sealed[nonce_at:sealed_at], sealed[sealed_at:], associated_data
            )
        except (InvalidTag, ValueError):
            message = "this was altered, or sealed for something else"
            raise KeyringError(message) from None

    def mac(self, purpose: Purpose, data: bytes) -> bytes:
        """HMAC-SHA256 of `data` under the current key. Join several parts with `framed`."""
        return self.macs(purpose, data)[0]

    def macs(self, purpose: Purpose, data: bytes) -> list[bytes]:
        """The MAC under every key of `purpose`, the current one first: to find what was stored before a rotation."""
        _refuse_signing_key(purpose)
        self._current(purpose)
        return [hmac.digest(entry.derived(Use.MAC), data, "sha256") for entry in reversed(self._all(purpose))]

    def matches(self, purpose: Purpose, data: bytes, mac: bytes) -> bool:
        """Whether `mac` is the MAC of `data` under any key of `purpose`."""
        return any(hmac.compare_digest(mac, ours) for ours in self.macs(purpose, data))

    def sign(self, purpose: Purpose, data: bytes) -> Signature:
        """An Ed25519 signature under the current key; for `Purpose.AUDIT` only."""
        if purpose is not Purpose.AUDIT:  # check: only-the-audit-key-signs
            message = f"the {purpose} key does not sign"
            raise KeyringError(message)
        entry = self._current(purpose)
        return Signature(key_id=entry.id, value=self._signers[entry.id].sign(data))

    def verify(self, purpose: Purpose, data: bytes, signature: Signature) -> bool:
        """Whether a known key of `purpose`, retired ones included, made this signature over `data`."""
        return self._public.verify(purpose, data, signature)

    def secret_text(self, purpose: Purpose) -> str:
        """43 characters derived from the current key, for a library that wants its secret as text."""
        _refuse_signing_key(purpose)
        return encode(self._current(purpose).derived(Use.TEXT))

    def public_keys(self) -> PublicKeyring:
        """What an auditor needs to verify the audit trail; nothing secret."""
        return self._public

    def _all(self, purpose: Purpose) -> list[Entry]:
        return [entry for entry in self._entries if entry.purpose is purpose and entry.secret]

    def _current(self, purpose: Purpose) -> Entry:
        entries = self._all(purpose)
        if not entries:
            message = f"the keyring has no {purpose} key"
            raise KeyringError(message, remedy=f"Add one with `broker keys rotate {purpose}`.")
        return entries[-1]


def _signer(entry: Entry) -> Ed25519PrivateKey:
    """Made once: deriving it costs as much as signing."""
    return Ed25519PrivateKey.from_private_bytes(entry.derived(Use.SIGN))


def _refuse_signing_key(purpose: Purpose) -> None:
    if purpose is Purpose.AUDIT:  # check: the-audit-key-only-signs
        message = "the audit key signs, and does nothing else"
        raise KeyringError(message)
