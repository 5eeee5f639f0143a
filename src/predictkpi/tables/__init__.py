"""The fact tables. `TABLES` is the one catalogue; store, sources, snapshot and docs read it."""

from __future__ import annotations

from predictkpi.core.schema import TableSchema
from predictkpi.errors import UnknownNameError
from predictkpi.tables.activities import ACTIVITIES
from predictkpi.tables.attributes import ATTRIBUTES
from predictkpi.tables.customers import CUSTOMERS
from predictkpi.tables.deal_events import DEAL_EVENTS
from predictkpi.tables.deals import DEALS
from predictkpi.tables.fx_rates import FX_RATES
from predictkpi.tables.orders import ORDERS
from predictkpi.tables.spend import SPEND
from predictkpi.tables.targets import TARGETS

__all__ = ["TABLES", "table_schema"]

TABLES: dict[str, TableSchema] = {
    schema.name: schema for schema in (CUSTOMERS, ORDERS, DEALS, DEAL_EVENTS, ACTIVITIES, SPEND, TARGETS, FX_RATES, ATTRIBUTES)
}


def table_schema(name: str) -> TableSchema:
    """The schema of that table; `UnknownNameError` lists the tables there are."""
    if name not in TABLES:
        raise UnknownNameError.among("table", name, known=TABLES)
    return TABLES[name]
