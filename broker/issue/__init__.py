"""HAND OUT: a `Permit` becomes a `Lease` (STS credentials), and a `Lease` a `SignIn` at the AWS console.

Owns: the session's name, source identity, tags and duration, the checks of AWS's limits, the STS clients; the
console's hosts and the pages of it that one may go to.
Does not own: whether somebody may (`evaluate/`), or writing it down (`record/`, through `flow`).
To add an issuer: a file of its own, its name below, its suite in `tests/contracts/issuer.py`; `app/` makes it.
"""

from broker.issue.assume_role import AssumeRole
from broker.issue.console import ConsoleSignIn

__all__ = ["AssumeRole", "ConsoleSignIn"]
