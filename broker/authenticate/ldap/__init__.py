"""Active Directory and other LDAP servers.

settings             what stands in broker.yaml
provider             `LdapProvider`: the sign-in as a list of checks
names, verdict, lockout, values, breaker   pure rules
accounts             find an account, read its state and groups
active_directory, security_groups, generic   how the two kinds of directory say things (`account.Dialect`)
controllers, wire    servers in their order; one connection (the only file that knows ldap3)
check                `broker directory check`
"""

from broker.authenticate.ldap.provider import LdapProvider
from broker.authenticate.ldap.settings import LdapSettings

__all__ = ["LdapProvider", "LdapSettings"]
