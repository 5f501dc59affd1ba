"""Where a journey's broker stands: a folder with the files that an operator would have written, and the neighbours.

`open_broker` runs one in this process (its clock can be moved), `served` one under gunicorn, as `broker serve` does.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import yaml
from click.testing import CliRunner, Result
from contracts.cast import PASSWORD
from neighbours._waiting import free_port, wait_until
from neighbours.postgres import PASSWORD as DATABASE_PASSWORD
from neighbours.postgres import PostgresServer
from neighbours.redis import RedisServer
from neighbours.samba import DOMAIN, REALM, ROOT, SambaServer

from broker.app import Broker, LocalServer, Stand, open_broker
from broker.cli import broker as operators_program
from broker.clock import utc_now
from broker.flow.parts import Parts
from broker.keys import Keyring
from broker.sandbox.sts import AccessKey, Call, DemoRole, SandboxSts, demo_world
from broker.settings import Settings, load
from broker.storage.database import microseconds

Section = Mapping[str, Any]

PROVIDER = "corp-ad"
BROKER_USER = "arn:aws:iam::999999999999:user/federation-broker"
REGIONS = ("eu-central-1", "eu-west-1")
EXTERNAL_ID = "payments:7c1f"
DEV, PROD = "210987654321", "012345678901"
READ, ADMIN = "payments-dev/read-only", "payments-dev/admin"
"""What `aws-readers` and `aws-admins` give in the development account; in production neither gives anything."""
FORBIDDEN = "payments-prod/read-only"
NOTHING: Mapping[str, str] = MappingProxyType({})
FOREIGN = ("AWS_", "BROKER_")
"""Variables of whoever runs the tests, which are none of this broker's business."""
SLOW = 60.0
"""Seconds to wait for what takes a second on an idle machine."""

_MAPPING = """\
version: 1
groups:
  readers: {{provider: corp-ad, dn: "CN=aws-readers,OU=Groups,{root}", id: {readers}}}
  admins: {{provider: corp-ad, dn: "CN=aws-admins,OU=Groups,{root}", id: {admins}}}
accounts:
  payments-dev: {{id: "{dev}", env: dev, external_id: "{external_id}"}}
  payments-prod: {{id: "{prod}", env: prod}}
roles:
  read-only: {{iam_role: federated/ReadOnly, max_session: 8h}}
  admin: {{iam_role: federated/Admin, max_session: 1h}}
mappings:
  - {{name: readers-read, groups: [readers], accounts: [payments-dev], roles: [read-only]}}
  - {{name: admins-administer, groups: [admins], accounts: [payments-dev], roles: [admin]}}
...
"""
ROLES = (
    DemoRole(account=DEV, name="federated/ReadOnly", external_id=EXTERNAL_ID, max_session=timedelta(hours=8)),
    DemoRole(account=DEV, name="federated/Admin", external_id=EXTERNAL_ID),
    DemoRole(account=PROD, name="federated/ReadOnly"),
)


