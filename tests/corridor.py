"""The whole corridor for tests: a directory and an STS on loopback, a broker before them, and a clock that is moved.

`World` is what surrounds a broker: the sandbox's directory and STS, both by the same clock. A `Corridor` is one broker
in it. People are taken from a pool, each for one test, so that tests share a world and still do not meet.

    person = corridor.person("developer", enrolled=True)
    browser = corridor.signed_in(person)
    browser.credentials("payments-dev/power-user").json
"""

import html
import itertools
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
import yaml
from builders import HOUR, MINUTE, NOW
from flask import Flask
from werkzeug.http import parse_cookie
from werkzeug.test import Client, TestResponse

from broker.app import Broker, Stand, is_owner, open_broker
from broker.authenticate.identity import PersonId
from broker.challenge.proof import Method, Proof
from broker.evaluate.condition import Circumstances
from broker.flow import Parts, show_factor, sign_in
from broker.flow.mapping import read_mapping
from broker.flow.operate import create_enrolment_code
from broker.issue.console import LocalSignIn
from broker.keys import Keyring, Purpose
from broker.record.canonical import parse
from broker.record.event import Event, Tag
from broker.record.trail import Query
from broker.sandbox.authenticator import code_of
from broker.sandbox.directory import SandboxDirectory, Seed
from broker.sandbox.pki import SandboxPki
from broker.sandbox.signin import SandboxSignIn
from broker.sandbox.sts import AccessKey, DemoRole, SandboxSts, demo_world, new_access_key
from broker.sessions.people import recognise
from broker.sessions.session import Session
from broker.settings import load
from broker.web.client import Proxies
from broker.web.cookie import COOKIE
from broker.web.known import COOKIE as KNOWN
from broker.web.known import KnownBrowsers
from broker.web.metrics import Metrics
from broker.web.wsgi import Site, make_app

URL = "https://broker.corp.example"
HOST = "broker.corp.example"
OFFICE = "10.1.2.3"
PROXY = "10.255.0.1"
MONITOR = "192.0.2.10"
PROVIDER = "corp-ad"
ROOT = "DC=corp,DC=example"
SID = "S-1-5-21-1004336348-1177238915-682003330"
BROKER_USER = "arn:aws:iam::999999999999:user/federation-broker"
STEP = timedelta(seconds=30)

GROUPS = {"SRE": "Groups", "AWS-Blocked": "Groups", "Broker-Owners": "Groups", "Team-payments": "Teams"}
KINDS: Mapping[str, Sequence[str]] = {
    "developer": ["Team-payments"],
    "sre": ["SRE"],
    "leaver": ["SRE", "AWS-Blocked"],
    "owner": ["Broker-Owners", "SRE"],
    "stranger": [],
}
POOL = {"developer": 100, "sre": 30}
OTHERS = 12
SCRIPT = "<script>alert(1)</script>"

MAPPING = f"""
version: 1
groups:
  sre: {{provider: corp-ad, dn: "CN=SRE,OU=Groups,{ROOT}", id: "{SID}-2000"}}
  leavers: {{provider: corp-ad, dn: "CN=AWS-Blocked,OU=Groups,{ROOT}", id: "{SID}-2001"}}
accounts:
  payments-prod: {{id: "012345678901", env: prod, tags: {{team: payments}}}}
  payments-dev: {{id: "210987654321", env: dev, tags: {{team: payments}}, external_id: b7c1-4711}}
  untrusting: {{id: "987654321098", env: test}}
roles:
  read-only: {{iam_role: federated/ReadOnly, max_session: 8h, description: "Look, do not touch"}}
  power-user: {{iam_role: federated/PowerUser, max_session: 4h}}
  fresh: {{iam_role: federated/Fresh, max_session: 1h}}
  by-key: {{iam_role: federated/ByKey, max_session: 1h}}
  critical: {{iam_role: federated/Critical, max_session: 1h}}
guardrails:
  - {{name: fresh-code, roles: [fresh], conditions: {{mfa: {{methods: [totp], max_age: 5m}}}}}}
  - {{name: by-key-only, roles: [by-key], conditions: {{mfa: {{methods: [webauthn], max_age: 15m}}}}}}
mappings:
  - name: teams-own-their-dev
    groups: {{provider: corp-ad, under: "OU=Teams,{ROOT}", named: "Team-{{account.tags.team}}"}}
    accounts: {{env: [dev]}}
    roles: [power-user]
  - {{name: sre-reads, groups: [sre], accounts: all, roles: [read-only]}}
  - {{name: sre-dev, groups: [sre], accounts: [payments-dev], roles: [fresh, by-key, critical]}}
  - name: sre-mends-prod-in-office-hours
    groups: [sre]
    accounts: [payments-prod]
    roles: [power-user]
    conditions:
      source_ip: {{in: ["10.0.0.0/8"]}}
      time_of_day: {{days: [mon-fri], from: "08:00", to: "18:00", zone: Europe/Berlin}}
      tls: {{min: "1.2"}}
denies:
  - {{name: leavers, groups: [leavers], accounts: all, roles: all}}
tests:
  - name: leavers have nothing
    groups: [sre, leavers]
    mfa: {{methods: [totp], age: 1m}}
    deny: ["*/*"]
...
"""


