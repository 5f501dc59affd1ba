"""The sandbox's neighbours once for all, a furnished folder once for all, and a copy of it for each test that asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.stage import Neighbours, Place, copy_of, furnish, neighbours


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own environment says nothing to the program."""
    for name in ("BROKER_CONFIG", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    with neighbours(tmp_path_factory.mktemp("around")) as found:
        yield found


@pytest.fixture(scope="session")
def furnished(around: Neighbours, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Read only."""
    return furnish(tmp_path_factory.mktemp("furnished") / "conf", around)


@pytest.fixture
def place(furnished: Place, tmp_path: Path) -> Place:
    """A folder of the test's own."""
    return copy_of(furnished, tmp_path / "conf")
