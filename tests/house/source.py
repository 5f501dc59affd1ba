"""The broker's own source, parsed, for the house tests."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module of the package."""

    name: str
    """Dotted, without the leading `broker.`: `entitle.resolve`; `""` for the package itself."""
    path: Path
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The first part of the name: the folder, or the file at the top."""
        return self.name.partition(".")[0]

    def imports(self) -> Iterator[tuple[str, int, int]]:
        """(absolute dotted name, line, level) of everything imported anywhere in the module."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, node.lineno, 0
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    yield base, node.lineno, node.level
                    continue
                for alias in node.names:
                    yield f"{base}.{alias.name}", node.lineno, 0


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the package, by name."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found.append(Module(name=name, path=path, text=text, tree=ast.parse(text)))
    return tuple(found)


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(dotted name as written, line) of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno
