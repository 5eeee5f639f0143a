"""What was predicted in which role, the answers that were served, and the scoreboards that judge both."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from predictkpi.store.schema import BIG_ID, Instant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the three tables; whatever was predicted before was the champion's."""
    op.create_table(
        "scorings",
        sa.Column("scoring_id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("predictor", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("as_of", Instant(), nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("inputs_digest", sa.Text),
        sa.Column("scored_at", Instant()),
        sa.PrimaryKeyConstraint("scoring_id", name="pk_scorings"),
        sa.UniqueConstraint("predictor", "model_version", "as_of", name="uq_scorings_predictor_model_version_as_of"),
    )
    op.execute(
        "INSERT INTO scorings (predictor, model_version, as_of, role) "
        "SELECT predictor, model_version, as_of, 'champion' FROM predictions GROUP BY predictor, model_version, as_of "
        "ORDER BY MAX(prediction_id)"
    )
    op.create_table(
        "answers",
        sa.Column("prediction_id", sa.Text, nullable=False),
        sa.Column("predictor", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("as_of", Instant(), nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("inputs_digest", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("first_served_at", Instant(), nullable=False),
        sa.Column("last_served_at", Instant(), nullable=False),
        sa.Column("times", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("prediction_id", name="pk_answers"),
    )
    op.create_index("ix_answers_predictor_model_version_as_of", "answers", ["predictor", "model_version", "as_of"])
    op.create_table(
        "scoreboards",
        sa.Column("predictor", sa.Text, nullable=False),
        sa.Column("as_of", Instant(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("predictor", name="pk_scoreboards"),
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("scoreboards", "answers", "scorings"):
        op.drop_table(name)
