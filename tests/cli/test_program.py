"""The program as a whole: exit codes, streams, and what is loaded when."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from cli.stage import Place, run
from click.testing import CliRunner

from broker.cli import COMMANDS, Program
from broker.errors import ConfigurationError, Denied, NotFound, Problem, Unavailable

WRONG = Problem(where="a:1:2", what="is wrong", remedy="mend it")
BROKER = Path(sys.executable).parent / "broker"


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (lambda: ConfigurationError([WRONG]), 10, "a:1:2: is wrong; mend it\n"),
        (lambda: Unavailable("AWS STS"), 9, "broker: AWS STS cannot be reached\nTry again in a moment.\n"),
        (lambda: Denied("No.", remedy="Ask."), 5, "broker: No.\nAsk.\n"),
        (lambda: NotFound("Nobody."), 1, "broker: Nobody.\n"),
    ],
)  # fmt: skip
def test_an_error_becomes_its_sentence_its_remedy_and_an_exit_code(
    error: Callable[[], Exception], code: int, told: str
) -> None:
    @click.group(cls=Program)
    def group() -> None:
        raise error()

    result = CliRunner().invoke(group, ["keys", "list"])
    assert (result.exit_code, result.stderr, result.stdout) == (code, told, "")


def test_what_is_no_error_of_ours_is_not_hidden() -> None:
    @click.group(cls=Program)
    def group() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        CliRunner().invoke(group, ["keys", "list"], catch_exceptions=False)


def test_every_command_can_be_asked_for_help() -> None:
    for command in COMMANDS:
        result = run(command, "-h")
        assert result.exit_code == 0, command
        assert result.stdout.startswith("Usage: broker ")


def test_an_unknown_command_is_a_usage_error() -> None:
    assert run("frobnicate").exit_code == 2


def test_the_file_is_named_by_option_or_variable(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("keys", "list").exit_code == 10
    monkeypatch.setenv("BROKER_CONFIG", str(place.file))
    assert run("keys", "list").exit_code == 0


def test_no_variable_and_no_option_leads_an_operator_s_program_to_another_sts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control is `test_config_check_asks_every_neighbour`: Python code hands in the sandbox's STS."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.setenv(name, place.sts)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    result = run("--config", str(place.file), "config", "check")
    assert result.exit_code == 9
    assert "AWS STS cannot be reached" in result.stderr


def test_the_installed_program_says_what_is_wrong_without_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [BROKER, "--config", tmp_path / "none.yaml", "serve"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (10, "")
    assert done.stderr == (
        f"{tmp_path}/none.yaml: cannot be read (No such file or directory); name it with --config or $BROKER_CONFIG\n"
    )


def test_only_the_demo_loads_the_sandbox_and_serve_makes_ready_before_the_counters_are_loaded() -> None:
    look = (
        "import sys, broker.cli as c\n"
        "for name in {names}: c.broker.get_command(None, name)\n"
        "print([m for m in sys.modules if m in ('broker.sandbox', 'prometheus_client', 'flask')])"
    )
    serving = subprocess.run(
        [sys.executable, "-c", look.format(names=["serve"])], capture_output=True, text=True, check=True
    )
    assert serving.stdout == "[]\n"
    others = sorted(set(COMMANDS) - {"demo"})
    rest = subprocess.run([sys.executable, "-c", look.format(names=others)], capture_output=True, text=True, check=True)
    assert "broker.sandbox" not in rest.stdout
    assert "prometheus_client" in rest.stdout
