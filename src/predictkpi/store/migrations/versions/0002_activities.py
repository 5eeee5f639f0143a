"""The table of activities."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from predictkpi.store.schema import BIG_ID

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime().with_variant(sa.String(26), "sqlite")


def upgrade() -> None:
    """Create it; nothing else changes."""
    op.create_table(
        "activities",
        sa.Column("version_id", BIG_ID, autoincrement=True),
        sa.Column("activity_id", sa.Text, nullable=False),
        sa.Column("deal_id", sa.Text),
        sa.Column("customer_id", sa.Text),
        sa.Column("ds", INSTANT, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("direction", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("known_at", INSTANT, nullable=False),
        sa.Column("load_id", sa.Integer, nullable=False),
        sa.Column("content_hash", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("version_id", name="pk_activities"),
        sa.UniqueConstraint("activity_id", "known_at", name="uq_activities_activity_id_known_at"),
    )
    op.create_index("ix_activities_known_at", "activities", ["known_at"])
