"""The company's country, whose public holidays count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Unknown for books that are there."""
    op.add_column("company", sa.Column("country", sa.Text))
