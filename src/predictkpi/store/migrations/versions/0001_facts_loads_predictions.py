"""The first schema: seven fact tables, the book of loads, rejects, the company and predictions.

Spelled out rather than taken from the code's tables, so that it stays what it was when those change.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

from predictkpi.store.schema import BIG_ID

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime().with_variant(sa.String(26), "sqlite")


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text)


def _number(name: str) -> sa.Column:
    return sa.Column(name, sa.Double)


def _instant(name: str) -> sa.Column:
    return sa.Column(name, INSTANT)


def _required(column: Callable[[str], sa.Column], name: str) -> sa.Column:
    made = column(name)
    made.nullable = False
    return made


def _create_fact_table(name: str, key: list[str], *columns: sa.Column) -> None:
    op.create_table(
        name,
        sa.Column("version_id", BIG_ID, autoincrement=True),
        *columns,
        sa.Column("known_at", INSTANT, nullable=False),
        sa.Column("load_id", sa.Integer, nullable=False),
        sa.Column("content_hash", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("version_id", name=f"pk_{name}"),
        sa.UniqueConstraint(*key, "known_at", name=f"uq_{name}_{'_'.join(key)}_known_at"),
    )
    op.create_index(f"ix_{name}_known_at", name, ["known_at"])


def upgrade() -> None:
    """Create everything."""
    _create_customers_and_orders()
    _create_deals()
    _create_spend_targets_and_rates()
    _create_books()
    _create_predictions()


def _create_customers_and_orders() -> None:
    _create_fact_table(
        "customers",
        ["customer_id"],
        _required(_text, "customer_id"),
        _text("name"),
        _text("segment"),
        _text("region"),
        _text("industry"),
        _text("channel"),
        _instant("created_at"),
    )
    _create_fact_table(
        "orders",
        ["order_id"],
        _required(_text, "order_id"),
        _required(_instant, "ds"),
        _required(_text, "customer_id"),
        _required(_number, "amount"),
        _text("currency"),
        _text("product"),
        _text("deal_id"),
    )


def _create_deals() -> None:
    _create_fact_table(
        "deals",
        ["deal_id"],
        _required(_text, "deal_id"),
        _text("name"),
        _text("customer_id"),
        _instant("created_at"),
        _text("source"),
        _text("product"),
        _text("region"),
        _text("team"),
    )
    _create_fact_table(
        "deal_events",
        ["event_id"],
        _required(_text, "event_id"),
        _required(_text, "deal_id"),
        _required(_instant, "ds"),
        _required(_text, "stage"),
        _number("amount"),
        _text("currency"),
        _instant("expected_close_on"),
        _text("owner"),
    )


def _create_spend_targets_and_rates() -> None:
    _create_fact_table(
        "spend",
        ["ds", "channel"],
        _required(_instant, "ds"),
        _required(_text, "channel"),
        _required(_number, "cost"),
        _text("currency"),
    )
    _create_fact_table(
        "targets",
        ["kpi", "scope", "freq", "ds"],
        _required(_text, "kpi"),
        _required(_text, "scope"),
        _required(_text, "freq"),
        _required(_instant, "ds"),
        _required(_number, "value"),
    )
    _create_fact_table(
        "fx_rates",
        ["ds", "currency"],
        _required(_instant, "ds"),
        _required(_text, "currency"),
        _required(_number, "rate"),
    )


def _create_books() -> None:
    op.create_table(
        "loads",
        sa.Column("load_id", sa.Integer, autoincrement=True),
        _required(_instant, "loaded_at"),
        _instant("exported_at"),
        _required(_text, "mapping"),
        _required(_text, "source"),
        sa.Column("is_refused", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("records", "accepted", "unchanged", "rejected")),
        sa.PrimaryKeyConstraint("load_id", name="pk_loads"),
    )
    op.create_table(
        "rejects",
        sa.Column("reject_id", BIG_ID, autoincrement=True),
        sa.Column("load_id", sa.Integer, nullable=False),
        _required(_text, "file"),
        sa.Column("row", sa.BigInteger, nullable=False),
        *(_required(_text, name) for name in ("table", "field", "value", "reason")),
        sa.PrimaryKeyConstraint("reject_id", name="pk_rejects"),
    )
    op.create_index("ix_rejects_load_id", "rejects", ["load_id"])
    op.create_table(
        "company",
        sa.Column("company_id", sa.Integer, autoincrement=False),
        *(_required(_text, name) for name in ("name", "currency", "time_zone")),
        sa.Column("fiscal_year_starts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("company_id", name="pk_company"),
    )


def _create_predictions() -> None:
    op.create_table(
        "predictions",
        sa.Column("prediction_id", BIG_ID, autoincrement=True),
        _required(_text, "predictor"),
        _required(_text, "entity_id"),
        _required(_instant, "as_of"),
        sa.Column("horizon", sa.Integer, nullable=False),
        _required(_text, "statistic"),
        _number("value"),
        *(_required(_text, name) for name in ("model_version", "status", "reason")),
        sa.PrimaryKeyConstraint("prediction_id", name="pk_predictions"),
        sa.UniqueConstraint("predictor", "model_version", "as_of", "entity_id", "horizon", "statistic", name="uq_predictions_statement"),
    )


def downgrade() -> None:
    """Drop everything."""
    for name in (
        "predictions",
        "company",
        "rejects",
        "loads",
        "fx_rates",
        "targets",
        "spend",
        "deal_events",
        "deals",
        "orders",
        "customers",
    ):
        op.drop_table(name)
