"""`tls`: the request came over TLS, of at least this version."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from broker.challenge.proof import Proof
from broker.evaluate.condition import Circumstances
from broker.evaluate.document import FROM_DOCUMENT
from broker.evaluate.verdict import Refusal

_ORDER = ("1.0", "1.1", "1.2", "1.3")


def _quoted(value: object) -> object:
    """Refuse `1.2` without quotes: to a reader of YAML that is a number, and so is 1.20."""
    if not isinstance(value, str):
        message = 'not a TLS version; write "1.2" or "1.3", in quotes'
        raise ValueError(message)  # noqa: TRY004 (pydantic reports ValueError alone)
    return value


@dataclass(frozen=True, slots=True, kw_only=True, config=FROM_DOCUMENT)
class Tls:
    """Holds when the connection's TLS version, told by a declared proxy or our own socket, is `min` or newer.

    No TLS, and a version that is not known here, do not pass.
    """

    name: ClassVar[str] = "tls"

    min: Annotated[Literal["1.2", "1.3"], BeforeValidator(_quoted)]

    def objection(self, proof: Proof, circumstances: Circumstances, *, rule: str) -> Refusal | None:  # noqa: ARG002 (the contract's signature)
        """None when it holds; else a refusal that time does not heal."""
        version = circumstances.tls_version
        if version not in _ORDER or _ORDER.index(version) < _ORDER.index(self.min):  # check: tls-version
            reason = f"This role needs a connection over TLS {self.min} or newer."
            return Refusal(condition=self.name, rule=rule, reason=reason)
        return None
