"""What is hashed and what is signed: the bytes, and nothing else. `docs/audit.md` gives them for an auditor's own tool.

    link hash = SHA-256(fields(LINK, writer, number, at, previous, digest))       digest = SHA-256(payload)
    head hash = SHA-256(fields(HEAD, writer, number, hash, at, "closed" | "open"))
    fields(a, b, …) = each part behind its length as 8 bytes, big-endian

The lengths make it impossible to shift a character from one field to the next; LINK and HEAD (the domains) to pass
one kind of hash off as the other. Signatures are over the 32 bytes of a hash.
"""

import hashlib
from datetime import datetime
from typing import Final, Protocol

from broker.keys import Purpose, Signature, Verifier
from broker.record.canonical import canonical, instant
from broker.record.event import Event
from broker.record.trail import Head, Link

LINK: Final = b"aws-federation-broker audit link 1"
HEAD: Final = b"aws-federation-broker audit head 1"
FIRST: Final = bytes(32)
"""What stands as `previous` in link number 1."""


class Signer(Verifier, Protocol):
    """What the trail needs of `keys.Keyring`."""

    def sign(self, purpose: Purpose, data: bytes) -> Signature:
        """A signature of `data` with the current key of `purpose`."""


def is_signed(verifier: Verifier, data: bytes, *, key_id: str, signature: bytes) -> bool:
    """Whether a known audit key signed `data`."""
    return verifier.verify(Purpose.AUDIT, data, Signature(key_id=key_id, value=signature))


def digest_of(payload: str) -> bytes:
    """SHA-256 of a payload."""
    return hashlib.sha256(payload.encode()).digest()


def link_hash(*, writer: str, number: int, at: datetime, previous: bytes, digest: bytes) -> bytes:
    """The hash of a link."""
    return _hash(LINK, writer.encode(), str(number).encode(), instant(at).encode(), previous, digest)


def head_hash(*, writer: str, number: int, tip: bytes, at: datetime, closed: bool) -> bytes:
    """The hash of a head whose link `number` has the hash `tip`."""
    end = b"closed" if closed else b"open"
    return _hash(HEAD, writer.encode(), str(number).encode(), tip, instant(at).encode(), end)


def make_link(signer: Signer, *, writer: str, number: int, previous: bytes, event: Event) -> Link:
    """The signed link for `event`, which went through `canonical.tidy`."""
    payload = canonical(event)
    digest = digest_of(payload)
    link = link_hash(writer=writer, number=number, at=event.at, previous=previous, digest=digest)
    signature = signer.sign(Purpose.AUDIT, link)
    return Link(
        writer=writer,
        number=number,
        at=event.at,
        previous=previous,
        digest=digest,
        hash=link,
        signature=signature.value,
        key_id=signature.key_id,
        payload=payload,
    )


def make_head(signer: Signer, *, writer: str, number: int, tip: bytes, at: datetime, closed: bool) -> Head:
    """The signed head."""
    data = head_hash(writer=writer, number=number, tip=tip, at=at, closed=closed)
    signature = signer.sign(Purpose.AUDIT, data)
    return Head(
        writer=writer,
        number=number,
        hash=tip,
        at=at,
        closed=closed,
        signature=signature.value,
        key_id=signature.key_id,
    )


def hash_of(link: Link) -> bytes:
    """What the hash of `link` has to be, by its other fields."""
    return link_hash(writer=link.writer, number=link.number, at=link.at, previous=link.previous, digest=link.digest)


def is_well_formed(row: Link | Head) -> bool:
    """Whether every field has the type that it claims (a database may hold anything) and can be hashed."""
    binary = (row.hash, row.signature, row.previous, row.digest) if isinstance(row, Link) else (row.hash, row.signature)
    texts = [row.writer, row.key_id]
    if isinstance(row, Link) and row.payload is not None:
        texts.append(row.payload)
    try:
        instant(row.at)
        for text in texts:
            text.encode()
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False
    return type(row.number) is int and all(isinstance(value, bytes) for value in binary)


def is_linked(link: Link, verifier: Verifier) -> bool:
    """Whether a known audit key signed this link in this place of this chain; nothing is said of its payload."""
    return (
        is_well_formed(link)
        and hash_of(link) == link.hash
        and is_signed(verifier, link.hash, key_id=link.key_id, signature=link.signature)
    )


def is_genuine(link: Link, verifier: Verifier) -> bool:
    """Whether a known audit key signed this link, and the payload is the one that it was signed for."""
    return is_linked(link, verifier) and link.payload is not None and digest_of(link.payload) == link.digest


def head_is_signed(head: Head, verifier: Verifier) -> bool:
    """Whether a known audit key signed exactly this head."""
    if not is_well_formed(head):
        return False
    data = head_hash(writer=head.writer, number=head.number, tip=head.hash, at=head.at, closed=head.closed)
    return is_signed(verifier, data, key_id=head.key_id, signature=head.signature)


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
