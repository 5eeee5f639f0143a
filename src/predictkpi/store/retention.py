"""How old the rows of a table may become: by which instant each table counts, and deleting in short transactions.

Only the tables of `AGES` can have a period. The others are kept, each for the reason that `KEPT` gives; a test holds that no table is
missing from both.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import sqlalchemy as sa

from predictkpi.core import columns as c
from predictkpi.store.engine import reading, writing
from predictkpi.store.outbox import Delivery
from predictkpi.store.schema import LOAD_ID, LOADS, METADATA, OUTBOX

ROWS_A_TRANSACTION = 5_000
AGES: Mapping[str, str] = {
    "answers": "last_served_at",
    "predictions": c.AS_OF,
    "scorings": c.AS_OF,
    "rejects": LOAD_ID,
    "audit_log": "at",
    "access_log": "last_at",
    "outbox": "queued_at",
    "orders": c.DS,
    "activities": c.DS,
    "spend": c.DS,
}
"""The column that says how old a row is; a reject is as old as its load, and a message that still waits is never too old."""
KEPT: Mapping[str, str] = {
    "customers": "orders and deals refer to them; a single one goes by `predictkpi erase`",
    "deals": "how long deals run is learnt from all of them; those of a customer go by `predictkpi erase`",
    "deal_events": "the state of a deal is made of them",
    "attributes": "they belong to customers, deals and orders",
    "targets": "plans, not people",
    "fx_rates": "old amounts are stated by them",
    "loads": "the book of what was loaded when: counts, and no record",
    "company": "one row",
    "marks": "how far each source was read",
    "withdrawals": "without them a deleted record would come back",
    "api_keys": "who could ask is part of who asked; a revoked one opens nothing",
    "repeatable": "the service forgets them itself, within hours",
    "written_back": "what a CRM holds: without it everything would be written again",
    "scoreboards": "one row a predictor, replaced by the next",
    "watched": "one row a predictor or table, replaced by the next watch",
    "erasures": "what was erased must not come in again",
}


def delete_older(engine: sa.Engine, table: str, before: pd.Timestamp, *, predictor: str | None, dry_run: bool) -> int:
    """See `Store.delete_older`."""
    held = METADATA.tables[table]
    where = _is_older(held, before)
    if predictor is not None:
        where = sa.and_(where, held.c[c.PREDICTOR] == predictor)
    if dry_run:
        with reading(engine) as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(held).where(where)).scalar_one())
    key, deleted = next(iter(held.primary_key)), 0
    while True:
        with writing(engine) as connection:
            some = sa.select(key).where(where).limit(ROWS_A_TRANSACTION)
            rows = connection.execute(sa.delete(held).where(where, key.in_(some))).rowcount
        deleted += rows
        if rows < ROWS_A_TRANSACTION:
            return deleted


def _is_older(table: sa.Table, before: pd.Timestamp) -> sa.ColumnElement[bool]:
    age = table.c[AGES[table.name]]
    if age.name == LOAD_ID:
        return age.in_(sa.select(LOADS.c[LOAD_ID]).where(LOADS.c["loaded_at"] < before))
    return sa.and_(age < before, OUTBOX.c.state != Delivery.WAITING.value) if table is OUTBOX else age < before
