"""What every test shares: what was skipped is counted by package, and in CI nothing may be skipped."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

pytest_plugins = [f"neighbours.{path.stem}" for path in (Path(__file__).parent / "neighbours").glob("[a-z]*.py")]


def pytest_configure() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored, and programs inherit that


def _lacking(terminalreporter: pytest.TerminalReporter) -> Counter[str]:
    reasons = (report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    return Counter(reason.removeprefix("Skipped: ") for reason in reasons)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason, count in sorted(_lacking(terminalreporter).items()):
        terminalreporter.write_line(f"{count} skipped: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("TEST_SKIP_NOTHING") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
