# noqa: INP001 (Alembic loads this file by its path; it is no module of the package)
"""The first tables. Frozen: a change of the schema is a new migration."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Instant = sa.BigInteger()

SEARCHED = (
    "id",
    "tag",
    "outcome",
    "actor",
    "subject",
    "account",
    "role_arn",
    "session_name",
    "address",
    "request_id",
    "lease_id",
    "access_key_id",
)


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "marks",
        sa.Column("name", Id, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_marks"),
    )
    _people()
    _factors()
    _enrolment()
    _short_lived()
    _trail()
    op.create_table(
        "snapshots",
        sa.Column("digest", Id, nullable=False),
        sa.Column("compiled", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_snapshots"),
    )
    op.create_index("ix_snapshots_kept_at", "snapshots", ["kept_at"])


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("id", Id, nullable=False),
        sa.Column("session_name", Id, nullable=False),
        sa.Column("folded_name", Id, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("first_seen", Instant, nullable=False),
        sa.Column("last_seen", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("folded_name", name="uq_people_folded_name"),
    )
    op.create_table(
        "subjects",
        sa.Column("provider", Id, nullable=False),
        sa.Column("subject", Id, nullable=False),
        sa.Column("person", Id, nullable=False),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_subjects_person"),
        sa.PrimaryKeyConstraint("provider", "subject", name="pk_subjects"),
    )
    op.create_index("ix_subjects_person", "subjects", ["person"])


def _factors() -> None:
    op.create_table(
        "factor_holders",
        sa.Column("person", Id, nullable=False),
        sa.Column("was_reset", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("person", name="pk_factor_holders"),
    )
    op.create_table(
        "factors",
        sa.Column("id", Id, nullable=False),
        sa.Column("person", Id, nullable=False),
        sa.Column("method", Id, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("enrolled_at", Instant, nullable=False),
        sa.Column("last_used_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_factors"),
    )
    op.create_index("ix_factors_person", "factors", ["person"])
    op.create_table(
        "recovery_codes",
        sa.Column("person", Id, nullable=False),
        sa.Column("hashed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", Instant, nullable=False),
        sa.Column("used_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("person", "hashed", name="pk_recovery_codes"),
    )


def _enrolment() -> None:
    op.create_table(
        "enrolment_codes",
        sa.Column("id", Id, nullable=False),
        sa.Column("hashed", sa.LargeBinary(), nullable=False),
        sa.Column("provider", Id, nullable=False),
        sa.Column("subject", Id, nullable=False),
        sa.Column("group", Id, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrolment_codes"),
        sa.UniqueConstraint("hashed", name="uq_enrolment_codes_hashed"),
    )
    op.create_table(
        "enrolment_redemptions",
        sa.Column("code", Id, nullable=False),
        sa.Column("slot", Id, nullable=False),
        sa.Column("person", Id, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["code"], ["enrolment_codes.id"], name="fk_enrolment_redemptions_code"),
        sa.PrimaryKeyConstraint("code", "slot", name="pk_enrolment_redemptions"),
    )


def _short_lived() -> None:
    op.create_table(
        "sessions",
        sa.Column("key", Id, nullable=False),
        sa.Column("person", Id, nullable=True),
        sa.Column("ends_at", Instant, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_sessions"),
    )
    op.create_index("ix_sessions_ends_at", "sessions", ["ends_at"])
    op.create_index("ix_sessions_person", "sessions", ["person"])
    op.create_table(
        "attempts",
        sa.Column("key", Id, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("in_window", sa.Integer(), nullable=False),
        sa.Column("window_from", Instant, nullable=True),
        sa.Column("wait_until", Instant, nullable=True),
        sa.Column("forget_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_attempts"),
    )
    op.create_index("ix_attempts_forget_at", "attempts", ["forget_at"])
    op.create_table(
        "once",
        sa.Column("key", Id, nullable=False),
        sa.Column("ends_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_once"),
    )
    op.create_index("ix_once_ends_at", "once", ["ends_at"])


def _trail() -> None:
    op.create_table(
        "trail_links",
        sa.Column("writer", Id, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", Id, nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        *(sa.Column(name, Id, nullable=True) for name in SEARCHED),
        sa.PrimaryKeyConstraint("writer", "number", name="pk_trail_links"),
        sa.UniqueConstraint("id", name="uq_trail_links_id"),
    )
    _partial_index("ix_trail_links_at", ["at"], filled="payload")
    for name in SEARCHED:
        if name not in {"id", "outcome"}:
            _partial_index(f"ix_trail_links_{name}", [name, "id"], filled=name)
    op.create_table(
        "trail_heads",
        sa.Column("writer", Id, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("writer", "number", name="pk_trail_heads"),
    )


def _partial_index(name: str, columns: list[str], *, filled: str) -> None:
    where = sa.text(f"{filled} IS NOT NULL")
    op.create_index(name, "trail_links", columns, sqlite_where=where, postgresql_where=where)
