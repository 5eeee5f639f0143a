"""Monthly revenue series of a snapshot: the total, each member of segment, region, channel, product and team, and crossed members.

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
from predictkpi.predictors.revenue.scopes import DIMENSIONS, Crossed, entity_id_of
from predictkpi.snapshot import Snapshot

UNKNOWN = "unknown"
FISCAL_YEAR_STARTS = "fiscal_year_starts"
IS_ASKED = "is_asked"
# Records that begin later in a month than this day are taken to hold only a part of that month.
FIRST_DAY_OF_A_WHOLE_MONTH = 7


def members_of(snapshot: Snapshot, crossed: Crossed = ()) -> pd.DataFrame:
    """One row per order and series it belongs to: ``unique_id, ds, y``; ``ds`` is the start of its month.

    The team is that of the order's deal. An order without a deal, of a deal without a team, of a customer without that attribute or
    absent from customers belongs to the member "unknown". A dimension with one member is left out, and so is a pair that has one.
    """
    members = _members(snapshot)
    kept = [dimension for dimension in DIMENSIONS if members[dimension].nunique() > 1]
    pairs = [tuple(sorted(pair)) for pair in crossed if set(pair) <= set(kept)]
    months = period_start(snapshot.orders[c.DS], "M")
    booked = pd.DataFrame({c.DS: months, c.Y: snapshot.orders[c.AMOUNT].astype("float64")})
    parts = [booked.assign(**{c.UNIQUE_ID: c.TOTAL})]
    for dimensions in [*((dimension,) for dimension in kept), *dict.fromkeys(pairs)]:
        code, found = pd.factorize(pd.MultiIndex.from_frame(members[list(dimensions)]))
        names = np.array([entity_id_of(dict(zip(dimensions, key, strict=True))) for key in found], dtype=object)
        parts.append(booked.assign(**{c.UNIQUE_ID: names[code]}))
    return pd.concat(parts, ignore_index=True)[[c.UNIQUE_ID, c.DS, c.Y]]


def _members(snapshot: Snapshot) -> pd.DataFrame:
    """The member each order belongs to, one column a dimension, in the order of the orders."""
    orders, customers, deals = snapshot.orders, snapshot.customers, snapshot.deals
    found = {
        dimension: orders[c.CUSTOMER_ID].map(customers.set_index(c.CUSTOMER_ID)[dimension])
        for dimension in (c.SEGMENT, c.REGION, c.CHANNEL)
    }
    found |= {c.PRODUCT: orders[c.PRODUCT], c.TEAM: orders[c.DEAL_ID].map(deals.set_index(c.DEAL_ID)[c.TEAM])}
    members = pd.DataFrame(found).astype("object")
    return members.where(members.notna() & (members != ""), UNKNOWN).map(str)


def monthly_series(snapshot: Snapshot, crossed: Crossed = ()) -> pd.DataFrame:
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
    rows = members_of(snapshot, crossed)
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


def series_inputs(snapshot: Snapshot, entity_ids: Sequence[str] | None = None, *, crossed: Crossed = ()) -> pd.DataFrame:
    """Long inputs: one row per series and complete month, ``entity_id, as_of, ds, y, fiscal_year_starts, is_asked``.

    All series are there whichever are named, since the answer of each depends on the others it adds up with. Raises `UnknownEntityError`
    for a named series without an order.
    """
    frame = monthly_series(snapshot, crossed).rename(columns={c.UNIQUE_ID: c.ENTITY_ID})
    asked = set(frame[c.ENTITY_ID] if entity_ids is None else entity_ids)
    unknown = sorted(asked - set(frame[c.ENTITY_ID]))
    if unknown:
        raise UnknownEntityError(f"no revenue known before {snapshot.as_of.isoformat()} for series {', '.join(unknown)}")
    frame.insert(1, c.AS_OF, snapshot.as_of)
    return frame.assign(**{FISCAL_YEAR_STARTS: snapshot.company.fiscal_year_starts, IS_ASKED: frame[c.ENTITY_ID].isin(asked)})


def training_series(snapshot: Snapshot, origins: int, *, crossed: Crossed = ()) -> pd.DataFrame:
    """The inputs as known at ``as_of`` and, before it, at the start of the running month and of each of the ``origins`` before."""
    instants = [shift(snapshot.as_of, -back, "M") for back in range(origins, -1, -1)]
    frames = [series_inputs(snapshot.at(instant), crossed=crossed) for instant in instants if instant < snapshot.as_of]
    return pd.concat([*[frame for frame in frames if len(frame)], series_inputs(snapshot, crossed=crossed)], ignore_index=True)
