"""What the newest watch found of each table and predictor."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from predictkpi.store.schema import Instant

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row a subject."""
    op.create_table(
        "watched",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("as_of", Instant(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_watched"),
    )


def downgrade() -> None:
    """Forget it; the next watch finds it again."""
    op.drop_table("watched")
