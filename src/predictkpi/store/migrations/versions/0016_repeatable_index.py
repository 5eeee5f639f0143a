"""Old answers kept for repeated requests are found without reading the others."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Small: the table holds a day of answers."""
    op.create_index("ix_repeatable_asked_at", "repeatable", ["asked_at"])
