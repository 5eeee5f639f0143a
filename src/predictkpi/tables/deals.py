"""Deals: what does not change while a deal runs. What changes is in `deal_events`."""

from __future__ import annotations

from predictkpi.core import columns as c
from predictkpi.core.schema import Column, TableSchema

DEALS = TableSchema(
    name="deals",
    grain="one row per deal (opportunity) and version",
    columns=(
        Column(c.DEAL_ID, "string", "the company's own id", required=True),
        Column(c.NAME, "string", "as shown to people"),
        Column(c.CUSTOMER_ID, "string", "empty where the CRM has no account yet"),
        Column(c.CREATED_AT, "instant", "when the deal was opened; empty if not recorded: its age then counts from its first event"),
        Column(c.SOURCE, "string", "where the lead came from"),
        Column(c.PRODUCT, "string", "product or product line"),
        Column(c.REGION, "string", "sales region of the deal"),
        Column(c.TEAM, "string", "sales team"),
    ),
    key=(c.DEAL_ID,),
    happened_at=c.CREATED_AT,
)
