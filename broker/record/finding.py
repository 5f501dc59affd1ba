"""What verification finds: which link of which chain, what it means, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

_RESTORE = "Compare it with the log collector's copy and with CloudTrail; treat the database as written to by somebody."
_KEYS = "If an audit key was retired, give `verify` its public half; else treat the database as written to by somebody."


class Kind(StrEnum):
    """The kinds of finding; `docs/audit.md` lists them all."""

    CHANGED = "changed"
    MISSING = "missing"
    OUT_OF_PLACE = "out-of-place"
    BROKEN = "broken"
    FORGED = "forged"
    PAYLOAD_CHANGED = "payload-changed"
    PAYLOAD_REMOVED = "payload-removed"
    COLUMNS_CHANGED = "columns-changed"
    UNREADABLE = "unreadable"
    REWRITTEN = "rewritten"
    CUT = "cut"
    WRITER_GONE = "writer-gone"
    HEAD_FORGED = "head-forged"
    AFTER_CLOSE = "after-close"
    NOT_CLOSED = "not-closed"
    ANCHOR_FORGED = "anchor-forged"
    EMPTY = "empty"


DOUBTS: Final = frozenset({Kind.NOT_CLOSED, Kind.ANCHOR_FORGED, Kind.EMPTY})
"""What may have an innocent cause: a crash, an odd line in a log, a new installation."""

_REMEDIES: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        Kind.FORGED: _KEYS,
        Kind.HEAD_FORGED: _KEYS,
        Kind.PAYLOAD_REMOVED: "Ask who ran `broker audit prune`; the log collector's copy still has the event.",
        Kind.COLUMNS_CHANGED: "Searches cannot be trusted for this event; its payload is still right.",
        Kind.NOT_CLOSED: "If the process crashed or was killed then, all is well; `--anchor FILE` decides it.",
        Kind.ANCHOR_FORGED: "Ask who can write to the log; lines that are not signed were not relied on.",
        Kind.EMPTY: "On a new installation all is well; else the trail was deleted: restore it, compare with the log.",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it was written."""

    kind: Kind
    writer: str
    """The chain; empty where it is about none."""
    number: int
    """The link (of several: the first); of an anchor the line."""
    what: str
    """What it means."""

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return _REMEDIES.get(self.kind, _RESTORE)

    @property
    def certain(self) -> bool:
        """False where there may be an innocent cause."""
        return self.kind not in DOUBTS

    def __str__(self) -> str:
        """`kind: writer N: what remedy`."""
        return f"{self.kind}: {self.writer or '-'} {self.number}: {self.what} {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a verification."""

    findings: tuple[Finding, ...]
    """The first thousand that are certain, and the first thousand doubts."""
    total: int
    """How many there are."""
    writers: int
    links: int
    pruned: int
    """Links without a payload."""
    anchors: int

    @property
    def intact(self) -> bool:
        """True when nothing certain was found; `findings` may still hold doubts."""
        return not any(finding.certain for finding in self.findings)
