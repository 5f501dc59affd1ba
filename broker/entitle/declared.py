"""What the files of the document declare together, entry by entry, with the place of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from broker.entitle.shape import (
    LISTED,
    NAMED,
    AccountShape,
    DenyShape,
    GroupShape,
    GuardrailShape,
    MappingShape,
    Model,
    RoleShape,
    TestShape,
)
from broker.entitle.source import Path, Source

S_co = TypeVar("S_co", bound=Model, covariant=True)

SECTIONS = (*NAMED, *LISTED)
_RULES = ("guardrails", "mappings", "denies")
"""These share one set of names: a verdict speaks of them by name alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[S_co]):
    """One entry of one section, and where it stands."""

    shape: S_co
    source: Source
    path: tuple[str | int, ...]

    def where(self, more: Path = ()) -> str:
        """`file:line:column` of something in it."""
        return self.source.where((*self.path, *more))


class Declared:
    """Every entry of the document, by section and name."""

    def __init__(self) -> None:
        self.groups: dict[str, Entry[GroupShape]] = {}
        self.accounts: dict[str, Entry[AccountShape]] = {}
        self.roles: dict[str, Entry[RoleShape]] = {}
        self.guardrails: dict[str, Entry[GuardrailShape]] = {}
        self.mappings: dict[str, Entry[MappingShape]] = {}
        self.denies: dict[str, Entry[DenyShape]] = {}
        self.tests: dict[str, Entry[TestShape]] = {}
        self._mentioned: dict[str, set[str]] = {section: set() for section in NAMED}
        self._taken: dict[tuple[str, str], Entry[Any]] = {}

    def section(self, name: str) -> Mapping[str, Entry[Any]]:
        """One section by its name."""
        entries: dict[str, Entry[Any]] = getattr(self, name)
        return entries

    def mention(self, section: str, name: str) -> None:
        """There is an entry of this name, even if it turns out not to be usable."""
        self._mentioned[section].add(name)

    def exists(self, section: str, name: str) -> bool:
        """Whether a reference to this name leads somewhere."""
        return name in self._mentioned[section]

    def add(self, section: str, name: str, entry: Entry[Any]) -> Entry[Any] | None:
        """Keep it, unless its name is taken (whatever its case): then the entry that has it."""
        key = ("rules" if section in _RULES else section, name.lower())
        first = self._taken.setdefault(key, entry)
        if first is not entry:
            return first
        getattr(self, section)[name] = entry
        return None
