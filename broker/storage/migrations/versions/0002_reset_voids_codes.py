# noqa: INP001 (Alembic loads this file by its path; it is no module of the package)
"""When a person was reset and a code was made, so that a reset voids older codes. Frozen.

Of what is there already neither is known: both read as 1970, so a code made before this upgrade enrols nobody who was
ever reset.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("enrolment_codes", sa.Column("made_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("factor_holders", sa.Column("reset_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE factor_holders SET reset_at = 0 WHERE was_reset")
    op.drop_column("factor_holders", "was_reset")
