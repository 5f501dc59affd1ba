"""Verification: whether the trail is what the broker wrote, all of it and nothing else.

For every link of every chain:
 (1) it can be read, and its number follows the one before; no row is left over
                                                                else UNREADABLE, MISSING or OUT_OF_PLACE
 (2) it names this chain, and its hash fits its fields          else CHANGED
 (3) `previous` is the hash of the link before                  else BROKEN
 (4) a known audit key signed the hash                          else FORGED
 (5) the payload has the signed digest                          else PAYLOAD_CHANGED
 (6) the search columns say what the payload says               else COLUMNS_CHANGED
 (7) a payload is gone only where a pruning is on record        else PAYLOAD_REMOVED
For every chain:
 (8) a known audit key signed its heads                         else HEAD_FORGED
 (9) it has the links that heads, other chains' first links and anchors say it had
                                                                else REWRITTEN, CUT or WRITER_GONE
(10) nothing follows an orderly close                           else AFTER_CLOSE
(11) it was closed, is alive, was given up on record, or anchors show its very end
                                                                else NOT_CLOSED (a doubt: it may have crashed)
(12) the anchors themselves are signed (`anchor.read_anchors`)  else ANCHOR_FORGED (a doubt: they are not relied on)

Not promised: without anchors, a database put back whole to an earlier state, or robbed of its newest chains, looks
like one that stopped then. And whoever holds the audit key can write what they like: keep it out of the database.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from broker.keys import Verifier
from broker.record.anchor import Anchors
from broker.record.canonical import instant
from broker.record.chain import FIRST, digest_of, hash_of, head_is_signed, is_genuine, is_signed, is_well_formed
from broker.record.event import SEARCH_COLUMNS, SEARCH_LIMIT, Tag
from broker.record.finding import Finding, Kind, Report
from broker.record.trail import Head, Link

ALIVE: Final = timedelta(minutes=5)
"""A chain whose newest head is no older than this belongs to a running process (heads are signed each minute)."""
MOST_FINDINGS: Final = 1000
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class Reader(Protocol):
    """The part of `TrailStore` that verification reads."""

    def writers(self) -> Mapping[str, int]:
        """All writers that left a link or a head, with the number of their rows."""

    def links(self, writer: str) -> Iterator[Link]:
        """A writer's links by number."""

    def heads(self, writer: str) -> Iterator[Head]:
        """A writer's heads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """A signed statement that a chain had the link `number` with the hash `tip`."""

    number: int
    tip: bytes
    source: str


class _Chain:
    """What is known of one chain while it is walked."""

    def __init__(self, writer: str) -> None:
        self.writer = writer
        self.claims: dict[int, _Claim] = {}
        self.anchored = -1
        """The highest link that an anchor shows."""
        self.rows = 0
        """Links and heads that were read."""
        self.given_up = False
        self.closed: int | None = None
        self.seen_at = LONG_AGO
        self.number = 0
        """The highest link so far."""
        self.tips: tuple[bytes, ...] = (FIRST,)
        """What the next link may have as `previous`."""
        self.pruned_until: datetime | None = None
        """The newest link without a payload."""


def verify(store: Reader, verifier: Verifier, *, now: datetime, anchors: Anchors | None = None) -> Report:
    """Check everything in the module's list. Raises `errors.Unavailable` when the store cannot be read."""
    return _Verification(store, verifier, now, anchors or Anchors()).run()


