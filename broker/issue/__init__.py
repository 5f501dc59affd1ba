"""HAND OUT: a `Permit` becomes a `Lease` (STS credentials; later also a console sign-in URL).

Owns: the session's name, source identity, tags and duration, the checks of AWS's limits, the STS clients.
Does not own: whether somebody may (`evaluate/`), or writing it down (`record/`, through `flow`).
"""

from collections.abc import Mapping
from types import MappingProxyType

from broker.issue.assume_role import AssumeRole
from broker.issue.issuer import Issuer

ISSUERS: Mapping[str, type[Issuer]] = MappingProxyType(
    {
        AssumeRole.name: AssumeRole,
    }
)
"""Every way to hand out credentials, by name."""
