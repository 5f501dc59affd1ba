"""`broker demo`: one command, everything on this machine, nothing left behind."""

import re
import socket
import subprocess
from pathlib import Path

import pytest
from cli.processes import BROKER, PATIENCE, environment, running, says
from cli.stage import run

from broker.app import preflight
from broker.cli.demo.check import walk
from broker.cli.demo.world import running as world
from broker.errors import ConfigurationError
from broker.sandbox.browser import Browser
from broker.settings import load

ROLE = "payments-dev/power-user"


def program(*arguments: str | Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [BROKER, *arguments], capture_output=True, text=True, check=False, env=environment(environ), timeout=PATIENCE
    )


def test_the_demo_says_how_to_try_it_before_it_waits_and_its_lines_work(tmp_path: Path) -> None:
    state = tmp_path / "state with a blank"
    with running(tmp_path / "log", "demo", "--state", state, AWS_PROFILE="of-the-visitor") as demo:
        says(demo, "Stop with Ctrl-C.")
        text = demo.stdout
        url = re.search(r"Open +(http://localhost:\d+)\n", text)
        assert url is not None
        assert Browser(url[1]).get("/").path == "/sign-in"
        assert "Not for production" in text
        phones = re.search(r"App +(http://localhost:\d+) ", text)
        assert phones is not None
        assert "Ada Lovelace" in Browser(phones[1]).get("/").text
        denied = run("demo", "keys", "mallory", ROLE, "--state", str(state))
        assert (denied.exit_code, denied.stdout) == (5, "")
        assert "No mapping gives you this role." in denied.stderr
        assert re.fullmatch(r"\d{6}\n", run("demo", "code", "ada", "--state", str(state)).stdout)
        assert run("demo", "code", "nobody", "--state", str(state)).exit_code == 2
        newcomer = run("demo", "whoami", "alan", ROLE, "--state", str(state))
        assert newcomer.exit_code == 1
        assert "alan has no authenticator app yet." in newcomer.stderr
        other = program("demo", "--state", state)
        assert other.returncode == 10
        assert "another demo keeps its state here" in other.stderr
        assert demo.terminate() == 0
        assert demo.group_is_gone()
    assert demo.stderr == ""
    gone = run("demo", "whoami", "ada", ROLE, "--state", str(state))
    assert gone.exit_code == 9
    assert "Start it again" in gone.stderr


def test_two_demos_at_once_take_different_ports_and_leave_no_folder_behind(tmp_path: Path) -> None:
    with (
        running(tmp_path / "a", "demo", TMPDIR=str(tmp_path)) as one,
        running(tmp_path / "b", "demo", TMPDIR=str(tmp_path)) as two,
    ):
        says(one, "Stop with Ctrl-C.")
        says(two, "Stop with Ctrl-C.")
        urls = {re.search(r"Open +(\S+)", demo.stdout)[1] for demo in (one, two)}  # type: ignore[index]  # else it fails
        assert len(urls) == 2
        assert len(list(tmp_path.glob("broker-demo-*"))) == 2
        assert one.terminate() == two.terminate() == 0
    assert list(tmp_path.glob("broker-demo-*")) == []


def test_a_state_folder_keeps_people_enrolled_over_a_restart(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        with world(tmp_path, host="localhost", port=0, enrolled=("ada",)) as demo:
            person = demo.broker.parts.people.by_session_name("ada")
            assert person is not None
            keys.append(
                (person.id, demo.authenticator.keys()["ada"], len(demo.broker.storage.factors.factors(person.id)))
            )
    assert keys[0] == keys[1]
    assert keys[0][2] == 1


def test_check_walks_the_journey_and_says_whether_it_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with world(tmp_path, host="localhost", port=0, enrolled=()) as demo:
        assert walk(demo)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 12
    assert all(line.startswith("ok  ") for line in lines)
    assert "ok  caller identity: AWS sees arn:aws:sts::210987654321:assumed-role/PowerUser/ada" in lines
    steps = [line.removeprefix("ok  ").partition(":")[0] for line in lines]
    doors = ["pages", "console", "aws-broker login", "aws-broker configure", "credential_process", "AWS CLI"]
    assert [step for step in dict.fromkeys(steps) if step in doors] == doors
    assert lines[-1].startswith("ok  audit verified: ")


def test_check_ends_with_the_first_step_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with world(tmp_path, host="localhost", port=0, enrolled=()) as demo:
        demo.sts.down()
        assert not walk(demo)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("BAD credentials: payments-dev/power-user answered 503")
    assert not [line for line in lines[:-1] if line.startswith("BAD")]


def test_check_ends_with_0_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = program("demo", "--check", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_check_ends_with_1_when_a_step_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("broker.cli.demo.walk", lambda _: False)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert run("demo", "--check", "--state", str(tmp_path)).exit_code == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])  # noqa: S104 (must be refused)
def test_the_demo_listens_on_this_machine_only(tmp_path: Path, host: str) -> None:
    listening = world(tmp_path / "state", host=host, port=0, enrolled=())
    with pytest.raises(ConfigurationError, match="the demo listens on this machine only"), listening:
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_somebody_has_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        listening = world(tmp_path, host="localhost", port=taken.getsockname()[1], enrolled=())
        with pytest.raises(ConfigurationError, match="--port: somebody listens there already"), listening:
            pass


def test_a_folder_without_a_demo_says_how_to_start_one(tmp_path: Path) -> None:
    for command in (("code", "ada"), ("keys", "ada", ROLE), ("whoami", "ada", ROLE)):
        result = run("demo", *command, "--state", str(tmp_path))
        assert result.exit_code == 10
        assert "no demo keeps its state here; start one: broker demo --state DIR" in result.stderr


def test_a_server_refuses_what_the_demo_made(tmp_path: Path) -> None:
    with world(tmp_path, host="localhost", port=0, enrolled=()):
        pass
    with pytest.raises(ConfigurationError) as caught:
        preflight(load(tmp_path / "broker.yaml", {}).settings)
    assert [problem.where for problem in caught.value.problems] == [str(tmp_path / "keys.json"), "storage.url"]
