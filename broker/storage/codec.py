"""Sessions as text: a MAC (hex) over key and body, then the body: JSON, every field by name. No pickle anywhere.

What does not carry our MAC, or is not exactly of this shape (an older or newer version), is no session: its owner signs
in again.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import TypeVar

from broker.authenticate.identity import Group, Identity, Kind, PersonId
from broker.challenge.proof import Method, Shown
from broker.sessions.session import Door, Session
from broker.storage.authentic import Authentic
from broker.storage.database import instant, microseconds

T = TypeVar("T")

VERSION = 1
MAC_CHARACTERS = 64

SESSION = frozenset({"v", *(field.name for field in fields(Session))})
IDENTITY = frozenset(field.name for field in fields(Identity))
GROUP_PARTS = 4
SHOWN_PARTS = 3

log = logging.getLogger(__name__)


class Malformed(Exception):
    """The text is not what we would have written."""


def encode(session: Session, authentic: Authentic) -> str:
    """The text that `decode` takes."""
    body = _body(session)
    return authentic.mac(session.key, body).hex() + body


def decode(text: object, authentic: Authentic, *, key: str, person: object) -> Session | None:
    """The session that `encode` wrote under `key`; None for everything else, another key's session included.

    `person` is whose the store says it is: by that it is ended, so it must be true.
    """
    try:
        kept = _text(text)
        body = kept[MAC_CHARACTERS:]
        if not authentic.holds(bytes.fromhex(kept[:MAC_CHARACTERS]), key, body):  # check: session-mac
            log.error("a stored session does not carry our MAC and counts as ended")
            return None
        session = _session(json.loads(body))
    except (Malformed, ValueError, OverflowError, RecursionError):
        log.warning("a stored session cannot be read and counts as ended")
        return None
    if session.person != person:  # check: session-of-its-person
        log.error("a session was stored as another person's and counts as ended")
        return None
    return session


def _body(session: Session) -> str:
    return json.dumps(
        {
            "v": VERSION,
            "key": session.key,
            "door": session.door,
            "created_at": microseconds(session.created_at),
            "seen_at": microseconds(session.seen_at),
            "signed_in_at": None if session.signed_in_at is None else microseconds(session.signed_in_at),
            "person": session.person,
            "session_name": session.session_name,
            "identity": None if session.identity is None else _encode_identity(session.identity),
            "shown": [[shown.method, shown.factor, microseconds(shown.at)] for shown in session.shown],
            "address": session.address,
            "notes": dict(session.notes),
        },
        separators=(",", ":"),
    )


def _encode_identity(identity: Identity) -> dict[str, object]:
    return {
        "provider": identity.provider,
        "subject": identity.subject,
        "kind": identity.kind,
        "username": identity.username,
        "display_name": identity.display_name,
        "email": identity.email,
        "groups": [[group.provider, group.id, group.name, group.dn] for group in identity.groups],
        "authenticated_at": microseconds(identity.authenticated_at),
        "read_at": microseconds(identity.read_at),
    }


def _session(document: object) -> Session:
    held = _fields(document, SESSION)
    if held["v"] != VERSION:
        raise Malformed
    return Session(
        key=_text(held["key"]),
        door=Door(_text(held["door"])),
        created_at=_instant(held["created_at"]),
        seen_at=_instant(held["seen_at"]),
        signed_in_at=None if held["signed_in_at"] is None else _instant(held["signed_in_at"]),
        person=None if held["person"] is None else PersonId(_text(held["person"])),
        session_name=_text(held["session_name"]),
        identity=None if held["identity"] is None else _identity(held["identity"]),
        shown=tuple(map(_shown, _list(held["shown"]))),
        address=_text(held["address"]),
        notes={_text(name): _text(note) for name, note in _of(dict, held["notes"]).items()},
    )


def _identity(document: object) -> Identity:
    held = _fields(document, IDENTITY)
    return Identity(
        provider=_text(held["provider"]),
        subject=_text(held["subject"]),
        kind=Kind(_text(held["kind"])),
        username=_text(held["username"]),
        display_name=_text(held["display_name"]),
        email=_text(held["email"]),
        groups=frozenset(map(_group, _list(held["groups"]))),
        authenticated_at=_instant(held["authenticated_at"]),
        read_at=_instant(held["read_at"]),
    )


def _group(document: object) -> Group:
    parts = _list(document)
    if len(parts) != GROUP_PARTS:
        raise Malformed
    provider, identifier, name, dn = map(_text, parts)
    return Group(provider=provider, id=identifier, name=name, dn=dn)


def _shown(document: object) -> Shown:
    parts = _list(document)
    if len(parts) != SHOWN_PARTS:
        raise Malformed
    return Shown(method=Method(_text(parts[0])), factor=_text(parts[1]), at=_instant(parts[2]))


def _fields(document: object, names: frozenset[str]) -> Mapping[str, object]:
    held = _of(dict, document)
    if held.keys() != names:
        raise Malformed
    return held


def _of(kind: type[T], value: object) -> T:
    if type(value) is not kind:  # not isinstance: True is an int there
        raise Malformed
    return value


def _list(value: object) -> list[object]:
    return _of(list, value)


def _text(value: object) -> str:
    return _of(str, value)


def _instant(value: object) -> datetime:
    return instant(_of(int, value))