class MovableClock:
    """The one clock of every world, so that it can also be botocore's."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


CLOCK = MovableClock(NOW)
USED: dict[str, int] = {}
"""The last step of each app whose code was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Somebody:
    """One person of the pool, and their authenticator app once it is set up."""

    account: str
    password: str
    key: str = ""
    subject: str = ""
    id: PersonId | None = None
    recovery_codes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What surrounds a broker."""

    folder: Path
    directory: SandboxDirectory
    sts: SandboxSts
    sign_in: SandboxSignIn
    key: AccessKey
    pool: Mapping[str, Iterator[str]]

    def take(self, kind: str) -> Somebody:
        """Somebody whom no other test has."""
        account = next(self.pool[kind])
        return Somebody(account=account, password=f"{account}-password")


def _seed() -> Seed:
    groups = [{"name": name, "unit": unit, "rid": 2000 + n} for n, (name, unit) in enumerate(GROUPS.items())]
    people = [
        {
            "account": f"{kind}{number:03}",
            "given_name": kind.title(),
            "surname": SCRIPT if kind == "stranger" else f"No {number}",
            "common_name": f"{kind} {number}",
            "unit": "Staff",
            "rid": 3000 + 1000 * k + number,
            "password": f"{kind}{number:03}-password",
            "groups": list(member_of),
            "story": "for tests",
        }
        for k, (kind, member_of) in enumerate(KINDS.items())
        for number in range(POOL.get(kind, OTHERS))
    ]
    service = {"account": "svc-broker", "given_name": "S", "surname": "B", "unit": "Services", "rid": 9999}
    people.append({**service, "password": "svc-broker-password", "story": "looks people up"})
    domain = {
        "dns_name": "corp.example",
        "netbios_name": "CORP",
        "sid": SID,
        "controller": "dc1",
        "lockout_threshold": 50,
        "lockout_minutes": 30,
        "password_days": 90,
    }
    units = ["Staff", "Services", "Groups", "Teams"]
    return Seed.model_validate({"version": 1, "domain": domain, "units": units, "groups": groups, "people": people})


def _roles() -> Iterator[DemoRole]:
    """IAM's side of the document; the account `untrusting` has none of the roles."""
    snapshot = read_mapping({"m.yaml": MAPPING}, providers=None, now=NOW)
    for account in snapshot.catalogue.accounts.values():
        for role in snapshot.catalogue.roles.values():
            if account.name != "untrusting":
                yield DemoRole(
                    account=account.id,
                    name=role.iam_role,
                    external_id=account.external_id,
                    max_session=role.max_session,
                )


@contextmanager
def a_world(folder: Path) -> Iterator[World]:
    """Start it, and stop it."""
    key = new_access_key()
    pool = {kind: iter([f"{kind}{number:03}" for number in range(POOL.get(kind, OTHERS))]) for kind in KINDS}
    with ExitStack() as stack:
        directory = stack.enter_context(SandboxDirectory(_seed(), pki=SandboxPki(folder / "pki"), clock=CLOCK))
        sts = stack.enter_context(SandboxSts(demo_world(_roles(), broker_user_arn=BROKER_USER, key=key), clock=CLOCK))
        sign_in = stack.enter_context(SandboxSignIn(sts, clock=CLOCK))
        yield World(folder=folder, directory=directory, sts=sts, sign_in=sign_in, key=key, pool=pool)


class Answer(TestResponse):
    """What came back; a test that reads JSON expects it."""

    @property
    def json(self) -> Any:  # noqa: ANN401 (JSON)
        """The body."""
        return self.get_json()


