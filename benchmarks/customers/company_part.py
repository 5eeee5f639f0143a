"""Part of `clv.py` on sample companies, where every customer's expected spend is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from customers.datasets import Split
from customers.judging import Answer
from customers.peers import LIFETIMES, LITERATURE, PEERS
from predictkpi.core import columns as c
from predictkpi.core.periods import horizon_end
from predictkpi.features import rfm
from predictkpi.metrics.ranking import calibration_slope, normalised_gini, total_bias
from predictkpi.synthetic import make_company

MONTHS = (6, 12)
SMALL = {"customers": 250, "deals": 1200, "orders": 3000}


def against_truth(ours: Callable[[Split], Answer], *, quick: bool, tell: Callable[[str], None]) -> list[dict[str, object]]:
    """One row per company, horizon and model: how its expectations compare with the true ones, of customers with an order.

    ``slope`` of the true expectation on the predicted one and ``bias`` of the total need no luck of the draw; ``gini_share`` is the Gini
    of what was spent, ordered by the prediction, over that ordered by the truth.
    """
    models = {"ours": ours} | {name: answer for name, answer in PEERS.items() if name not in (LIFETIMES, LITERATURE)}
    rows: list[dict[str, object]] = []
    for seed in range(200, 202 if quick else 208):
        company = make_company(seed=seed, **(SMALL if quick else {}))
        full = company.snapshot()
        for months in MONTHS:
            as_of = (company.end - pd.DateOffset(months=months)).replace(day=1).normalize()
            split = Split(f"company {seed}", full, as_of, horizon_end(as_of, months, "month"))
            truth = company.truth.customer_spend(as_of, months).set_index(c.CUSTOMER_ID)["expected_spend"].reindex(split.actual.index)
            true, actual = truth.to_numpy(float), split.actual[rfm.TOTAL].to_numpy(float)
            for name, answer in models.items():
                tell(f"sample company {seed}, {months} months: {name}")
                predicted = answer(split).mean
                row = {"seed": seed, "months": months, "model": name, "customers": len(true)}
                row |= {"slope": calibration_slope(true, predicted), "bias": total_bias(true, predicted)}
                row |= {"rmse": float(np.sqrt(((predicted - true) ** 2).mean()) / true.mean())}
                rows.append(row | {"gini_share": normalised_gini(actual, predicted) / normalised_gini(actual, true)})
    return rows


def of_each_model(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Means over companies and two standard errors of them: ``slope, slope_2se, ...`` by model and horizon."""
    frame = pd.DataFrame(rows)
    grouped = frame.groupby(["months", "model"], sort=False)[["slope", "bias", "rmse", "gini_share"]]
    return grouped.mean().join((2.0 * grouped.sem()).add_suffix("_2se")).reset_index()
