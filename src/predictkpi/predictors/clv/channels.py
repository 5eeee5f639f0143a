"""What customers are worth beside what they cost, by acquisition channel: LTV to CAC, and the months until the cost is earned back.

Of the customers won in the last twelve complete months that spend speaks for: net revenue per customer within so many months of the first
order, the part that has come as it came, the rest from joint draws. LTV:CAC and payback follow from the same curve, so a channel pays back
within 24 months in those draws in which its 24-month ratio reaches 1 by then. Revenue, not margin. CAC is the lagged one of the KPIs,
over the same months, and taken as it is: the intervals are those of what customers will still bring.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.features.purchase_days import DAY, Floats
from predictkpi.kpis.acquisition import acquisitions
from predictkpi.kpis.base import IS_PARTIAL, UNKNOWN, View, starts_of
from predictkpi.kpis.cac import acquisition_cells, lag_of
from predictkpi.predictors.clv.groups import drawing, shocks, shuffled
from predictkpi.predictors.clv.ladder import MONTH_DAYS
from predictkpi.predictors.clv.spec import MEAN, QUANTILES
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

HORIZONS = (12, 24)
LAST_MONTH = HORIZONS[-1]
WON_WITHIN = 12
FEWEST_CUSTOMERS = 10
"""As in the KPIs: a mean of fewer is `limited`."""
DRAWS = 256
CUSTOMERS_AT_ONCE = 1024
"""Customers drawn at a time: bounds memory, changes nothing."""
SPREAD = (MEAN, *QUANTILES)
VALUES = {horizon: f"value_{horizon}" for horizon in HORIZONS}
RATIOS = {horizon: f"ltv_to_cac_{horizon}" for horizon in HORIZONS}
PAYBACK = {MEAN: "payback_months"} | {name: f"payback_{name}" for name in QUANTILES}
CHANNEL_COLUMNS = [
    c.CHANNEL,
    "customers",
    "realised",
    *(f"{what}_{name}" for what in VALUES.values() for name in SPREAD),
    c.COST,
    "cac",
    *(f"{what}_{name}" for what in RATIOS.values() for name in SPREAD),
    *PAYBACK.values(),
    c.STATUS,
    c.REASON,
]


@dataclass(frozen=True)
class ChannelReturns:
    """``table`` with one row per channel, sorted, and last the total (`CHANNEL_COLUMNS`), about customers won in ``[since, until)``.

    ``customers`` won; per customer ``realised`` net revenue so far, and ``value_12``, ``value_24`` within so many months of the first
    order; ``cost``, ``cac`` and the two ratios; ``payback_months``, that of the expected curve, and its quantiles. NaN where a number does
    not exist, and ``reason`` says why. ``lag`` is the days spend was moved forward by.
    """

    table: pd.DataFrame
    since: pd.Timestamp
    until: pd.Timestamp
    lag: int


def channel_returns(predictor: Predictor, snapshot: Snapshot, *, draws: int = DRAWS) -> ChannelReturns:
    """By channel, from a fitted predictor that gives draws; only the total where nobody was won and nothing spent in those months."""
    lag = lag_of(snapshot)
    since, until, cost = _spent(snapshot, lag)
    won = acquisitions(snapshot.orders)
    won = won[(won[c.DS] >= since) & (won[c.DS] < until)].reset_index(drop=True)
    member = View(snapshot, "M", c.CHANNEL).members(won)
    channels = sorted({*member, *(cost.index if cost is not None else ())})
    codes = pd.Categorical(member, categories=channels).codes.astype(np.intp)
    so_far = snapshot.orders.groupby(c.CUSTOMER_ID)[c.AMOUNT].sum().reindex(won[c.CUSTOMER_ID]).to_numpy()
    customers = np.bincount(codes, minlength=len(channels))
    realised = np.bincount(codes, weights=so_far, minlength=len(channels))
    curves = _curves(predictor, snapshot, won, codes, n_channels=len(channels), draws=draws)
    spent = None if cost is None else cost.reindex(channels, fill_value=0.0).to_numpy()
    # as in the KPIs: in the first year of the records everybody looks new
    is_settled = bool(len(won)) and snapshot.orders[c.DS].min() <= since - pd.DateOffset(months=12)
    rows = [
        _row(name, int(customers[at]), float(realised[at]), curves[at], None if spent is None else float(spent[at]), is_settled)
        for at, name in enumerate(channels)
    ]
    in_all = None if spent is None else float(spent.sum())
    rows.append(_row(c.TOTAL, int(customers.sum()), float(realised.sum()), curves.sum(axis=0), in_all, is_settled))
    return ChannelReturns(pd.DataFrame(rows, columns=CHANNEL_COLUMNS), since, until, lag)


def _spent(snapshot: Snapshot, lag: int) -> tuple[pd.Timestamp, pd.Timestamp, pd.Series | None]:
    """The months ``[since, until)`` and what was spent for them by channel; all twelve and None where spend covers none of them."""
    until = snapshot.as_of.to_period("M").start_time
    since = until - pd.DateOffset(months=WON_WITHIN)
    if snapshot.spend.empty:
        return since, until, None
    view = View(snapshot, "M", c.CHANNEL)
    cells = acquisition_cells(view, lag=lag)
    starts = starts_of(cells)
    cells = cells[(starts >= since) & (starts < until) & ~cells[IS_PARTIAL].to_numpy(bool)]
    if cells.empty:
        return since, until, None
    months = starts_of(cells)
    return months.min(), view.ends(months).max(), cells.groupby(level=c.MEMBER)[c.COST].sum()


def _curves(
    predictor: Predictor, snapshot: Snapshot, won: pd.DataFrame, codes: npt.NDArray[np.intp], *, n_channels: int, draws: int
) -> Floats:
    """Net revenue of each channel's customers within 0, 1, ... `LAST_MONTH` months of the first order: ``(n_channels, 25, draws)``.

    What is still to come is expected by months from as_of, and read off between two of them at each customer's own age.
    """
    drawn = drawing(predictor)
    months = np.arange(LAST_MONTH + 1.0)
    age = ((snapshot.as_of - won[c.DS]) / DAY).to_numpy(float) / MONTH_DAYS
    found = np.zeros((n_channels, len(months), draws))
    np.add.at(found, codes, _realised(snapshot, won, months)[:, :, None])
    shock = shocks(float(drawn.level_spreads(np.array([12 * MONTH_DAYS]))[0]), draws)
    for start in range(0, len(won), CUSTOMERS_AT_ONCE):
        ids = won[c.CUSTOMER_ID].iloc[start : start + CUSTOMERS_AT_ONCE]
        inputs = predictor.inputs(snapshot, entity_ids=list(ids))
        for rows, spend in drawn.spend_draws(inputs, days=months[1:] * MONTH_DAYS, draws=draws):
            ahead = np.concatenate([np.zeros((len(rows), 1, draws)), shuffled(spend, ids.to_numpy(object)[rows])], axis=1)
            at = np.maximum(months - age[start + rows][:, None], 0.0)
            below = np.floor(at).astype(np.intp)
            above, part = np.minimum(below + 1, LAST_MONTH), (at - below)[:, :, None]
            low, high = (np.take_along_axis(ahead, where[:, :, None], axis=1) for where in (below, above))
            coming = (low + part * (high - low)) * shock
            for code in np.unique(codes[start + rows]):
                found[code] += coming[codes[start + rows] == code].sum(axis=0)
    return found


def _realised(snapshot: Snapshot, won: pd.DataFrame, months: Floats) -> Floats:
    """Net revenue that has come within each of ``months`` (whole, rising from 0) of the first order: ``(n, n_months)``."""
    place = pd.Series(np.arange(len(won)), index=won[c.CUSTOMER_ID])
    orders = snapshot.orders[snapshot.orders[c.CUSTOMER_ID].isin(place.index)]
    who = place.reindex(orders[c.CUSTOMER_ID]).to_numpy(np.intp)
    age = (orders[c.DS].to_numpy() - won[c.DS].to_numpy()[who]) / np.timedelta64(1, "D") / MONTH_DAYS
    found = np.zeros((len(won), len(months)))
    # a refund booked before the first order counts at once; nothing is older than the window and its as_of, so all fall within
    month = np.clip(np.ceil(age), 0, len(months) - 1).astype(np.intp)
    np.add.at(found, (who, month), orders[c.AMOUNT].to_numpy(float))
    return found.cumsum(axis=1)


def _row(name: str, customers: int, realised: float, curve: Floats, cost: float | None, is_settled: bool) -> dict[str, object]:
    """One row of `ChannelReturns`; ``curve`` (n_months, draws) is the sum over its customers."""
    row: dict[str, object] = dict.fromkeys(CHANNEL_COLUMNS, np.nan)
    row |= {c.CHANNEL: name, "customers": customers, c.COST: np.nan if cost is None else cost}
    reasons = []
    if not customers:
        reasons.append("nobody was won in these months" if name == c.TOTAL else "nobody was won through it in these months")
    else:
        each = curve / customers
        row["realised"] = realised / customers
        row |= {f"{what}_{part}": value for h, what in VALUES.items() for part, value in _spread(each[h]).items()}
        no_ratio = _why_no_ratio(name, cost)
        if no_ratio:
            reasons.append(no_ratio)
        else:
            assert cost is not None
            row["cac"] = cac = cost / customers
            row |= {f"{what}_{part}": value for h, what in RATIOS.items() for part, value in _spread(each[h] / cac).items()}
            paid, why = _payback(each, cac)
            row |= {PAYBACK[part]: value for part, value in paid.items()}
            reasons += why
        if customers < FEWEST_CUSTOMERS:
            reasons.append(f"only {customers} customers")
        if not is_settled:
            reasons.append("the orders begin less than a year before these months: some of these customers only look new")
    has_ratio, thin = row["cac"] == row["cac"], customers < FEWEST_CUSTOMERS or not is_settled
    row[c.STATUS] = (Status.LIMITED if thin else Status.FULL).value if has_ratio else Status.INSUFFICIENT_DATA.value
    row[c.REASON] = "; ".join(reasons)
    return row


def _why_no_ratio(name: str, cost: float | None) -> str:
    if cost is None:
        return "no spend is loaded that speaks for a month of the last twelve"
    if name == UNKNOWN:
        return "nobody knows what these customers cost: their channel is not known"
    return "" if cost > 0 else "no spend is recorded for it in these months, so there is nothing to divide by"


def _payback(each: Floats, cac: float) -> tuple[dict[str, float], list[str]]:
    """Months until the curve per customer ``(n_months, draws)`` reaches the CAC: of the expected curve, and quantiles over draws.

    NaN with a reason where that is not within `LAST_MONTH`.
    """
    drawn = _first_reached(each, cac)
    found = {MEAN: float(_first_reached(each.mean(axis=1, keepdims=True), cac)[0])}
    found |= {name: float(np.quantile(drawn, level, method="inverted_cdf")) for name, level in QUANTILES.items()}
    late = [name for name, value in found.items() if np.isinf(value)]
    reasons = [f"{', '.join(PAYBACK[name] for name in late)}: >{LAST_MONTH} months, not reached"] if late else []
    return {name: np.nan if np.isinf(value) else value for name, value in found.items()}, reasons


def _first_reached(curves: Floats, target: float) -> Floats:
    """Where each column of ``curves`` (n_months, n) first reaches the target, between two months on a straight line; infinite if never."""
    reached = curves >= target
    after = reached.argmax(axis=0)
    before = np.maximum(after - 1, 0)
    column = np.arange(curves.shape[1])
    low, high = curves[before, column], curves[after, column]
    part = np.divide(target - low, high - low, out=np.zeros(len(column)), where=after > 0)
    return np.where(reached.any(axis=0), before + part, np.inf)


def _spread(draws: Floats) -> dict[str, float]:
    levels = np.quantile(draws, list(QUANTILES.values()), method="inverted_cdf")
    return {MEAN: float(draws.mean()), **dict(zip(QUANTILES, map(float, levels), strict=True))}
