"""What a sync keeps: how far each object of a source was read, and which records are gone from it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from predictkpi.store.schema import BIG_ID

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime().with_variant(sa.String(26), "sqlite")


def upgrade() -> None:
    """Create both tables; nothing else changes."""
    op.create_table(
        "marks",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source", "object", name="pk_marks"),
    )
    op.create_table(
        "withdrawals",
        sa.Column("withdrawal_id", BIG_ID, autoincrement=True),
        sa.Column("table", sa.Text, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("is_withdrawn", sa.Boolean, nullable=False),
        sa.Column("known_at", INSTANT, nullable=False),
        sa.Column("load_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("withdrawal_id", name="pk_withdrawals"),
    )
    op.create_index("ix_withdrawals_table", "withdrawals", ["table"])


def downgrade() -> None:
    """Drop both."""
    op.drop_table("withdrawals")
    op.drop_table("marks")
