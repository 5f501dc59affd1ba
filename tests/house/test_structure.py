"""The house rules that a machine can check: who imports whom, walls, the clock, the environment, sizes."""

import ast
import sys
from collections.abc import Iterator

import pytest
from house.source import Module, calls, modules

FLOOR = ("clock", "duration", "errors", "keys")
STAGES = ("authenticate", "challenge", "entitle", "evaluate", "issue", "record")
ORDER = (*FLOOR, *STAGES, "sessions", "flow", "web", "settings", "app", "cli")

WALLS = {
    "ldap3": {"authenticate.ldap"},
    "onelogin": {"authenticate.saml"},
    "xmlsec": {"authenticate.saml", "issue.saml"},
    "lxml": {"authenticate.saml", "issue.saml"},
    "authlib": {"authenticate.oidc", "web.oauth"},
    "joserfc": {"authenticate.oidc", "web.oauth", "issue"},
    "pyotp": {"challenge"},
    "webauthn": {"challenge"},
    "boto3": {"issue", "record"},
    "botocore": {"issue", "record"},
    "sqlalchemy": {"storage"},
    "alembic": {"storage"},
    "psycopg": {"storage"},
    "redis": {"storage"},
    "sqlite3": {"storage"},
    "flask": {"web", "app"},
    "flask_openapi": {"web", "app"},
    "flask_wtf": {"web", "app"},
    "werkzeug": {"web", "app"},
}

BROAD_EXCEPT = {"web.errors", "app.serving"}
"""The two named places."""


def _own_imports(module: Module) -> Iterator[tuple[str, int]]:
    for name, line, level in module.imports():
        if level:
            yield module.room, line
        elif name.startswith("broker."):
            yield name.split(".")[1], line


def _allowed(importer: str, imported: str) -> bool:  # noqa: PLR0911 (one line a rule)
    if imported in {importer, ""} or not importer:
        return True
    if importer == "__main__":
        return imported == "cli"
    if importer == "workstation" or imported == "workstation":
        return False
    if importer == "sandbox":
        return imported in FLOOR
    if imported == "sandbox":
        return importer == "cli"
    if importer == "storage":
        return imported in (*FLOOR, *STAGES, "sessions")
    if imported == "storage":
        return importer in ("app", "settings")
    if importer in FLOOR:
        return imported in FLOOR
    return ORDER.index(imported) < ORDER.index(importer)


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.name or "broker")
def test_imports_point_leftwards_only(module: Module) -> None:
    wrong = [
        f"{module.path}:{line} imports {room}" for room, line in _own_imports(module) if not _allowed(module.room, room)
    ]
    assert not wrong


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.name or "broker")
def test_third_parties_stay_behind_their_walls(module: Module) -> None:
    if module.room == "sandbox":
        return
    for name, line, level in module.imports():
        inside = WALLS.get(name.partition(".")[0])
        if inside is None or level:
            continue
        assert any(module.name == room or module.name.startswith(room + ".") for room in inside), (
            f"{module.path}:{line}: {name}"
        )


def test_the_workstation_needs_only_the_standard_library() -> None:
    for module in modules():
        if module.room != "workstation":
            continue
        for name, line, level in module.imports():
            assert level or name.partition(".")[0] in sys.stdlib_module_names, f"{module.path}:{line}: {name}"


def test_there_are_no_import_cycles() -> None:
    names = {m.name for m in modules()}
    graph: dict[str, set[str]] = {}
    for module in modules():
        targets = set()
        for name, _, level in module.imports():
            if level or not name.startswith("broker."):
                continue
            dotted = name.removeprefix("broker.")
            targets.add(dotted if dotted in names else dotted.rpartition(".")[0])
        graph[module.name] = targets - {module.name, ""}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name in done:
            return
        for target in sorted(graph.get(name, ())):
            walk(target, (*path, name))
        done.add(name)

    for name in sorted(graph):
        walk(name, ())


CLOCK = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.monotonic",
    "time.time_ns",
}


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.name or "broker")
def test_the_clock_and_the_environment_are_read_in_one_place(module: Module) -> None:
    if module.room == "workstation":
        return
    for name, line in calls(module.tree):
        clock = any(name == read or name.endswith("." + read) for read in CLOCK)
        assert not clock or module.name == "clock", f"{module.path}:{line}: {name}"
    if module.room != "settings":
        for node in ast.walk(module.tree):
            assert not (isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}), (
                f"{module.path}:{node.lineno}: the environment is read by settings/ alone"
            )


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.name or "broker")
def test_broad_excepts_stand_in_two_named_places(module: Module) -> None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            broad = any(k is None or ast.unparse(k) in {"Exception", "BaseException"} for k in kinds)
            assert not broad or module.name in BROAD_EXCEPT, f"{module.path}:{node.lineno}"


def _functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.name or "broker")
def test_a_function_fits_on_a_screen(module: Module) -> None:
    for node in _functions(module):
        body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
        length = (node.end_lineno or 0) - body[0].lineno + 1
        assert length <= 40, f"{module.path}:{node.lineno} {node.name}: {length} lines"


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.name or "broker")
def test_a_module_is_about_one_thing(module: Module) -> None:
    assert ast.get_docstring(module.tree) or not module.text.strip(), f"{module.path} does not say what it is for"
    assert module.text.count("\n") <= 320, f"{module.path} is too long to be about one thing"


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.name or "broker")
def test_dataclasses_are_frozen_slotted_and_keyword_only(module: Module) -> None:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            written = ast.unparse(decorator)
            if written.partition("(")[0] not in {"dataclass", "dataclasses.dataclass"}:
                continue
            for word in ("frozen=True", "slots=True", "kw_only=True"):
                assert word in written, f"{module.path}:{node.lineno} {node.name} lacks {word}"


def test_only_decide_makes_a_permit() -> None:
    makers = {m.name for m in modules() for name, _ in calls(m.tree) if name.rpartition(".")[2] == "Permit"}
    holders = {m.name for m in modules() for name, _, _ in m.imports() if name == "broker.evaluate.verdict.SEAL"}
    assert makers == {"evaluate.decide"}
    assert holders == {"evaluate.decide"}


def test_only_flow_writes_to_the_trail() -> None:
    """Stages never record."""
    for module in modules():
        if module.room in (*STAGES[:-1], "sessions", "web"):
            assert not any(name.endswith("trail.record") for name, _ in calls(module.tree)), module.path
