"""The sandbox's certificates: trusted by nobody but who is told to, and accepted by strict verification."""

import os
import socket
import ssl
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from broker.clock import utc_now
from broker.sandbox.pki import SandboxPki


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pki"


def _strict_client(ca_file: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    return context


def _shake_hands(pki: SandboxPki, context: ssl.SSLContext, name: str) -> None:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with pki.server_context().wrap_socket(theirs, server_side=True) as server:
                server.recv(1)
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with context.wrap_socket(ours, server_hostname=name) as client:
            client.sendall(b"x")
    finally:
        ours.close()
        thread.join(5)


@pytest.mark.parametrize("name", ["localhost", "dc1.corp.example", "127.0.0.1"])
def test_strict_verification_accepts_every_name_of_the_server(folder: Path, name: str) -> None:
    pki = SandboxPki(folder)
    _shake_hands(pki, _strict_client(pki.ca_file), name)


def test_another_name_is_refused(folder: Path) -> None:
    pki = SandboxPki(folder)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _shake_hands(pki, _strict_client(pki.ca_file), "evil.example")


def test_who_is_not_told_to_trust_it_does_not(folder: Path) -> None:
    pki = SandboxPki(folder)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get local issuer"):
        _shake_hands(pki, ssl.create_default_context(), "localhost")


def test_another_sandbox_is_not_trusted(folder: Path, tmp_path: Path) -> None:
    pki, other = SandboxPki(folder), SandboxPki(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(pki, _strict_client(other.ca_file), "localhost")


def test_keys_are_readable_by_their_owner_alone_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        pki = SandboxPki(folder)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {name for name, mode in modes.items() if mode == 0o600} == {"ca.key", pki.key_file.name}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_files_stay_over_a_restart(folder: Path) -> None:
    SandboxPki(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    SandboxPki(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_other_names_get_another_certificate_from_the_same_authority(folder: Path) -> None:
    first = SandboxPki(folder)
    authority, certificate = first.ca_file.read_bytes(), first.certificate_file.read_bytes()
    second = SandboxPki(folder, names=("dc2.corp.example",), addresses=("127.0.0.2",))
    assert second.ca_file.read_bytes() == authority
    assert second.certificate_file.read_bytes() != certificate
    _shake_hands(second, _strict_client(second.ca_file), "dc2.corp.example")


def test_certificates_that_end_soon_are_made_again(folder: Path) -> None:
    old = SandboxPki(folder, clock=lambda: utc_now() - timedelta(days=364, hours=12))
    before = old.ca_file.read_bytes()
    pki = SandboxPki(folder)
    assert pki.ca_file.read_bytes() != before
    _shake_hands(pki, _strict_client(pki.ca_file), "localhost")


@pytest.mark.parametrize("name", ["ca.pem", "server.pem", "ca.key", "server.key"])
def test_a_lost_file_is_made_again(folder: Path, name: str) -> None:
    SandboxPki(folder)
    (folder / name).unlink()
    pki = SandboxPki(folder)
    _shake_hands(pki, _strict_client(pki.ca_file), "localhost")


def test_a_damaged_certificate_is_made_again(folder: Path) -> None:
    SandboxPki(folder).certificate_file.write_text("not a certificate")
    pki = SandboxPki(folder)
    _shake_hands(pki, _strict_client(pki.ca_file), "localhost")


def test_tls_1_1_is_refused(folder: Path) -> None:
    assert SandboxPki(folder).server_context().minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_authority_signs_servers_and_nothing_below_itself(folder: Path) -> None:
    pki = SandboxPki(folder)
    authority = x509.load_pem_x509_certificate(pki.ca_file.read_bytes())
    server = x509.load_pem_x509_certificate(pki.certificate_file.read_bytes())
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(
        ca=True, path_length=0
    )
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
