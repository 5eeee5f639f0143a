"""How a customer buys beyond recency, frequency and value: pace and its change, regularity, the same season a year ago, refunds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.features.purchase_days import Floats, PurchaseDays, Purchases

WINDOWS = (28, 84, 182, 364)
"""Days back from as_of over which purchases and spend are counted; a window that reaches before the first purchase is cut there."""
YEAR = 364
SEASON = 91
"""The quarter that begins a year before as_of: what the customer did then, in the season that comes now."""
CENT = 0.01
"""Less money than that is none: it is not divided by."""
FEW = 3

RHYTHM_COLUMNS = [
    "days_since_last",
    "gap",
    "gap_spread",
    "last_gap",
    "silence",
    *(f"purchases_{days}" for days in WINDOWS),
    *(f"log_spend_{days}" for days in WINDOWS),
    "season_purchases",
    "log_season_spend",
    "log_mean_value",
    "log_first_value",
    "log_last_value",
    "value_trend",
    "log_largest",
    "pace_trend",
    "refunded_share",
]


def rhythm_of(days: PurchaseDays) -> pd.DataFrame:
    """`RHYTHM_COLUMNS` (floats) of every customer with an order, indexed by customer_id; NaN where a customer has too few purchases.

    Gaps are days between purchases: their mean, their spread over that mean, the last one, and ``silence``, the time since the last
    purchase over the mean gap. Logs are ``log1p`` of money. ``value_trend`` is the log ratio of the last `FEW` purchases' mean to all;
    ``pace_trend`` the log ratio of purchases in the last half of a customer's life to those of the first half, one added to both.
    """
    bought, n = days.bought(), len(days)
    first, last = bought.at(bought.first, bought.day), bought.at(bought.stop - 1, bought.day)
    since = days.end - last
    columns = {"days_since_last": since} | _gaps(bought, last - first, since)
    for window in WINDOWS:
        start = np.maximum(bought.since(window), bought.first)
        columns[f"purchases_{window}"] = (bought.stop - start).astype(float)
        columns[f"log_spend_{window}"] = np.log1p(bought.spent(start, bought.stop))
    start, stop = (np.maximum(bought.since(back), bought.first) for back in (YEAR, YEAR - SEASON))
    known = first <= days.end - YEAR
    columns["season_purchases"] = np.where(known, (stop - start).astype(float), np.nan)
    columns["log_season_spend"] = np.where(known, np.log1p(bought.spent(start, stop)), np.nan)
    columns |= _values(bought)
    half = np.searchsorted(
        bought.who * (days.end + 2.0) + bought.day, np.arange(n) * (days.end + 2.0) + np.nan_to_num((first + days.end) / 2)
    )
    columns["pace_trend"] = np.where(bought.count > 0, np.log1p(bought.stop - half) - np.log1p(half - bought.first), np.nan)
    gross = np.bincount(bought.who, weights=bought.value, minlength=n)
    back = np.bincount(days.who, weights=np.minimum(days.net, 0.0), minlength=n)
    columns["refunded_share"] = np.divide(-back, np.maximum(gross, CENT), out=np.full(n, np.nan), where=gross > 0)
    return pd.DataFrame(columns, index=days.customers)[RHYTHM_COLUMNS]


def _gaps(bought: Purchases, span: Floats, since: Floats) -> dict[str, Floats]:
    repeats = bought.count - 1.0
    gap = np.divide(span, repeats, out=np.full(len(span), np.nan), where=repeats > 0)
    steps = np.diff(bought.day, prepend=0.0)
    own = np.ones(len(steps), bool)
    own[bought.first[bought.count > 0]] = False
    squares = np.bincount(bought.who[own], weights=steps[own] ** 2, minlength=len(span))
    variance = np.divide(squares, repeats, out=np.full(len(span), np.nan), where=repeats > 1) - gap**2
    spread = np.sqrt(np.maximum(variance, 0.0)) / np.maximum(gap, 1.0)
    last = bought.at(bought.stop - 1, bought.day) - bought.at(bought.stop - 2, bought.day)
    return {"gap": gap, "gap_spread": spread, "last_gap": last, "silence": since / np.maximum(gap, 1.0)}


def _values(bought: Purchases) -> dict[str, Floats]:
    gross = bought.spent(bought.first, bought.stop)
    mean = np.divide(gross, bought.count, out=np.full(len(gross), np.nan), where=bought.count > 0)
    recent = np.maximum(bought.stop - FEW, bought.first)
    newest = np.divide(bought.spent(recent, bought.stop), bought.stop - recent, out=np.full(len(gross), np.nan), where=bought.count > 0)
    some, largest = bought.count > 0, np.full(len(gross), np.nan)
    if some.any():
        largest[some] = np.maximum.reduceat(bought.value, bought.first[some])
    return {
        "log_mean_value": np.log1p(mean),
        "log_first_value": np.log1p(bought.at(bought.first, bought.value)),
        "log_last_value": np.log1p(bought.at(bought.stop - 1, bought.value)),
        "value_trend": np.log(np.maximum(newest, CENT) / np.maximum(mean, CENT)),
        "log_largest": np.log1p(largest),
    }
