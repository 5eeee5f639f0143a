"""Monthly revenue series of a snapshot: the total, each member of segment, region, channel, product and team, and crossed members.

Revenue is the sum of order amounts by the month they are booked in (refunds negative), in the reporting currency. A series
has every complete month from its first order on; a month inside it without an order is a true zero, unless the whole company has none
though it usually has: then its records are missing. The running month comes last, without
a value. Beside each month stands what was booked in it by the position that ``as_of`` has in the running month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import complete_periods, future_periods, period_start, shift, start_of
from predictkpi.errors import UnknownEntityError
from predictkpi.features.workdays import Workdays
from predictkpi.predictors.revenue.scopes import DIMENSIONS, Crossed, entity_id_of
from predictkpi.snapshot import Snapshot

UNKNOWN = "unknown"
FISCAL_YEAR_STARTS = "fiscal_year_starts"
IS_ASKED = "is_asked"
TO_DATE = "to_date"
DAY_FACTOR = "day_factor"
HORIZON = 12
"""Months ahead, the running one being the first."""
IS_MISSING = "is_missing"
ORDERS = "orders"
_SERIES = {c.UNIQUE_ID: "str", c.DS: "datetime64[us]", c.Y: "float64", TO_DATE: "float64", IS_MISSING: "bool"}
# Records that begin later in a month than this day are taken to hold only a part of that month.
_FIRST_DAY_OF_A_WHOLE_MONTH = 7
# A company that usually has so many orders a month has records missing in a month without any.
_USUAL_ORDERS = 5
# An order recorded later than this after it was booked came with an old stock of records, not late.
RECORDED_LATE = pd.Timedelta(days=31)


@dataclass(frozen=True)
class Members:
    """The member of a dimension that each order belongs to: ``codes`` (n,) into ``names``."""

    codes: npt.NDArray[np.intp]
    names: npt.NDArray[np.object_]

    @classmethod
    def of(cls, values: pd.Series, places: npt.NDArray[np.intp] | None = None) -> Members:
        """By the text in ``values``, or in its row ``places`` (n,), -1 for none; "unknown" where there is no text."""
        codes, found = pd.factorize(values)
        told, names = pd.factorize(np.array([*(str(name) or UNKNOWN for name in found), UNKNOWN], dtype=object))
        codes = told[codes]  # what is missing has the code -1, and takes the last name
        return cls(codes if places is None else np.append(codes, told[-1])[places], names)


@dataclass(frozen=True)
class Bookings:
    """What series are made of: ``months``, a row for each month (``ds``, its start) and members of all dimensions that had orders, with
    ``y``, ``to_date`` and ``orders`` (how many); revenue by day; and when the first order was booked (None without any).
    """

    months: pd.DataFrame
    days: pd.Series
    first: pd.Timestamp | None

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """The team is that of the order's deal. An order without a deal, of a deal without a team, of a customer without that attribute or
        absent from customers belongs to the member "unknown".
        """
        orders = snapshot.orders
        if not len(orders):
            return cls.nothing()
        members = _members(snapshot)
        months = period_start(orders[c.DS], "M")
        amount = orders[c.AMOUNT].astype("float64")
        early = amount.where(_is_early(snapshot, months), 0.0)
        booked = pd.DataFrame({name: each.codes for name, each in members.items()}, index=orders.index)
        booked = booked.assign(**{c.DS: months, c.Y: amount, TO_DATE: early, ORDERS: 1.0})
        sums = booked.groupby([*DIMENSIONS, c.DS], as_index=False, sort=False)[[c.Y, TO_DATE, ORDERS]].sum()
        named = sums.assign(**{name: each.names[sums[name]] for name, each in members.items()})
        return cls(named, amount.groupby(orders[c.DS].dt.normalize()).sum(), orders[c.DS].min())

    @classmethod
    def nothing(cls) -> Self:
        """Of a company without an order."""
        dtypes = dict.fromkeys(DIMENSIONS, "str") | {c.DS: "datetime64[us]", c.Y: "float64", TO_DATE: "float64", ORDERS: "float64"}
        months = pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in dtypes.items()})
        return cls(months, pd.Series([], index=pd.DatetimeIndex([]).as_unit("us"), dtype="float64"), None)


def members_of(booked: pd.DataFrame, crossed: Crossed = ()) -> pd.DataFrame:
    """One row per row of `Bookings.months` and series it belongs to: ``unique_id, ds, y, to_date, orders``.

    A dimension with one member is left out, and so is a pair that has one.
    """
    kept = [dimension for dimension in DIMENSIONS if booked[dimension].nunique() > 1]
    pairs = [tuple(sorted(pair)) for pair in crossed if set(pair) <= set(kept)]
    values = booked[[c.DS, c.Y, TO_DATE, ORDERS]]
    parts = [values.assign(**{c.UNIQUE_ID: c.TOTAL})]
    for dimensions in [*((dimension,) for dimension in kept), *dict.fromkeys(pairs)]:
        code, found = pd.factorize(pd.MultiIndex.from_frame(booked[list(dimensions)]))
        names = np.array([entity_id_of(dict(zip(dimensions, key, strict=True))) for key in found], dtype=object)
        parts.append(values.assign(**{c.UNIQUE_ID: names[code]}))
    return pd.concat(parts, ignore_index=True)[[c.UNIQUE_ID, c.DS, c.Y, TO_DATE, ORDERS]]


def _is_early(snapshot: Snapshot, months: pd.Series) -> pd.Series:
    """Whether an order was booked, and known, before the position of its month that ``as_of`` has in the running one."""
    orders, elapsed = snapshot.orders, snapshot.as_of - start_of(snapshot.as_of, "M")
    if elapsed == pd.Timedelta(0):
        return pd.Series(False, index=orders.index)
    known_at = orders[c.ORDER_ID].map(snapshot.living("orders").groupby(c.ORDER_ID)[c.KNOWN_AT].min())
    known_in_time = (known_at - months < elapsed) | (known_at - orders[c.DS] > RECORDED_LATE)
    return (orders[c.DS] - months < elapsed) & known_in_time


def _members(snapshot: Snapshot) -> dict[str, Members]:
    """The member each order belongs to, by dimension."""
    orders, customers, deals = snapshot.orders, snapshot.customers, snapshot.deals
    customer = pd.Index(customers[c.CUSTOMER_ID]).get_indexer(orders[c.CUSTOMER_ID])
    deal = pd.Index(deals[c.DEAL_ID]).get_indexer(orders[c.DEAL_ID])
    of_customers = {name: Members.of(customers[name], customer) for name in (c.SEGMENT, c.REGION, c.CHANNEL)}
    return of_customers | {c.PRODUCT: Members.of(orders[c.PRODUCT]), c.TEAM: Members.of(deals[c.TEAM], deal)}


def with_members(rows: pd.DataFrame, snapshot: Snapshot) -> pd.DataFrame:
    """``rows`` (``customer_id``, ``product``, ``team``) with the member of every revenue dimension, "unknown" where there is none."""
    customers = snapshot.customers.set_index(c.CUSTOMER_ID)
    found = {name: rows[c.CUSTOMER_ID].map(customers[name]) for name in (c.SEGMENT, c.REGION, c.CHANNEL)}
    rows = rows.assign(**found)
    filled = {name: rows[name].astype("object").where(rows[name].notna() & (rows[name] != ""), UNKNOWN).map(str) for name in DIMENSIONS}
    return rows.assign(**filled)


def monthly_series(snapshot: Snapshot, crossed: Crossed = ()) -> pd.DataFrame:
    """`series_of` a snapshot's bookings."""
    return series_of(Bookings.of(snapshot), snapshot.as_of, crossed)


