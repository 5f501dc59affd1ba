"""The sandbox's neighbours once for all, a furnished folder once for all, and a copy of it for each test that asks."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.loaders import JSONFileLoader
from cli.stage import Neighbours, Place, copy_of, furnish, neighbours


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own environment says nothing to the program."""
    for name in [name for name in os.environ if name.startswith(("BROKER_", "AWS_"))]:
        monkeypatch.delenv(name)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "localhost,127.0.0.1")  # `demo` sets them; this way they are put back


@pytest.fixture(scope="session", autouse=True)
def _botocore_reads_its_files_once() -> Iterator[None]:
    """A program does so once; these tests run it in one process a hundred times, and that was most of their time."""
    kept: dict[str, object] = {}
    read = JSONFileLoader.load_file

    def once(loader: JSONFileLoader, path: str) -> object:
        if path not in kept:
            kept[path] = read(loader, path)
        return kept[path]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", once)
        yield


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
