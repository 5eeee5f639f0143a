"""The list of erased persons and companies: hashes alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from predictkpi.store.schema import BIG_ID, Instant

revision = "0014"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empty: nothing was erased yet."""
    op.create_table(
        "erasures",
        sa.Column("erasure_id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("erased_at", Instant(), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("counts", sa.Text),
        sa.PrimaryKeyConstraint("erasure_id", name="pk_erasures"),
        sa.UniqueConstraint("digest", name="uq_erasures_digest"),
    )
