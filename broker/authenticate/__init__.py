"""WHO IS IT? A directory (later also an IdP or a workload credential) establishes an `Identity`.

Owns: `Identity`, the provider contract, the count of password attempts, and one file for each kind of provider.
Does not own: second factors (`challenge/`), people and sessions (`sessions/`), or what anybody may do (`entitle/`).
`PROVIDERS` below is the registration: a provider's `type` in `broker.yaml` -> its settings and its class.
"""

from collections.abc import Callable, Mapping

from pydantic import BaseModel

from broker.authenticate.ldap import LdapProvider, LdapSettings
from broker.authenticate.provider import PasswordProvider

PROVIDERS: Mapping[str, tuple[type[BaseModel], Callable[..., PasswordProvider]]] = {
    "ldap": (LdapSettings, LdapProvider),
}
