"""A real Samba AD DC on a loopback address of its own: provisioned once a session, restored from a snapshot per use.

Samba's LDAP ports cannot be changed, so each running domain needs its own address: 127.0.0.10 and 127.0.0.11.
"""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ldap3
import pytest

from broker.sandbox.pki import SandboxPki
from neighbours import missing, need

REALM = "corp.example.test"
DOMAIN = "CORP"
SID = "S-1-5-21-1111111111-2222222222-3333333333"
ROOT = "DC=corp,DC=example,DC=test"
ADMINISTRATOR = f"CN=Administrator,CN=Users,{ROOT}"
PASSWORD = "Adm1n-Passw0rd!"
LOCKOUT_THRESHOLD = 5
FIRST, SECOND = "127.0.0.10", "127.0.0.11"

_SEED = Path(__file__).parent / "data" / "samba_seed.py"
_CONFIGURATION = """\
[global]
  workgroup = {domain}
  realm = {realm}
  netbios name = DC1
  server role = active directory domain controller
  server services = ldap
  interfaces = {address}/8
  bind interfaces only = yes
  private dir = {folder}/private
  state directory = {folder}/state
  cache directory = {folder}/cache
  lock directory = {folder}/lock
  pid directory = {folder}/lock
  ncalrpc dir = {folder}/ncalrpc
  tls certfile = {certificate}
  tls keyfile = {key}
  tls cafile = {ca}
  ldap server require strong auth = yes
  log level = 1 auth_audit:3
[sysvol]
  path = {folder}/state/sysvol
[netlogon]
  path = {folder}/state/sysvol/{realm}/scripts
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SambaImage:
    """A provisioned and seeded domain at rest, and the certificates of its servers."""

    snapshot: Path
    pki: SandboxPki


@dataclass(frozen=True, slots=True, kw_only=True)
class SambaServer:
    """One running domain controller."""

    address: str
    ca_file: Path
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"ldaps://{self.address}"

    def bind_lines(self, account: str) -> int:
        """How many binds of `account` its authentication log shows."""
        log = (self.folder / "out.log").read_text(encoding="utf-8", errors="replace")
        return sum("Auth: [LDAP,simple bind" in line and account in line for line in log.splitlines())

    @contextmanager
    def administrator(self) -> Iterator[ldap3.Connection]:
        """A connection that may change anything."""
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(self.ca_file), valid_names=[f"dc1.{REALM}"])
        server = ldap3.Server(self.url, tls=tls, get_info=ldap3.NONE)
        connection = ldap3.Connection(
            server, ADMINISTRATOR, PASSWORD, auto_bind=True, auto_referrals=False, raise_exceptions=True
        )
        try:
            yield connection
        finally:
            connection.unbind()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:  # in a long search it does not listen
            self.process.kill()
            self.process.wait(3)


def configure(folder: Path, pki: SandboxPki, address: str) -> Path:
    """Write smb.conf for a domain in `folder` that listens at `address`."""
    for name in ("private", "state", "cache", "lock", "ncalrpc"):
        (folder / name).mkdir(exist_ok=True)
    path = folder / "smb.conf"
    path.write_text(
        _CONFIGURATION.format(
            domain=DOMAIN,
            realm=REALM,
            address=address,
            folder=folder,
            certificate=pki.certificate_file,
            key=pki.key_file,
            ca=pki.ca_file,
        ),
        encoding="utf-8",
    )
    return path


def make_image(folder: Path, cast: Mapping[str, object]) -> SambaImage:
    """Provision a domain, fill it with `cast` and keep it as a snapshot."""
    tool = need("samba-tool", "samba-ad-dc")
    need("samba", "samba-ad-dc")
    if not Path("/usr/share/samba/setup").is_dir():
        missing("samba-ad-provision")
    pki = SandboxPki(
        folder / "pki",
        names=(f"dc1.{REALM}", "localhost"),
        addresses=(FIRST, SECOND),
    )
    home = folder / "made"
    home.mkdir()
    configuration = configure(home, pki, FIRST)
    options = ["--server-role=dc", "--dns-backend=NONE", "--host-name=dc1", f"--host-ip={FIRST}", "--quiet"]
    options += [f"--realm={REALM.upper()}", f"--domain={DOMAIN}", f"--adminpass={PASSWORD}", f"--domain-sid={SID}"]
    _run([tool, "domain", "provision", "-s", configuration, *options])
    rules = ["--min-pwd-age=0", "--history-length=0", f"--account-lockout-threshold={LOCKOUT_THRESHOLD}"]
    _run([tool, "domain", "passwordsettings", "set", "-s", configuration, *rules])
    (folder / "cast.json").write_text(json.dumps(cast), encoding="utf-8")
    _run(["/usr/bin/python3", _SEED, configuration, folder / "cast.json"])
    for name, person in cast["people"].items():  # type: ignore[attr-defined]  # JSON has no types
        if person.get("password_set"):
            _backdate(home, f"CN={name},{person['unit']},{ROOT}", person["password_set"])
    snapshot = folder / "snapshot.tar"
    with tarfile.open(snapshot, "w") as archive:
        archive.add(home, arcname=".", filter=lambda member: None if member.name.endswith("smb.conf") else member)
    shutil.rmtree(home)
    return SambaImage(snapshot=snapshot, pki=pki)


@contextmanager
def samba_server(image: SambaImage, folder: Path, address: str = FIRST) -> Iterator[SambaServer]:
    """Run the domain at `address`; where `folder` holds none yet, the snapshot is restored into it."""
    if not (folder / "private").is_dir():
        with tarfile.open(image.snapshot) as archive:
            archive.extractall(folder, filter="fully_trusted")  # noqa: S202 (our own, made a moment ago)
    configuration = configure(folder, image.pki, address)
    with (folder / "out.log").open("ab") as log:
        process = subprocess.Popen(
            [need("samba", "samba-ad-dc"), "-i", "-M", "single", "-s", configuration, "--debug-stdout"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    server = SambaServer(address=address, ca_file=image.pki.ca_file, folder=folder, process=process)
    try:
        _await_port(server)
        yield server
    finally:
        server.stop()


def _await_port(server: SambaServer) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex((server.address, 636)) == 0:
                return
        if server.process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError((server.folder / "out.log").read_text(encoding="utf-8", errors="replace"))


def _backdate(home: Path, dn: str, steps: int) -> None:
    """Set pwdLastSet to the past: only the database file takes that."""
    ldif = f"dn: {dn}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: {steps}\n"
    database = home / "private" / "sam.ldb.d" / f"{ROOT.upper()}.ldb"
    _run([need("ldbmodify", "ldb-tools"), "-H", database], given=ldif)


def _run(command: list[str | Path], given: str = "") -> None:
    done = subprocess.run(
        [str(part) for part in command], input=given, capture_output=True, text=True, check=False, env={**os.environ}
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


@pytest.fixture(scope="session")
def samba_image(tmp_path_factory: pytest.TempPathFactory) -> SambaImage:
    """The contract suite's cast in a Samba domain, at rest."""
    from contracts.cast import samba_cast  # noqa: PLC0415 (plugins are loaded before the test folders can be imported)

    return make_image(tmp_path_factory.mktemp("samba"), samba_cast())


@pytest.fixture
def samba(samba_image: SambaImage, tmp_path: Path) -> Iterator[SambaServer]:
    """A domain controller of a test's own."""
    with samba_server(samba_image, tmp_path) as server:
        yield server
