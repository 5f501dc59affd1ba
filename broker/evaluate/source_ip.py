"""`source_ip`: the request comes from a network that is named, and from none that is excepted."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator
from pydantic.dataclasses import dataclass

from broker.challenge.proof import Proof
from broker.evaluate.condition import Circumstances
from broker.evaluate.document import FROM_DOCUMENT, may_be_left_out, texts
from broker.evaluate.verdict import Refusal

Network = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")


def _network(text: str) -> Network:
    """The network that `text` names, without host bits, scope or an IPv4 network dressed as IPv6."""
    if "/" not in text or "%" in text:
        message = "not a network; write an address, a slash and a length, as in 10.0.0.0/8 or 203.0.113.7/32"
        raise ValueError(message)
    try:
        network = ip_network(text)
    except ValueError:
        message = "not a network; write 10.0.0.0/8 or 2001:db8::/32, with no bit set behind the length"
        raise ValueError(message) from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        message = "an IPv4 network written as IPv6; write it as IPv4: such addresses are compared as IPv4"
        raise ValueError(message)
    return network


def _networks(value: object) -> tuple[Network, ...]:
    """The networks named, in a stable order."""
    networks = {_network(text) for text in texts(value, what="networks")}
    return tuple(sorted(networks, key=lambda n: (n.version, int(n.network_address), n.prefixlen)))


def comparable(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """`address` as rules compare it: IPv4 inside IPv6 (`::ffff:10.1.2.3`) as IPv4, and without a scope id."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


Networks = Annotated[
    tuple[Network, ...],
    BeforeValidator(_networks),
    PlainSerializer(lambda networks: [str(n) for n in networks], return_type=list[str]),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}),
]


@dataclass(frozen=True, slots=True, kw_only=True, config=FROM_DOCUMENT)
class SourceIp:
    """Holds when the client's address is in one of `in` (if given) and in none of `not_in`.

    An address that is not known does not pass, not even where only `not_in` is given. Addresses that a translator made
    (NAT64, 6to4, Teredo) are compared as the IPv6 addresses that they are.
    """

    name: ClassVar[str] = "source_ip"

    inside: Networks = Field(default=(), alias="in", json_schema_extra=may_be_left_out)
    outside: Networks = Field(default=(), alias="not_in", json_schema_extra=may_be_left_out)

    @model_validator(mode="after")
    def _says_something(self) -> "SourceIp":
        if not self.inside and not self.outside:
            message = "says nothing; give in, not_in or both"
            raise ValueError(message)
        return self

    def objection(self, proof: Proof, circumstances: Circumstances, *, rule: str) -> Refusal | None:  # noqa: ARG002 (the contract's signature)
        """None when it holds; else a refusal that time does not heal."""
        if circumstances.address is None:  # check: source-address-unknown
            return self._no(rule, "This role needs a known network address; yours is not known.")
        address = comparable(circumstances.address)
        if any(address in network for network in self.outside):  # check: source-ip-not-in
            return self._no(rule, "This role cannot be used from your network address.")
        if self.inside and not any(address in network for network in self.inside):  # check: source-ip-in
            return self._no(rule, "This role cannot be used from your network address.")
        return None

    def _no(self, rule: str, reason: str) -> Refusal:
        return Refusal(condition=self.name, rule=rule, reason=reason)
