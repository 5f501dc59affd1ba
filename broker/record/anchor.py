"""The lines on standard output, and reading them back: with a log collector elsewhere they are the anchor.

A line carries the event and its signed link, whole: whoever holds the lines can prove, with the public key alone,
what the database must contain, and can tell what is gone.

    {"audit":{"event":{…},"link":{"at":…,"digest":…,"hash":…,"key_id":…,"number":…,"previous":…,"signature":…,"writer":…}}}
    {"audit":{"head":{"at":…,"closed":true,"hash":…,"key_id":…,"number":…,"signature":…,"writer":…}}}
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, TypeGuard

from broker.keys import Verifier
from broker.record.canonical import as_json, instant
from broker.record.chain import digest_of, hash_of, head_is_signed, is_signed
from broker.record.trail import Head, Link

RUN: Final = 64
LONGEST_LINE: Final = 1 << 18
_MARK: Final = '{"audit":{'

Members = Mapping[str, object]


class Anchors:
    """What a log shows that each chain has had. Nothing unsigned gets in."""

    def __init__(self) -> None:
        self.highest: dict[str, dict[int, tuple[int, bytes]]] = {}
        """writer -> run -> (number, hash) of the highest link in each run of `RUN`: a chain that has this hash there
        is right up to there, so that the lower ones need not be kept (a year of lines fits in memory)."""
        self.lines = 0
        """How many good anchors were read."""
        self.ignored = 0
        """Lines of something else."""
        self.forged: list[int] = []
        """Line numbers, from 1, that look like an anchor and are not signed or were changed."""

    def add(self, writer: str, number: int, tip: bytes) -> None:
        """Note that `writer` had a link `number` with the hash `tip`."""
        self.lines += 1
        runs = self.highest.setdefault(writer, {})
        known = runs.get(number // RUN)
        if known is None or known[0] <= number:
            runs[number // RUN] = number, tip


def link_line(link: Link) -> str:
    """The line for a link, without a line end."""
    return f'{{"audit":{{"event":{link.payload or "null"},"link":{as_json(_members_of_link(link))}}}}}'


def head_line(head: Head) -> str:
    """The line for a head, without a line end."""
    members = {
        "writer": head.writer,
        "number": head.number,
        "at": instant(head.at),
        "closed": head.closed,
        "hash": head.hash.hex(),
        "signature": head.signature.hex(),
        "key_id": head.key_id,
    }
    return as_json({"audit": {"head": members}})


def read_anchors(lines: Iterable[str], verifier: Verifier) -> Anchors:
    """The anchors in `lines` of a log: as written, behind a collector's prefix, or parsed and written again as JSON.

    A line counts only when (1) its link's hash fits its fields, (2) the event beside it has the link's digest, and
    (3) a known audit key signed the hash; a head, when a known audit key signed it.
    """
    anchors = Anchors()
    for position, line in enumerate(lines, start=1):
        audit = _audit_of(line)
        if audit is None:
            anchors.ignored += bool(line.strip())
            continue
        found = _link_of(audit, verifier) or _head_of(audit, verifier)
        if found is None:
            anchors.forged.append(position)
        else:
            anchors.add(found.writer, found.number, found.hash)
    return anchors


def _link_of(audit: Members, verifier: Verifier) -> Link | None:
    members = audit.get("link")
    if not _is_members(members):
        return None
    event = audit.get("event")
    try:
        link = Link(
            writer=_text(members, "writer"),
            number=_number(members),
            at=datetime.fromisoformat(_text(members, "at")),
            previous=bytes.fromhex(_text(members, "previous")),
            digest=bytes.fromhex(_text(members, "digest")),
            hash=bytes.fromhex(_text(members, "hash")),
            signature=bytes.fromhex(_text(members, "signature")),
            key_id=_text(members, "key_id"),
            payload=as_json(event) if _is_members(event) else None,
        )
        if hash_of(link) != link.hash:  # check: anchor-hash  # (1)
            return None
        if link.payload is not None and digest_of(link.payload) != link.digest:  # check: anchor-event  # (2)
            return None
    except (ValueError, OverflowError):
        return None
    if not is_signed(
        verifier, link.hash, key_id=link.key_id, signature=link.signature
    ):  # check: anchor-signature  # (3)
        return None
    return link


def _head_of(audit: Members, verifier: Verifier) -> Head | None:
    members = audit.get("head")
    if not _is_members(members):
        return None
    try:
        head = Head(
            writer=_text(members, "writer"),
            number=_number(members),
            hash=bytes.fromhex(_text(members, "hash")),
            at=datetime.fromisoformat(_text(members, "at")),
            closed=members.get("closed") is True,
            signature=bytes.fromhex(_text(members, "signature")),
            key_id=_text(members, "key_id"),
        )
        if not head_is_signed(head, verifier):  # check: anchor-head-signature
            return None
    except (ValueError, OverflowError):
        return None
    return head


def _members_of_link(link: Link) -> dict[str, object]:
    return {
        "writer": link.writer,
        "number": link.number,
        "at": instant(link.at),
        "previous": link.previous.hex(),
        "digest": link.digest.hex(),
        "hash": link.hash.hex(),
        "signature": link.signature.hex(),
        "key_id": link.key_id,
    }


def _audit_of(line: str) -> Members | None:
    """The value of `audit` in a line that has one."""
    if len(line) > LONGEST_LINE or '"audit"' not in line:
        return None
    try:
        whole = json.loads(line)
    except (ValueError, RecursionError):
        try:
            whole, _ = json.JSONDecoder().raw_decode(line, line.index(_MARK))
        except (ValueError, RecursionError):
            return None
    audit = whole.get("audit") if isinstance(whole, dict) else None
    return audit if _is_members(audit) else None


def _is_members(value: object) -> TypeGuard[Members]:
    return isinstance(value, dict)


def _text(members: Members, name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise ValueError(name)  # noqa: TRY004 (one kind of error for every malformed line)
    return value


def _number(members: Members) -> int:
    value = members.get("number")
    if not isinstance(value, int):
        raise ValueError  # noqa: TRY004 (one kind of error for every malformed line)
    return value
