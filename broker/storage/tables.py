"""The tables. A change here needs a migration beside it (`migrations/versions/`); a test compares the two.

Instants are whole microseconds (`Instant`). Identifiers are compared byte by byte on both databases (`Id`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from broker.record.event import SEARCH_COLUMNS
from broker.storage.database import Instant

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

Id = Text().with_variant(Text(collation="C"), "postgresql")

marks = Table("marks", metadata, Column("name", Id, primary_key=True), Column("value", Text, nullable=False))

people = Table(
    "people",
    metadata,
    Column("id", Id, primary_key=True),
    Column("session_name", Id, nullable=False),
    Column("folded_name", Id, nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("first_seen", Instant, nullable=False),
    Column("last_seen", Instant, nullable=False),
    Column("mac", LargeBinary),  # over id and session name; null: from before there was one, and worth nothing
)

subjects = Table(
    "subjects",
    metadata,
    Column("provider", Id, nullable=False),
    Column("subject", Id, nullable=False),
    Column("person", Id, ForeignKey("people.id"), nullable=False, index=True),
    Column("mac", LargeBinary),  # over the other three; null: the same
    PrimaryKeyConstraint("provider", "subject"),
)

factor_holders = Table(
    "factor_holders",
    metadata,
    Column("person", Id, primary_key=True),  # the row is locked while the person's factors change
    Column("reset_at", Instant),  # null: never
)

factors = Table(
    "factors",
    metadata,
    Column("id", Id, primary_key=True),
    Column("person", Id, nullable=False, index=True),
    Column("method", Id, nullable=False),
    Column("label", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("enrolled_at", Instant, nullable=False),
    Column("last_used_at", Instant),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("person", Id, nullable=False),
    Column("hashed", LargeBinary, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("used_at", Instant),
    PrimaryKeyConstraint("person", "hashed"),
)

enrolment_codes = Table(
    "enrolment_codes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hashed", LargeBinary, nullable=False, unique=True),
    Column("provider", Id, nullable=False),
    Column("subject", Id, nullable=False),
    Column("group", Id, nullable=False),
    Column("made_at", Instant, nullable=False, server_default="0"),  # 0: before this was kept
    Column("expires_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
)

enrolment_redemptions = Table(
    "enrolment_redemptions",
    metadata,
    Column("code", Id, ForeignKey("enrolment_codes.id"), nullable=False),
    Column("slot", Id, nullable=False),  # the person for a group's code, empty for an account's: one use each
    Column("person", Id, nullable=False),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("code", "slot"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("key", Id, primary_key=True),
    Column("person", Id, index=True),
    Column("ends_at", Instant, nullable=False, index=True),
    Column("body", Text, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("key", Id, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("in_a_row", Integer, nullable=False, server_default="0"),
    Column("in_window", Integer, nullable=False),
    Column("window_from", Instant),
    Column("wait_until", Instant),
    Column("last_at", Instant),
    Column("forget_at", Instant, index=True),  # null: never by itself, only an operator's reset
)

once = Table(
    "once", metadata, Column("key", Id, primary_key=True), Column("ends_at", Instant, nullable=False, index=True)
)

habits = Table(
    "habits",
    metadata,
    Column("person", Id, nullable=False),
    Column("role", Id, nullable=False),
    Column("starred", Boolean, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("last_used", Instant),  # null: marked, and never used
    PrimaryKeyConstraint("person", "role"),
)

links = Table(
    "trail_links",
    metadata,
    Column("writer", Id, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("key_id", Id, nullable=False),
    Column("payload", Text),
    *(Column(name, Id, unique=name == "id") for name in SEARCH_COLUMNS),  # null where empty or pruned
    PrimaryKeyConstraint("writer", "number"),
)
_kept = links.c.payload.is_not(None)
Index("ix_trail_links_at", links.c.at, sqlite_where=_kept, postgresql_where=_kept)
for _name in SEARCH_COLUMNS:
    if _name not in {"id", "outcome"}:  # outcome: four values only, an index would not narrow
        _filled = links.c[_name].is_not(None)
        Index(f"ix_trail_links_{_name}", links.c[_name], links.c.id, sqlite_where=_filled, postgresql_where=_filled)

heads = Table(
    "trail_heads",
    metadata,
    Column("writer", Id, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("at", Instant, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("key_id", Id, nullable=False),
    PrimaryKeyConstraint("writer", "number"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("digest", Id, primary_key=True),
    Column("compiled", LargeBinary, nullable=False),
    Column("kept_at", Instant, nullable=False, index=True),
)