class MovableClock:
    """The real time, and what a test adds to it. The neighbours keep real time: move it after the sign-in only."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def on(self, by: timedelta) -> None:
        self._ahead += by


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder with `broker.yaml` and everything that it names. `sts` is the only STS there is."""

    folder: Path
    sts: str

    @property
    def file(self) -> Path:
        return self.folder / "broker.yaml"

    def settings(self, overlay: Mapping[str, str] = NOTHING) -> Settings:
        """What stands in the file, under `overlay` (`{"SERVER__URL": …}`)."""
        return load(self.file, {f"BROKER_{name}": value for name, value in overlay.items()}).settings

    def program(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The operator's program, as an operator runs it. It takes seconds to start: see `command`."""
        command = [str(Path(sys.executable).parent / "broker"), "--config", str(self.file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())

    def command(self, *arguments: str) -> Result:
        """The same in this process."""
        clean = {name: None for name in os.environ if name.startswith(FOREIGN)}
        return CliRunner(env=clean).invoke(operators_program, ["--config", str(self.file), *arguments])


def furnish(
    folder: Path, *, sts: str, key: AccessKey, domain: SambaServer, groups: Mapping[str, str], **sections: Section
) -> Place:
    """Write the files. `groups` are the ids of the domain's groups; `sections` go over the defaults in broker.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "aws-key": f"[default]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n",
        "directory-password": PASSWORD,
        "database-password": DATABASE_PASSWORD,
        "mappings.yaml": _MAPPING.format(
            root=ROOT,
            readers=groups["aws-readers"],
            admins=groups["aws-admins"],
            dev=DEV,
            prod=PROD,
            external_id=EXTERNAL_ID,
        ),
        "broker.yaml": yaml.safe_dump(_configuration(domain, sections)),
    }
    for name, text in texts.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text, encoding="utf-8")
    Keyring.generate(now=utc_now()).save(folder / "keys.json")
    return Place(folder=folder, sts=sts)


def _configuration(domain: SambaServer, sections: Mapping[str, Section]) -> dict[str, Section]:
    """Every section takes what `sections` says over what stands here, but for `storage`, which is taken whole."""
    url = f"http://localhost:{free_port()}"
    given: dict[str, Section] = {
        "server": {"url": url, "bind": url.removeprefix("http://"), "workers": 2, "threads": 4},
        "keys": {"file": "keys.json"},
        "storage": {"url": "sqlite:///broker.db"},
        "mappings": {"files": ["mappings.yaml"]},
        "aws": {"regions": list(REGIONS), "access_key_file": "aws-key"},
        "directory": {},
        "audit": {"stdout": "off"},
    }
    directory = {
        "type": "ldap",
        "servers": [domain.url],
        "ca_file": str(domain.ca_file),
        "bind_dn": f"CN=reader,OU=Services,{ROOT}",
        "password_file": "directory-password",
        "domain": DOMAIN,
        "upn_suffixes": [REALM],
        "user_bases": [f"OU=Staff,{ROOT}"],
    }
    directory |= sections.get("provider", {})
    whole = {
        name: sections[name] if name == "storage" and name in sections else {**section, **sections.get(name, {})}
        for name, section in given.items()
    }
    return {**whole, "providers": {PROVIDER: directory}}


def in_postgres(server: PostgresServer, database: str, redis: RedisServer | None = None) -> Section:
    """The `storage` section for a database of that server, and a Redis for what is short-lived."""
    section = {"url": server.url(database), "password_file": "database-password", "connect_timeout": 2}
    if redis is None:
        return section
    return section | {"short_lived": redis.url, "short_lived_prefix": f"{database.replace('_', '-')}:"}


def settle(redis: RedisServer, storage: Section) -> None:
    """As if that Redis had run for an hour: in the first minutes of a new one everybody has a single try."""
    since = microseconds(utc_now() - timedelta(hours=1))
    with redis.client() as client:
        name = client.info("replication")["master_replid"]
        client.hset(f"{storage['short_lived_prefix']}epoch", mapping={"id": name, "at": since})


@contextmanager
def sandbox_sts(key: AccessKey) -> Iterator[SandboxSts]:
    """A strict STS in which `ROLES` trust the broker, whose key is `key`."""
    with SandboxSts(demo_world(ROLES, broker_user_arn=BROKER_USER, key=key), clock=utc_now) as sts:
        yield sts


def assumed(sts: SandboxSts, role: str = "") -> list[Call]:
    """Every AssumeRole that STS has granted, oldest first; with `role`, of that role's name."""
    granted = [call for call in sts.calls if call["eventName"] == "AssumeRole" and call["errorCode"] is None]
    return [call for call in granted if str((call["requestParameters"] or {}).get("roleArn", "")).endswith(role)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A broker in this process, and its address."""

    broker: Broker
    url: str
    clock: MovableClock


@contextmanager
def running(
    place: Place,
    *,
    change: Callable[[Parts, Settings], Parts] = lambda parts, _: parts,
    overlay: Mapping[str, str] = NOTHING,
) -> Iterator[Running]:
    """Serve on loopback from a thread of this process. `change` may put other parts in."""
    clock = MovableClock()
    settings = place.settings(overlay)
    broker = open_broker(settings, Stand(clock=clock, sts_endpoint=place.sts, lines=False))
    with ExitStack() as stack:
        stack.callback(broker.close)
        broker = replace(broker, parts=change(broker.parts, settings))
        host, _, port = settings.server.bind.rpartition(":")
        stack.enter_context(LocalServer(broker, host=host, port=int(port)))
        yield Running(broker=broker, url=settings.server.url, clock=clock)


@dataclass(slots=True, kw_only=True)
class Served:
    """A broker under gunicorn, in a process group of its own."""

    url: str
    place: Place
    process: subprocess.Popen[bytes]
    lines: Path
    """Its standard output: the anchor."""
    log: Path
    ended: bool = field(default=False)

    def terminate(self) -> int:
        """SIGTERM to the master, as an orchestrator does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(SLOW)
        self.ended = True
        return code

    def kill(self) -> None:
        """SIGKILL to the master and all workers."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(SLOW)
        self.ended = True

    def events(self) -> list[dict[str, Any]]:
        """The events in its lines."""
        audits = [json.loads(line)["audit"] for line in self.lines.read_text(encoding="utf-8").splitlines()]
        return [audit["event"] for audit in audits if "event" in audit]


@contextmanager
def served(place: Place, *, stdout: int | None = None, overlay: Mapping[str, str] = NOTHING) -> Iterator[Served]:
    """Serve under gunicorn, with `overlay` in the environment. `stdout`: a file descriptor in place of a file."""
    settings = place.settings(overlay)
    number = len(list(place.folder.glob("server-*.log")))
    lines, log = place.folder / f"server-{number}.lines", place.folder / f"server-{number}.log"
    environment = _environment() | {f"BROKER_{name}": value for name, value in overlay.items()}
    command = [sys.executable, "-m", "journeys.serve", str(place.file), place.sts]
    with lines.open("ab") as out, log.open("ab") as err:
        process = subprocess.Popen(
            command, env=environment, stdout=out if stdout is None else stdout, stderr=err, start_new_session=True
        )
    server = Served(url=settings.server.url, place=place, process=process, lines=lines, log=log)
    try:
        _await(server)
        yield server
    finally:
        if not server.ended:
            server.terminate()


def _await(server: Served) -> None:
    def answers() -> bool:
        assert server.process.poll() is None, server.log.read_text(encoding="utf-8", errors="replace")
        return probe(server.url, "/healthz") == 200

    try:
        wait_until(answers, "the server does not answer", seconds=SLOW)
    except AssertionError:
        if server.process.poll() is None:
            server.kill()
        server.ended = True
        raise


def probe(url: str, path: str) -> int:
    """The status of a GET; 0 where nobody answers."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


def _environment() -> dict[str, str]:
    """Ours without what would lead the AWS SDKs elsewhere, and with the test helpers on the path."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))
    return ours | {"PYTHONPATH": path, "AWS_EC2_METADATA_DISABLED": "true"}
