"""What is stored carries a MAC: who can write the database or Redis, without a key, makes up no session and no person.

A MAC tells that a row was ours once, not that it is the newest one or still stands: who can write there can bring an
older row back, or delete any (see `SECURITY.md`).
"""

from broker.keys import Keyring, KeyringError, Purpose, framed


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

    def holds(self, mac: bytes | None, *parts: str) -> bool:
        """Whether `mac` was made over exactly these `parts` under a key that we have."""
        return mac is not None and self._keyring.matches(self._purpose, framed([self._kind, *parts]), mac)

    def require(self, mac: bytes | None, *parts: str) -> None:
        """Raise `KeyringError` unless `holds`."""
        if not self.holds(mac, *parts):  # check: stored-row-mac
            message = f"A stored {self._kind} was altered, or kept under a key that the broker does not have."
            raise KeyringError(message, remedy="Restore the database and the keyring from the same backup.")
