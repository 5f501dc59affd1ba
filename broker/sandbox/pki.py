"""A throw-away certificate authority for the sandbox's TLS servers, and one server certificate made by it.

Files only, in a folder of the caller's: nothing is installed into any trust store, and nothing outside the sandbox
trusts it. EC P-256 throughout, so that making it takes a few milliseconds.
"""

import os
import secrets
import ssl
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.clock import Clock, utc_now

_LIFETIME = timedelta(days=365)
_SLACK = timedelta(days=1)
"""Certificates begin this much in the past, and are replaced when they have only this much left."""


class SandboxPki:
    """The authority's and the server's files in `folder`; made when first asked for, made again when nearly expired.

    Promised: a chain that strict verification (Python 3.13's default) accepts, key files readable by their owner
    alone, and files that are whole at every instant. Not promised: secrecy worth anything; it is a demo's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        names: Sequence[str] = ("localhost", "dc1.corp.example"),
        addresses: Sequence[str] = ("127.0.0.1",),
        clock: Clock = utc_now,
    ) -> None:
        """Make what is missing. `names` and `addresses` are what the server certificate is good for.

        `clock` must be the real one wherever OpenSSL is to verify the chain: it reads the machine's.
        """
        self._folder = folder
        self._clock = clock
        self._alternatives = x509.SubjectAlternativeName(
            [*(x509.DNSName(name) for name in names), *(x509.IPAddress(ip_address(address)) for address in addresses)]
        )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._authority_is_usable():
            self._make_authority()
        if not self._certificate_is_usable():
            self._make_certificate()

    @property
    def ca_file(self) -> Path:
        """The authority's certificate (PEM): what a client is told to trust."""
        return self._folder / "ca.pem"

    @property
    def certificate_file(self) -> Path:
        """The server's certificate (PEM)."""
        return self._folder / "server.pem"

    @property
    def key_file(self) -> Path:
        """The server's private key (PEM, mode 0600)."""
        return self._folder / "server.key"

    @property
    def _ca_key_file(self) -> Path:
        return self._folder / "ca.key"

    def server_context(self) -> ssl.SSLContext:
        """A context for a TLS server with this certificate: TLS 1.2 or newer, no client certificate asked."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context

    def _authority_is_usable(self) -> bool:
        authority = _certificate_in(self.ca_file)
        return authority is not None and self._ca_key_file.exists() and self._is_in_time(authority)

    def _certificate_is_usable(self) -> bool:
        certificate, authority = _certificate_in(self.certificate_file), _certificate_in(self.ca_file)
        if certificate is None or authority is None or not self.key_file.exists():
            return False
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key_id = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        ours = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        return found == self._alternatives and key_id == ours and self._is_in_time(certificate)

    def _is_in_time(self, certificate: x509.Certificate) -> bool:
        now = self._clock()
        return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _SLACK

    def _make_authority(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Sandbox CA (a demo: never trust it)")
        builder = self._builder(subject=name, issuer=name, key=key.public_key(), authority=key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(authority=True), critical=True)
        _write_key(self._ca_key_file, key)
        _write(self.ca_file, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _make_certificate(self) -> None:
        authority = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
        signer = serialization.load_pem_private_key(self._ca_key_file.read_bytes(), password=None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            message = f"{self._ca_key_file} does not hold an elliptic-curve key; delete the folder and start again"
            raise TypeError(message)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(
            subject=_name("Sandbox server"),
            issuer=authority.subject,
            key=key.public_key(),
            authority=signer.public_key(),
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(self._alternatives, critical=False)
        _write_key(self.key_file, key)
        _write(self.certificate_file, builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(
        self,
        *,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePublicKey,
        authority: ec.EllipticCurvePublicKey,
    ) -> x509.CertificateBuilder:
        now = self._clock()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SLACK)
            .not_valid_after(now + _LIFETIME)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate_in(path: Path) -> x509.Certificate | None:
    """The certificate in `path`; None where there is none that can be read, so that a new one is made."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    _write(
        path,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        mode=0o600,
    )


def _write(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write under another name first: the key never exists with a wider mode, and no reader sees half a file."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
