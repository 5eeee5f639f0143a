"""Why this customer is worth more or less than the usual one: signed reasons that add up to prediction minus baseline.

Each reason's contribution is its Shapley value (Shapley, 1953, A Value for n-Person Games): the mean change of the forecast when that part
of the history turns from the usual customer's into this one's, over all orders in which the parts can turn. The forecast is asked for every
mixture, so that the reasons hold for whatever is behind it: purchase model, learnt shape, level or contract.

A history is taken apart into quantities that can be exchanged one by one, and put together so that the mixture is one that could have been:
days from first to last purchase go with the number of purchases, money is the value of a purchase times their number, and whoever last
bought 100 days ago has no purchase in the last 84.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import factorial
from typing import Any, Self

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features import rfm
from predictkpi.features.purchase_days import Floats, Ints
from predictkpi.features.purchase_rhythm import WINDOWS
from predictkpi.predictors.clv.forecast import CustomerForecast, kinds
from predictkpi.predictors.clv.reasons import KEPT, LAG, MEAN_GROSS, NO_ORDER, ONLY_REFUNDS, REASONS, SPENT_PER
from predictkpi.predictors.clv.spec import MEAN
from predictkpi.predictors.clv.table import ACCOUNT_DAYS, CATEGORIES
from predictkpi.protocol import BASELINE

EXPLAINED_HORIZON = 12
COLUMNS = [c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC, "feature", "contribution"]
CHUNK = 500
"""Customers whose mixtures, 64 each, are asked for at once."""
_NAMES = [reason.name for reason in REASONS]
_PARTS = [name for reason in REASONS for name in reason.parts]


@dataclass(frozen=True)
class UsualCustomer:
    """Every part of a history as the usual customer has it, by name; see `taken_apart`."""

    parts: Mapping[str, Any]

    @classmethod
    def of(cls, bought: pd.DataFrame) -> Self:
        """From rows of a CLV table with a purchase.

        Numbers are medians over those who bought as often as the median customer (so that they fit one another); each of `CATEGORIES` is
        the commonest over all.
        """
        often = bought[bought[rfm.FREQUENCY] == bought[rfm.FREQUENCY].quantile(0.5, interpolation="lower")]
        numbers = taken_apart(often).drop(columns=list(CATEGORIES)).median()
        commonest = {name: str(bought[name].mode().iloc[0]) for name in CATEGORIES}
        return cls({name: float(value) for name, value in numbers.items()} | commonest)

    def row(self, like: pd.DataFrame) -> pd.DataFrame:
        """As a row of a CLV table; what is no part of a history is that of the first row of ``like``."""
        return _mixed(like.iloc[:1], self, np.zeros(1, np.int64))


def explain(forecast: CustomerForecast, usual: UsualCustomer, inputs: pd.DataFrame, days: Floats) -> pd.DataFrame:
    """`COLUMNS` for rows of one as_of: by customer the ``baseline`` and its reasons, which add up to the mean by the last of ``days``.

    ``days`` are those of all horizons up to `EXPLAINED_HORIZON`. An account without an order, and a customer with refunds only, have the
    one reason that they are such.
    """
    buyers, fresh, refunds = kinds(inputs)
    found = np.zeros((len(inputs), len(_NAMES)))
    start = None
    for first in range(0, len(buyers), CHUNK):
        rows = buyers[first : first + CHUNK]
        values = _of_mixtures(forecast, usual, inputs.iloc[rows], days)
        found[rows] = _shapley(values)
        if rows[0] == 0:
            start = float(values[0, 0])  # the first mixture of the first row is the usual customer beside it
    if start is None:
        start = float(forecast.expected(usual.row(inputs), days).mean[0, -1])
    names = np.array([BASELINE, *_NAMES], object)
    frames = [_long(inputs.iloc[buyers], names, np.column_stack([np.full(len(buyers), start), found[buyers]]))]
    for rows, name in ((fresh, NO_ORDER), (refunds, ONLY_REFUNDS)):
        if len(rows):
            value = forecast.expected(inputs.iloc[rows], days).mean[:, -1]
            of_kind = np.column_stack([np.full(len(rows), start), value - start])
            frames.append(_long(inputs.iloc[rows], np.array([BASELINE, name], object), of_kind))
    return pd.concat(frames, ignore_index=True)


def taken_apart(bought: pd.DataFrame) -> pd.DataFrame:
    """The parts of `REASONS`, of each row of a CLV table with a purchase, from which `put_together` makes its features."""
    gross, purchases = bought[rfm.GROSS], bought[rfm.PURCHASES]
    parts = {
        MEAN_GROSS: gross / purchases,
        KEPT: bought[rfm.TOTAL] / gross,
        LAG: bought[ACCOUNT_DAYS] - bought[rfm.T],
    }
    for window in WINDOWS:
        count = bought[f"purchases_{window}"]
        parts[f"{SPENT_PER}{window}"] = (np.expm1(bought[f"log_spend_{window}"]) / count.where(count > 0)).fillna(parts[MEAN_GROSS])
    return bought.assign(**parts)[_PARTS]


def put_together(parts: pd.DataFrame) -> pd.DataFrame:
    """Features that follow from parts of `taken_apart`, beside those parts that are features themselves."""
    purchases, since = parts[rfm.FREQUENCY] + 1.0, parts["days_since_last"]
    age, gross = parts[rfm.RECENCY] + since, parts[MEAN_GROSS] * purchases
    features = {
        rfm.PURCHASES: purchases,
        rfm.T: age,
        ACCOUNT_DAYS: age + parts[LAG],
        "silence": since / np.maximum(parts["gap"], 1.0),
        rfm.GROSS: gross,
        rfm.TOTAL: parts[KEPT] * gross,
    }
    for window in WINDOWS:
        within = (since <= window).astype(float)
        count = parts[f"purchases_{window}"].clip(within, purchases * within).mask(age <= window, purchases)
        features[f"purchases_{window}"] = count
        features[f"log_spend_{window}"] = np.log1p(count * parts[f"{SPENT_PER}{window}"])
    return parts.drop(columns=[name for name in parts if name in (MEAN_GROSS, KEPT, LAG) or name.startswith(SPENT_PER)]).assign(**features)


def _mixed(rows: pd.DataFrame, usual: UsualCustomer, numbers: Ints) -> pd.DataFrame:
    """``rows`` once per mixture: in number ``m`` the reasons whose bits are set are the customer's own, the others the usual one's."""
    n, at = len(rows), np.tile(np.arange(len(rows)), len(numbers))
    parts = taken_apart(rows).iloc[at].reset_index(drop=True)
    for bit, reason in enumerate(REASONS):
        own = np.repeat(numbers >> bit & 1 == 1, n)
        for name in reason.parts:
            parts[name] = parts[name].where(own, usual.parts[name])
    features = put_together(parts)
    return rows.iloc[at].reset_index(drop=True).assign(**{str(name): features[name] for name in features})


def _of_mixtures(forecast: CustomerForecast, usual: UsualCustomer, rows: pd.DataFrame, days: Floats) -> Floats:
    """Expected mean of every mixture, ``(2**n_reasons, n)``; the last of them is the customer's own history, as it is."""
    mixtures = _mixed(rows, usual, np.arange(2 ** len(REASONS) - 1))
    asked = pd.concat([mixtures, rows], ignore_index=True)
    return forecast.expected(asked, days).mean[:, -1].reshape(-1, len(rows))


def _shapley(values: Floats) -> Floats:
    """``(n, n_reasons)`` from the values of all mixtures."""
    n = len(REASONS)
    numbers = np.arange(2**n)
    size = np.array([int(number).bit_count() for number in numbers])
    weight = np.array([factorial(s) * factorial(max(n - s - 1, 0)) / factorial(n) for s in range(n + 1)])
    found = []
    for bit in range(n):
        without = numbers[numbers >> bit & 1 == 0]
        found.append(weight[size[without]] @ (values[without | 1 << bit] - values[without]))
    return np.column_stack(found)


def _long(inputs: pd.DataFrame, names: Any, values: Floats) -> pd.DataFrame:
    n, width = values.shape
    return pd.DataFrame(
        {
            c.ENTITY_ID: np.repeat(inputs[c.ENTITY_ID].to_numpy(object), width),
            c.AS_OF: np.repeat(inputs[c.AS_OF].to_numpy(), width),
            c.HORIZON: EXPLAINED_HORIZON,
            c.STATISTIC: MEAN,
            "feature": np.tile(names, n),
            "contribution": values.ravel(),
        },
        columns=COLUMNS,
    )