def series_of(booked: Bookings, as_of: pd.Timestamp, crossed: Crossed = ()) -> pd.DataFrame:
    """``unique_id, ds, y, to_date, is_missing`` of the complete months before ``as_of`` and, with empty ``y``, of the running one, sorted.

    A first month in which the company's records begin late is left out: it would be a part taken for a whole.
    """
    if booked.first is None:
        return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in _SERIES.items()})
    begins = first_whole_month(booked.first)
    rows, running = members_of(booked.months, crossed), start_of(as_of, "M")
    months = complete_periods(begins, as_of, "M").append(pd.DatetimeIndex([running]))
    wide = rows.pivot_table(index=c.UNIQUE_ID, columns=c.DS, values=[c.Y, TO_DATE], aggfunc="sum").sort_index()
    held = (wide[name].reindex(columns=months) for name in (c.Y, TO_DATE))
    y, to_date = (rounded(part.to_numpy(dtype=float, na_value=np.nan)) for part in held)
    y[:, -1] = 0.0
    series = []
    for unique_id, values, early in zip(wide.index, y, to_date, strict=True):
        from_ = np.flatnonzero(~np.isnan(values))[0]
        known = {c.DS: months[from_:], c.Y: np.nan_to_num(values[from_:]), TO_DATE: np.nan_to_num(early[from_:])}
        series.append(pd.DataFrame({c.UNIQUE_ID: unique_id, **known}))
    frame = pd.concat(series, ignore_index=True)
    frame[c.Y] = frame[c.Y].where(frame[c.DS] != running)
    frame[IS_MISSING] = frame[c.DS].isin(_missing_months(booked.months, months))
    return frame.astype(_SERIES).sort_values([c.UNIQUE_ID, c.DS], ignore_index=True)


