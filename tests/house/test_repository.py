"""The repository as a whole: what may not stand in it, what is locked, what is built from it."""

import configparser
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.processes import environment
from house.source import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = ("build", "server", "dev", "ministack")
UNTRACKED = {".git", ".venv", ".venv-ministack", "__pycache__", "node_modules", "build", "dist"}
FLOORS = (
    "flask>=3.1.3",
    "werkzeug>=3.1.5",
    "redis>=4.5.4",
    "pyotp>=2.12",
    "ldap3==2.9.1",
    "gunicorn>=23",
    "pyyaml>=6.0.3",
)
"""Versions below these have holes that the broker would inherit; ldap3 2.9.1 is its last."""

ESSENTIAL = {"util-linux"}
"""On every Debian machine."""

FORBIDDEN = {
    "the address of a registry": re.compile(r"(pypi|pythonhosted|npmjs|artifactory|nexus)\.[a-z]|/simple/?[\"'\s]"),
    "an index": re.compile(r"--(extra-)?index-url|--find-links|--trusted-host"),
    "a path of somebody's machine": re.compile(r"(?<![\w.~$}-])/(root|work|home/[a-z]+|Users/\w+)/\w"),
}


def tracked() -> Iterator[Path]:
    """Every file that belongs to the repository."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        yield from (ROOT / name for name in listed if name and (ROOT / name).is_file())
        return
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in UNTRACKED and not name.startswith(".")]
        yield from (Path(folder) / name for name in names)


def test_no_file_names_a_registry_or_somebody_s_machine() -> None:
    found = []
    for path in tracked():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1):
            found += [
                f"{path.relative_to(ROOT)}:{number}: {what}" for what, own in FORBIDDEN.items() if own.search(line)
            ]
    assert found == []


@cache
def locked(name: str) -> Mapping[str, Version]:
    """Package -> version."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", text, re.MULTILINE)
    return {canonicalize_name(package): Version(version) for package, version in pins}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_package_with_hashes_and_carries_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    entries = [entry for entry in re.split(r"\n(?=\S)", text.strip()) if not entry.startswith("#")]
    assert len(entries) == len(locked(name)) > 0
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert "@ " not in text


def groups() -> dict[str, list[str]]:
    server = PROJECT["project"]["optional-dependencies"]["server"]
    own = PROJECT["dependency-groups"]
    return {"server": server, "build": own["build"], "dev": [*server, *own["dev"]]}


@pytest.mark.parametrize("name", ["server", "build", "dev"])
def test_a_lock_fits_what_pyproject_asks_for(name: str) -> None:
    for wanted in map(Requirement, groups()[name]):
        version = locked(name).get(canonicalize_name(wanted.name))
        assert version is not None, f"{wanted.name} is not locked: make lock"
        assert version in wanted.specifier, f"{wanted}: {version} is locked: make lock"


def test_the_server_runs_on_the_versions_that_are_tested() -> None:
    assert {name: locked("dev").get(name) for name in locked("server")} == dict(locked("server"))


@pytest.mark.parametrize("floor", FLOORS)
def test_no_package_is_older_than_is_safe(floor: str) -> None:
    wanted = Requirement(floor)
    assert locked("server")[canonicalize_name(wanted.name)] in wanted.specifier


def test_yaml_is_read_through_libyaml() -> None:
    assert yaml.__with_libyaml__  # type: ignore[attr-defined]  # PyYAML has it, its stubs do not


def test_nothing_that_unpickles_is_installed_with_the_server() -> None:
    assert not {"flask-session", "flask-caching", "dill", "cloudpickle"} & set(locked("server"))


# --- Dockerfile -------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def copied() -> list[str]:
    """What the image is built from, as named in COPY."""
    found = []
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            found += rest.split()[:-1]
    return found


def test_the_image_is_built_in_stages_and_runs_without_root_or_build_tools() -> None:
    words = [word for word, _ in instructions()]
    assert words.count("FROM") == 2
    last = instructions()[len(words) - words[::-1].index("FROM") - 1 :]
    users = [rest for word, rest in last if word == "USER"]
    assert users
    assert all(re.fullmatch(r"[1-9]\d{3,}", user) for user in users), "numeric, so that runAsNonRoot can see it"
    assert not [rest for word, rest in last if word == "RUN" and "pip" in rest]
    assert [word for word, _ in last].index("USER") < [word for word, _ in last].index("ENTRYPOINT")


def test_the_image_has_a_health_check_and_no_moving_parts() -> None:
    text = instructions()
    assert [rest for word, rest in text if word == "HEALTHCHECK" and "/healthz" in rest]
    assert not [rest for word, rest in text if word == "ADD"]
    for word, rest in text:
        if word == "FROM":
            assert re.match(r"[a-z/]+:\d", rest), f"{rest}: a version, not whatever is newest"
        for part in rest.split("&&") if word == "RUN" else ():
            if " install " in part and "pip" in part:
                assert "--require-hashes" in part or "--no-deps dist/" in part, part


def test_everything_that_the_image_copies_is_there_and_let_through() -> None:
    rules = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert rules[0] == "*"
    allowed = [rule[1:] for rule in rules if rule.startswith("!")]
    for source in copied():
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, rule) or source.startswith(f"{rule}/") for rule in allowed), source


# --- the wheel --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without network from exactly the files that the image copies."""
    tree = tmp_path_factory.mktemp("tree")
    for source in copied():
        target = tree / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (tree / "dist").glob("*.whl")
    return built