class Browser:
    """A browser of sorts, behind the declared proxy unless it says otherwise. Keeps its two cookies by hand."""

    def __init__(self, app: Flask, *, address: str = OFFICE, peer: str = PROXY, token: str = "") -> None:
        self._client = Client(app, Answer, use_cookies=False)
        self.address, self.peer, self.token, self.known = address, peer, token, ""
        self.last: Answer | None = None
        self.set_cookies: list[str] = []

    def open(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        data: bytes | str | Mapping[str, Any] | None = None,
        content_type: str | None = None,
        host: str = HOST,
    ) -> Answer:
        """One request, with nothing added but the cookie and what the proxy says."""
        given = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        cookies = [f"{name}={value}" for name, value in ((COOKIE, self.token), (KNOWN, self.known)) if value]
        sent = [("Host", host), *([("Cookie", "; ".join(cookies))] if cookies else []), *given]
        if self.address and not any(name == "X-Forwarded-For" for name, _ in given):
            sent += [("X-Forwarded-For", self.address), ("X-TLS-Version", "TLSv1.3")]
        answer: Answer = self._client.open(  # type: ignore[assignment]  # the wrapper given above
            path,
            method=method,
            headers=sent,
            data=data,
            content_type=content_type,
            environ_overrides={"REMOTE_ADDR": self.peer},
            buffered=True,
        )
        for line in answer.headers.getlist("Set-Cookie"):
            self.set_cookies.append(line)
            value = parse_cookie(line).get(COOKIE)
            if value is not None:
                self.token = "" if "Max-Age=0" in line else value
            self.known = parse_cookie(line).get(KNOWN, self.known)
        self.last = answer
        return answer

    def get(self, path: str, **more: Any) -> Answer:  # noqa: ANN401 (passed on)
        """Load a page, without following it anywhere."""
        return self.open("GET", path, **more)

    def visit(self, path: str) -> Answer:
        """Load a page, and follow where it leads."""
        return self._follow(self.get(path))

    @property
    def text(self) -> str:
        """The last page."""
        assert self.last is not None
        return self.last.get_data(as_text=True)

    @property
    def csrf(self) -> str:
        """The CSRF token of the last page."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.text)
        return html.unescape(found[1]) if found else ""

    def submit(self, path: str, *, follow: bool = True, **fields: Any) -> Answer:  # noqa: ANN401 (texts)
        """Send the form of the last page as a browser does."""
        headers = {"Origin": URL, "Sec-Fetch-Site": "same-origin", "Referer": URL + "/"}
        answer = self.open("POST", path, headers=headers, data={"csrf_token": self.csrf, **fields})
        return self._follow(answer) if follow else answer

    def post(self, path: str, body: object, *, csrf: str | None = None, **headers: str) -> Answer:
        """Call the API as a script of the broker's own page does; the token comes from `whoami`."""
        if csrf is None:
            csrf = self.get("/api/v1/whoami").get_json().get("csrf_token", "")
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        sent = {"Origin": URL, "X-CSRFToken": csrf, **headers}
        return self.open("POST", path, headers=sent, data=data, content_type="application/json")

    def credentials(self, role: str, **more: object) -> Answer:
        """Ask for a role."""
        return self.post("/api/v1/credentials", {"role": role, **more})

    def sign_in(self, person: Somebody, *, password: str | None = None) -> Answer:
        """The first step."""
        self.visit("/sign-in")
        given = person.password if password is None else password
        return self.submit("/sign-in", provider=PROVIDER, username=person.account, password=given)

    def _follow(self, answer: Answer) -> Answer:
        for _ in range(5):
            if answer.status_code not in {301, 302, 303, 307, 308}:
                return answer
            assert not urlsplit(answer.location).netloc, answer.location
            answer = self.get(answer.location)
        message = "too many redirects"
        raise AssertionError(message)

    @property
    def path(self) -> str:
        """Of the last request."""
        assert self.last is not None
        return self.last.request.path


