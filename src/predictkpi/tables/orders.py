"""Orders: booked revenue and its refunds."""

from __future__ import annotations

from predictkpi.core import columns as c
from predictkpi.core.schema import Column, TableSchema

ORDERS = TableSchema(
    name="orders",
    grain="one row per order, refund or credit note, and version",
    columns=(
        Column(c.ORDER_ID, "string", "the company's own id; a refund has its own", required=True),
        Column(c.DS, "instant", "when it was booked; a refund counts in the period it is booked, not in the sale's", required=True),
        Column(c.CUSTOMER_ID, "string", "who bought; may be absent from customers", required=True),
        Column(c.AMOUNT, "number", "net of tax, in the reporting currency; refunds and credit notes are negative", required=True),
        Column(c.CURRENCY, "string", "currency of the source row, before conversion"),
        Column(c.PRODUCT, "string", "product or product line"),
        Column(c.DEAL_ID, "string", "the won deal this order comes from; empty for orders without one"),
    ),
    key=(c.ORDER_ID,),
    happened_at=c.DS,
)
