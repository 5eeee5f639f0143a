"""Customers: who buys."""

from __future__ import annotations

from predictkpi.core import columns as c
from predictkpi.core.schema import Column, TableSchema

CUSTOMERS = TableSchema(
    name="customers",
    grain="one row per customer and version; the newest known version holds",
    columns=(
        Column(c.CUSTOMER_ID, "string", "the company's own id", required=True),
        Column(c.NAME, "string", "as shown to people"),
        Column(c.SEGMENT, "string", "size or type of customer, e.g. Enterprise"),
        Column(c.REGION, "string", "sales region"),
        Column(c.INDUSTRY, "string", "sector of the customer"),
        Column(c.CHANNEL, "string", "acquisition channel; spells the channels of the spend table"),
        Column(c.CREATED_AT, "instant", "when the account was created; empty if not recorded"),
    ),
    key=(c.CUSTOMER_ID,),
    happened_at=c.CREATED_AT,
)
