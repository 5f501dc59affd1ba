"""`broker init`, `broker config`, `broker directory`."""

import json
import stat
from pathlib import Path

import pytest
from cli.stage import SERVICE_PASSWORD, Place, run

from broker.keys import Keyring
from broker.settings import examples, settings_schema

WRITTEN = {"broker.yaml", "mappings.yaml", "mappings.schema.json", "keys.json"}


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_init_writes_the_annotated_files_and_new_keys_that_only_their_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "broker"
    result = run("init", str(folder))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"wrote {folder / name}" for name in ("broker.yaml", "mappings.yaml", "mappings.schema.json", "keys.json")
    ]
    assert "config check" in result.stderr
    assert {file.name for file in folder.iterdir()} == WRITTEN
    assert (folder / "broker.yaml").read_text("utf-8") == (examples() / "broker.yaml").read_text("utf-8")
    assert mode(folder / "keys.json") == 0o600
    assert mode(folder) & 0o027 == 0
    assert mode(folder / "broker.yaml") & 0o137 == 0
    assert not Keyring.load(folder / "keys.json").is_demo


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_init_overwrites_nothing_and_then_writes_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    result = run("init", str(tmp_path))
    assert result.exit_code == 10
    assert f"{tmp_path / name}: exists already" in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text("utf-8") == "mine"


def test_init_does_not_follow_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "broker.yaml").symlink_to(tmp_path / "elsewhere")
    assert run("init", str(tmp_path)).exit_code == 10
    assert not (tmp_path / "elsewhere").exists()


def test_init_says_what_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("init", str(tmp_path / "file" / "conf"))
    assert result.exit_code == 10
    assert "cannot be written" in result.stderr


def test_config_check_asks_every_neighbour(furnished: Place) -> None:
    result = furnished.run("config", "check")
    assert result.exit_code == 0, result.stdout
    lines = result.stdout.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    for neighbour in ("broker.yaml", "mapping ", "storage", "service account: bound as", "AWS: arn:aws:iam::"):
        assert any(neighbour in line for line in lines), neighbour


def test_config_check_fails_when_the_directory_refuses_the_service_account(place: Place) -> None:
    (place.folder / "directory-password").write_text("not it", encoding="utf-8")
    result = place.run("config", "check")
    assert result.exit_code == 1
    assert "BAD corp-ad: " in result.stdout
    assert "AWS: arn:aws:iam::" in result.stdout  # the rest is asked all the same


def test_config_check_knows_what_only_the_whole_tells(place: Place) -> None:
    place.change(directory={"outage_grace_of_role": {"admin": "0s", "amdin": "0s"}})
    keys = json.loads((place.folder / "keys.json").read_text("utf-8"))
    keys["keys"] = [key for key in keys["keys"] if key["purpose"] != "browser"]
    (place.folder / "keys.json").write_text(json.dumps(keys), encoding="utf-8")
    result = place.run("config", "check")
    assert result.exit_code == 1
    assert "BAD directory.outage_grace_of_role: the mapping document has no role amdin" in result.stdout
    assert "BAD keys: none for browser" in result.stdout
    assert "no role admin" not in result.stdout


def test_a_configuration_with_problems_is_exit_code_10_with_all_of_them_and_nothing_on_stdout(place: Place) -> None:
    place.change(odd=1, mfa={"tries": 0})
    result = place.run("config", "check")
    assert (result.exit_code, result.stdout) == (10, "")
    assert "unknown key 'odd'" in result.stderr
    assert "mfa.tries: must be at least 1" in result.stderr


def test_an_sts_that_is_away_is_exit_code_9_and_says_so(place: Place) -> None:
    away = Place(folder=place.folder, sts="http://127.0.0.1:9")
    result = away.run("config", "check")
    assert result.exit_code == 9
    assert "AWS STS cannot be reached" in result.stderr


def test_config_show_tells_every_value_and_where_it_comes_from_and_no_secret(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_SESSIONS__IDLE", "20m")
    monkeypatch.chdir(place.folder.parent)
    result = place.run("config", "show")
    lines = result.stdout.splitlines()
    assert 'sessions.idle = "20m"  # $BROKER_SESSIONS__IDLE' in lines
    assert 'sessions.absolute = "12h"  # default' in lines
    assert 'providers.corp-ad.type = "ldap"  # conf/broker.yaml:' in "\n".join(lines)
    secret = next(line for line in lines if line.startswith("providers.corp-ad.password "))
    assert secret.startswith('providers.corp-ad.password = "**********"  # directory-password (named at conf/broker.')
    assert 'storage.password = ""  # default' in lines
    assert SERVICE_PASSWORD not in result.output
    assert not [line for line in lines if "PT" in line]


def test_config_schema_prints_the_published_schema() -> None:
    assert json.loads(run("config", "schema").stdout) == settings_schema()


def test_directory_check_shows_what_a_sign_in_would_see(furnished: Place) -> None:
    result = furnished.run("directory", "check", "ada")
    assert result.exit_code == 0
    last = result.stdout.splitlines()[-3:]
    assert last[0].startswith("ok  corp-ad: look-up: CN=Ada Lovelace,OU=Staff")
    assert last[1] == "ok  corp-ad: account state: may sign in"
    assert last[2] == (
        "ok  corp-ad: groups: 4 by token-groups: Domain Users, Team-payments, payments-api, payments-developers"
    )


@pytest.mark.parametrize(
    ("user", "told"),
    [("dennis", "account state: account-disabled"), ("nobody", "nobody has this name"), ("*", "not a spelling")],
)
def test_directory_check_fails_for_who_cannot_sign_in(furnished: Place, user: str, told: str) -> None:
    result = furnished.run("directory", "check", user)
    assert result.exit_code == 1
    assert told in result.stdout


def test_directory_check_without_a_user_asks_for_reachability_alone(furnished: Place) -> None:
    result = furnished.run("directory", "check")
    assert result.exit_code == 0
    assert "look-up" not in result.stdout


@pytest.mark.parametrize("command", ["directory check", "users enrol-code ada", "explain --user a --role b/c"])
def test_a_provider_that_is_not_there_is_a_usage_error_that_names_those_that_are(
    furnished: Place, command: str
) -> None:
    result = furnished.run(*command.split(), "--provider", "other")
    assert result.exit_code == 2
    assert "--provider is one of corp-ad" in result.stderr
