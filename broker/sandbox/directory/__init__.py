"""An AD-like LDAP server on loopback, seeded from a YAML file: enough Active Directory to sign in against, read-only.

`SandboxDirectory` is the server, `read_seed` reads the people and groups that it serves. What it answers was measured
on Samba AD DC, and one contract suite runs against both, so that it cannot drift.
"""

from broker.sandbox.directory.binds import BindAttempt
from broker.sandbox.directory.limits import Limits
from broker.sandbox.directory.seed import Seed, parse_seed, read_seed
from broker.sandbox.directory.server import SandboxDirectory

__all__ = ["BindAttempt", "Limits", "SandboxDirectory", "Seed", "parse_seed", "read_seed"]
