"""Instants as microseconds where they were text (SQLite), and fewer indexes: of a fact table only the one that keeps its versions unique.

A table's rows are in the order in which they became known but for corrections, so that reading them in that order needs no index; and what
the index was asked for, the newest instant, the book of loads knows. What was a constraint becomes an index that can be made after a load.
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KEYS = {
    "customers": ["customer_id"],
    "orders": ["order_id"],
    "deals": ["deal_id"],
    "deal_events": ["event_id"],
    "activities": ["activity_id"],
    "attributes": ["table", "entity_id", "name"],
    "spend": ["ds", "channel"],
    "targets": ["kpi", "scope", "freq", "ds"],
    "fx_rates": ["ds", "currency"],
}
_HAPPENED = ("customers", "orders", "deals", "deal_events", "activities", "attributes", "spend", "withdrawals")
_TEXT = "VARCHAR(26)"


def upgrade() -> None:
    """Rebuild the tables that hold instants as text; fill the book of loads."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name, key in _KEYS.items():
        unique = f"uq_{name}_{'_'.join(key)}_known_at"
        op.drop_index(f"ix_{name}_known_at", name)
        if is_sqlite:
            _count_instants_of(name, without=unique)
        else:
            op.drop_constraint(unique, name)
        op.create_index(unique, name, [*key, "known_at"], unique=True)
    if is_sqlite:
        for name in ("withdrawals", "loads", "predictions"):
            _count_instants_of(name)
    op.add_column("loads", sa.Column("newest_known_at", sa.BigInteger if is_sqlite else sa.DateTime))
    known = " UNION ALL ".join(f"SELECT load_id, known_at FROM {name}" for name in _HAPPENED)
    op.execute(
        f"UPDATE loads SET newest_known_at = newest.known_at FROM (SELECT load_id, max(known_at) AS known_at FROM ({known}) AS known "
        "GROUP BY load_id) AS newest WHERE newest.load_id = loads.load_id"
    )


def _count_instants_of(name: str, *, without: str = "") -> None:
    """Copy a table into one that is the same but for its instants and, where one is named, a constraint."""
    connection = op.get_bind()
    made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql > '' ORDER BY type DESC", (name,))
    table, *indexes = made.scalars()
    columns = connection.exec_driver_sql(f"PRAGMA table_info({name})").mappings().all()
    values = ", ".join(_counted(column["name"]) if column["type"] == _TEXT else f'"{column["name"]}"' for column in columns)
    op.rename_table(name, f"{name}_as_text")
    table = re.sub(rf",\s*CONSTRAINT {without} UNIQUE \([^)]*\)", "", table) if without else table
    op.execute(table.replace(_TEXT, "BIGINT"))
    op.execute(f"INSERT INTO {name} SELECT {values} FROM {name}_as_text")
    op.drop_table(f"{name}_as_text")
    for index in indexes:
        op.execute(index)


def _counted(column: str) -> str:
    """Microseconds since 1970 of text such as ``2024-01-31 10:11:12.123456``."""
    return f"CAST(strftime('%s', substr({column}, 1, 19)) AS INTEGER) * 1000000 + CAST(substr({column}, 21) AS INTEGER)"