class _Verification:
    def __init__(self, store: Reader, verifier: Verifier, now: datetime, anchors: Anchors) -> None:
        self._store = store
        self._verifier = verifier
        self._now = now
        self._anchors = anchors
        self._chains: dict[str, _Chain] = {}
        self._findings: dict[Finding, None] = {}
        self._kept: Counter[bool] = Counter()
        self._total = self._links = self._pruned = 0
        self._pruned_before = LONG_AGO

    def run(self) -> Report:
        writers = self._store.writers()
        if not writers:
            self._find(Kind.EMPTY, "", 0, "The trail is empty.")
        self._gather(writers)
        for writer, rows in writers.items():
            self._walk(self._chain(writer), rows)
        for chain in self._chains.values():
            if chain.writer not in writers:
                last = max(chain.claims.values(), key=lambda claim: claim.number)
                what = f"The whole chain is gone; {last.source} shows that it had {last.number} links."
                self._find(Kind.WRITER_GONE, chain.writer, last.number, what)
            elif chain.pruned_until is not None:
                self._name_removed_payloads(chain)
        return Report(
            findings=tuple(self._findings),
            total=self._total,
            writers=len(writers),
            links=self._links,
            pruned=self._pruned,
            anchors=self._anchors.lines,
        )

    def _gather(self, writers: Mapping[str, int]) -> None:
        """Collect what anchors and the first links of all chains claim about any chain."""
        for position in self._anchors.forged:  # (12)
            self._find(Kind.ANCHOR_FORGED, "", position, f"Line {position} of the anchor is not what the broker wrote.")
        for writer, runs in self._anchors.highest.items():
            chain = self._chain(writer)
            chain.anchored = max(number for number, _ in runs.values())
            for number, tip in runs.values():
                chain.claims[number] = _Claim(number=number, tip=tip, source="the anchor")
        for writer in writers:
            for first in self._readable(self._chain(writer)):
                if is_genuine(first, self._verifier):
                    self._hear(first)
                break

    def _hear(self, first: Link) -> None:
        """Note what the first link of a chain says about others."""
        details = json.loads(first.payload or "{}").get("details", {})
        source = f"the first link of chain {first.writer}"
        for name, value in details.items():
            if name == "continues":
                writer, number, tip = value.split(":")
                self._chain(writer).given_up = True
            elif name.startswith("witness."):
                writer = name.removeprefix("witness.")
                number, tip = value.split(":")
            else:
                continue
            claim = _Claim(number=int(number), tip=bytes.fromhex(tip), source=source)
            self._chain(writer).claims.setdefault(claim.number, claim)

    def _walk(self, chain: _Chain, rows: int) -> None:
        """Check a chain that had `rows` rows when the verification began; since then it can only have grown."""
        chain.rows = 0
        self._hear_heads(chain)
        for link in self._readable(chain):
            self._links += 1
            self._check(chain, link)
        if chain.rows < rows:  # check: no-row-left-over  # (1)
            what = f"{rows - chain.rows} rows stand twice in one place, or under a name or number that is none."
            self._find(Kind.UNREADABLE, chain.writer, chain.number + 1, what)
        cut = [claim for claim in chain.claims.values() if claim.number > chain.number]
        if cut:  # check: cut-tail  # (9)
            last = max(cut, key=lambda claim: claim.number)
            what = f"The chain ends with link {chain.number}; {last.source} shows that it had {last.number}."
            self._find(Kind.CUT, chain.writer, chain.number + 1, what)
        if chain.closed is not None and chain.number > chain.closed:  # check: after-close  # (10)
            what = f"The process closed the chain with link {chain.closed}; this was added."
            self._find(Kind.AFTER_CLOSE, chain.writer, chain.closed + 1, what)
        known_end = chain.closed is not None or chain.given_up or chain.anchored >= chain.number
        if not known_end and self._now - chain.seen_at > ALIVE:  # check: orderly-close  # (11)
            what = f"The chain just ends ({instant(chain.seen_at)} is the last of it): a crash, or its end was cut off."
            self._find(Kind.NOT_CLOSED, chain.writer, chain.number, what)
        chain.claims.clear()

    def _hear_heads(self, chain: _Chain) -> None:
        for head in self._store.heads(chain.writer):
            chain.rows += 1
            genuine = head_is_signed(head, self._verifier)
            if head.writer != chain.writer or not genuine:  # check: head-signature  # (8)
                self._find(Kind.HEAD_FORGED, chain.writer, head.number, "This head is not signed by an audit key.")
                continue
            source = f"the head signed at {instant(head.at)}"
            chain.claims.setdefault(head.number, _Claim(number=head.number, tip=head.hash, source=source))
            chain.seen_at = max(chain.seen_at, head.at)
            if head.closed:
                chain.closed = head.number

    def _check(self, chain: _Chain, link: Link) -> None:
        """Checks (1) to (7) and the claims about one link."""
        follows = link.number == chain.number + 1
        if not follows:  # check: link-number  # (1)
            self._misplaced(chain, link)
        expected = hash_of(link)
        if link.writer != chain.writer or link.hash != expected:  # check: link-hash  # (2)
            self._find(Kind.CHANGED, chain.writer, link.number, "The link is not what was written: its hash is wrong.")
        else:
            self._check_signature(chain, link)
        if follows and link.previous not in chain.tips:  # check: link-previous  # (3)
            what = f"It follows another link {chain.number} than the one that is here now."
            self._find(Kind.BROKEN, chain.writer, link.number, what)
        self._check_payload(chain, link)
        claim = chain.claims.get(link.number)
        if claim and claim.tip not in {link.hash, expected}:  # check: claims  # (9)
            what = f"{claim.source} shows another link here: the chain was written again."
            self._find(Kind.REWRITTEN, chain.writer, link.number, what[0].upper() + what[1:])
        chain.number = max(chain.number, link.number)
        chain.tips = link.hash, expected

    def _misplaced(self, chain: _Chain, link: Link) -> None:
        if link.number <= chain.number:
            self._find(Kind.OUT_OF_PLACE, chain.writer, link.number, "There is a link too many with this number.")
            return
        missing, last = chain.number + 1, link.number - 1
        what = "This link is missing." if missing == last else f"The links {missing} to {last} are missing."
        self._find(Kind.MISSING, chain.writer, missing, what)

    def _check_signature(self, chain: _Chain, link: Link) -> None:
        """Check (4), and what only a signed link is asked: check (6), and which pruning it records."""
        if not is_signed(
            self._verifier, link.hash, key_id=link.key_id, signature=link.signature
        ):  # check: link-signature
            what = "No audit key that is known here signed it: the broker did not write this."
            self._find(Kind.FORGED, chain.writer, link.number, what)
            return
        chain.seen_at = max(chain.seen_at, link.at)
        if link.payload is None or digest_of(link.payload) != link.digest:
            return
        wrong = _wrong_columns(link, link.payload)
        if wrong:  # check: search-columns
            what = f"The search columns say something else than the event: {', '.join(wrong)}."
            self._find(Kind.COLUMNS_CHANGED, chain.writer, link.number, what)
        self._hear_of_pruning(link.payload)

    def _check_payload(self, chain: _Chain, link: Link) -> None:
        """Check (5), and the first half of (7)."""
        if link.payload is None:
            self._pruned += 1
            chain.pruned_until = max(chain.pruned_until or LONG_AGO, link.at)
            if any(link.columns.values()):  # check: columns-without-payload
                what = "Search columns were filled in where the event was pruned."
                self._find(Kind.COLUMNS_CHANGED, chain.writer, link.number, what)
        elif digest_of(link.payload) != link.digest:  # check: payload-digest
            self._find(Kind.PAYLOAD_CHANGED, chain.writer, link.number, "What the event says was changed.")

    def _hear_of_pruning(self, payload: str) -> None:
        if f'"tag":"{Tag.AUDIT_PRUNED}"' in payload:
            members = json.loads(payload)
            if members["tag"] == Tag.AUDIT_PRUNED:
                before = datetime.fromisoformat(members["details"]["before"])
                self._pruned_before = max(self._pruned_before, before)

    def _name_removed_payloads(self, chain: _Chain) -> None:
        """The second half of (7), now that every pruning on record is known. First links are never pruned."""
        for link in self._readable(chain):
            kept = link.number == 1 or link.at >= self._pruned_before
            if kept and link.payload is None:  # check: unrecorded-pruning
                what = "What the event says was removed, and no pruning on record covers it."
                self._find(Kind.PAYLOAD_REMOVED, chain.writer, link.number, what)

    def _readable(self, chain: _Chain) -> Iterator[Link]:
        """The chain's links; a row that holds what the broker never writes is named and left out."""
        number = 0
        for link in self._store.links(chain.writer):
            chain.rows += 1
            if is_well_formed(link):
                number = link.number
                yield link
            else:
                number += 1
                self._find(Kind.UNREADABLE, chain.writer, number, "The row holds what the broker never writes.")

    def _chain(self, writer: str) -> _Chain:
        return self._chains.setdefault(writer, _Chain(writer))

    def _find(self, kind: Kind, writer: str, number: int, what: str) -> None:
        finding = Finding(kind=kind, writer=writer, number=number, what=what)
        if finding not in self._findings:
            self._total += 1
            self._kept[finding.certain] += 1
            if self._kept[finding.certain] <= MOST_FINDINGS:  # doubts, which anybody can cause, push nothing out
                self._findings[finding] = None


def _wrong_columns(link: Link, payload: str) -> list[str]:
    """The names of the columns that differ from the payload (whose digest was right)."""
    members = json.loads(payload)
    wrong = [name for name in SEARCH_COLUMNS if link.columns.get(name) != members.get(name, "")[:SEARCH_LIMIT]]
    return wrong if members.get("at") == instant(link.at) else [*wrong, "at"]
