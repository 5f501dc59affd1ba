"""A real OpenLDAP server with ppolicy: a directory that is not AD. A fresh one takes a few milliseconds."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ldap3
import pytest

from broker.sandbox.pki import SandboxPki
from neighbours import need
from neighbours._waiting import free_port, wait_until

SUFFIX = "dc=corp,dc=example,dc=test"
ROOT_DN = f"cn=root,{SUFFIX}"
ROOT_PASSWORD = "Root-Passw0rd!"
READER = f"cn=reader,ou=Services,{SUFFIX}"
MAX_FAILURES = 20

_CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile {folder}/slapd.pid
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSProtocolMin 3.3
referral {referral}
database mdb
suffix "{suffix}"
rootdn "{root_dn}"
rootpw {root_password}
directory {folder}/db
maxsize 67108864
dbnosync
index objectClass,uid,mail,member,entryUUID eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
overlay ppolicy
ppolicy_default "cn=default,ou=Policies,{suffix}"
ppolicy_use_lockout
"""

_POLICY = """\
dn: cn={name},ou=Policies,{suffix}
objectClass: device
objectClass: pwdPolicy
cn: {name}
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: {failures}
pwdMustChange: TRUE
pwdMaxAge: 31536000
pwdGraceAuthNLimit: {grace}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlapdServer:
    """One running server."""

    port: int
    tls_port: int
    ca_file: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def starttls_url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def ended(self) -> bool:
        """Whether the program has ended by itself."""
        return self.process.poll() is not None

    def bind_lines(self, dn: str) -> int:
        """How many binds as `dn` its log shows."""
        text = self.log.read_text(encoding="utf-8", errors="replace").lower()
        return text.count(f'bind dn="{dn.lower()}" method=128')

    @contextmanager
    def administrator(self) -> Iterator[ldap3.Connection]:
        """A connection that may change anything, over loopback in clear."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        connection = ldap3.Connection(
            server, ROOT_DN, ROOT_PASSWORD, auto_bind=True, auto_referrals=False, raise_exceptions=True
        )
        try:
            yield connection
        finally:
            connection.unbind()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(3)


def policy(name: str, *, failures: int = MAX_FAILURES, grace: int = 0) -> str:
    """A password policy, as LDIF."""
    return _POLICY.format(name=name, suffix=SUFFIX, failures=failures, grace=grace)


@contextmanager
def slapd_server(
    folder: Path, pki: SandboxPki, ldif: str, *, referral: str = "ldap://127.0.0.1:9", ports: tuple[int, int] = (0, 0)
) -> Iterator[SlapdServer]:
    """Run a server; where `folder` holds none yet it is filled with `ldif` first. Outside it refers to `referral`."""
    slapd = need("slapd", "slapd")
    configuration = folder / "slapd.conf"
    if not configuration.exists():
        (folder / "db").mkdir(parents=True)
        configuration.write_text(
            _CONFIGURATION.format(
                folder=folder,
                ca=pki.ca_file,
                certificate=pki.certificate_file,
                key=pki.key_file,
                referral=referral,
                suffix=SUFFIX,
                root_dn=ROOT_DN,
                root_password=ROOT_PASSWORD,
                reader=READER,
            ),
            encoding="utf-8",
        )
        added = subprocess.run(
            [need("slapadd", "slapd"), "-f", configuration, "-q"],
            input=ldif,
            capture_output=True,
            text=True,
            check=False,
        )
        if added.returncode:
            raise RuntimeError(added.stderr)
    server = _start(slapd, configuration, pki, ports)
    try:
        yield server
    finally:
        server.stop()


def _start(program: str, configuration: Path, pki: SandboxPki, ports: tuple[int, int]) -> SlapdServer:
    """Start it; a port that was free a moment ago may be taken by somebody else, so it is tried three times."""
    log = configuration.with_name("out.log")
    for _ in range(3):
        port, tls_port = ports[0] or free_port(), ports[1] or free_port()
        listen = f"ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [program, "-f", configuration, "-h", listen, "-d", "stats"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        server = SlapdServer(port=port, tls_port=tls_port, ca_file=pki.ca_file, log=log, process=process)
        wait_until(lambda server=server: server.ended() or _answers(server), f"slapd does not answer; see {log}")
        if not server.ended():
            return server
    raise RuntimeError(log.read_text(encoding="utf-8", errors="replace"))


def _answers(server: SlapdServer) -> bool:
    """Whether it listens: the second port is the later one."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.tls_port)) == 0


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[SlapdServer]:
    """The contract's cast in an OpenLDAP server of a test's own."""
    from contracts.cast import slapd_cast  # noqa: PLC0415 (plugins are loaded before the test folders can be imported)

    with slapd_server(tmp_path / "slapd", SandboxPki(tmp_path / "pki"), slapd_cast()) as server:
        yield server
