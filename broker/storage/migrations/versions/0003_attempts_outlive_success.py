# noqa: INP001 (Alembic loads this file by its path; it is no module of the package)
"""Failures outlive a success; those in a row are counted apart, and the last try is known. Frozen."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Until now every failure was one in a row."""
    op.add_column("attempts", sa.Column("in_a_row", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("last_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE attempts SET in_a_row = failures")
