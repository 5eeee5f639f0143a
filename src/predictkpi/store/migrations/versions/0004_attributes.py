"""The table of a company's own fields."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from predictkpi.store.schema import BIG_ID

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime().with_variant(sa.String(26), "sqlite")


def upgrade() -> None:
    """Create it; nothing else changes."""
    op.create_table(
        "attributes",
        sa.Column("version_id", BIG_ID, autoincrement=True),
        sa.Column("table", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("value", sa.Text),
        sa.Column("known_at", INSTANT, nullable=False),
        sa.Column("load_id", sa.Integer, nullable=False),
        sa.Column("content_hash", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("version_id", name="pk_attributes"),
        sa.UniqueConstraint("table", "entity_id", "name", "known_at", name="uq_attributes_table_entity_id_name_known_at"),
    )
    op.create_index("ix_attributes_known_at", "attributes", ["known_at"])
