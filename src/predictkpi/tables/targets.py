"""Targets: what was promised for a KPI, a scope and a period."""

from __future__ import annotations

from predictkpi.core import columns as c
from predictkpi.core.periods import FREQS
from predictkpi.core.schema import Column, TableSchema

TARGETS = TableSchema(
    name="targets",
    grain="one row per KPI, scope, period length and period, and version",
    columns=(
        Column(c.KPI, "string", "name of the KPI in the catalogue", required=True),
        Column(c.SCOPE, "string", "`total` or dimension=member, e.g. region=EMEA", required=True),
        Column(c.FREQ, "string", "length of the period", required=True, choices=FREQS),
        Column(c.DS, "instant", "first day of the period", required=True),
        Column(c.VALUE, "number", "the target, in the KPI's unit", required=True),
    ),
    key=(c.KPI, c.SCOPE, c.FREQ, c.DS),
    happened_at=None,
    planned=True,
)
