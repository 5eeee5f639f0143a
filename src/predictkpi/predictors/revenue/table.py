"""Monthly revenue series of a snapshot: the total, and each member of segment, region, channel and product.

Revenue is the sum of order amounts by the month they are booked in (refunds negative), in the reporting currency. A series
has every complete month from its first order on; a month inside it without an order is a true zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import complete_periods, period_start, shift, start_of
from predictkpi.errors import UnknownEntityError
from predictkpi.snapshot import Snapshot

DIMENSIONS = (c.SEGMENT, c.REGION, c.CHANNEL, c.PRODUCT)
UNKNOWN = "unknown"
FISCAL_YEAR_STARTS = "fiscal_year_starts"
# Records that begin later in a month than this day are taken to hold only a part of that month.
FIRST_DAY_OF_A_WHOLE_MONTH = 7


def members_of(snapshot: Snapshot) -> pd.DataFrame:
    """One row per order and series it belongs to: ``unique_id, ds, y``; ``ds`` is the start of its month.

    A customer without that attribute, or absent from customers, belongs to the member "unknown". A dimension with one member is left out.
    """
    orders = snapshot.orders[[c.CUSTOMER_ID, c.DS, c.AMOUNT, c.PRODUCT]]
    attributes = snapshot.customers[[c.CUSTOMER_ID, c.SEGMENT, c.REGION, c.CHANNEL]]
    orders = orders.merge(attributes, on=c.CUSTOMER_ID, how="left")
    booked = pd.DataFrame({c.DS: period_start(orders[c.DS], "M"), c.Y: orders[c.AMOUNT].astype("float64")})
    parts = [booked.assign(**{c.UNIQUE_ID: c.TOTAL})]
    for dimension in DIMENSIONS:
        member = orders[dimension].astype("object")
        member = member.where(member.notna() & (member != ""), UNKNOWN)
        if member.nunique() < 2:
            continue  # the only member is the total once more, and would count as evidence twice
        parts.append(booked.assign(**{c.UNIQUE_ID: dimension + "=" + member.map(str)}))
    return pd.concat(parts, ignore_index=True)[[c.UNIQUE_ID, c.DS, c.Y]]


def monthly_series(snapshot: Snapshot) -> pd.DataFrame:
    """``unique_id, ds, y`` of the complete months before ``as_of``, sorted.

    A series with orders but no complete month yet (all of them in the running month) has one row with empty ``ds`` and ``y``. A first
    month in which the company's records begin late is left out: it would be a part taken for a whole.
    """
    orders = snapshot.orders
    if not len(orders):
        return pd.DataFrame(
            {c.UNIQUE_ID: pd.Series([], dtype="str"), c.DS: pd.Series([], dtype="datetime64[us]"), c.Y: pd.Series([], dtype=float)}
        )
    first = orders[c.DS].min()
    begins = start_of(first, "M") if first.day <= FIRST_DAY_OF_A_WHOLE_MONTH else shift(first, 1, "M")
    rows = members_of(snapshot)
    months = complete_periods(begins, snapshot.as_of, "M")
    wide = rows.pivot_table(index=c.UNIQUE_ID, columns=c.DS, values=c.Y, aggfunc="sum").reindex(columns=months).sort_index()
    values = wide.to_numpy(dtype=float, na_value=np.nan)
    series = []
    for unique_id, row in zip(wide.index, values, strict=True):
        seen = np.flatnonzero(~np.isnan(row))
        if len(seen):
            series.append(pd.DataFrame({c.UNIQUE_ID: unique_id, c.DS: months[seen[0] :], c.Y: np.nan_to_num(row[seen[0] :])}))
    without = sorted(set(rows[c.UNIQUE_ID]) - {frame[c.UNIQUE_ID].iloc[0] for frame in series})
    if without:
        series.append(pd.DataFrame({c.UNIQUE_ID: without, c.DS: pd.NaT, c.Y: np.nan}))
    frame = pd.concat(series, ignore_index=True)
    return frame.astype({c.UNIQUE_ID: "str", c.DS: "datetime64[us]", c.Y: "float64"}).sort_values([c.UNIQUE_ID, c.DS], ignore_index=True)


def series_inputs(snapshot: Snapshot, entity_ids: Sequence[str] | None = None) -> pd.DataFrame:
    """Long inputs: one row per series and complete month, ``entity_id, as_of, ds, y, fiscal_year_starts``.

    Raises `UnknownEntityError` for a named series without an order.
    """
    frame = monthly_series(snapshot).rename(columns={c.UNIQUE_ID: c.ENTITY_ID})
    if entity_ids is not None:
        unknown = sorted(set(entity_ids) - set(frame[c.ENTITY_ID]))
        if unknown:
            raise UnknownEntityError(f"no revenue known before {snapshot.as_of.isoformat()} for series {', '.join(unknown)}")
        frame = frame[frame[c.ENTITY_ID].isin(list(entity_ids))].reset_index(drop=True)
    frame.insert(1, c.AS_OF, snapshot.as_of)
    return frame.assign(**{FISCAL_YEAR_STARTS: snapshot.company.fiscal_year_starts})


def training_series(snapshot: Snapshot, origins: int) -> pd.DataFrame:
    """The inputs as known at ``as_of`` and, before it, at the start of the running month and of each of the ``origins`` before."""
    instants = [shift(snapshot.as_of, -back, "M") for back in range(origins, -1, -1)]
    frames = [series_inputs(snapshot.at(instant)) for instant in instants if instant < snapshot.as_of]
    return pd.concat([*[frame for frame in frames if len(frame)], series_inputs(snapshot)], ignore_index=True)
