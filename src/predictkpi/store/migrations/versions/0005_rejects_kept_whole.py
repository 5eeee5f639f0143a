"""Rejects with the row as the source gave it, and the load that settled them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns, empty for what was rejected before."""
    op.add_column("rejects", sa.Column("record", sa.Text))
    op.add_column("rejects", sa.Column("replayed_in", sa.Integer))


def downgrade() -> None:
    """Drop both."""
    op.drop_column("rejects", "replayed_in")
    op.drop_column("rejects", "record")
