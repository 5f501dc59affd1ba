"""The program as it is handed out: one file, a wheel of its own, any Python from 3.9 on; and what its page says."""

import argparse
import ast
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from house.source import ROOT
from workstation.desk import ROLE, Desk, found

from broker.web.pyz import SOURCES, build_pyz
from broker.workstation.arguments import parser
from broker.workstation.failure import MEANING
from broker.workstation.version import VERSION

PAGE = (ROOT / "docs/aws-broker.md").read_text("utf-8")
OWN = ROOT / "deploy/workstation"


def commands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001
    return dict(action.choices)


@pytest.fixture
def pyz(tmp_path: Path) -> Path:
    folder = tmp_path / "with a space"
    folder.mkdir()
    file = folder / "aws-broker.pyz"
    file.write_bytes(build_pyz())
    return file


def test_one_file_runs_anywhere_and_writes_itself_into_the_profiles(signed_in: Desk, pyz: Path) -> None:
    program = (sys.executable, "-I", "-S", pyz)
    assert signed_in.run("version", program=program).stdout == f"aws-broker {VERSION}\n"
    assert signed_in.run("configure", program=program).returncode == 0
    text = (signed_in.home / ".aws/config").read_text("utf-8")
    line = re.findall(r"^credential_process = (.*power-user)$", text, re.MULTILINE)[0]
    assert f'-I -S "{pyz}" process' in line
    done = signed_in.run("-c", line, program=("/bin/sh",))
    assert found(done) == found(signed_in.process())


def test_one_file_is_the_same_bytes_each_time_and_has_our_sources_alone() -> None:
    first = build_pyz()
    build_pyz.cache_clear()
    assert hashlib.sha256(build_pyz()).digest() == hashlib.sha256(first).digest()
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        entries = archive.infolist()
        assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
        files = {f"aws_broker/{path.name}" for path in SOURCES.glob("*.py")}
        assert {entry.filename for entry in entries} == files | {"__main__.py"}
        assert archive.read("aws_broker/hot.py") == (SOURCES / "hot.py").read_bytes()
    assert first.startswith(b"#!/usr/bin/env python3\n")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program's own, built without network."""
    tree = tmp_path_factory.mktemp("tree")
    for source in ("broker/workstation", "deploy/workstation"):
        shutil.copytree(ROOT / source, tree / source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", tree)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tree / "dist")]
    done = subprocess.run(command, cwd=tree / "deploy/workstation", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (tree / "dist").glob("*.whl")
    return built


def test_its_own_wheel_depends_on_nothing_and_runs(wheel: Path, desk: Desk) -> None:
    assert wheel.name == f"aws_broker-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"aws_broker-{VERSION}.dist-info/METADATA").decode()
        scripts = archive.read(f"aws_broker-{VERSION}.dist-info/entry_points.txt").decode()
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert "Requires-Dist" not in metadata
    assert "aws-broker = aws_broker.cli:main" in scripts
    assert tops == {"aws_broker", f"aws_broker-{VERSION}.dist-info"}
    look = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); from aws_broker.cli import main; sys.exit(main(['version']))"
    )
    assert desk.run("-c", look, program=(sys.executable, "-I", "-S")).stdout == f"aws-broker {VERSION}\n"


def test_the_versions_are_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    own = tomllib.loads((OWN / "pyproject.toml").read_text("utf-8"))
    assert project["version"] == VERSION
    assert own["tool"]["hatch"]["version"]["path"] == "../../broker/workstation/version.py"
    assert own["project"]["requires-python"] == ">=3.9"


@pytest.mark.parametrize("path", sorted(SOURCES.glob("*.py")), ids=lambda path: path.stem)
def test_python_3_9_can_read_it(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 9))
    later = {"StrEnum", "UTC", "Self", "TypeAlias", "override", "assert_never", "dataclass"}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not imported & later, "dataclasses with slots are of 3.10"


def test_importing_the_package_imports_nothing_else() -> None:
    for init in (SOURCES / "__init__.py", SOURCES.parent / "__init__.py"):
        assert [
            node
            for node in ast.walk(ast.parse(init.read_text("utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
        ] == []


@pytest.mark.parametrize("name", commands())
def test_every_command_and_flag_is_on_its_page(name: str) -> None:
    section = PAGE.partition(f"\n## `aws-broker {'status' if name == 'whoami' else name}")[2].partition("\n## ")[0]
    assert section, name
    for action in commands()[name]._actions:  # noqa: SLF001 (argparse tells it nowhere else)
        own = set(action.option_strings) - {"-h", "--help", "--server", "-o", "--output"}
        for flag in own:
            assert f"`{flag}" in section, f"{name}: {flag}"
        for choice in action.choices or () if own else ():
            assert f"`{choice}`" in section, f"{name}: {choice}"
    assert "`whoami`" in PAGE


def test_every_exit_code_is_on_its_page_and_in_the_help(desk: Desk) -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE))
    assert rows.keys() == {str(code) for code in MEANING}
    told = " ".join(desk.run("--help").stdout.split())
    for code, meaning in MEANING.items():
        assert f"{code} {meaning}" in told


@pytest.mark.parametrize(
    "arguments",
    [(), ("nope",), ("creds",), ("process",), ("creds", ROLE, "--format", "nope"), ("process", "--rol", ROLE)],
)
def test_a_command_that_is_not_understood_is_one_line_and_exit_code_2(desk: Desk, arguments: tuple[str, ...]) -> None:
    done = desk.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "--help" in done.stderr


def test_process_never_asks_a_person(desk: Desk) -> None:
    done = desk.process()
    assert (done.returncode, done.stdout) == (4, "")
    line = f"aws-broker: Not signed in at {desk.broker.url}. Run: aws-broker login --server {desk.broker.url}\n"
    assert done.stderr == line
    assert sum(desk.broker.asked.values()) == 0
    assert not (desk.home / "seen").exists()
