"""Deal events: the whole state of a deal after each change, append-only. An overwritten CRM field is a new event."""

from __future__ import annotations

from predictkpi.core import columns as c
from predictkpi.core.schema import Column, TableSchema

DEAL_EVENTS = TableSchema(
    name="deal_events",
    grain="one row per change of a deal; each states the full state after it, so an empty field means empty, not unchanged",
    columns=(
        Column(c.EVENT_ID, "string", "the source's id, or <deal_id>@<instant>#<number> where it has none", required=True),
        Column(c.DEAL_ID, "string", "the deal that changed", required=True),
        Column(c.DS, "instant", "when the change happened", required=True),
        Column(
            c.STAGE,
            "string",
            "stage after the change; `won` and `lost` are closed, every other name is an open stage",
            required=True,
        ),
        Column(c.AMOUNT, "number", "deal value after the change, in the reporting currency", minimum=0.0),
        Column(c.CURRENCY, "string", "currency of the source row, before conversion"),
        Column(c.EXPECTED_CLOSE_ON, "instant", "the rep's expected close date after the change"),
        Column(c.OWNER, "string", "the rep who owns the deal after the change"),
    ),
    key=(c.EVENT_ID,),
    happened_at=c.DS,
)
