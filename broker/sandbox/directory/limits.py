"""What one client may cost the sandbox's directory."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Each is a hard bound; the defaults are far above what a sign-in needs."""

    message_bytes: int = 256 * 1024
    """The largest request; a larger one ends the connection."""
    connections: int = 64
    """At the same time; further ones are closed at once."""
    idle_seconds: float = 60.0
    """How long a whole message, a TLS handshake or an answer may take, waiting included."""
    page_entries: int = 1000
    """Entries in one answer (AD's MaxPageSize)."""
    open_pages: int = 8
    """Paged searches that one connection may have unfinished."""
    filter_depth: int = 32
    filter_items: int = 1000
    remembered_binds: int = 1000
    """How many bind attempts `SandboxDirectory.binds` keeps."""
