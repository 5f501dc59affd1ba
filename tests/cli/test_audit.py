"""`broker audit`: find, hand out, verify, forget."""

import csv
import io
import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes

import pytest
from cli.stage import Place, run

from broker.app import open_trail
from broker.cli.opened import operator
from broker.keys import Keyring
from broker.record.event import Event, Outcome, Tag
from broker.record.ids import uuid7
from broker.settings import load


def sql(place: Place, *statements: str) -> None:
    """As somebody with the database in their hands."""
    connection = sqlite3.connect(place.folder / "broker.db")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def a_note(now: datetime, *, reason: str) -> Event:
    return Event(tag=Tag.ATTEMPTS_RESET, outcome=Outcome.DONE, at=now, id=uuid7(now, token_bytes), reason=reason)


def exported(place: Place, *arguments: str) -> list[dict[str, dict[str, str]]]:
    lines = place.run("audit", "export", *arguments).stdout.splitlines()
    return [json.loads(line)["audit"] for line in lines]


def test_search_shows_the_newest_first_a_line_each_in_aligned_columns(furnished: Place) -> None:
    result = furnished.run("audit", "search")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert len(rows) == len(exported(furnished)) >= 3
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)
    assert {row[0] for row in rows} == {"yes"}
    assert result.stderr.split()[:5] == ["PROVEN", "AT", "TAG", "OUTCOME", "WHO"]
    assert len({line.index(f" {line.split()[3]} ") for line in result.stdout.splitlines()}) == 1


def test_what_happened_in_one_millisecond_stands_in_the_order_of_its_chain(place: Place) -> None:
    """The ids of events of one instant are random."""
    at = datetime(2026, 12, 1, 9, 0, 0, 5000, tzinfo=UTC)
    with open_trail(load(place.file, {}).settings, place.stand) as trail:
        for number in range(9):
            now = at + timedelta(microseconds=999 - 100 * number)
            trail.record(a_note(now, reason=f"event {number}"))
    found = place.run("audit", "search", "--since", "2026-12-01", "--until", "2026-12-02").stdout
    assert re.findall("event [0-9]", found) == [f"event {number}" for number in range(8, -1, -1)]


LIE = "UPDATE trail_links SET payload = replace(payload, 'test', 'else') WHERE number = 2"
ODD = {
    "changed": LIE,
    "no-text": "UPDATE trail_links SET payload = CAST(x'7bff' AS TEXT) WHERE number = 2",
    "blob": "UPDATE trail_links SET payload = x'7bff' WHERE number = 2",
    "no-json": "UPDATE trail_links SET payload = '{' WHERE number = 2",
    "acts-on-the-screen": "UPDATE trail_links SET payload = char(27) || '[2J' || char(10) || 'x' WHERE number = 2",
    "writer": "UPDATE trail_links SET writer = CAST(x'1bff' AS TEXT) WHERE number = 2",
    "at": "UPDATE trail_links SET at = 'then' WHERE number = 2",
    "number": "UPDATE trail_links SET number = 'two' WHERE number = 2",
}


