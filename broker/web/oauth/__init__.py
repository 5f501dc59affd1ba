"""The authorization server that the `aws-broker` program signs in with: code, PKCE, refresh, revocation.

Owns: the protocol (`server`, the one place that knows Authlib) and its addresses (`routes`). Does not own: what a grant
is and when it ends (`sessions.grants`), and what is written down of it (`flow.grants`).
"""

from broker.web.oauth.routes import PROGRAMS, make

__all__ = ["PROGRAMS", "make"]
