"""Every command block of README.md is run, but for `make test`, and answers as README.md says."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ldap3
import pytest
import yaml
from cli.processes import PATIENCE, environment, running, says
from cli.stage import BROKER_USER, SERVICE_PASSWORD, run
from contracts.cast import PASSWORD
from house.source import ROOT
from neighbours.samba import ROOT as DOMAIN

from broker.app import Stand
from broker.clock import utc_now
from broker.sandbox.directory import SandboxDirectory, read_seed
from broker.sandbox.pki import SandboxPki
from broker.sandbox.sts import AccessKey, SandboxSts, demo_world, new_access_key

if TYPE_CHECKING:
    from click.testing import Result
    from neighbours.samba import SambaServer

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [text.strip() for kind, text in BLOCKS if kind == "sh"]
VENV = Path(sys.prefix)


def shown_after(command: str) -> str:
    """The text block behind this command's."""
    at = BLOCKS.index(("sh", f"{command}\n"))
    kind, text = BLOCKS[at + 1]
    assert kind == "text"
    return text.strip()


def shape(text: str) -> str:
    """Without what is another each time: ports, folders, codes, the place of the program."""
    text = re.sub(r"(localhost|127\.0\.0\.1):\d+", r"\1:PORT", text)
    text = re.sub(r"/\S*broker-demo-\w+", "STATE", text)
    text = re.sub(r"(?:[0-9A-Z]{5}-){4}[0-9A-Z]+", "CODE", text)
    return text.replace(f"{VENV}/bin/broker", ".venv/bin/broker").strip()


def test_every_command_block_is_known_here() -> None:
    assert COMMANDS == [
        "make demo",
        "make test",
        "broker init conf",
        "broker --config conf/broker.yaml directory check ada",
        "broker --config conf/broker.yaml mappings validate\nbroker --config conf/broker.yaml config check",
        "broker --config conf/broker.yaml explain --user ada --role payments-dev/power-user --from 10.1.2.3",
    ]


def test_make_demo_prints_what_the_readme_shows_and_its_lines_work(tmp_path: Path) -> None:
    ours = VENV == ROOT / ".venv"
    venv = ".venv" if ours else str(VENV)
    make = ["-o", f"{venv}/.demo", *(() if ours else (f"VENV={venv}",))]  # -o: installed it is, or we would not be here
    with running(
        tmp_path / "log", *make, "demo", program=Path("/usr/bin/make"), cwd=ROOT, TMPDIR=str(tmp_path)
    ) as demo:
        says(demo, "Stop with Ctrl-C.")
        assert shape(demo.stdout) == shape(shown_after("make demo"))
        lines = [line.strip() for line in demo.stdout.splitlines()]
        at = lines.index("In another terminal, with the AWS CLI:")
        signed_in = _shell(lines[at + 1], BROWSER=_ada(tmp_path, lines), HOME=str(tmp_path))
        assert signed_in.returncode == 0, signed_in.stderr
        identity = _shell(f"{lines[at + 1].partition(' && ')[0]} && {lines[at + 2]}", HOME=str(tmp_path))
        assert identity.returncode == 0, identity.stderr
        expected = next(json.loads(text) for kind, text in BLOCKS if kind == "text" and text.startswith("{"))
        found = json.loads(identity.stdout)
        assert (found["Arn"], found["Account"]) == (expected["Arn"], expected["Account"])
        assert re.fullmatch(r"AROA[A-Z0-9]+:ada", found["UserId"])
        assert found.keys() == expected.keys()
        assert _shell(lines[lines.index("Without it:") + 1]).stdout == expected["Arn"] + "\n"
        denied = _shell(lines[lines.index("Denied:") + 1])
        assert (denied.returncode, denied.stdout) == (5, "")
        code = next(line for line in lines if line.startswith("Code")).removeprefix("Code").strip()
        assert re.fullmatch(r"\d{6}\n", _shell(code).stdout)
        os.killpg(demo.process.pid, signal.SIGINT)  # as Ctrl-C does
        demo.process.wait(PATIENCE)
        assert "stopped" in demo.stderr
        assert demo.group_is_gone()
    assert list(tmp_path.glob("broker-demo-*")) == []


def _ada(folder: Path, lines: list[str]) -> str:
    """The command of a browser in which ada signs in and says yes."""
    state = next(line for line in lines if line.startswith("Code")).split()[-1]
    script = folder / "browser.py"
    script.write_text(
        "import html, re, sys, urllib.request\nfrom pathlib import Path\n"
        "from broker.cli.demo.client import find, signed_in\n"
        "from broker.cli.demo.laptop import consenting\n"
        "page = urllib.request.urlopen(sys.argv[1]).read().decode()\n"
        "url = html.unescape(re.search('url=([^\"]+)', page)[1])\n"
        f"consenting(signed_in(find(Path({state!r})), 'ada'))(url)\n",
        encoding="utf-8",
    )
    return f"{sys.executable} {script} %s"