class Corridor:
    """One broker in a world."""

    def __init__(self, world: World, broker: Broker) -> None:
        self.world, self.broker, self.clock = world, broker, CLOCK
        self.parts = broker.parts
        self.app = self.app_of(self.parts)
        self._requests = itertools.count(1)
        self._free: dict[str, list[Somebody]] = {}
        self._lent: list[tuple[str, Somebody]] = []

    def app_of(self, parts: Parts, **changes: Any) -> Flask:  # noqa: ANN401 (passed on)
        """The web application over `parts`; `changes` are fields of `Site`."""
        server = self.broker.settings.server
        site = Site(
            url=server.url,
            proxies=Proxies(networks=server.trusted_proxies, tls_header=server.tls_version_header),
            monitors=server.monitors,
            csrf_secret=self.broker.keyring.secret_text(Purpose.CSRF),
            needs={"storage": self.broker.storage.check, "audit": self.broker.metrics.check_trail},
            neighbours={"directory": parts.providers[PROVIDER].clock_offset, "aws": parts.issuer.check},
            known=KnownBrowsers(keyring=self.broker.keyring, clock=CLOCK, randomness=secrets.token_bytes),
            is_owner=lambda groups: is_owner(self.broker.settings.owners, groups),
        )
        return make_app(parts, replace(site, **changes), self.broker.metrics if parts is self.parts else Metrics())

    def moment(self, *, address: str | None = OFFICE, tls_version: str = "1.3") -> Circumstances:
        """Now, as a request of its own."""
        where = ip_address(address) if address else None
        request = f"request-{next(self._requests)}-{id(self):x}"
        return Circumstances(now=self.clock(), address=where, tls_version=tls_version, request_id=request)

    def until_office_hours(self) -> None:
        """The next morning from Monday to Friday, unless it is such a day already."""
        while not 8 <= self.clock().hour < 15 or self.clock().weekday() >= 5:
            self.clock.advance(HOUR)

    def events(self, request: Circumstances | Answer | str) -> list[Event]:
        """What is in the trail about one request, in the order of writing."""
        if isinstance(request, Circumstances):
            request = request.request_id
        elif not isinstance(request, str):
            request = request.headers["X-Request-Id"]
        return self.search(Query(request_id=request))

    def search(self, query: Query) -> list[Event]:
        """What the trail has, in the order of writing."""
        links = self.broker.storage.trail.search(query, limit=500)
        return [parse(link.payload) for link in sorted(links, key=lambda link: link.number) if link.payload]

    def tags(self, request: Circumstances | Answer | str) -> list[Tag]:
        """Only what happened."""
        return [event.tag for event in self.events(request)]

    def person(self, kind: str = "developer", *, enrolled: bool = False, for_good: bool = False) -> Somebody:
        """Somebody whom no other test has; with an authenticator app if wanted.

        Who is enrolled is lent, and forgiven afterwards. Whoever changes them in the directory, or takes their factor,
        has them `for_good`; who is not enrolled has never been seen.
        """
        if not enrolled:
            return self.world.take(kind)
        free = self._free.setdefault(kind, [])
        person = free.pop() if free and not for_good else self.enrol(self.world.take(kind))
        if not for_good:
            self._lent.append((kind, person))
        return person

    def give_back(self) -> None:
        """After a test: who was lent is free again, signed in nowhere, and has done nothing wrong."""
        for kind, person in self._lent:
            assert person.id is not None
            self.parts.sessions.end_all(person.id)
            self.parts.enrolment.forgive(person.id)
            self.parts.providers[PROVIDER].forgive(person.subject)
            self._free[kind].append(person)
        self._lent.clear()

    def nobody(self) -> str:
        """A name that nobody has, and that nobody tried before."""
        return f"nobody{next(self._requests)}"

    def enrolment_code(self, person: Somebody) -> str:
        """What the operator gives out."""
        subject = person.subject or self.parts.providers[PROVIDER].lookup(person.account).subject
        made = create_enrolment_code(self.parts, self.moment(), operator="test", provider=PROVIDER, subject=subject)
        return made.text

    def enrol(self, person: Somebody) -> Somebody:
        """Set up the app, through the same steps as a person goes."""
        parts, now = self.parts, self.clock()
        identity = parts.providers[PROVIDER].lookup(person.account)
        known, _ = recognise(parts.people, identity, new_id=parts.new_id)
        proof = Proof(person=known.id, session_name=known.session_name, identity=identity)
        pending = parts.enrolment.begin(proof, now)
        person = replace(person, key=pending.text_key, subject=identity.subject, id=known.id)
        answer, text = self.code(person), self.enrolment_code(person)
        done = parts.enrolment.complete(proof, pending.sealed, answer, self.clock(), enrolment_code=text)
        codes = parts.recovery.renew(proof.with_shown(done.shown), self.clock())
        return replace(person, recovery_codes=codes)

    def code(self, person: Somebody) -> str:
        """A code of the app that was not used yet; the clock moves where it must."""
        step = int(self.clock().timestamp()) // 30
        if step <= USED.get(person.key, 0):
            self.clock.advance((USED[person.key] + 1 - step) * STEP)
            step = int(self.clock().timestamp()) // 30
        USED[person.key] = step
        return code_of(person.key, self.clock())

    def password_shown(self, person: Somebody) -> Session:
        """A session after the password, as the corridor makes it."""
        blank = self.parts.sessions.blank(self.clock(), address=OFFICE)
        half = sign_in(
            self.parts,
            blank,
            provider=PROVIDER,
            username=person.account,
            password=person.password,
            circumstances=self.moment(),
        )
        return self.kept(half)

    def session(self, person: Somebody) -> Session:
        """A session after both."""
        half = self.password_shown(person)
        code = self.code(person)
        return self.kept(show_factor(self.parts, half, method=Method.TOTP, answer=code, circumstances=self.moment()))

    def kept(self, session: Session) -> Session:
        """The session under a new token, as after each step."""
        rotated = self.parts.sessions.rotate(session)
        assert rotated is not None
        return rotated[1]

    def reload(self, session: Session) -> Session | None:
        """The session as it is kept now."""
        return self.broker.storage.sessions.get(session.key)

    def browser(self, **more: Any) -> Browser:  # noqa: ANN401 (passed on)
        """A browser that has been nowhere yet."""
        return Browser(self.app, **more)

    def half_signed_in(self, person: Somebody, **more: Any) -> Browser:  # noqa: ANN401 (passed on)
        """A browser after the password."""
        browser = self.browser(**more)
        browser.sign_in(person)
        assert browser.path in {"/enrol", "/challenge"}, browser.text
        return browser

    def signed_in(self, person: Somebody, **more: Any) -> Browser:  # noqa: ANN401 (passed on)
        """A browser after both."""
        browser = self.half_signed_in(person, **more)
        browser.submit("/challenge", method="totp", answer=self.code(person))
        assert browser.path == "/", browser.text
        return browser


