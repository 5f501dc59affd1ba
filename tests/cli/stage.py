"""A folder as an operator would have it, before the sandbox's neighbours, and the program run in this process."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from broker.app import Broker, Stand, open_broker
from broker.challenge.proof import Proof
from broker.cli import broker as program
from broker.cli.opened import here
from broker.clock import utc_now
from broker.flow.mapping import read_mapping
from broker.flow.operate import create_enrolment_code
from broker.keys import Keyring
from broker.sandbox.authenticator import code_of
from broker.sandbox.directory import SandboxDirectory, read_seed
from broker.sandbox.pki import SandboxPki
from broker.sandbox.sts import DemoRole, SandboxSts, World, demo_world
from broker.sessions.people import Person, recognise
from broker.sessions.session import Session
from broker.settings import examples, load

PROVIDER = "corp-ad"
BROKER_USER = "arn:aws:iam::999999999999:user/federation-broker"
SERVICE_PASSWORD = next(person.password for person in read_seed().people if person.account == "svc-broker")
OFFICE = ("--from", "10.1.2.3")
ROLE = "payments-dev/power-user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """What surrounds a broker; no test changes it."""

    directory: SandboxDirectory
    sts: SandboxSts


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder with broker.yaml and all that it names."""

    folder: Path
    sts: str

    @property
    def file(self) -> Path:
        return self.folder / "broker.yaml"

    @property
    def stand(self) -> Stand:
        return Stand(sts_endpoint=self.sts, lines=False)

    def run(self, *arguments: str, stand: Stand | None = None) -> Result:
        """`broker --config …/broker.yaml ARGUMENTS`, with the STS of the sandbox."""
        return run("--config", str(self.file), *arguments, stand=stand or self.stand)

    @contextmanager
    def opened(self) -> Iterator[Broker]:
        """The broker of this folder."""
        broker = open_broker(load(self.file, {}).settings, self.stand)
        try:
            yield broker
        finally:
            broker.close()

    def change(self, **sections: object) -> None:
        """Put these sections into broker.yaml; None takes one away."""
        data = yaml.safe_load(self.file.read_text(encoding="utf-8")) | sections
        self.file.write_text(yaml.safe_dump({key: own for key, own in data.items() if own is not None}), "utf-8")


def run(*arguments: str, stand: Stand | None = None) -> Result:
    """The operator's program. What escapes it is the test's own failure, but for the exit code."""
    result = CliRunner().invoke(program, list(arguments), prog_name="broker", obj=stand)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@contextmanager
def neighbours(folder: Path) -> Iterator[Neighbours]:
    """The sandbox's directory and STS."""
    pki = SandboxPki(folder / "pki")
    with (
        SandboxDirectory(read_seed(), pki=pki, clock=utc_now) as directory,
        SandboxSts(_world(), clock=utc_now) as sts,
    ):
        yield Neighbours(directory=directory, sts=sts)


def furnish(folder: Path, around: Neighbours) -> Place:
    """Write the files of a new installation; its database is there, and ada, grace and olga have signed in."""
    folder.mkdir(parents=True)
    key = around.sts.world.users[0].keys[0]
    mapping = (examples() / "mappings.yaml").read_text(encoding="utf-8")
    texts = {
        "aws-key": f"[default]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n",
        "directory-password": SERVICE_PASSWORD,
        "mappings.yaml": mapping,
        "broker.yaml": yaml.safe_dump(_configuration(around.directory)),
    }
    for name, text in texts.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text, encoding="utf-8")
    Keyring.generate(now=utc_now()).save(folder / "keys.json")
    place = Place(folder=folder, sts=around.sts.url)
    with place.opened() as broker:
        for account in ("ada", "grace", "olga"):
            enrol(broker, account)
    return place


def copy_of(place: Place, folder: Path) -> Place:
    """The same in another folder, for a test that changes it."""
    shutil.copytree(place.folder, folder)
    return Place(folder=folder, sts=place.sts)


def enrol(broker: Broker, account: str) -> str:
    """Set up the app of `account`, with an operator's code; the app's key."""
    parts, now = broker.parts, utc_now()
    found = parts.providers[PROVIDER].lookup(account)
    person, _ = recognise(parts.people, found, new_id=parts.new_id)
    proof = Proof(person=person.id, session_name=person.session_name, identity=found)
    pending = parts.enrolment.begin(proof, now)
    code = create_enrolment_code(parts, here(), operator="test", provider=PROVIDER, subject=found.subject)
    answer = code_of(pending.text_key, now, steps_ahead=-1)
    parts.enrolment.complete(proof, pending.sealed, answer, now, enrolment_code=code.text)
    return pending.text_key.replace(" ", "")


def person(broker: Broker, account: str) -> Person:
    """Who has this session name."""
    found = broker.parts.people.by_session_name(account)
    assert found is not None
    return found


def a_session(broker: Broker, account: str) -> Session:
    """A live session in which the password was shown."""
    parts = broker.parts
    known, found = person(broker, account), parts.providers[PROVIDER].lookup(account)
    session = parts.sessions.blank(utc_now(), address="10.1.2.3").signed_in(
        person=known.id, session_name=known.session_name, identity=found, now=utc_now()
    )
    return parts.sessions.start(session)[1]


def _world() -> World:
    snapshot = read_mapping(
        {"mappings.yaml": (examples() / "mappings.yaml").read_text(encoding="utf-8")}, providers=None, now=utc_now()
    )
    accounts, roles = snapshot.catalogue.accounts.values(), snapshot.catalogue.roles.values()
    every = [DemoRole(account=account.id, name=role.iam_role) for account in accounts for role in roles]
    return demo_world(every, broker_user_arn=BROKER_USER)


def _configuration(directory: SandboxDirectory) -> dict[str, Any]:
    return {
        "server": {"url": "http://localhost:8400", "bind": "127.0.0.1:8400"},
        "keys": {"file": "keys.json"},
        "storage": {"url": "sqlite:///broker.db"},
        "mappings": {"files": ["mappings.yaml"]},
        "providers": {
            PROVIDER: {
                "type": "ldap",
                "servers": [f"ldaps://localhost:{directory.ldaps_port}"],
                "ca_file": str(directory.ca_file),
                "bind_dn": "svc-broker@corp.example",
                "password_file": "directory-password",
                "domain": "CORP",
                "upn_suffixes": ["corp.example"],
                "user_bases": ["OU=Staff,DC=corp,DC=example"],
                "refusal_floor": 0,
            }
        },
        "aws": {
            "regions": ["eu-central-1"],
            "access_key_file": "aws-key",
            "budget": "2s",
            "connect_timeout": "1s",
            "read_timeout": "1s",
        },
        "audit": {"stdout": "required"},
    }
