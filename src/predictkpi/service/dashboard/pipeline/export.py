"""The pipeline as a table for a spreadsheet."""

from __future__ import annotations

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.service.dashboard.pipeline.book import CHANGE, FILTERS
from predictkpi.service.deal_rows import CHANCES, CUSTOMER, DATES, LABEL, STAGE_SINCE
from predictkpi.service.deal_warnings import deal_warnings
from predictkpi.service.paging import NONE
from predictkpi.service.view import View

COLUMNS = [
    c.DEAL_ID, LABEL, c.CUSTOMER_ID, CUSTOMER, *FILTERS, STAGE_SINCE, c.CREATED_AT, c.AMOUNT, *CHANCES, CHANGE, *DATES,
    c.EXPECTED_CLOSE_ON, c.STATUS, c.REASON,
]  # fmt: skip
"""In the words of the API, and in its units; ``change`` is that of ``chance_90`` in a week."""
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def as_csv(view: View, book: pd.DataFrame) -> bytes:
    """These rows, with currency and what the checks found. UTF-8 that says so, as spreadsheets would else take it for something older."""
    warnings = deal_warnings(view)
    table = book[COLUMNS].assign(
        currency=view.company.currency,
        as_of=view.as_of.isoformat(),
        warnings=["; ".join(one.detail for one in warnings.get(deal_id, ())) for deal_id in book[c.DEAL_ID]],
    )
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]) and not pd.api.types.is_datetime64_any_dtype(table[name]):
            table[name] = _harmless(table[name])
    return table.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")


def _harmless(texts: pd.Series) -> pd.Series:
    """Text that a spreadsheet would take for a formula, with a quote before it: names come from whoever filled in a form."""
    known = texts.astype(object).where(texts.notna() & (texts != NONE), "")
    return known.where(~known.str.startswith(FORMULA_SIGNS), "'" + known)
