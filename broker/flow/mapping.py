"""`change_mapping`: a new role-mapping document comes into force, or the old one stays.

A document that has a problem, or breaks one of its own tests, is not applied; the snapshot in force goes on deciding.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata

from broker.authenticate.identity import GroupForm, Identity, PersonId
from broker.challenge.proof import Proof, Shown
from broker.clock import Clock
from broker.entitle.document import read_document
from broker.entitle.resolve import find, resolve
from broker.entitle.snapshot import DocumentTest, Snapshot, compile_document, load
from broker.entitle.snapshot_store import SnapshotStore
from broker.errors import ConfigurationError, Problem, Unavailable
from broker.evaluate import BUILT_IN, CONDITIONS
from broker.evaluate.condition import Circumstances
from broker.evaluate.decide import weigh
from broker.evaluate.verdict import Refusal, StepUp
from broker.record.redaction import looks_secret

log = logging.getLogger(__name__)

Files = Mapping[str, str]
"""File name -> text; together one document."""
Providers = Mapping[str, GroupForm]
"""The names in `broker.yaml`, and how the groups of each are known."""


def read_mapping(files: Files, *, providers: Providers | None, now: datetime) -> Snapshot:
    """Compile the document, and hold it against its own tests. Raises `ConfigurationError` with every problem."""
    document = read_document(files, CONDITIONS, providers=providers, is_secret=looks_secret)
    snapshot = compile_document(document, built_in=BUILT_IN)
    problems = [problem for test in snapshot.tests for problem in _failures(snapshot, test, now)]
    if problems:  # check: mapping-tests
        raise ConfigurationError(problems)
    return snapshot


def _failures(snapshot: Snapshot, test: DocumentTest, now: datetime) -> list[Problem]:
    """What the snapshot decides otherwise than `test` says."""
    at = test.at or now
    identity = Identity(
        provider="", subject="", username="test", display_name="", groups=test.groups, authenticated_at=at, read_at=at
    )
    shown = tuple(Shown(method=method, factor="test", at=at - test.mfa_age) for method in sorted(test.methods))
    proof = Proof(person=PersonId("test"), session_name="test", identity=identity, shown=shown)
    moment = Circumstances(now=at, address=test.address, tls_version=test.tls_version)
    given = resolve(snapshot, test.groups, now=at)

    def allowed(key: str) -> bool:
        entitlement = find(given, key)
        return entitlement is not None and not isinstance(weigh(proof, entitlement, moment), Refusal | StepUp)

    missing = [key for target in test.allow for key in snapshot.keys(target) if not allowed(key)]
    excess = [key for target in test.deny for key in snapshot.keys(target) if allowed(key)]
    where, remedy = f"test {test.name!r}", "correct the mappings, or the test if it is the test that is wrong"
    return [Problem(where=where, what=f"{key} should be allowed and is not", remedy=remedy) for key in missing] + [
        Problem(where=where, what=f"{key} should not be allowed and is", remedy=remedy) for key in excess
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Compiled snapshots that earlier workers left, each under a MAC: who can write the database cannot grant."""

    store: SnapshotStore
    macs: Callable[[bytes], list[bytes]]
    """Under every key, the current one first."""

    def get(self, files: Files, providers: Providers) -> Snapshot | None:
        """The snapshot of exactly this text under these providers, if a broker with our keys left it there."""
        digest = _digest(files, providers)
        try:
            kept = self.store.get(digest)
        except Unavailable:
            return None
        if kept is None:
            return None
        mac, dumped = kept[:32], kept[32:]
        if not any(
            hmac.compare_digest(mac, ours) for ours in self.macs(digest.encode() + dumped)
        ):  # check: snapshot-mac
            log.error("a compiled mapping snapshot in the database does not carry our MAC; it is ignored")
            return None
        try:
            return load(dumped, CONDITIONS, built_in=BUILT_IN)
        except ConfigurationError:
            return None

    def put(self, files: Files, providers: Providers, snapshot: Snapshot, now: datetime) -> None:
        """Leave it for the next worker; a cache that cannot be written is no reason to stop."""
        digest, dumped = _digest(files, providers), snapshot.dump()
        try:
            self.store.put(digest, self.macs(digest.encode() + dumped)[0] + dumped, now)
        except Unavailable:
            log.warning("the compiled mapping snapshot could not be kept")


def _digest(files: Files, providers: Providers) -> str:
    """Of this release and the providers, by which the text is checked; of names and texts, with lengths."""
    digest = hashlib.sha256()
    against = json.dumps(providers, sort_keys=True)
    release = metadata.version("aws-federation-broker")
    for part in (release, against, *(part for item in files.items() for part in item)):
        digest.update(len(part.encode()).to_bytes(8) + part.encode())
    return digest.hexdigest()


class InForce:
    """The snapshot in force, and the files that it came from."""

    def __init__(
        self,
        read: Callable[[], Files],
        *,
        cache: Cache,
        providers: Providers,
        clock: Clock,
    ) -> None:
        """Read once, or raise `ConfigurationError`."""
        self._read, self._cache, self._providers, self._clock = read, cache, dict(providers), clock
        self._files = read()
        self.noted: Callable[[Snapshot | None, str], None] = lambda _snapshot, _why: None
        """Hears of each change before it counts: the new snapshot and which files are gone, or None and why not."""
        self._snapshot = self._compiled(self._files)
        self._warn()
        self._refused: Files | None = None
        self._seen: Files | None = self._files
        self.refused_at: datetime | None = None
        """When a changed document was refused; None: what stands in the files is in force."""

    def __call__(self) -> Snapshot:
        """The snapshot in force."""
        return self._snapshot

    def look(self) -> None:
        """`refresh`, once two looks in a row agree: a file that is half written is no document. Raises as `refresh`."""
        try:
            files: Files | None = self._read()
        except ConfigurationError:
            files = None
        agreed, self._seen = files == self._seen, files
        if agreed:  # check: mapping-settled
            self.refresh()

    def refresh(self) -> None:
        """Look at the files again; a change comes into force whole, or not at all.

        A text that was refused is not compiled again until it changes. Raises `Unavailable` when the change cannot be
        recorded; then nothing has changed.
        """
        files: Files | None = None
        try:
            files = self._read()
            if files == self._files:
                self._refused, self.refused_at = None, None
                return
            if files == self._refused:
                return
            snapshot = self._compiled(files)
        except ConfigurationError as error:
            if self.refused_at is None or files != self._refused:
                self.noted(None, str(error.problems[0]))
                log.error("the changed mapping document is refused, the old one stays:\n%s", error.message)  # noqa: TRY400 (a message for people, not a traceback)
                self._refused, self.refused_at = files, self._clock()
            return
        gone = ", ".join(sorted(self._files.keys() - files.keys()))
        self.noted(snapshot, f"without {gone}" if gone else "")
        self._files, self._snapshot = files, snapshot
        self._refused, self.refused_at = None, None
        if gone:
            log.warning("the mapping document in force is now without %s", gone)
        self._warn()

    def _warn(self) -> None:
        """Tell what is allowed and probably not meant in what came into force."""
        for warning in self._snapshot.warnings:
            log.warning("the mapping document in force: %s", warning)

    def _compiled(self, files: Files) -> Snapshot:
        """From the cache (whose tests passed when it was compiled), else from the text."""
        now = self._clock()
        kept = self._cache.get(files, self._providers)
        if kept is not None:
            return kept
        snapshot = read_mapping(files, providers=self._providers, now=now)
        self._cache.put(files, self._providers, snapshot, now)
        return snapshot
