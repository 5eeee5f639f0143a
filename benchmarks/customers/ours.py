"""Our predictor on a split, through its own table and fit, asked for the days of the holdout."""

from __future__ import annotations

import numpy as np

from customers.datasets import Split
from customers.judging import Answer
from customers.peers import joint_draws
from predictkpi.core import columns as c
from predictkpi.features import rfm
from predictkpi.predictors import predictor_class


def ours(split: Split) -> Answer:
    """Fit on what was known at the cutoff and predict its cohort."""
    model = predictor_class("clv")()
    table = model.training_table(split.snapshot)
    model.fit(table)
    inputs = model.inputs(split.snapshot).set_index(c.ENTITY_ID).reindex(split.actual.index)
    bought = (inputs[rfm.PURCHASES] > 0).to_numpy()
    buyers = inputs[bought]
    x, tx, age = (buyers[name].to_numpy(float) for name in (rfm.FREQUENCY, rfm.RECENCY, rfm.T))
    count = buyers[rfm.PURCHASES].to_numpy(float)
    mean, purchases = np.zeros(len(inputs)), np.zeros(len(inputs))
    purchases[bought] = model.btyd_.expected_purchases(split.days, x, tx, age)
    mean[bought] = purchases[bought] * model.spend_.expected_value(count, buyers[rfm.GROSS].to_numpy(float) / count) * model.net_share_
    draws = np.zeros((len(inputs), model.draws), dtype=np.float32)
    draws[bought] = joint_draws(model.btyd_, model.spend_, buyers, days=split.days) * model.net_share_
    return Answer(mean, purchases, draws)
