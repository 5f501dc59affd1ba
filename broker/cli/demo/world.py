"""The demo's world: a directory, an STS, keys, a configuration and a broker, all on loopback, all in one folder."""

import fcntl
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from broker.app import Broker, LocalServer, Stand, open_broker
from broker.challenge.proof import Proof
from broker.cli.demo import terminal
from broker.cli.opened import here
from broker.clock import utc_now
from broker.errors import ConfigurationError, Problem
from broker.flow.mapping import read_mapping
from broker.flow.operate import create_enrolment_code
from broker.issue.console import LocalSignIn
from broker.keys import Keyring
from broker.sandbox.authenticator import Authenticator, code_of
from broker.sandbox.authenticator_page import AuthenticatorPage, Phone
from broker.sandbox.directory import SandboxDirectory, Seed, read_seed
from broker.sandbox.pki import SandboxPki
from broker.sandbox.signin import SandboxSignIn
from broker.sandbox.sts import AccessKey, DemoRole, SandboxSts, demo_world, new_access_key
from broker.sessions.people import recognise
from broker.settings import examples, load

BROKER_USER = "arn:aws:iam::999999999999:user/federation-broker"
REGION = "eu-central-1"
PROVIDER = "corp-ad"
STAMP = "demo"
SERVICE_ACCOUNT = "svc-broker"
USUAL_PORT = 8400
LONG = 4096
"""Columns of a line in broker.yaml: a path with blanks in it must stay on one."""
SHORTEST = timedelta(hours=1)
"""The least that IAM takes as MaxSessionDuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A running demo."""

    folder: Path
    url: str
    sts: SandboxSts
    sign_in: SandboxSignIn
    directory: SandboxDirectory
    seed: Seed
    broker: Broker
    authenticator: Authenticator
    phones: str
    """Where the page with everybody's codes is."""


@contextmanager
def running(
    folder: Path, *, host: str, port: int, enrolled: tuple[str, ...], seed: Seed | None = None, mapping: str = ""
) -> Iterator[Demo]:
    """Start everything, serve, and stop everything. `enrolled` have their authenticator app set up already.

    `seed` and `mapping` take the place of the demo's own people and of the example document, for tests.
    """
    if host not in {"localhost", "127.0.0.1"}:  # check: demo-loopback-only
        problem = Problem(where="--host", what="the demo listens on this machine only", remedy="use localhost")
        raise ConfigurationError([problem])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seed = seed or read_seed()
    mapping = mapping or (examples() / "mappings.yaml").read_text(encoding="utf-8")
    key = new_access_key()
    with ExitStack() as stack:
        stack.enter_context(_alone(folder))
        directory = stack.enter_context(SandboxDirectory(seed, pki=SandboxPki(folder / "pki"), clock=utc_now))
        roles = list(_roles(mapping))
        sts = stack.enter_context(SandboxSts(demo_world(roles, broker_user_arn=BROKER_USER, key=key), clock=utc_now))
        sign_in = stack.enter_context(SandboxSignIn(sts, clock=utc_now))
        listener = stack.enter_context(_listener(host, port))
        port = listener.getsockname()[1]
        url = f"http://{host}:{port}"
        _write(folder, url, directory, seed, key, mapping)
        broker = _open(folder, sts, sign_in)
        stack.callback(broker.close)
        broker.parts.issuer.check()
        broker.storage.stamp(STAMP)
        authenticator = Authenticator(folder / "authenticator.json")
        demo = Demo(
            folder=folder,
            url=url,
            sts=sts,
            sign_in=sign_in,
            directory=directory,
            seed=seed,
            broker=broker,
            authenticator=authenticator,
            phones=stack.enter_context(AuthenticatorPage(authenticator, list(_phones(seed)), clock=utc_now)).url,
        )
        for account in enrolled:
            _enrol(demo, account)
        _leave_word(demo)
        stack.enter_context(LocalServer(broker, host=host, port=port, fd=listener.fileno()))
        yield demo


def _open(folder: Path, sts: SandboxSts, sign_in: SandboxSignIn) -> Broker:
    """The broker of this folder, before the sandbox's AWS."""
    local = LocalSignIn(sign_in=sign_in.url, console=sign_in.console_url)
    stand = Stand(sts_endpoint=sts.url, sign_in=local, lines=False)
    return open_broker(load(folder / "broker.yaml", {}).settings, stand)


def enrolment_code(demo: Demo, account: str) -> str:
    """What `broker users enrol-code` would print."""
    provider = demo.broker.parts.providers[PROVIDER]
    subject = provider.lookup(account).subject
    made = create_enrolment_code(demo.broker.parts, here(), operator="demo", provider=PROVIDER, subject=subject)
    return made.text


