"""Marketing and sales spend."""

from __future__ import annotations

from predictkpi.core import columns as c
from predictkpi.core.schema import Column, TableSchema

SPEND = TableSchema(
    name="spend",
    grain="one row per day and channel, and version",
    columns=(
        Column(c.DS, "instant", "the day the money was spent for", required=True),
        Column(c.CHANNEL, "string", "acquisition channel; `sales` for the cost of the sales force", required=True),
        Column(c.COST, "number", "spend of that day and channel in the reporting currency", required=True, minimum=0.0),
        Column(c.CURRENCY, "string", "currency of the source row, before conversion"),
    ),
    key=(c.DS, c.CHANNEL),
    happened_at=c.DS,
)
