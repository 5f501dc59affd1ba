"""What is stored carries a MAC: who can write the database or Redis, without a key, makes up no session and no person.

A MAC tells that a row was ours once, not that it is the newest one or still stands: who can write there can bring an
older row back, or delete any (see `SECURITY.md`).
"""

import logging

from broker.keys import Keyring, KeyringError, Purpose, framed

log = logging.getLogger(__name__)


class Authentic:
    """Makes and checks the MACs of one kind of row."""

    def __init__(self, keyring: Keyring, purpose: Purpose, kind: str) -> None:
        """`kind` stands in every MAC, so that no row can be taken for one of another kind."""
        self._keyring = keyring
        self._purpose = purpose
        self._kind = kind

    def mac(self, *parts: str) -> bytes:
        """32 bytes over `parts`, under the current key."""
        return self._keyring.mac(self._purpose, framed([self._kind, *parts]))

    def holds(self, mac: object, *parts: object) -> bool:
        """Whether `mac` was made over exactly these `parts` under a key that we have.

        Whatever a hand in the database wrote may come here: SQLite keeps numbers and bytes where text is declared.
        """
        texts = [part for part in parts if isinstance(part, str)]
        if not isinstance(mac, bytes) or len(texts) != len(parts):  # check: stored-row-types
            return False
        return self._keyring.matches(self._purpose, framed([self._kind, *texts]), mac)

    def require(self, mac: object, *parts: object) -> None:
        """Raise `KeyringError` unless `holds`; the log names the row."""
        if not self.holds(mac, *parts):  # check: stored-row-mac
            log.error("the stored %s %r does not carry our MAC", self._kind, parts)
            message = f"A stored {self._kind} was altered, or kept under a key that the broker does not have."
            raise KeyringError(message, remedy="Restore the database and the keyring from the same backup.")
