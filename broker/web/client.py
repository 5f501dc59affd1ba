"""Who is at the other end: the client's address and TLS version, through declared proxies only."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from flask import request

from broker.clock import Clock
from broker.evaluate.condition import Circumstances
from broker.web.headers import request_id

Address = IPv4Address | IPv6Address
TLS_VERSIONS = {"TLSv1.2": "1.2", "TLSv1.3": "1.3", "TLSv1.1": "1.1", "TLSv1": "1.0", "1.2": "1.2", "1.3": "1.3"}
FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """What is declared about the proxies in front."""

    networks: Sequence[IPv4Network | IPv6Network]
    tls_header: str

    def trusts(self, address: Address | None) -> bool:
        """Whether this address is one of ours."""
        return address is not None and any(address in network for network in self.networks)


def parse(text: str) -> Address | None:
    """An address; an IPv4 one that came in IPv6 clothes is undressed; None for anything else."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def peer() -> Address | None:
    """The address at the other end of our own socket."""
    return parse(request.environ.get("REMOTE_ADDR", ""))


def forwarded() -> bool:
    """Whether a proxy, ours or not, says that it carries this for somebody else."""
    return any(name in request.headers for name in FORWARDING)


def client_address(proxies: Proxies) -> Address | None:
    """The first address, from our side outwards, that is not a declared proxy.

    What a stranger writes into X-Forwarded-For stands further left and is never reached. None: not known.
    """
    address = peer()
    hops = [hop for line in request.headers.getlist("X-Forwarded-For") for hop in line.split(",")]
    while hops:
        if not proxies.trusts(address):  # check: forwarded-by-declared-proxy
            break
        address = parse(hops.pop())
    return address


def tls_version(proxies: Proxies) -> str:
    """As told by a declared proxy; empty when nobody we trust says so."""
    if not proxies.tls_header or not proxies.trusts(peer()):  # check: tls-told-by-declared-proxy
        return ""
    return TLS_VERSIONS.get(request.headers.get(proxies.tls_header, ""), "")


def circumstances(clock: Clock, proxies: Proxies) -> Circumstances:
    """The moment of this request."""
    return Circumstances(
        now=clock(), address=client_address(proxies), tls_version=tls_version(proxies), request_id=request_id()
    )
