"""Remove each marked security check in turn; every removal must turn a test red.

A check is an `if` whose header carries `# check: some-id`. Its removal is `if False`. The tests of the same room run
first, then, if those stay green, all others. `python tests/mutants.py [ID …]` narrows it. Not part of CI.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"#\s*check:\s*([a-z0-9-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One marked check."""

    id: str
    path: Path
    line: int
    text: str
    """The whole module without the check."""


def checks() -> Iterator[Check]:
    """Every marked check in the package, by file and line."""
    for path in sorted((ROOT / "broker").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.split("\n")
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.If):
                continue
            first, last = node.lineno, node.body[0].lineno - 1
            found = MARK.search("\n".join(lines[first - 1 : max(first, last)]))
            if found:
                yield Check(id=found[1], path=path.relative_to(ROOT), line=first, text=_without(lines, node))


def _without(lines: list[str], node: ast.If) -> str:
    """The module with the test of `node` replaced by False."""
    test = node.test
    first, last = test.lineno - 1, (test.end_lineno or test.lineno) - 1
    head = lines[first].encode()[: test.col_offset].decode()
    tail = lines[last].encode()[test.end_col_offset :].decode()
    return "\n".join([*lines[:first], f"{head}False{tail}", *lines[last + 1 :]])


def unmarked() -> list[str]:
    """Marks that sit on no `if` and would be skipped unseen."""
    marked = {found[1] for path in (ROOT / "broker").rglob("*.py") for found in MARK.finditer(path.read_text("utf-8"))}
    return sorted(marked - {check.id for check in checks()})


def survives(check: Check, copy: Path) -> bool:
    """Whether all tests stay green without the check."""
    target = copy / check.path
    whole = target.read_text(encoding="utf-8")
    target.write_text(check.text, encoding="utf-8")
    try:
        room = check.path.parts[1].removesuffix(".py")
        own = [name for name in (f"tests/{room}", f"tests/test_{room}.py") if (copy / name).exists()]
        return all(_green(copy, tests) for tests in (own or ["tests/cli"], ["tests"]))
    finally:
        target.write_text(whole, encoding="utf-8")


def _green(copy: Path, folders: list[str]) -> bool:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--deselect",
        "tests/house",
        *folders,
    ]
    env = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=env, capture_output=True, check=False).returncode == 0


def main(wanted: list[str]) -> int:
    """0 when every removal turned a test red."""
    alive, lost = [], unmarked()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache"))
        for check in checks():
            if wanted and check.id not in wanted:
                continue
            survived = survives(check, copy)
            alive += [check.id] if survived else []
            print(f"{'SURVIVED' if survived else 'killed  '} {check.id} ({check.path}:{check.line})", flush=True)
    for mark in lost:
        print(f"NO IF    {mark}")
    print(f"{len(alive)} survived" + (f": {', '.join(alive)}" if alive else ""))
    return 1 if alive or lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
