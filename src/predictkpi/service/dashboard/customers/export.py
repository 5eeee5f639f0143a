"""The list as CSV, for a spreadsheet: plain numbers, one row a customer."""

from __future__ import annotations

from predictkpi.core import columns as c
from predictkpi.predictors.clv.ranks import DECILE, RANK
from predictkpi.service.customer_rows import AT_RISK, FIRST, LAST, OPEN_DEALS, ORDERS, PREDICTED, REVENUE
from predictkpi.service.dashboard.customers.asked import Asked
from predictkpi.service.dashboard.customers.listing import all_positions
from predictkpi.service.deal_rows import LABEL
from predictkpi.service.view import View

COLUMNS = [
    c.CUSTOMER_ID,
    LABEL,
    c.SEGMENT,
    c.REGION,
    c.INDUSTRY,
    c.CHANNEL,
    c.OWNER,
    c.CREATED_AT,
    FIRST,
    LAST,
    ORDERS,
    REVENUE,
    OPEN_DEALS,
    *PREDICTED,
    AT_RISK,
]
COUNTS = [ORDERS, OPEN_DEALS, RANK, DECILE]
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take text for a formula."""


def as_csv(view: View, asked: Asked) -> str:
    """Everybody of the list in its order: `COLUMNS`, and what they are as of.

    Text that a spreadsheet would run begins with ``'``.
    """
    rows, positions = all_positions(view, asked)
    table = rows.columns.take(positions).frame()[COLUMNS]
    for name in table.columns[[dtype == "str" for dtype in table.dtypes]]:
        table[name] = table[name].mask(table[name].str.startswith(FORMULA, na=False), "'" + table[name])
    table = table.astype(dict.fromkeys(COUNTS, "Int64"))
    told = {"as_of": view.as_of.isoformat(), c.CURRENCY: view.company.currency, "horizon_months": asked.horizon}
    return str(table.assign(**told).to_csv(index=False, lineterminator="\r\n", date_format="%Y-%m-%dT%H:%M:%S"))


def file_name(view: View, asked: Asked) -> str:
    """As a browser keeps it."""
    return f"customers-{view.as_of:%Y-%m-%d}-{asked.horizon}-months.csv"
