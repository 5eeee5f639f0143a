"""Dated exchange rates into the reporting currency."""

from __future__ import annotations

from predictkpi.core import columns as c
from predictkpi.core.schema import Column, TableSchema

FX_RATES = TableSchema(
    name="fx_rates",
    grain="one row per day and currency, and version; a rate holds until the next one",
    columns=(
        Column(c.DS, "instant", "first day the rate holds", required=True),
        Column(c.CURRENCY, "string", "ISO 4217", required=True),
        Column(c.RATE, "number", "reporting currency per one unit of `currency`", required=True, minimum=1e-12),
    ),
    key=(c.DS, c.CURRENCY),
    happened_at=c.DS,
)
