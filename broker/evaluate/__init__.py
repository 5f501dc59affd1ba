"""NOW, FROM HERE? Conditions of the moment: a second factor, an address, office hours, TLS.

Owns: what each condition means, the closed list of them, and `decide()`, the only maker of a `Permit`. Pure: the moment
comes in as `Circumstances`; there is no clock and no network here.
Does not own: which conditions a mapping asks for (`entitle/`), showing a factor (`challenge/`), acting on the answer.
"""

from collections.abc import Mapping
from types import MappingProxyType

from broker.evaluate.condition import Condition
from broker.evaluate.mfa import Mfa
from broker.evaluate.source_ip import SourceIp
from broker.evaluate.time_of_day import TimeOfDay
from broker.evaluate.tls import Tls

CONDITIONS: Mapping[str, type[Condition]] = MappingProxyType(
    {
        Mfa.name: Mfa,
        SourceIp.name: SourceIp,
        TimeOfDay.name: TimeOfDay,
        Tls.name: Tls,
    }
)
"""Everything that a mapping may ask, by its key in the document. Each parses the plain data behind that key."""

BUILT_IN: tuple[Condition, ...] = (Mfa(),)
"""What every entitlement asks, whatever the document says: a second factor. `decide()` insists on it."""