def _enrol(demo: Demo, account: str) -> None:
    """Set up the app of `account`, through the same steps as a person would go."""
    parts, now = demo.broker.parts, utc_now()
    identity = parts.providers[PROVIDER].lookup(account)
    person, _ = recognise(parts.people, identity, new_id=parts.new_id)
    if any(factor.enrolled(person.id) for factor in parts.factors.values()):
        return
    proof = Proof(person=person.id, session_name=person.session_name, identity=identity)
    pending = parts.enrolment.begin(proof, now)
    code = code_of(pending.text_key, now, steps_ahead=-1)
    parts.enrolment.complete(proof, pending.sealed, code, now, enrolment_code=enrolment_code(demo, account))
    demo.authenticator.remember(account, pending.text_key)


def _phones(seed: Seed) -> Iterator[Phone]:
    for person in seed.people:
        if person.account != SERVICE_ACCOUNT:
            name = person.display_name or f"{person.given_name} {person.surname}"
            yield Phone(account=person.account, name=name)


def _roles(mapping: str) -> Iterator[DemoRole]:
    """An IAM role for everything that the example document could give."""
    snapshot = read_mapping({"mappings.yaml": mapping}, providers=None, now=utc_now())
    for account in snapshot.catalogue.accounts.values():
        for role in snapshot.catalogue.roles.values():
            yield DemoRole(
                account=account.id,
                partition=account.partition,
                name=role.iam_role,
                external_id=account.external_id,
                max_session=max(role.max_session, SHORTEST),
            )


def _write(folder: Path, url: str, directory: SandboxDirectory, seed: Seed, key: AccessKey, mapping: str) -> None:
    """The configuration that a real broker would have, pointed at the sandbox."""
    private = {
        "aws-key": f"[default]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n",
        "directory-password": next(p.password for p in seed.people if p.account == SERVICE_ACCOUNT),
        "broker.yaml": yaml.safe_dump(_configuration(url, directory, seed), sort_keys=False, width=LONG),
        "mappings.yaml": mapping,
    }
    for name, text in private.items():
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
    if not (folder / "keys.json").exists():
        Keyring.generate(now=utc_now(), demo=True).save(folder / "keys.json")


def _configuration(url: str, directory: SandboxDirectory, seed: Seed) -> dict[str, Any]:
    suffix = ",".join(f"DC={part}" for part in seed.domain.dns_name.split("."))
    return {
        "server": {"url": url, "bind": url.removeprefix("http://")},
        "keys": {"file": "keys.json"},
        "storage": {"url": "sqlite:///broker.db"},
        "mappings": {"files": ["mappings.yaml"]},
        "providers": {
            PROVIDER: {
                "type": "ldap",
                "servers": [f"ldaps://localhost:{directory.ldaps_port}"],
                "ca_file": str(directory.ca_file),
                "bind_dn": f"{SERVICE_ACCOUNT}@{seed.domain.dns_name}",
                "password_file": "directory-password",
                "domain": seed.domain.netbios_name,
                "upn_suffixes": [seed.domain.dns_name],
                "user_bases": [f"OU=Staff,{suffix}"],
            }
        },
        "aws": {"regions": [REGION], "access_key_file": "aws-key"},
        "owners": [{"provider": PROVIDER, "dn": f"CN=Broker-Owners,OU=Groups,{suffix}"}],
        "audit": {"stdout": "off"},
    }


def _leave_word(demo: Demo) -> None:
    """What `broker demo code` and its like need to find this demo."""
    people = {person.account: person.password for person in demo.seed.people}
    word = {"url": demo.url, "sts": demo.sts.url, "region": REGION, "people": people}
    file = demo.folder / "demo.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(word), encoding="utf-8")
    terminal.write(demo.folder, url=demo.url, sts=demo.sts.url, region=REGION)


def _listener(host: str, wanted: int) -> socket.socket:
    """A socket on the port that was asked for, else on the usual one if nobody has it, else on any."""
    for port in (wanted,) if wanted else (USUAL_PORT, 0):
        with suppress(OSError):
            return socket.create_server((host, port), backlog=128)
    problem = Problem(where="--port", what="somebody listens there already", remedy="name another, or none")
    raise ConfigurationError([problem])


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One demo at a time works with one folder."""
    with (folder / "lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            what, remedy = "another demo keeps its state here", "stop it, or name another folder"
            raise ConfigurationError([Problem(where=str(folder), what=what, remedy=remedy)]) from error
        yield