@pytest.mark.parametrize("statement", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("command", [("search",), ("export",), ("export", "--format", "csv")])
def test_what_the_broker_did_not_write_is_shown_as_such(place: Place, command: tuple[str, ...], statement: str) -> None:
    clean = place.run("audit", *command)
    sql(place, statement)
    result = place.run("audit", *command)
    assert (clean.exit_code, result.exit_code) == (0, 1)
    lines = result.stdout.splitlines()
    marks = ("NO ", '{"audit":{"link":{"number":', '"false",')
    assert sum(line.startswith(marks) for line in lines) == 1
    assert len(lines) == len(clean.stdout.splitlines())
    assert all(line.isprintable() for line in lines)
    assert "1 of these were not written by the broker, or were changed. Run: broker audit verify" in result.stderr
    assert place.run("audit", "verify").exit_code == 1


def test_an_auditor_with_the_public_keys_alone_searches_and_exports(furnished: Place, tmp_path: Path) -> None:
    keys, file = tmp_path / "keys.json", tmp_path / "auditor.yaml"
    keys.write_text(furnished.run("keys", "export").stdout, encoding="utf-8")
    file.write_text(f"storage: {{url: 'sqlite:///{furnished.folder / 'broker.db'}'}}\n", encoding="utf-8")
    for command in ("search", "export", "verify"):
        assert run("--config", str(file), "audit", command, "--keys", str(keys)).exit_code == 0
        assert run("--config", str(file), "audit", command).exit_code == 10


def test_a_finding_does_not_act_on_the_screen(place: Place) -> None:
    sql(place, "UPDATE trail_links SET writer = char(27) || '[2J' WHERE number = 2")
    result = place.run("audit", "verify")
    assert result.exit_code == 1
    assert all(line.isprintable() for line in result.stdout.splitlines())


def test_search_is_narrowed_by_tag_text_and_time(place: Place) -> None:
    place.run("users", "unlock", "ada", "--reason", "first")
    place.run("users", "revoke", "grace", "--reason", "second")

    def found(*arguments: str) -> list[str]:
        return place.run("audit", "search", *arguments).stdout.splitlines()

    assert len(found("--tag", "attempts:reset")) == 1
    assert len(found("--actor", f"operator:{operator()}")) == 2
    assert len(found("--limit", "1")) == 1
    assert "second" in found("--tag", "session:ended")[0]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d")
    assert found("--since", tomorrow) == []
    assert len(found("--until", tomorrow)) == len(found())
    assert found("--outcome", "denied") == []


@pytest.mark.parametrize("arguments", [("--tag", "no:such"), ("--since", "yesterday"), ("--limit", "0")])
def test_what_cannot_be_asked_is_a_usage_error(furnished: Place, arguments: tuple[str, ...]) -> None:
    assert furnished.run("audit", "search", *arguments).exit_code == 2


def test_export_is_json_lines_that_verify_takes_for_an_anchor(place: Place, tmp_path: Path) -> None:
    anchor = tmp_path / "trail.jsonl"
    anchor.write_text(place.run("audit", "export").stdout, encoding="utf-8")
    result = place.run("audit", "verify", "--anchor", str(anchor))
    assert result.exit_code == 0
    assert f" {len(exported(place))} anchors" in result.stdout


def test_export_is_also_a_spreadsheet(furnished: Place) -> None:
    rows = list(csv.DictReader(io.StringIO(furnished.run("audit", "export", "--format", "csv").stdout)))
    assert len(rows) == len(exported(furnished))
    assert {row["outcome"] for row in rows} == {"done"}


def test_verify_says_intact_with_what_it_counted(furnished: Place) -> None:
    result = furnished.run("audit", "verify")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith(
        f"intact: {len(exported(furnished))} events of 1 writers, 0 pruned"
    )


@pytest.mark.parametrize(
    ("statement", "number", "finding"),
    [
        ("UPDATE trail_links SET payload = replace(payload, 'test', 'else') WHERE number = 2", 2, "payload-changed"),
        ("DELETE FROM trail_links WHERE number = 2", 2, "missing"),
        ("UPDATE trail_links SET actor = 'operator:else' WHERE number = 2", 2, "columns-changed"),
        ("UPDATE trail_links SET payload = NULL WHERE number = 3", 3, "payload-removed"),
    ],
)
def test_verify_finds_a_hand_in_the_database_names_the_event_and_ends_with_1(
    place: Place, statement: str, number: int, finding: str
) -> None:
    writer = exported(place)[0]["link"]["writer"]
    sql(place, statement)
    result = place.run("audit", "verify")
    assert result.exit_code == 1
    assert any(line.startswith(f"{finding}: {writer} {number}: ") for line in result.stdout.splitlines()), result.stdout
    assert "ALTERED: " in result.stdout


def test_only_an_anchor_shows_that_the_end_was_cut_off(place: Place, tmp_path: Path) -> None:
    anchor = tmp_path / "trail.jsonl"
    anchor.write_text(place.run("audit", "export").stdout, encoding="utf-8")
    sql(place, "DELETE FROM trail_links WHERE number > 1", "DELETE FROM trail_heads")
    assert place.run("audit", "verify").exit_code == 0
    result = place.run("audit", "verify", "--anchor", str(anchor))
    assert result.exit_code == 1
    assert "cut: " in result.stdout


def test_prune_forgets_what_is_old_is_recorded_and_the_chain_still_verifies(place: Place) -> None:
    before = len(exported(place))
    result = place.run("audit", "prune", "--before", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"))
    assert result.exit_code == 0
    assert result.stdout in {f"{count} events forgotten\n" for count in range(before)}
    verified = place.run("audit", "verify")
    assert verified.exit_code == 0
    assert [event["event"]["actor"] for event in exported(place, "--tag", "audit:pruned")] == [f"operator:{operator()}"]


def test_what_has_not_happened_yet_cannot_be_pruned(place: Place) -> None:
    result = place.run("audit", "prune", "--before", "2999-01-01")
    assert result.exit_code == 1
    assert "Give an instant in the past." in result.stderr


def test_a_database_that_is_not_there_is_a_neighbour_that_is_away(tmp_path: Path) -> None:
    file = tmp_path / "broker.yaml"
    file.write_text("storage: {url: 'sqlite:///none.db'}\n", encoding="utf-8")
    keys = tmp_path / "keys.json"
    keys.write_text(Keyring.generate(now=datetime.now(UTC)).public_keys().to_text(), encoding="utf-8")
    assert run("--config", str(file), "audit", "search", "--keys", str(keys)).exit_code == 9
