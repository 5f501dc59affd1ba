"""The broker's own keys: one purpose for each, kept together in one JSON file (or systemd credential).

From the 32 bytes of an entry a key of its own is derived (HKDF-SHA256) for each use: sealing, MAC, signing, text. So no
two algorithms and no two purposes ever share a key. Entries stand oldest first; the last one of a purpose is *current*:
it seals, signs and makes MACs. Older ones still open, verify and match, until they are retired. A retired audit key
keeps its public half for good, so that old audit trails still verify.

Owns: `Keyring`, `PublicKeyring` (an auditor's: verifies, knows no secret), the file's checks.
Does not own: where the file is (`settings/`), what is sealed or signed. Material is in no repr, log line or error.
"""

from broker.keys.entry import KeyringError, KeyRow, Purpose, RandomBytes, Signature, framed
from broker.keys.file import alone_with
from broker.keys.keyring import Keyring
from broker.keys.public import PublicKeyring, Verifier

__all__ = [
    "KeyRow",
    "Keyring",
    "KeyringError",
    "PublicKeyring",
    "Purpose",
    "RandomBytes",
    "Signature",
    "Verifier",
    "alone_with",
    "framed",
]