def _shell(line: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """As typed into a terminal in the checkout, with the AWS CLI of our own environment."""
    path = f"{VENV}/bin:{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/bash", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment({"PATH": path, **more}),
        timeout=PATIENCE,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """What the reader puts into broker.yaml, and the domain's own name."""

    provider: dict[str, object]
    password: str
    domain: str


@contextmanager
def sandbox(folder: Path) -> Iterator[Directory]:
    with SandboxDirectory(read_seed(), pki=SandboxPki(folder / "pki"), clock=utc_now) as found:
        domain = "DC=corp,DC=example"
        provider = _provider(f"ldaps://localhost:{found.ldaps_port}", found.ca_file, "svc-broker@corp.example", domain)
        yield Directory(provider=provider, password=SERVICE_PASSWORD, domain=domain)


def domain(server: "SambaServer") -> Directory:
    """The contract suite's domain, with one more unit and group."""
    with server.administrator() as administrator:
        team = f"CN=Team-payments,OU=Teams,{DOMAIN}"
        administrator.add(f"OU=Teams,{DOMAIN}", "organizationalUnit")
        administrator.add(team, "group", {"sAMAccountName": "teams-payments"})
        administrator.modify(team, {"member": [(ldap3.MODIFY_ADD, [f"CN=ada,OU=Staff,{DOMAIN}"])]})
    provider = _provider(server.url, server.ca_file, f"CN=reader,OU=Services,{DOMAIN}", DOMAIN)
    return Directory(provider=provider, password=PASSWORD, domain=DOMAIN)


def _provider(url: str, ca_file: Path, bind_dn: str, domain: str) -> dict[str, object]:
    return {"servers": [url], "ca_file": str(ca_file), "bind_dn": bind_dn, "user_bases": [f"OU=Staff,{domain}"]}


def test_connecting_a_directory_and_aws_goes_as_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sandbox(tmp_path) as directory:
        _connect(tmp_path, directory, monkeypatch)


def test_connecting_a_real_domain_and_aws_goes_as_the_readme_says(
    tmp_path: Path, samba: "SambaServer", monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(tmp_path, domain(samba), monkeypatch)


def _connect(folder: Path, directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    here = folder / "work"
    here.mkdir()
    monkeypatch.chdir(here)
    for name in [name for name in os.environ if name.startswith(("AWS_", "BROKER_"))]:
        monkeypatch.delenv(name)
    _, _, init, check, validate, explain = COMMANDS
    key = new_access_key()
    with SandboxSts(demo_world([], broker_user_arn=BROKER_USER, key=key), clock=utc_now) as sts:
        stand = Stand(sts_endpoint=sts.url, lines=False)
        assert _type(init, stand).exit_code == 0
        _edit(here / "conf", directory, key)
        seen = _type(check, stand)
        assert seen.exit_code == 0, seen.output
        assert _steps(seen.stdout) == _steps(shown_after(check))
        for line in validate.splitlines():
            done = _type(line, stand)
            assert done.exit_code == 0, done.output
        told = _type(explain, stand)
    assert told.exit_code == 0, told.output
    in_readme = shown_after(explain).replace("dc=corp,dc=example", directory.domain.lower())
    assert [line.split() for line in told.stdout.splitlines()] == [line.split() for line in in_readme.splitlines()]


def _type(line: str, stand: Stand) -> "Result":
    """A line of the README, in this process: so that it can be handed the sandbox's STS, which no option can."""
    program, *words = shlex.split(line)
    assert program == "broker"
    return run(*words, stand=stand)


def _steps(text: str) -> list[str]:
    """The steps of a check, without what was seen."""
    return [re.sub(r"ldaps://\S+ ", "", line).partition(": ")[2].partition(":")[0] for line in text.splitlines()]


def _edit(conf: Path, directory: Directory, key: AccessKey) -> None:
    """What the README tells the reader to edit, and the folder of the database."""
    data = yaml.safe_load((conf / "broker.yaml").read_text("utf-8"))
    data["providers"]["corp-ad"] |= directory.provider
    data["storage"]["url"] = "sqlite:///broker.db"
    data["aws"]["access_key_file"] = "aws-key"
    (conf / "broker.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    (conf / "directory-password").write_text(directory.password + "\n", encoding="utf-8")
    text = f"[default]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n"
    (conf / "aws-key").write_text(text, encoding="utf-8")
    mapping = (conf / "mappings.yaml").read_text("utf-8")
    (conf / "mappings.yaml").write_text(mapping.replace("DC=corp,DC=example", directory.domain), encoding="utf-8")
