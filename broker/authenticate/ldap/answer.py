"""What a directory server says, free of the library that carried it; and two ways in which it says nothing of use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class Away(Exception):
    """This server cannot be asked: no connection, no valid TLS, no answer in time, or one that is not LDAP."""


class TimedOut(Away):
    """The same, because it was silent or slow: asking it again would cost the same time again."""


class Unusable(Exception):
    """The server answered, but not with what a decision could be built on; asking another would not help."""


class Deadline:
    """The end of a request's budget."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + seconds

    def left(self, at_most: float) -> float:
        """Seconds that may still be spent, more than 0; raises `TimedOut` when there are none."""
        left = self._end - self._monotonic()
        if left <= 0:  # check: budget
            message = "the time for this request is used up"
            raise TimedOut(message)
        return min(left, at_most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry that a search found. Methods raise `Unusable` for a value that is missing or not what it should be."""

    dn: str
    values: Mapping[str, tuple[bytes, ...]]
    """By attribute name in lower case."""

    def all(self, name: str) -> tuple[bytes, ...]:
        """All values; empty where there are none, or the service account may not read them."""
        return self.values.get(name.lower(), ())

    def one(self, name: str) -> bytes:
        """The one value."""
        values = self.all(name)
        if len(values) != 1:
            message = f"{name} is missing, not readable for the service account, or has several values"
            raise Unusable(message)
        return values[0]

    def decoded(self, name: str, decode: Callable[[bytes], T]) -> T:
        """The one value, read by `decode`, which raises `ValueError` for what it cannot read."""
        try:
            return decode(self.one(name))
        except ValueError as error:
            message = f"{name} has a value that cannot be read"
            raise Unusable(message) from error

    def number(self, name: str) -> int:
        """The one value, a whole number."""
        return self.decoded(name, int)

    def count(self, name: str) -> int:
        """The same; 0 where there is none."""
        return self.number(name) if self.all(name) else 0

    def text(self, name: str) -> str:
        """The first value as text, for people to read; empty where there is none."""
        return next(iter(self.all(name)), b"").decode(errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class BindAnswer:
    """What a server said to a name and a password."""

    code: int
    """The LDAP result code; 0 alone does not mean that the account may sign in (see `verdict`)."""
    message: str = ""
    """The diagnostic message: AD's sub-code is in it."""
    policy: bytes | None = None
    """The value of the password policy response control, where the server sent one."""
