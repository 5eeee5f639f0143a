"""Our predictor on a split, through its own table and fit, asked for the days of the holdout."""

from __future__ import annotations

import numpy as np

from customers.datasets import Split
from customers.judging import Answer
from predictkpi.core import columns as c
from predictkpi.predictors.clv.forecast import CustomerForecast
from predictkpi.predictors.clv.groups import joint
from predictkpi.predictors.clv.model import ClvPredictor
from predictkpi.predictors.clv.table import build_clv_table, build_training_table


def ours(split: Split) -> Answer:
    """Fit on what was known at the cutoff and predict its cohort; the horizon is the holdout's, which need not be whole months."""
    model, days = ClvPredictor(), np.array([split.days])
    table = build_training_table(split.snapshot, horizons=[split.days], budget=model.past_rows)
    forecast = CustomerForecast.fit(table, model.settings())
    inputs = build_clv_table(split.snapshot, entity_ids=list(split.actual.index))
    expected = forecast.expected(inputs, days)
    level = forecast.level(split.days)
    drawn = np.zeros((len(inputs), model.draws), dtype=np.float32)
    for rows, draws in forecast.draws(inputs, days, draws=model.draws, seed=0):
        drawn[rows] = joint(draws, inputs[c.ENTITY_ID].to_numpy(object)[rows], level)[:, 0]
    blend = next(iter(forecast.blends.values()), None)
    note = f"level {level.rule} x {level.factor:.2f} (spread {level.spread:.2f}, {level.cohorts} cohorts)" if level else "no level"
    note += f"; span {blend.span}, weights {', '.join(f'{weight:.2f}' for weight in blend.weights)}" if blend else "; no blend"
    return Answer(expected.mean[:, 0], expected.purchases[:, 0], drawn, note=note)
