"""What an administrator of the AD domain does to accounts, with the rights to do it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import ldap3
from ldap3.protocol.formatters.formatters import format_sid
from neighbours.samba import REALM, ROOT, SambaImage, SambaServer, _backdate, samba_server

from broker.sandbox.pki import SandboxPki

SHARED, OWN = "127.0.0.12", "127.0.0.13"
"""Addresses that no other suite's domains have."""


@contextmanager
def domain_at(image: SambaImage, folder: Path, address: str) -> Iterator[SambaServer]:
    """Run the domain at one of our addresses; in a folder that holds one already, that one again."""
    pki = SandboxPki(folder / "pki", names=(f"dc1.{REALM}", "localhost"), addresses=(SHARED, OWN))
    with samba_server(replace(image, pki=pki), folder, address) as server:
        yield server


def person(name: str) -> str:
    return f"CN={name},OU=Staff,{ROOT}"


def group(name: str) -> str:
    return f"CN={name},OU=Groups,{ROOT}"


def group_ids(domain: SambaServer, *names: str) -> Mapping[str, str]:
    """Their SIDs."""
    return {name: str(format_sid(read(domain, group(name), "objectSid"))) for name in names}


def read(domain: SambaServer, dn: str, attribute: str) -> bytes:
    """One attribute as it is on the wire; empty where the entry has none."""
    with domain.administrator() as administrator:
        administrator.search(dn, "(objectClass=*)", ldap3.BASE, attributes=[attribute])
        values: list[bytes] = administrator.response[0]["raw_attributes"][attribute]
        return values[0] if values else b""


def change(domain: SambaServer, dn: str, **values: object) -> None:
    with domain.administrator() as administrator:
        administrator.modify(dn, {name: [(ldap3.MODIFY_REPLACE, [value])] for name, value in values.items()})


def join(domain: SambaServer, name: str, of: str) -> None:
    with domain.administrator() as administrator:
        administrator.modify(group(of), {"member": [(ldap3.MODIFY_ADD, [person(name)])]})


def leave(domain: SambaServer, name: str, of: str) -> None:
    with domain.administrator() as administrator:
        administrator.modify(group(of), {"member": [(ldap3.MODIFY_DELETE, [person(name)])]})


def disable(domain: SambaServer, name: str) -> None:
    change(domain, person(name), userAccountControl=514)


def expire(domain: SambaServer, name: str) -> None:
    change(domain, person(name), accountExpires=132223104000000000)


def set_password(domain: SambaServer, name: str, password: str) -> None:
    change(domain, person(name), unicodePwd=f'"{password}"'.encode("utf-16-le"))


def delete(domain: SambaServer, name: str) -> None:
    with domain.administrator() as administrator:
        administrator.delete(person(name))


def move_away(domain: SambaServer, name: str) -> None:
    """Out of the folders in which accounts may sign in."""
    with domain.administrator() as administrator:
        administrator.modify_dn(person(name), f"CN={name}", new_superior=f"OU=Elsewhere,{ROOT}")


def age_password(folder: Path, name: str) -> None:
    """In a domain at rest: as if the password had been set yesterday. Else a clock moved on by a test and a new domain
    read like a password that was changed after the sign-in."""
    yesterday = int(time.time()) - 86_400
    _backdate(folder, person(name), (yesterday + 11_644_473_600) * 10_000_000)
