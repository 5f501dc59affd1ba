"""HAND OUT: a `Permit` becomes a `Lease` (STS credentials; later also a console sign-in URL).

Owns: the session's name, source identity, tags and duration, the checks of AWS's limits, the STS clients.
Does not own: whether somebody may (`evaluate/`), or writing it down (`record/`, through `flow`).
To add an issuer: a file of its own, its name below, its suite in `tests/contracts/issuer.py`; `app/` makes it.
"""

from broker.issue.assume_role import AssumeRole

__all__ = ["AssumeRole"]
