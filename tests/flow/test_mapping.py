"""A new mapping document comes into force whole, or the old one stays."""

import contextlib
import hmac
import logging
from pathlib import Path

import pytest
from builders import NOW
from corridor import MAPPING, SID, World, a_corridor
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from broker.authenticate.identity import GroupForm
from broker.entitle.snapshot import Snapshot
from broker.errors import ConfigurationError, Unavailable
from broker.evaluate.verdict import Refusal
from broker.flow import lease
from broker.flow.mapping import Cache, InForce, read_mapping
from broker.issue.issuer import Lease
from broker.record.event import Outcome, Tag
from broker.record.trail import Query

PROVIDERS = {"corp-ad": GroupForm.SID}
NO_READING = MAPPING.replace("roles: [read-only]}", "roles: [critical]}")
BROKEN = MAPPING.replace("version: 1", "version: 7")
NO_DENY = MAPPING.replace("roles: all}", "roles: [critical]}")


class Store:
    """A snapshot store that can be away."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.away = False

    def get(self, digest: str) -> bytes | None:
        self._ask()
        return self.kept.get(digest)

    def put(self, digest: str, compiled: bytes, now: object) -> None:
        del now
        self._ask()
        self.kept[digest] = compiled

    def _ask(self) -> None:
        if self.away:
            message = "snapshots"
            raise Unavailable(message)


def macs(key: bytes = b"k" * 32) -> object:
    return lambda data: [hmac.digest(key, data, "sha256")]


class Files:
    """The mapping files, as an editor leaves them."""

    def __init__(self) -> None:
        self.text = MAPPING
        self.reads = 0

    def __call__(self) -> dict[str, str]:
        self.reads += 1
        if not self.text:
            raise ConfigurationError([])
        return {"mappings.yaml": self.text}


@pytest.mark.usefixtures("signing_time")
def test_a_change_takes_effect_and_is_recorded_first(world: World, tmp_path: Path) -> None:
    with a_corridor(world, tmp_path / "own") as corridor:
        session = corridor.session(corridor.person("sre", enrolled=True))

        def ask() -> object:
            return lease(
                corridor.parts, session, role="payments-dev/read-only", asked=None, circumstances=corridor.moment()
            )

        assert isinstance(ask(), Lease)
        before = corridor.parts.mapping().revision
        (tmp_path / "own" / "mappings.yaml").write_text(NO_READING, encoding="utf-8")
        corridor.broker.mapping.refresh()
        assert isinstance(ask(), Refusal)
        after = corridor.parts.mapping().revision
        assert after != before
        (event,) = corridor.search(Query(tag=Tag.MAPPING_APPLIED))
        assert (event.outcome, event.mapping_revision, event.actor) == (Outcome.DONE, after, "broker")


def test_a_change_counts_when_two_looks_agree(world: World, tmp_path: Path) -> None:
    with a_corridor(world, tmp_path / "own") as corridor:
        before, file = corridor.parts.mapping().revision, tmp_path / "own" / "mappings.yaml"
        for half in (NO_READING.replace("version: 1", "version: 1 # still being written"), NO_READING):
            file.write_text(half, encoding="utf-8")
            corridor.broker.mapping.look()
            assert corridor.parts.mapping().revision == before
        corridor.broker.mapping.look()
        assert corridor.parts.mapping().revision != before


@pytest.mark.usefixtures("signing_time")
@pytest.mark.parametrize("harm", [BROKEN, NO_DENY, "", "}{"], ids=["invalid", "own test fails", "gone", "not YAML"])
def test_a_document_with_a_problem_is_not_applied_and_the_refusal_is_recorded_once(
    world: World, tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    with a_corridor(world, tmp_path / "own") as corridor:
        before = corridor.parts.mapping()
        file = tmp_path / "own" / "mappings.yaml"
        if harm:
            file.write_text(harm, encoding="utf-8")
        else:
            file.unlink()
        with caplog.at_level(logging.ERROR):
            for _ in range(3):
                corridor.broker.mapping.refresh()
        assert corridor.parts.mapping() is before
        assert corridor.broker.mapping.refused_at == corridor.clock()
        (event,) = corridor.search(Query(tag=Tag.MAPPING_REJECTED))
        assert event.outcome is Outcome.FAILED
        assert event.reason
        assert caplog.text.count("the old one stays") == 1
        file.write_text(MAPPING, encoding="utf-8")
        corridor.broker.mapping.refresh()
        assert corridor.broker.mapping.refused_at is None, "what stands in the files is in force"


def test_a_document_that_breaks_its_own_test_says_which_and_what() -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_mapping({"mappings.yaml": NO_DENY}, providers=PROVIDERS, now=NOW)
    told = str(refused.value)
    assert "leavers have nothing" in told
    assert "payments-dev/read-only should not be allowed and is" in told
    allow = MAPPING.replace('deny: ["*/*"]', "allow: [payments-dev/read-only]")
    with pytest.raises(ConfigurationError, match="payments-dev/read-only should be allowed and is not"):
        read_mapping({"mappings.yaml": allow}, providers=PROVIDERS, now=NOW)


def test_a_refused_text_is_not_compiled_again_until_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand mappings take seconds: a broken file must not cost them every two."""
    files, noted = Files(), list[str]()
    mapping = InForce(files, cache=cache(Store()), providers=PROVIDERS, clock=lambda: NOW)
    mapping.noted = lambda snapshot, why: noted.append(why if snapshot is None else snapshot.revision)
    compiled = list[object]()

    def counting(*arguments: object, **named: object) -> Snapshot:
        compiled.append(arguments)
        return read_mapping(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("broker.flow.mapping.read_mapping", counting)
    files.text = BROKEN
    for _ in range(5):
        mapping.refresh()
    assert (len(compiled), len(noted)) == (1, 1)
    files.text = NO_DENY
    mapping.refresh()
    assert (len(compiled), len(noted)) == (2, 2), "another text: looked at, and noted"
    files.text = NO_READING
    mapping.refresh()
    assert (len(noted), mapping.refused_at) == (3, None)


def test_a_change_that_cannot_be_recorded_does_not_count_and_is_tried_again() -> None:
    files = Files()
    mapping = InForce(files, cache=cache(Store()), providers=PROVIDERS, clock=lambda: NOW)
    before, answers = mapping(), [False, True]

    def noted(snapshot: Snapshot | None, why: str) -> None:
        del snapshot, why
        if not answers.pop(0):
            message = "audit trail"
            raise Unavailable(message)

    mapping.noted = noted
    files.text = NO_READING
    with pytest.raises(Unavailable):
        mapping.refresh()
    assert mapping() is before
    mapping.refresh()
    assert mapping() is not before


def cache(store: Store, key: bytes = b"k" * 32) -> Cache:
    return Cache(store=store, macs=macs(key))  # type: ignore[arg-type]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every compilation from the text."""
    found = list[object]()

    def counting(*arguments: object, **named: object) -> Snapshot:
        found.append(arguments)
        return read_mapping(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("broker.flow.mapping.read_mapping", counting)
    return found


def open_with(store: Store, *, key: bytes = b"k" * 32, providers: object = None) -> InForce:
    return InForce(Files(), cache=cache(store, key), providers=providers or PROVIDERS, clock=lambda: NOW)  # type: ignore[arg-type]


def test_a_second_worker_starts_from_what_the_first_compiled(compiled: list[object]) -> None:
    store = Store()
    first, second = open_with(store), open_with(store)
    assert len(compiled) == 1
    assert second().revision == first().revision


def test_a_snapshot_without_our_mac_is_ignored(compiled: list[object], caplog: pytest.LogCaptureFixture) -> None:
    """Who can write to the database cannot grant."""
    store = Store()
    true = open_with(store)()
    ((digest, kept),) = store.kept.items()
    more = read_mapping({"m": MAPPING.replace("[sre]", "[leavers]")}, providers=None, now=NOW)
    forged = {"another document": kept[:32] + more.dump(), "a changed bit": kept[:40] + b"!" + kept[41:], "short": b"x"}
    for what, bytes_ in forged.items():
        compiled.clear()
        store.kept = {digest: bytes_}
        assert open_with(store)().revision == true.revision, what
        assert len(compiled) == 1, what
        assert "does not carry our MAC" in caplog.text
    compiled.clear()
    store.kept = {digest: kept}
    open_with(store)
    assert compiled == [], "the true one is used"


def test_a_snapshot_of_another_text_is_not_taken_for_this_one(compiled: list[object]) -> None:
    """A true snapshot of an older document, put in the place of today's by a hand in the database."""
    store = Store()
    files = Files()
    files.text = NO_READING
    InForce(files, cache=cache(store), providers=PROVIDERS, clock=lambda: NOW)
    (older,) = store.kept.values()
    open_with(store)
    (today,) = [digest for digest, kept in store.kept.items() if kept != older]
    store.kept[today] = older
    compiled.clear()
    assert open_with(store)().revision == read_mapping({"m": MAPPING}, providers=None, now=NOW).revision
    assert compiled


def test_a_snapshot_made_under_other_keys_or_for_other_providers_is_compiled_anew(compiled: list[object]) -> None:
    store = Store()
    open_with(store)
    open_with(store, key=b"n" * 32)
    assert len(compiled) == 2
    with pytest.raises(ConfigurationError):
        open_with(store, key=b"n" * 32, providers={"okta": GroupForm.NAME})


def test_a_store_of_snapshots_that_is_away_stops_nobody(compiled: list[object]) -> None:
    store = Store()
    store.away = True
    assert open_with(store)().revision
    assert len(compiled) == 1


@pytest.mark.usefixtures("signing_time")
def test_a_tampered_snapshot_in_the_real_database_is_ignored_at_the_next_start(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    with a_corridor(world, folder) as corridor:
        true = corridor.parts.mapping().revision
        with corridor.broker.storage.database.write("test") as connection:
            kept = connection.execute(text("select compiled from snapshots")).scalar_one()
            lax = read_mapping({"m": NO_DENY.partition("tests:")[0] + "...\n"}, providers=None, now=NOW)
            forged = bytes(kept)[:32] + lax.dump()
            connection.execute(text("update snapshots set compiled = :forged"), {"forged": forged})
    with a_corridor(world, folder) as corridor:
        assert corridor.parts.mapping().revision == true
        leaver = corridor.session(corridor.person("leaver", enrolled=True))
        moment = corridor.moment()
        verdict = lease(corridor.parts, leaver, role="payments-dev/read-only", asked=None, circumstances=moment)
        assert isinstance(verdict, Refusal)


@pytest.mark.usefixtures("signing_time")
def test_a_group_made_anew_under_an_old_name_grants_nothing_and_somebody_hears_of_it(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The document pins the id: whoever may create groups in the directory cannot give themselves a role."""
    with a_corridor(world, tmp_path / "own", mapping=MAPPING.replace(f"{SID}-2000", f"{SID}-9999")) as corridor:
        session = corridor.session(corridor.person("sre", enrolled=True))
        (event,) = corridor.search(Query(tag=Tag.SIGN_IN_SUCCEEDED))
        assert event.details["replaced_groups"] == "sre"
        assert "sre" in caplog.text
        moment = corridor.moment()
        verdict = lease(corridor.parts, session, role="payments-dev/read-only", asked=None, circumstances=moment)
        assert isinstance(verdict, Refusal)


class Folder:
    """The files of a folder, of which one can go."""

    def __init__(self, **texts: str) -> None:
        self.texts = {f"{name}.yaml": text for name, text in texts.items()}

    def __call__(self) -> dict[str, str]:
        return dict(self.texts)


DENIES = "version: 1\ndenies:\n" + MAPPING.partition("denies:\n")[2].partition("tests:\n")[0] + "...\n"
TESTS = "version: 1\ntests:\n" + MAPPING.partition("tests:\n")[2]
GRANTS = MAPPING.partition("denies:\n")[0] + "...\n"


def in_force(files: object, store: Store | None = None) -> InForce:
    return InForce(files, cache=cache(store or Store()), providers=PROVIDERS, clock=lambda: NOW)  # type: ignore[arg-type]


def test_a_file_that_goes_is_told_of_when_what_is_left_comes_into_force(caplog: pytest.LogCaptureFixture) -> None:
    files, noted = Folder(denies=DENIES, grants=GRANTS), list[str]()
    mapping = in_force(files)
    mapping.noted = lambda snapshot, why: noted.append(why) if snapshot else None
    files.texts["grants.yaml"] = GRANTS.replace("max_session: 4h", "max_session: 3h")
    mapping.refresh()
    assert (noted, caplog.text) == ([""], "")
    del files.texts["denies.yaml"]
    mapping.refresh()
    assert noted == ["", "without denies.yaml"]
    assert "is now without denies.yaml" in caplog.text


def test_a_file_cannot_go_whose_denies_a_test_in_another_one_asks_for() -> None:
    files = Folder(denies=DENIES, grants=GRANTS, tests=TESTS)
    mapping = in_force(files)
    before = mapping()
    del files.texts["denies.yaml"]
    mapping.refresh()
    assert mapping() is before
    assert mapping.refused_at == NOW


def test_no_beginning_of_a_changed_file_comes_into_force() -> None:
    files = Folder(mappings=MAPPING)
    mapping, whole = in_force(files), MAPPING.replace("max_session: 4h", "max_session: 3h")
    before = mapping()
    for end in [*range(0, len(whole), 97), len(whole) - 2, len(whole) - 4]:
        files.texts["mappings.yaml"] = whole[:end]
        mapping.refresh()
        assert mapping() is before, end
        assert mapping.refused_at == NOW
    files.texts["mappings.yaml"] = whole
    mapping.refresh()
    assert mapping() is not before


def test_what_is_probably_not_meant_is_logged_whenever_it_comes_into_force(caplog: pytest.LogCaptureFixture) -> None:
    odd = MAPPING.replace("accounts: {env: [dev]}", "accounts: {env: [dev, tst]}")
    told = "no account has 'tst' as its env"
    store, files = Store(), Folder(mappings=MAPPING)
    mapping = in_force(files, store)
    assert told not in caplog.text
    files.texts["mappings.yaml"] = odd
    mapping.refresh()
    assert caplog.text.count(told) == 1
    mapping.refresh()
    assert caplog.text.count(told) == 1
    in_force(files, store)
    assert caplog.text.count(told) == 2, "a worker that starts from what another one compiled tells it too"


@pytest.mark.parametrize(
    "harm",
    [
        ("mfa: {methods: [totp], age: 1m}", "mfa: {methods: [totp], age: 999999d}"),
        ('deny: ["*/*"]', 'deny: ["*/*"]\n    at: 0001-01-01'),
        ('deny: ["*/*"]', 'deny: ["*/*"]\n    at: 9999-12-31'),
        ('deny: ["*/*"]', 'deny: ["*/*"]\n    at: 9999-12-31T23:59:59-14:00'),
    ],
    ids=lambda harm: harm[1][-20:],
)
def test_a_moment_where_the_calendar_ends_is_refused_and_the_old_one_stays(harm: tuple[str, str]) -> None:
    files = Folder(mappings=MAPPING)
    mapping = in_force(files)
    before, noted = mapping(), list[str]()
    mapping.noted = lambda snapshot, why: noted.append(why) if snapshot is None else None
    changed = MAPPING.replace(*harm)
    assert changed != MAPPING
    files.texts["mappings.yaml"] = changed
    mapping.refresh()
    assert (mapping() is before, mapping.refused_at, len(noted)) == (True, NOW, 1)


def test_a_name_that_looks_like_a_secret_is_refused_before_it_is_recorded() -> None:
    secret = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYzEXAMPLEKEYz"
    with pytest.raises(ConfigurationError, match="this name looks like a key") as refused:
        read_mapping({"m": MAPPING.replace("sre-reads", secret)}, providers=PROVIDERS, now=NOW)
    assert secret not in str(refused.value)


ODD = st.sampled_from(
    [
        *"\n\t :-#&*!|>'\"{}[],?%@`\\d0~\u00e9\ud800",
        *("9999-12-31", "0001-01-01", "999999d", "9" * 30, "1e999", "24:00", "<<", "...", "---"),
        *("/../", "::ffff:1.2.3.4/97", "10.0.0.0/-1", "Europe", "S-1-5", "{account}", "CN="),
    ]
)


@given(st.lists(st.tuples(st.integers(0, len(MAPPING)), st.integers(0, 12), ODD), min_size=1, max_size=4))
def test_whatever_is_written_it_is_a_document_or_a_list_of_problems(changes: list[tuple[int, int, str]]) -> None:
    """Nothing else gets out of the reader: `refresh` keeps the old document for a list of problems only."""
    text = MAPPING
    for at, removed, added in changes:
        text = text[:at] + added + text[at + removed :]
    with contextlib.suppress(ConfigurationError):
        read_mapping({"m": text}, providers=PROVIDERS, now=NOW)
