# noqa: INP001 (Alembic loads this file by its path; it is no module of the package)
"""People and their accounts carry a MAC. Frozen."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Those from before have none, and are not trusted: no release ever kept any."""
    for table in ("people", "subjects"):
        op.add_column(table, sa.Column("mac", sa.LargeBinary(), nullable=True))