def configuration(world: World) -> dict[str, Any]:
    """What a real broker would have, pointed at the sandbox."""
    return {
        "server": {
            "url": URL,
            "trusted_proxies": ["10.255.0.0/24", "fd00:ffff::/64"],
            "tls_version_header": "X-TLS-Version",
            "monitors": [f"{MONITOR}/32", "127.0.0.0/8"],
        },
        "keys": {"file": "keys.json"},
        "storage": {"url": "sqlite:///broker.db"},
        "mappings": {"files": ["mappings.yaml"]},
        "providers": {
            PROVIDER: {
                "type": "ldap",
                "servers": [f"ldaps://localhost:{world.directory.ldaps_port}"],
                "ca_file": str(world.directory.ca_file),
                "bind_dn": "svc-broker@corp.example",
                "password": "svc-broker-password",
                "domain": "CORP",
                "upn_suffixes": ["corp.example"],
                "user_bases": [f"OU=Staff,{ROOT}"],
                "refusal_floor": 0,
            }
        },
        "aws": {"regions": ["eu-central-1"], "access_key_file": "aws-key"},
        "directory": {"outage_grace_of_role": {"critical": "0s"}},
        "owners": [{"provider": PROVIDER, "id": f"{SID}-2002"}],
        "audit": {"stdout": "off"},
    }


@contextmanager
def a_corridor(world: World, folder: Path, *, mapping: str = MAPPING, **changes: Any) -> Iterator[Corridor]:  # noqa: ANN401 (passed on)
    """A broker of its own, in `folder`; one that is there already is another instance over the same database."""
    folder.mkdir(exist_ok=True)
    if not (folder / "keys.json").exists():
        Keyring.generate(now=CLOCK()).save(folder / "keys.json")
    key = f"[default]\naws_access_key_id = {world.key.id}\naws_secret_access_key = {world.key.secret}\n"
    texts = {
        "aws-key": key,
        "mappings.yaml": mapping,
        "broker.yaml": yaml.safe_dump(configuration(world) | changes),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    console = LocalSignIn(sign_in=world.sign_in.url, console=world.sign_in.console_url)
    stand = Stand(clock=CLOCK, sts_endpoint=world.sts.url, sign_in=console, lines=False)
    broker = open_broker(load(folder / "broker.yaml", {}).settings, stand)
    try:
        yield Corridor(world, broker)
    finally:
        broker.close()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="session")
def shared_corridor(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corridor]:
    with a_corridor(world, tmp_path_factory.mktemp("corridor")) as made:
        yield made


@pytest.fixture(autouse=True)
def signing_time() -> Iterator[None]:
    """botocore signs by the worlds' clock while a test of theirs runs, and never longer."""
    with patch("botocore.auth.get_current_datetime", lambda: CLOCK().replace(tzinfo=None)):
        yield


@pytest.fixture
def corridor(shared_corridor: Corridor) -> Iterator[Corridor]:
    """The broker that most tests share. It is a little later for each of them."""
    CLOCK.advance(MINUTE)
    yield shared_corridor
    shared_corridor.give_back()


@pytest.fixture
def own_corridor(world: World, tmp_path: Path) -> Iterator[Corridor]:
    """A broker of the test's own: for what would be in others' way."""
    with a_corridor(world, tmp_path / "own") as made:
        yield made
