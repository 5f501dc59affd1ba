"""The contract of a condition: a small frozen class with a reasoned answer.

A condition reads a `Proof` and the `Circumstances`, nothing else: no clock, no network. It answers None (it holds) or
an objection. What it cannot judge (an address that is not known) it objects to.
"""

from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar, Protocol

from broker.challenge.proof import Proof
from broker.evaluate.verdict import Objection


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """The moment of a request: when, from where, over what. Established by `web/` or given by an operator."""

    now: datetime
    address: IPv4Address | IPv6Address | None = None
    """The client's, through declared proxies only; None: not known."""
    tls_version: str = ""
    """`1.2`, `1.3`, as told by a declared proxy or our own socket; empty: no TLS, or not known."""
    request_id: str = ""
    """For the record only; no condition reads it."""


class Condition(Protocol):
    """What `mappings.yaml` may ask under `conditions:`. Implementations are frozen pydantic dataclasses."""

    name: ClassVar[str]
    """Its key in the document."""

    def objection(self, proof: Proof, circumstances: Circumstances, *, rule: str) -> Objection | None:
        """None when it holds; else why not, in the name of `rule`."""
