# noqa: INP001 (Alembic loads this file by its path; it is no module of the package)
"""Favourites and use counts. Frozen."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """A table of its own; nothing else refers to it."""
    op.create_table(
        "habits",
        sa.Column("person", ID, nullable=False),
        sa.Column("role", ID, nullable=False),
        sa.Column("starred", sa.Boolean(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("last_used", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("person", "role", name="pk_habits"),
    )
