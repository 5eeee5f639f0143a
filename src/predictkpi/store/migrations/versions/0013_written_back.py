"""What was last written to each field of each record of a CRM."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from predictkpi.store.schema import Instant

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empty: nothing was written before."""
    op.create_table(
        "written_back",
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("record_id", sa.Text, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("as_of", Instant(), nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("written_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("target", "object", "record_id", "field", name="pk_written_back"),
    )
