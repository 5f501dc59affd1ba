"""The demo people's authenticator apps: a file of keys, and the six digits that an app would show (RFC 6238)."""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path

STEP_SECONDS = 30


class Authenticator:
    """The keys of the demo people, by account name, in one file that only its owner can read."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def keys(self) -> dict[str, str]:
        """Base32 keys by account name."""
        found: dict[str, str] = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        return found

    def remember(self, account: str, key: str) -> None:
        """As if the app had scanned the QR code; spaces in the key do not matter."""
        keys = self.keys() | {account: key.replace(" ", "")}
        self._file.touch(mode=0o600)
        self._file.write_text(json.dumps(keys), encoding="utf-8")

    def code(self, account: str, now: datetime, *, steps_ahead: int = 0) -> str:
        """What the app of `account` shows at `now`; KeyError when it has no key for that account."""
        return code_of(self.keys()[account], now, steps_ahead=steps_ahead)


def code_of(key: str, now: datetime, *, steps_ahead: int = 0) -> str:
    """The code of a base32 key at `now`, or so many steps of 30 s later."""
    step = int(now.timestamp()) // STEP_SECONDS + steps_ahead
    digest = hmac.digest(base64.b32decode(key.replace(" ", "")), step.to_bytes(8), hashlib.sha1)
    start = digest[-1] & 0xF
    number = int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"
