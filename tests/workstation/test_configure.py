"""`configure`: a block of our own in somebody's file, and not a byte of theirs changed."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from neighbours import need
from workstation.desk import HOT, Desk, found, mode
from workstation.fake_broker import FakeBroker, role_now

from broker.workstation import configure as module
from broker.workstation.failure import Failure
from broker.workstation.profiles import Change, config_file, quoted, write

NAMES = ["payments-dev-power-user", "payments-dev-read-only", "payments-prod-read-only"]
FOREIGN = b"""\
# mine, and dear to me
[default]
region=eu-west-1   ; with a remark
[profile  other ]
s3 =
    max_concurrent_requests = 20
\tlast = line without an end"""


@pytest.fixture
def config(signed_in: Desk) -> Path:
    path = signed_in.home / ".aws" / "config"
    path.parent.mkdir(mode=0o700)
    return path


def test_each_role_gets_a_profile_and_a_second_run_writes_nothing(signed_in: Desk, config: Path) -> None:
    first = signed_in.run("configure")
    assert (first.returncode, first.stdout.splitlines()) == (0, [f"added {name}" for name in NAMES])
    assert mode(config) == 0o600
    before, at = config.read_bytes(), config.stat()
    second = signed_in.run("configure")
    assert (second.returncode, second.stdout) == (0, "")
    assert config.read_bytes() == before
    assert (config.stat().st_ino, config.stat().st_mtime_ns) == (at.st_ino, at.st_mtime_ns), "nothing was written"


@pytest.mark.parametrize(
    "foreign", [FOREIGN, FOREIGN + b"\n", FOREIGN + b"\n\n\n", FOREIGN.replace(b"\n", b"\r\n"), b"\xff\xfe#\n"]
)
def test_foreign_lines_stay_byte_for_byte(signed_in: Desk, config: Path, fake: FakeBroker, foreign: bytes) -> None:
    config.write_bytes(foreign)
    assert signed_in.run("configure").returncode == 0
    assert config.read_bytes().startswith(foreign)
    below = b"\n# below\n[profile last]\nregion = x"
    with config.open("ab") as file:
        file.write(below)
    fake.roles = fake.roles[:1]
    assert signed_in.run("configure", "--prune", "--region", "eu-central-1").returncode == 0
    changed = config.read_bytes()
    assert changed.startswith(foreign)
    assert changed.endswith(below)
    assert changed.count(b"[profile payments") == 1
    assert signed_in.run("configure").returncode == 0
    assert config.read_bytes() == changed


def test_what_aws_programs_read_of_it_is_what_was_meant(signed_in: Desk, config: Path) -> None:
    config.write_bytes(FOREIGN + b"\n")
    assert signed_in.run("configure", "--region", "eu-central-1").returncode == 0
    for program in (need("aws", "awscli"), str(Path(sys.executable).parent / "aws")):
        listed = signed_in.run("configure", "list-profiles", program=(need("aws", "awscli"),))
        assert set(listed.stdout.split()) == {"default", "other", *NAMES}
        region = signed_in.run("configure", "get", "region", "--profile", NAMES[0], program=(program,))
        assert region.stdout.strip() == "eu-central-1"
        theirs = signed_in.run("configure", "get", "region", program=(program,))
        assert theirs.stdout.startswith("eu-west-1")


def test_the_line_is_the_fast_one_and_works_as_it_stands(signed_in: Desk, config: Path) -> None:
    assert signed_in.run("configure").returncode == 0
    line = next(line for line in config.read_text("utf-8").splitlines() if line.startswith("credential_process"))
    command = line.partition(" = ")[2]
    assert command.startswith(f'"{sys.executable}" -I -S "{HOT}" process --server {signed_in.broker.url} --role ')
    by_shell = subprocess.run(
        ["/bin/sh", "-c", command], env=signed_in.environ, capture_output=True, text=True, check=False
    )
    assert found(by_shell)["Version"] == 1


def test_the_aws_cli_gets_credentials_and_the_one_line_of_an_error(signed_in: Desk) -> None:
    assert signed_in.run("configure").returncode == 0
    aws = need("aws", "awscli")
    told = signed_in.run("configure", "export-credentials", "--profile", NAMES[0], program=(aws,))
    assert told.returncode == 0, told.stderr
    signed_in.run("logout")
    refused = signed_in.run("configure", "export-credentials", "--profile", NAMES[0], program=(aws,))
    assert refused.returncode != 0
    assert f"Run: aws-broker login --server {signed_in.broker.url}" in refused.stderr


@pytest.mark.parametrize("name", ["payments-dev-power-user", '"payments-dev-power-user"'])
def test_a_profile_that_exists_is_refused_by_name_and_nothing_is_written(
    signed_in: Desk, config: Path, name: str
) -> None:
    config.write_text(f"[profile {name}]\nregion = mine\n", "utf-8")
    before = config.read_bytes()
    done = signed_in.run("configure")
    assert (done.returncode, done.stdout) == (10, "")
    assert "payments-dev-power-user" in done.stderr
    assert config.read_bytes() == before
    assert signed_in.run("configure", "--profile-name", "corp-{account}-{role}").returncode == 0


def test_another_broker_s_block_is_foreign(signed_in: Desk, config: Path) -> None:
    other = (
        b"# >>> aws-broker https://other.example >>>\n[profile theirs]\n# <<< aws-broker https://other.example <<<\n"
    )
    config.write_bytes(other)
    assert signed_in.run("configure", "--prune").returncode == 0
    assert config.read_bytes().startswith(other)


@pytest.mark.parametrize(
    "broken",
    [
        "# >>> aws-broker {url} >>>\n",
        "# <<< aws-broker {url} <<<\n",
        "# <<< aws-broker {url} <<<\n# >>> aws-broker {url} >>>\n",
        "# >>> aws-broker {url} >>>\n# >>> aws-broker {url} >>>\n# <<< aws-broker {url} <<<\n",
    ],
)
def test_markers_that_are_no_pair_are_named_with_their_line(signed_in: Desk, config: Path, broken: str) -> None:
    config.write_text("# above\n" + broken.format(url=signed_in.broker.url), "utf-8")
    before = config.read_bytes()
    done = signed_in.run("configure")
    assert done.returncode == 10
    assert f"{config}:2:" in done.stderr
    assert config.read_bytes() == before


def test_what_was_chosen_once_is_kept(signed_in: Desk, config: Path) -> None:
    template = "{env}.{account_id}.{role}"
    assert signed_in.run("configure", "--profile-name", template, "--region", "eu-central-1").returncode == 0
    before = config.read_bytes()
    assert b"[profile dev.210987654321.power-user]" in before
    assert before.count(b"region = eu-central-1\n") == 4
    assert signed_in.run("configure").returncode == 0
    assert config.read_bytes() == before


@pytest.mark.parametrize(
    "template", ["{account}", "{nope}-{role}", "{role", "{account} {role}", "default", "{role.real}", "[x]{role}"]
)
def test_a_template_that_makes_no_good_names_is_refused(signed_in: Desk, config: Path, template: str) -> None:
    done = signed_in.run("configure", "--profile-name", template)
    assert done.returncode == 2
    assert not config.exists()


@pytest.mark.parametrize("region", ["eu central", "eu-central-1\n[default]", "x"])
def test_a_region_that_is_none_is_refused(signed_in: Desk, config: Path, region: str) -> None:
    assert signed_in.run("configure", "--region", region).returncode == 2
    assert not config.exists()


def test_a_role_that_is_gone_is_told_and_left_until_it_is_pruned(
    signed_in: Desk, config: Path, fake: FakeBroker
) -> None:
    assert signed_in.run("configure").returncode == 0
    fake.roles = [*fake.roles[1:], role_now("new", "111111111111", "dev", "admin", "Admin")]
    done = signed_in.run("configure")
    assert done.stdout == "added new-admin\n"
    assert NAMES[0] in done.stderr
    assert "--prune" in done.stderr
    assert f"[profile {NAMES[0]}]" in config.read_text("utf-8")
    pruned = signed_in.run("configure", "--prune")
    assert pruned.stdout == f"removed {NAMES[0]}\n"
    assert f"[profile {NAMES[0]}]" not in config.read_text("utf-8")


def test_what_is_shown_first_is_not_written(signed_in: Desk, config: Path) -> None:
    config.write_bytes(FOREIGN)
    dry = signed_in.run("configure", "--dry-run")
    assert dry.stdout.splitlines() == [f"added {name}" for name in NAMES]
    diff = signed_in.run("configure", "--diff").stdout
    assert f"+[profile {NAMES[0]}]" in diff
    assert not [line for line in diff.splitlines() if line.startswith("-") and line[1:2] not in {"-", "\t"}]
    told = found(signed_in.run("configure", "--dry-run", "-o", "json"))
    assert (told["written"], told["added"]) == (False, NAMES)
    assert config.read_bytes() == FOREIGN


def test_links_and_modes_stay(signed_in: Desk, config: Path) -> None:
    real = signed_in.home / "dotfiles"
    real.write_bytes(FOREIGN)
    real.chmod(0o640)
    config.symlink_to(real)
    assert signed_in.run("configure").returncode == 0
    assert config.is_symlink()
    assert mode(real) == 0o640
    assert real.read_bytes().startswith(FOREIGN)
    assert [path.name for path in real.parent.glob("dotfiles.*")] == []


def test_the_file_of_the_environment_is_the_one(signed_in: Desk, config: Path) -> None:
    assert signed_in.run("configure", AWS_CONFIG_FILE=str(signed_in.home / "other" / "config")).returncode == 0
    assert not config.exists()
    assert (signed_in.home / "other" / "config").exists()


def test_keys_that_win_over_a_profile_are_told(signed_in: Desk, config: Path) -> None:
    (config.parent / "credentials").write_text(f"[{NAMES[1]}]\naws_access_key_id = x\n", "utf-8")
    done = signed_in.run("configure")
    assert done.returncode == 0
    assert f"has keys for {NAMES[1]}" in done.stderr


def test_a_file_that_cannot_be_written_stays_whole(signed_in: Desk, config: Path) -> None:
    (signed_in.home / "a file").write_text("", "utf-8")
    done = signed_in.run("configure", AWS_CONFIG_FILE=str(signed_in.home / "a file" / "config"))
    assert done.returncode == 10
    assert "Traceback" not in done.stderr
    assert not config.exists()


@pytest.mark.parametrize("place", ["/opt/with space/python", "/opt/a-b_c.d/python3.11", "/home/Ann (x)/py"])
def test_a_path_is_quoted_so_that_every_program_finds_it(place: str) -> None:
    assert shlex.split(quoted((place, "-I"))) == [place, "-I"]


@pytest.mark.parametrize(
    "place",
    ['/opt/a"b/python', "/opt/$HOME/python", "/opt/`x`/python", "/a\nb/p", "/a;b/p", "/a#b/p", "/a\\b/p", "/a%b/p"],
)
def test_a_path_that_a_shell_would_read_otherwise_is_refused(place: str) -> None:
    with pytest.raises(Failure, match="cannot start"):
        quoted((place, "-I"))


def test_the_file_changed_by_another_program_meanwhile_is_not_overwritten(config: Path) -> None:
    config.write_bytes(b"new\n")
    with pytest.raises(Failure, match="just now"):
        write(Change(str(config), b"old\n", b"ours\n", (), (), (), ()))
    assert config.read_bytes() == b"new\n"


def test_where_the_file_is_follows_the_aws_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    assert config_file({}) == "/nowhere/.aws/config"
    assert config_file({"AWS_CONFIG_FILE": "~/x"}) == "/nowhere/x"


def test_the_program_is_the_file_that_stands_alone() -> None:
    assert module.program() == (os.path.abspath(sys.executable), "-I", "-S", str(HOT))  # noqa: PTH100 (as written)