def test_the_wheel_has_everything_that_a_server_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for needed in (
        "broker/web/templates/base.html",
        "broker/web/static/broker.css",
        "broker/storage/migrations/env.py",
        "broker/storage/migrations/versions/0001_first_tables.py",
        "broker/sandbox/people.yaml",
        "broker/config/broker.yaml",
        "broker/config/mappings.yaml",
        "broker/config/mappings.schema.json",
    ):
        assert needed in names
    assert {Path(name).parts[0] for name in names} == {"broker", f"{_stem(wheel)}.dist-info"}
    assert f"{_stem(wheel)}.dist-info/licenses/LICENSE" in names
    for kind in ("templates", "static"):
        ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "broker/web" / kind).rglob("*") if path.is_file()}
        assert ours <= names


def _stem(wheel: Path) -> str:
    return "-".join(wheel.name.split("-")[:2])


def _metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"{_stem(wheel)}.dist-info/{name}").decode()


def test_the_wheel_has_two_programs_and_needs_nothing_by_itself(wheel: Path) -> None:
    scripts = configparser.ConfigParser()
    scripts.read_string(_metadata(wheel, "entry_points.txt"))
    assert dict(scripts["console_scripts"]) == {
        "broker": "broker.cli:main",
        "aws-broker": "broker.workstation.cli:main",
    }
    required = [line for line in _metadata(wheel, "METADATA").splitlines() if line.startswith("Requires-Dist:")]
    assert required
    assert all("extra == 'server'" in line for line in required)


def test_a_colleague_s_program_runs_from_the_wheel_with_the_standard_library_alone(wheel: Path) -> None:
    look = (
        f"import sys; sys.path.insert(0, {str(wheel)!r})\n"
        "from broker.workstation.cli import main\n"
        "code = main(['version'])\n"
        "assert not any('site-packages' in (getattr(m, '__file__', '') or '') for m in list(sys.modules.values()))\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-S", "-I", "-c", look], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"aws-broker {PROJECT['project']['version']}\n"


# --- deploy, make, licence --------------------------------------------------------------------------------------


def unit() -> Mapping[str, list[str]]:
    """The [Service] section; a directive may stand there several times."""
    found: dict[str, list[str]] = {}
    text = (
        (ROOT / "deploy/systemd/broker.service").read_text("utf-8").partition("[Service]")[2].partition("[Install]")[0]
    )
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_gives_the_service_no_more_than_it_needs() -> None:
    service = unit()
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "MemoryDenyWriteExecute"):
        assert service[name] == ["yes"], name
    assert service["ProtectSystem"] == ["strict"]
    assert service["CapabilityBoundingSet"] == [""]
    assert service["User"] != ["root"]
    assert service["UMask"] == ["0077"]
    assert service["RestrictAddressFamilies"] == ["AF_INET AF_INET6 AF_UNIX"]
    assert "@system-service" in service["SystemCallFilter"]


def test_the_unit_s_secrets_are_credentials_and_its_variables_set_something() -> None:
    from broker.settings.schema import all_keys  # noqa: PLC0415

    service = unit()
    given = {line.partition(":")[0] for line in service["LoadCredential"]}
    for line in service["Environment"]:
        name, _, value = line.partition("=")
        if name == "BROKER_CONFIG":
            continue
        assert name.removeprefix("BROKER_").lower().split("__")[-1] in all_keys(), name
        assert value.removeprefix("%d/") in given, name
    assert {"10", "2"} <= set(service["RestartPreventExitStatus"][0].split())


def test_the_proxy_example_tells_what_the_settings_example_believes() -> None:
    conf = (ROOT / "deploy/nginx/broker.conf").read_text("utf-8")
    settings: dict[str, Any] = yaml.safe_load((ROOT / "config/broker.yaml").read_text("utf-8"))
    assert f"proxy_set_header {settings['server']['tls_version_header']} $ssl_protocol;" in conf
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in conf
    assert f"server {settings['server']['bind']};" in conf
    assert "location = /metrics { return 404; }" in conf


def test_make_help_names_every_target_and_each_says_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split()
    done = subprocess.run(["make", "help"], cwd=ROOT, env=environment({}), capture_output=True, text=True, check=True)
    told = [line.split()[:2] for line in done.stdout.splitlines()]
    assert [target for make, target in told if make == "make"] == [name for name in _targets(text) if name in phony]
    assert {target for _, target in told} == set(phony)
    assert all(len(line.split()) > 2 for line in done.stdout.splitlines())


def _targets(text: str) -> list[str]:
    return re.findall(r"^([a-z]+):", text, re.MULTILINE)


def test_ci_runs_what_contributors_run_and_lets_nothing_be_skipped() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text("utf-8")
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in text
    assert "make check" in text
    assert "make test" in text
    variable = re.search(r"^export (\w*SKIP_NOTHING)=1$", text, re.MULTILINE)
    assert variable is not None
    assert f'"{variable[1]}"' in (ROOT / "tests/conftest.py").read_text("utf-8")
    for package in re.findall(r'missing\("([a-z0-9-]+)"\)|need\("[^"]+", "([a-z0-9-]+)"\)', _neighbours()):
        assert ESSENTIAL & set(package) or next(filter(None, package)) in text


def _neighbours() -> str:
    return "".join(path.read_text("utf-8") for path in (ROOT / "tests/neighbours").glob("*.py"))


def test_the_licence_is_the_one_that_is_declared() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]" in text
