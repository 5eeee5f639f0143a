"""Recency, frequency, T and monetary value of every customer, in the sense of the purchase models (not of RFM segmentation)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.purchase_days import PurchaseDays

ORDERS = "orders"
PURCHASES = "purchases"
FREQUENCY = "frequency"
RECENCY = "recency"
T = "T"
MONETARY_VALUE = "monetary_value"
TOTAL = c.TOTAL
GROSS = "gross"
LARGEST = "largest"

RFM_COLUMNS = [ORDERS, PURCHASES, FREQUENCY, RECENCY, T, MONETARY_VALUE, TOTAL, GROSS, LARGEST]


def build_rfm(orders: pd.DataFrame, *, as_of: pd.Timestamp) -> pd.DataFrame:
    """`rfm_of` orders booked before ``as_of``."""
    return rfm_of(PurchaseDays.of(orders, as_of=as_of))


def rfm_of(days: PurchaseDays) -> pd.DataFrame:
    """One row per customer with an order, indexed by customer_id and sorted by it.

    Columns, all floats: ``orders`` rows of any sign; ``purchases`` days of net > 0; ``frequency`` repeat purchases, the first not counted;
    ``recency`` days from first to last purchase; ``T`` days from the midnight of the first purchase to the end; ``monetary_value`` mean of
    repeat purchases (NaN without any); ``total`` net of everything; ``gross`` sum of the purchase days only; ``largest`` purchase.
    Customers with no purchase (refunds only) have 0 in frequency, recency and T.
    """
    bought, n = days.bought(), len(days)
    first, last = bought.at(bought.first, bought.day), bought.at(bought.stop - 1, bought.day)
    gross, frequency = np.bincount(bought.who, weights=bought.value, minlength=n), np.maximum(bought.count - 1.0, 0.0)
    repeat = gross - np.nan_to_num(bought.at(bought.first, bought.value))
    largest, some = np.zeros(n), bought.count > 0
    largest[some] = np.maximum.reduceat(bought.value, bought.first[some]) if some.any() else 0.0
    columns = {
        ORDERS: days.orders,
        PURCHASES: bought.count,
        FREQUENCY: frequency,
        RECENCY: np.nan_to_num(last - first),
        T: np.nan_to_num(days.end - first),
        MONETARY_VALUE: np.divide(repeat, frequency, out=np.full(n, np.nan), where=frequency > 0),
        TOTAL: np.bincount(days.who, weights=days.net, minlength=n).astype(float),
        GROSS: gross.astype(float),
        LARGEST: largest,
    }
    return pd.DataFrame(columns, index=days.customers)


def spend_in(orders: pd.DataFrame, *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Net amount (``total``) and days of net > 0 (``purchases``) per customer in ``[start, end)``, indexed by customer_id."""
    span = orders[(orders[c.DS] >= start) & (orders[c.DS] < end)]
    return build_rfm(span, as_of=end)[[TOTAL, PURCHASES]]