def rounded(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sums of amounts to a millionth of the currency: the same in whatever order, and on however many machines, they were added up.

    A path that must not fall below zero can turn on the last bit of a sum.
    """
    return np.round(sums, 6)


def first_whole_month(first: pd.Timestamp) -> pd.Timestamp:
    """The first month that records beginning at ``first`` cover whole."""
    return start_of(first, "M") if first.day <= _FIRST_DAY_OF_A_WHOLE_MONTH else shift(first, 1, "M")


def _missing_months(booked: pd.DataFrame, months: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Months without any order between months that have some, in a company with many; not where another year lacks that month too."""
    counts = booked.groupby(c.DS)[ORDERS].sum().reindex(months, fill_value=0)
    seen = counts[counts > 0]
    if not len(seen) or seen.median() < _USUAL_ORDERS:
        return months[:0]
    empty = months[(counts == 0).to_numpy() & (months > seen.index.min()) & (months < seen.index.max())]
    years = pd.Series(empty.month).map(pd.Series(empty.month).value_counts()).to_numpy()
    return empty[years == 1]


def filled(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column of one series' rows in order, missing months on a straight line between the complete months around them.

    The newest ones, which have none after them yet, are as the last that is known. What added up still does.
    """
    is_over = rows[c.Y].notna()
    known = rows[column].where(is_over & ~rows[IS_MISSING].astype(bool))
    return known.interpolate(limit_area="inside").ffill().where(is_over, rows[column]).fillna(rows[column])


def series_inputs(snapshot: Snapshot, entity_ids: Sequence[str] | None = None, *, crossed: Crossed = ()) -> pd.DataFrame:
    """`inputs_from` a snapshot's bookings."""
    return inputs_from(Bookings.of(snapshot), snapshot, entity_ids, crossed=crossed)


def inputs_from(booked: Bookings, company: Snapshot, entity_ids: Sequence[str] | None = None, *, crossed: Crossed = ()) -> pd.DataFrame:
    """Long inputs, one row per series and month: see `SeriesForecaster`. Of ``company`` only the instant and the settings are asked.

    The months ahead are there too, with an empty ``y``, for their days: ``day_factor`` is what a month's weekdays and public holidays let
    it hold, over what its calendar month usually does (see `Workdays`), as the company's own days say by ``as_of``. All series are there
    whichever are named, since the answer of each depends on the others it adds up with. Raises `UnknownEntityError` for a named series
    without an order.
    """
    frame = series_of(booked, company.as_of, crossed).rename(columns={c.UNIQUE_ID: c.ENTITY_ID})
    asked = set(frame[c.ENTITY_ID] if entity_ids is None else entity_ids)
    unknown = sorted(asked - set(frame[c.ENTITY_ID]))
    if unknown:
        raise UnknownEntityError(f"no revenue known before {company.as_of.isoformat()} for series {', '.join(unknown)}")
    frame = _with_months_ahead(frame, booked.days, company)
    frame.insert(1, c.AS_OF, company.as_of)
    return frame.assign(**{FISCAL_YEAR_STARTS: company.company.fiscal_year_starts, IS_ASKED: frame[c.ENTITY_ID].isin(asked)})


def _with_months_ahead(frame: pd.DataFrame, booked: pd.Series, company: Snapshot) -> pd.DataFrame:
    """Rows of the months after the running one, and every month's day factor."""
    ahead = future_periods(company.as_of, HORIZON, "M")[1:]
    ids = frame[c.ENTITY_ID].unique()
    rows = pd.DataFrame({c.ENTITY_ID: np.repeat(ids, len(ahead)), c.DS: np.tile(ahead, len(ids)), c.Y: np.nan, TO_DATE: 0.0})
    rows = rows.assign(**{IS_MISSING: False}).astype(frame.dtypes.to_dict())
    frame = pd.concat([frame, rows]).sort_values([c.ENTITY_ID, c.DS], ignore_index=True)
    booked = pd.Series(rounded(booked.to_numpy(float)), index=booked.index)
    days = Workdays.learn(booked.index.to_series(), booked, until=company.as_of, country=company.company.country)
    return frame.assign(**{DAY_FACTOR: days.factors(pd.DatetimeIndex(frame[c.DS]))})


def inputs_of(entity_id: str, as_of: pd.Timestamp, months: pd.Index, y: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Inputs of a series that comes from elsewhere, of complete months only; one without any is a row with empty ``ds`` and ``y``."""
    if not len(y):
        months, y = pd.DatetimeIndex([pd.NaT]), np.array([np.nan])
    fixed = {TO_DATE: 0.0, IS_MISSING: False, DAY_FACTOR: 1.0, FISCAL_YEAR_STARTS: 1, IS_ASKED: True}
    return pd.DataFrame({c.ENTITY_ID: entity_id, c.AS_OF: as_of, c.DS: months, c.Y: y, **fixed})


def training_series(snapshot: Snapshot, origins: int, *, crossed: Crossed = ()) -> pd.DataFrame:
    """The inputs as known at ``as_of`` and, before it, at the start of the running month and of each of the ``origins`` before."""
    frames = [series_inputs(snapshot.at(instant), crossed=crossed) for instant in origin_instants(snapshot.as_of, origins)]
    return pd.concat([*[frame for frame in frames if len(frame)], series_inputs(snapshot, crossed=crossed)], ignore_index=True)


def origin_instants(as_of: pd.Timestamp, origins: int) -> list[pd.Timestamp]:
    """Starts of the running month and of each of the ``origins`` before it, those before ``as_of``; oldest first."""
    instants = [shift(as_of, -back, "M") for back in range(origins, -1, -1)]
    return [instant for instant in instants if instant < as_of]
