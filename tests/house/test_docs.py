"""The documents say what the code does: what can be made from it is made, the rest is held against it."""

import importlib.util
import re
import shlex
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import ModuleType

import click
import pytest
from house.source import ROOT
from pydantic import BaseModel

from broker.authenticate.ldap import LdapSettings
from broker.cli import broker as program
from broker.cli.serve import Server
from broker.keys import Purpose
from broker.settings import Settings
from broker.settings.sections import SessionSettings
from broker.web.errors import STATUS
from broker.web.metrics import Metrics
from broker.web.wsgi import LARGEST_BODY

DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES += sorted(path for path in ROOT.rglob("*.md") if path.parts[len(ROOT.parts)] in {"docs", "deploy"})


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["settings", "commands", "openapi"])
def test_what_is_made_from_the_code_is_current(name: str) -> None:
    file = {"settings": "settings.md", "commands": "cli.md", "openapi": "openapi.json"}[name]
    made = getattr(generator(), name)()
    assert text(file) == made, f"docs/{file} lags behind the code: run `make docs` and commit it"


def leaves(model: type[BaseModel]) -> set[str]:
    """The names of all keys of a section and of those below it."""
    found = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        is_section = isinstance(inner, type) and issubclass(inner, BaseModel)
        found |= leaves(inner) if is_section and inner is not BaseModel else {name}  # type: ignore[arg-type]  # as said
    return found


def test_every_setting_is_documented() -> None:
    missing = [name for name in leaves(Settings) | leaves(LdapSettings) if f"`{name}" not in text("settings.md")]
    assert missing == []


def commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    context = click.Context(group, info_name="broker", **group.context_settings)
    found: dict[tuple[str, ...], click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found[*path, name] = command
        if isinstance(command, click.Group):
            found |= commands(command, (*path, name))
    return found


def test_every_command_and_option_is_documented() -> None:
    for path, command in commands(program).items():
        section = text("cli.md").partition(f"## `broker {' '.join(path)}`\n")[2].partition("\n## ")[0]
        assert (command.help or "").strip().partition("\n")[0] in section
        for option in command.params:
            for name in option.opts if isinstance(option, click.Option) else ():
                assert f"`{name}`" in section, f"{path}: {name}"


SAID = re.compile(r"(?<![\w/.-])broker (?=[a-z-]+(?: |$))([^`\n#]*)")
"""A command line in running text or a code block."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_in_a_document_can_be_typed(page: Path) -> None:
    known = commands(program)
    content = page.read_text(encoding="utf-8")
    code = re.findall(r"`(broker [^`\n]+)`", content) + re.findall(r"^(?: {4}|\$ )(broker .*)$", content, re.MULTILINE)
    for block in re.findall(r"```sh\n(.*?)```", content, re.DOTALL):
        code += [line for line in block.splitlines() if line.startswith("broker ")]
    for line in code:
        words = shlex.split(re.split(r" {3,}| > |; |…", line.replace("|", " "))[0])[1:]
        if words[:1] == ["--config"]:
            words = words[2:]
        if not words or words[0].startswith(("--", "[")):
            continue
        path = tuple(words[:2]) if tuple(words[:2]) in known else tuple(words[:1])
        assert path in known, f"{page.name}: {line}"
        options = {name for option in known[path].params for name in option.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= options, f"{page.name}: {line}"


def test_every_metric_is_documented() -> None:
    for family in Metrics().registry.collect():
        assert f"| `{family.name}`" in text("operations.md") or f"| `{family.name}_total`" in text("operations.md")


def test_every_key_purpose_is_documented() -> None:
    assert [purpose for purpose in Purpose if f"| `{purpose.value}` |" not in text("keys.md")] == []


def test_the_api_s_document_names_every_endpoint_answer_and_error() -> None:
    import json  # noqa: PLC0415

    described, page = json.loads(text("openapi.json")), text("api.md")
    for path, methods in described["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in page
    for schema in ("WhoAmI", "Roles", "Leased"):
        assert f"`{schema}`" in page
        assert schema in described["components"]["schemas"]
    codes = {kind.code: int(status) for kind, status in STATUS.items()}
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", page, re.MULTILINE)
    own = {"denied": 403, "step-up": 403, "internal-error": 500}
    assert rows
    for status, code in rows:
        assert (codes | own)[code] == int(status), code


def test_every_default_in_the_table_of_limits_is_the_real_one() -> None:
    section = text("operations.md").partition("## Limits and time-outs")[2].partition("\n## ")[0]
    found = re.findall(r"`([a-z_]+(?:\.[a-z_]+)?)` (\d+)(?: (s|h|min)\b)?", section)
    assert len(found) >= 20
    for path, number, unit in found:
        name, _, key = path.partition(".")
        model = Settings.model_fields[name].annotation if key else LdapSettings
        assert isinstance(model, type)
        default = model.model_fields[key or name].default
        seconds = int(number) * {"h": 3600, "min": 60}.get(unit, 1)
        assert default == (timedelta(seconds=seconds) if isinstance(default, timedelta) else seconds), path


def test_the_server_s_own_limits_are_the_documented_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    section = text("operations.md").partition("## Limits and time-outs")[2].partition("\n## ")[0]
    values: dict[str, object] = {}
    monkeypatch.setattr(Server, "__init__", lambda _: None)
    server = Server()
    server._loaded = type("L", (), {"settings": Settings.model_construct(server=_server())})  # noqa: SLF001 (not started)
    server.cfg = type("C", (), {"set": lambda _, name, value: values.update({name: value})})()
    server.load_config()
    line = f"{values['limit_request_line']} bytes; {values['limit_request_fields']} headers of "
    assert f"{line}{values['limit_request_field_size']} bytes" in section
    assert f"| stop | {values['graceful_timeout']} s" in section
    assert f"| one request | {values['timeout']} s" in section
    assert f"| body | {LARGEST_BODY // 1024} KiB" in section
    assert SessionSettings().absolute == timedelta(hours=12)


def _server() -> object:
    from broker.settings.sections import ServerSettings  # noqa: PLC0415

    return ServerSettings(url="https://aws.corp.example")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
