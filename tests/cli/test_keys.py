"""`broker keys`: rotation with overlap, retirement, and what an auditor may have."""

import json
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest
from cli.processes import PATIENCE, Running, running
from cli.stage import Place, person, run
from neighbours._waiting import wait_until

from broker.cli.opened import operator
from broker.clock import utc_now
from broker.keys import Keyring, PublicKeyring, Purpose, alone_with
from broker.record.event import Tag
from broker.record.trail import Query


def listed(place: Place) -> list[list[str]]:
    return [line.split() for line in place.run("keys", "list").stdout.splitlines()]


def secrets_in(place: Place) -> list[str]:
    return [
        key["secret"] for key in json.loads((place.folder / "keys.json").read_text("utf-8"))["keys"] if "secret" in key
    ]


def noted(place: Place) -> list[tuple[str, dict[str, str]]]:
    with place.opened() as broker:
        found = [
            json.loads(link.payload or "") for link in broker.storage.trail.search(Query(tag=Tag.KEYS_ROTATED), limit=9)
        ]
    return [(event["actor"], event["details"]) for event in found]


def test_generate_makes_a_key_for_each_purpose_in_a_file_of_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    result = run("keys", "generate", str(file))
    assert (result.exit_code, result.stdout) == (0, f"wrote {file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {row.purpose for row in Keyring.load(file).listing()} == set(Purpose)


def test_generate_overwrites_nothing(place: Place) -> None:
    before = (place.folder / "keys.json").read_bytes()
    for arguments in ((), (str(place.folder / "keys.json"),)):
        result = place.run("keys", "generate", *arguments)
        assert result.exit_code == 10
        assert "exists already; rotate its keys with: broker keys rotate" in result.stderr
    assert (place.folder / "keys.json").read_bytes() == before


def test_list_shows_ids_and_ages_and_no_material(furnished: Place) -> None:
    rows = listed(furnished)
    assert [(row[0], row[2]) for row in rows] == [(purpose.value, "current") for purpose in Purpose]
    output = furnished.run("keys", "list").output
    assert not [secret for secret in secrets_in(furnished) if secret in output]


@pytest.mark.parametrize("purpose", list(Purpose))
def test_rotate_puts_a_new_key_in_force_keeps_the_old_one_and_is_recorded(place: Place, purpose: Purpose) -> None:
    old = next(row[1] for row in listed(place) if row[0] == purpose)
    result = place.run("keys", "rotate", purpose.value)
    new = result.stdout.split()[0]
    assert result.exit_code == 0
    assert "restarted" in result.stderr
    states = {row[1]: row[2] for row in listed(place) if row[0] == purpose}
    assert states == {old: "older", new: "current"}
    assert noted(place) == [(f"operator:{operator()}", {"purpose": purpose, "key_id": new})]
    assert place.run("audit", "verify").exit_code == 0
    assert stat.S_IMODE((place.folder / "keys.json").stat().st_mode) == 0o600
    assert not [secret for secret in secrets_in(place) if secret in result.output]


def test_a_purpose_without_a_key_is_told_and_rotate_adds_one(place: Place) -> None:
    file = place.folder / "keys.json"
    keys = json.loads(file.read_text("utf-8"))
    keys["keys"] = [key for key in keys["keys"] if key["purpose"] not in {"snapshot", "csrf"}]
    file.write_text(json.dumps(keys), encoding="utf-8")
    assert "broker keys rotate snapshot" in place.run("keys", "list").stderr
    assert place.run("keys", "rotate", "snapshot").exit_code == 0
    assert place.run("keys", "rotate", "csrf").exit_code == 0
    assert Keyring.load(file).missing == ()


def test_a_rotation_that_cannot_be_recorded_is_taken_back(place: Place) -> None:
    before = (place.folder / "keys.json").read_bytes()
    (place.folder / "broker.db").write_bytes(b"no database at all" * 100)
    for leftover in place.folder.glob("broker.db-*"):
        leftover.unlink()
    result = place.run("keys", "rotate", "seed")
    assert result.exit_code == 9
    assert Keyring.load(place.folder / "keys.json").listing() == _listing(before, place)


def blocked(found: Running) -> bool:
    """Whether it waits for somebody's lock, or waits no more."""
    locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    waiting = any("->" in line and str(found.process.pid) in line.split() for line in locks)
    return waiting or found.process.poll() is not None


@pytest.mark.parametrize(("command", "csrf"), [("rotate", 3), ("retire", 1)])
def test_of_two_changes_at_once_the_second_waits_and_none_is_lost(
    place: Place, tmp_path: Path, command: str, csrf: int
) -> None:
    file = place.folder / "keys.json"
    place.run("keys", "rotate", "csrf")
    word = "csrf" if command == "rotate" else next(row[1] for row in listed(place) if row[0] == "csrf")
    with ExitStack() as alone:
        alone.enter_context(alone_with(file))
        first = Keyring.load(file).rotate(Purpose.SNAPSHOT, now=utc_now())
        with running(tmp_path / "log", "--config", place.file, "keys", command, word) as second:
            wait_until(lambda: blocked(second), "it neither waits nor ends", seconds=PATIENCE)
            first.save(file)
            alone.close()
            assert second.process.wait(PATIENCE) == 0, second.stderr
    purposes = [row[0] for row in listed(place)]
    assert (purposes.count("snapshot"), purposes.count("csrf")) == (2, csrf)


def test_of_two_new_files_at_once_the_second_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    with ExitStack() as alone:
        alone.enter_context(alone_with(file))
        with running(tmp_path / "log", "keys", "generate", file) as second:
            wait_until(lambda: blocked(second), "it neither waits nor ends", seconds=PATIENCE)
            Keyring.generate(now=utc_now()).save(file)
            alone.close()
            assert second.process.wait(PATIENCE) == 10
    assert "exists already" in second.stderr


def test_a_folder_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    result = run("keys", "generate", str(tmp_path / "none" / "keys.json"))
    assert result.exit_code == 10
    assert "its folder cannot be locked (No such file or directory); name a folder" in result.stderr


def test_people_stay_who_they_are_when_the_key_of_their_macs_is_retired(place: Place) -> None:
    """Their MACs are made anew before the old key goes: else nobody could sign in any more."""
    old = next(row[1] for row in listed(place) if row[0] == "person")
    place.run("keys", "rotate", "person")
    result = place.run("keys", "retire", old)
    assert (result.exit_code, result.stdout) == (0, f"{old} is retired\n")
    with place.opened() as broker:
        ada = person(broker, "ada")
        ((provider, subject),) = broker.parts.people.subjects(ada.id)
        assert broker.parts.people.by_subject(provider, subject) == ada


def _listing(content: bytes, place: Place) -> object:
    file = place.folder / "before.json"
    file.touch(mode=0o600)
    file.write_bytes(content)
    return Keyring.load(file).listing()


def test_rotation_works_while_the_mapping_document_does_not(place: Place) -> None:
    (place.folder / "mappings.yaml").write_text("nonsense: 1", encoding="utf-8")
    assert place.run("keys", "rotate", "csrf").exit_code == 0
    assert place.run("audit", "search").exit_code == 0


def test_retire_forgets_an_older_key_and_a_trail_that_it_signed_still_verifies(place: Place) -> None:
    old = next(row[1] for row in listed(place) if row[0] == "audit")
    secret = next(
        key["secret"] for key in json.loads((place.folder / "keys.json").read_text())["keys"] if key["id"] == old
    )
    place.run("keys", "rotate", "audit")
    result = place.run("keys", "retire", old)
    assert (result.exit_code, result.stdout) == (0, f"{old} is retired\n")
    assert secret not in (place.folder / "keys.json").read_text("utf-8")
    assert [row[2] for row in listed(place) if row[1] == old] == ["retired"]
    assert place.run("audit", "verify").exit_code == 0
    assert noted(place)[0][1] == {"purpose": "audit", "key_id": old, "retired": "true"}


@pytest.mark.parametrize("which", ["current", "unknown"])
def test_retire_refuses_the_current_key_and_one_that_is_not_there(place: Place, which: str) -> None:
    key = next(row[1] for row in listed(place) if row[0] == "csrf") if which == "current" else "csrf-0"
    before = (place.folder / "keys.json").read_bytes()
    result = place.run("keys", "retire", key)
    assert result.exit_code == 1
    assert "rotate before you retire" in result.stderr
    assert (place.folder / "keys.json").read_bytes() == before


def test_a_seed_key_is_retired_by_force_only_because_its_factors_are_lost_with_it(place: Place) -> None:
    old = next(row[1] for row in listed(place) if row[0] == "seed")
    place.run("keys", "rotate", "seed")
    result = place.run("keys", "retire", old)
    assert (result.exit_code, result.stdout) == (5, "")
    assert "loses their second factor" in result.stderr
    with place.opened() as broker:
        sealed = broker.storage.factors.factors(person(broker, "ada").id)[0].secret
        assert old.encode() in sealed
    assert old in [row[1] for row in listed(place)]
    forced = place.run("keys", "retire", old, "--force")
    assert forced.exit_code == 0
    assert "Warning" in forced.stderr
    assert old not in [row[1] for row in listed(place)]


def test_export_gives_public_halves_only_with_which_an_auditor_verifies_without_any_secret(place: Place) -> None:
    place.run("keys", "rotate", "audit")
    exported = place.run("keys", "export")
    assert not [secret for secret in secrets_in(place) if secret in exported.output]
    auditor = place.folder.parent / "auditor"
    auditor.mkdir()
    (auditor / "keys").write_text(exported.stdout, encoding="utf-8")
    assert len(PublicKeyring.load(auditor / "keys").ids) == 2
    (auditor / "broker.yaml").write_text(f"storage: {{url: 'sqlite:///{place.folder}/broker.db'}}\n", encoding="utf-8")
    result = run("--config", str(auditor / "broker.yaml"), "audit", "verify", "--keys", str(auditor / "keys"))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("intact: ")


def test_an_auditor_is_not_given_the_broker_s_own_keys_by_mistake(place: Place) -> None:
    result = place.run("audit", "verify", "--keys", str(place.folder / "keys.json"))
    assert result.exit_code == 10
    assert "it holds secret keys" in result.stderr
