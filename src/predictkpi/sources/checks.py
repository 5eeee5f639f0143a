"""Checks of typed rows that need more than one column's cells: the clock, the currency, the deal an event belongs to.

Pure, as all of `sources` after `files`: each function returns the rows that pass and the rejects (``field, value, reason`` on the index
of the rows), for `pipelines.ingest` to count.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from predictkpi.core import columns as c
from predictkpi.core.schema import TableSchema
from predictkpi.sources.convert import TOO_LARGE, out_of_range
from predictkpi.sources.mapping import DERIVED_KEYS

MONEY = {"orders": c.AMOUNT, "deal_events": c.AMOUNT, "spend": c.COST}
"""The column of each table that is money in the row's own currency."""

Checked = tuple[pd.DataFrame, pd.DataFrame]


def with_derived_keys(schema: TableSchema, frame: pd.DataFrame) -> pd.DataFrame:
    """Fill empty ids with ``<customer or deal>@<instant>#<number>``, numbered in the order of the rows."""
    if schema.name not in DERIVED_KEYS or schema.happened_at is None:
        return frame
    key, of = DERIVED_KEYS[schema.name]
    empty = frame[frame[key].isna()]
    if empty.empty:
        return frame
    owner = empty[list(of)].bfill(axis=1).iloc[:, 0]
    number = empty.groupby([owner, schema.happened_at], dropna=False).cumcount() + 1
    instant = empty[schema.happened_at].dt.strftime("%Y-%m-%dT%H:%M:%S").fillna("")
    made = owner.fillna("") + "@" + instant + "#" + number.astype("str")
    return frame.assign(**{key: frame[key].fillna(made)})


def _split(frame: pd.DataFrame, bad: pd.Series, field: str, reason: str | Callable[[pd.DataFrame], pd.Series]) -> Checked:
    """Part the rows; a reason that depends on the row is asked for the bad ones only."""
    if not bad.any():
        return frame, pd.DataFrame({"field": field, "value": "", "reason": ""}, index=frame.index[:0])
    broken = frame[bad]
    values = broken[field].astype("str").fillna("")
    reasons = reason if isinstance(reason, str) else reason(broken)
    return frame[~bad], pd.DataFrame({"field": field, "value": values, "reason": reasons}, index=broken.index)


def not_of_the_future(schema: TableSchema, frame: pd.DataFrame, *, until: pd.Timestamp) -> Checked:
    """Facts happen, and are known, no later than the export (or the load); only plans speak of what is to come."""
    rejects = []
    fields = [c.KNOWN_AT] if schema.planned or schema.happened_at is None else [schema.happened_at, c.KNOWN_AT]
    for name in fields:
        reason = f"dated in the future: after {until.strftime('%Y-%m-%d %H:%M:%S')}, when the data were exported or loaded"
        frame, found = _split(frame, frame[name] > until, name, reason)
        rejects.append(found)
    return frame, pd.concat(rejects)


def in_reporting_currency(schema: TableSchema, frame: pd.DataFrame, *, currency: str, rates: pd.DataFrame) -> Checked:
    """Convert money at the newest rate (``ds, currency, rate``) of the row's day or before; without a currency it is the company's."""
    if schema.name == "fx_rates":
        frame = frame.assign(**{c.CURRENCY: frame[c.CURRENCY].str.upper()})
    if schema.name not in MONEY or schema.happened_at is None:
        return frame, _split(frame, pd.Series(False, index=frame.index), schema.key[0], "")[1]
    stated = frame[c.CURRENCY].str.upper().fillna(currency).astype("str")
    frame = frame.assign(**{c.CURRENCY: stated})
    foreign = frame[stated != currency].sort_values(schema.happened_at, kind="stable")
    if foreign.empty:
        return frame, _split(frame, pd.Series(False, index=frame.index), c.CURRENCY, "")[1]
    dated = rates[[c.DS, c.CURRENCY, c.RATE]].rename(columns={c.DS: "rate_from"}).sort_values("rate_from")
    dated = dated.assign(**{c.CURRENCY: dated[c.CURRENCY].str.upper()})
    found = pd.merge_asof(
        foreign[[schema.happened_at, c.CURRENCY]], dated, left_on=schema.happened_at, right_on="rate_from", by=c.CURRENCY
    ).set_axis(foreign.index)
    rate = found[c.RATE].reindex(frame.index).where(stated != currency, 1.0)
    money = MONEY[schema.name]
    happened = frame[schema.happened_at]
    good, without_rate = _split(
        frame.assign(**{money: frame[money] * rate}),
        rate.isna(),
        c.CURRENCY,
        lambda rows: f"no exchange rate into {currency} on or before " + happened[rows.index].dt.strftime("%Y-%m-%d"),
    )
    good, too_large = _split(good, out_of_range(good[money]), money, f"number out of range once in {currency}: not below {TOO_LARGE:g}")
    return good, pd.concat([without_rate, too_large])


def of_known_deals(events: pd.DataFrame, deals: pd.DataFrame) -> Checked:
    """Events belong to a deal (``deal_id, created_at``; last row holds) and happen no earlier; a mere date counts for its whole day."""
    deals = deals.drop_duplicates(c.DEAL_ID, keep="last", ignore_index=True)
    at = pd.Series(positions(events[c.DEAL_ID], deals[c.DEAL_ID]), index=events.index)
    events, unknown = _split(events, at < 0, c.DEAL_ID, "no such deal in this load or in the store")
    opened = deals[c.CREATED_AT].reindex(at[events.index]).set_axis(events.index)
    happened = events[c.DS]
    is_same_date = (happened == happened.dt.normalize()) & (happened == opened.dt.normalize())

    def reason(rows: pd.DataFrame) -> pd.Series:
        what = rows[c.STAGE].where(rows[c.STAGE].isin(c.CLOSED_STAGES))
        created = opened[rows.index].dt.strftime("%Y-%m-%d %H:%M:%S")
        return ("closed (" + what + ")").fillna("changed").astype("str") + " before it was created on " + created

    events, early = _split(events, (happened < opened) & ~is_same_date, c.DS, reason)
    return events, pd.concat([unknown, early])


def positions(values: pd.Series, among: pd.Series) -> np.ndarray:
    """Where each text stands ``among`` unlike ones; -1 where it does not. Arrow looks text up far faster than an index of pandas."""
    found = pa.compute.index_in(pa.array(values), value_set=pa.array(among))
    return found.fill_null(-1).to_numpy(zero_copy_only=False)
