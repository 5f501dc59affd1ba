"""What stands around every page: who is looking, and the files of the design system.

The address of a static file carries a hash of its content, so that a browser keeps it for good and never an old one.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flask import Flask, g, request

from broker.sessions.session import Session, Sessions

DIGITS = 12
VERSION = "v"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who is signed in, for the page's header."""

    name: str
    provider: str
    """The name of the identity provider that said so."""
    until: datetime
    """When the session ends if nothing happens until then."""
    complete: bool
    """Whether the second factor has been shown too."""


def install(app: Flask, sessions: Sessions) -> None:
    """Give the templates `viewer` and `asset`, and lasting files a long life."""
    folder = Path(app.static_folder or "")
    versions = {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()[:DIGITS]
        for file in folder.rglob("*")
        if file.is_file()
    }

    def asset(name: str) -> str:
        """The address of a static file as it is now. Raises `KeyError` for a file that is not there."""
        return f"{app.static_url_path}/{name}?{VERSION}={versions[name]}"  # `url_for` needs a host that is ours

    def viewer() -> dict[str, Viewer | None]:
        return {"viewer": _viewer(sessions, g.get("session"))}

    def lasts() -> None:
        name = (request.view_args or {}).get("filename", "")
        g.lasts = request.endpoint == "static" and request.args.get(VERSION) == versions.get(name, "-")

    app.jinja_env.globals["asset"] = asset
    app.context_processor(viewer)
    app.before_request(lasts)


def _viewer(sessions: Sessions, session: Session | None) -> Viewer | None:
    if session is None or session.identity is None:
        return None
    return Viewer(
        name=session.identity.display_name or session.identity.username,
        provider=session.identity.provider,
        until=sessions.ends_at(session),
        complete=bool(session.shown),
    )
