from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.predictors.clv.contracts import Contract, find_contracts
from predictkpi.predictors.clv.model import ClvPredictor
from predictkpi.predictors.clv.shifted_beta_geometric import ShiftedBetaGeometric
from predictkpi.snapshot import MemoryFacts, Snapshot

START, END = pd.Timestamp("2023-01-01"), pd.Timestamp("2025-01-01")
ALPHA, BETA = 0.8, 6.0


def subscriptions(n: int = 400, *, seed: int = 0) -> tuple[list, list]:
    """Monthly payments of 20 to 80 by customers of segment Plan, who leave by a shifted beta-geometric; and shoppers who buy at will."""
    rng = np.random.default_rng(seed)
    rows, accounts = [], []
    for number in range(n):
        born = START + pd.Timedelta(days=int(rng.integers(0, 700)))
        leaves, price, day = rng.beta(ALPHA, BETA), float(rng.integers(20, 80)), born
        accounts.append((f"p{number:04d}", "Plan", born))
        while day < END:
            rows.append((f"p{number:04d}", day, price))
            if rng.random() < leaves:
                break
            day = day + pd.Timedelta(days=30)
    for number in range(150):
        born = START + pd.Timedelta(days=int(rng.integers(0, 600)))
        accounts.append((f"s{number:04d}", "Shop", born))
        gaps = rng.exponential(rng.gamma(2.0, 30.0), 15)
        days = born + pd.to_timedelta(np.concatenate([[0.0], np.cumsum(gaps)]), unit="D")
        rows += [(f"s{number:04d}", day, float(rng.gamma(3.0, 20.0))) for day in days if day < END]
    return rows, accounts


@pytest.fixture(scope="module")
def snapshot(book) -> Snapshot:
    rows, accounts = subscriptions()
    return Snapshot(book(rows, accounts=accounts), END)


@pytest.fixture(scope="module")
def fitted(snapshot) -> ClvPredictor:
    model = ClvPredictor()
    return model.fit(model.training_table(snapshot))


def test_find_contracts__takes_the_regular_segment_only(snapshot):
    inputs = ClvPredictor().inputs(snapshot)
    found = find_contracts(inputs[inputs["purchases"] > 0], prior_weight=0.0)
    assert set(found) == {"Plan"}
    assert found["Plan"].period == pytest.approx(30.0)
    truth, model = ShiftedBetaGeometric(ALPHA, BETA), found["Plan"].model
    np.testing.assert_allclose(model.survival(np.arange(1, 13)), truth.survival(np.arange(1, 13)), atol=0.05)


def test_find_contracts__are_not_made_of_a_few_subscribers_among_shoppers(book):
    rng, rows = np.random.default_rng(0), []
    for number in range(35):
        rows += [(f"p{number}", START + pd.Timedelta(days=number + 30 * month), 20.0) for month in range(23)]
    for number in range(600):
        days = np.sort(rng.integers(0, 720, rng.integers(1, 3)))
        rows += [(f"s{number}", START + pd.Timedelta(days=int(day)), 60.0) for day in days]
    inputs = ClvPredictor().inputs(Snapshot(book(rows), END))
    assert find_contracts(inputs, prior_weight=0.0) == {}


def test_contract__counts_payments_as_they_fall_due():
    contract = Contract(30.0, ShiftedBetaGeometric(1.0, 1e6))
    rows = pd.DataFrame({"frequency": [3.0, 3.0, 3.0], "days_since_last": [0.0, 29.0, 46.0]})
    np.testing.assert_array_equal(contract.due(rows, np.array([30.0, 31.0, 91.0])), [[0, 1, 3], [1, 1, 3], [2, 2, 4]])
    counts = contract.counts(rows, np.array([91.0]))
    assert counts[:2, 0] == pytest.approx([3.0, 3.0], rel=1e-4)
    assert counts[2, 0] == 0.0, "late by more than half a period: lapsed"


def test_contractual_customers__are_worth_what_the_truth_says(fitted, snapshot):
    inputs = fitted.inputs(snapshot)
    plan = inputs[(inputs["segment"] == "Plan") & (inputs["days_since_last"] < 30)]
    predicted = fitted.predict_inputs(plan)
    mean = predicted[(predicted[c.HORIZON] == 12) & (predicted[c.STATISTIC] == "mean")].set_index(c.ENTITY_ID)[c.VALUE]
    price = (plan["total"] / plan["purchases"]).to_numpy()
    truth = Contract(30.0, ShiftedBetaGeometric(ALPHA, BETA)).counts(plan, np.array([365.0]))[:, 0] * price
    assert mean[plan[c.ENTITY_ID]].sum() == pytest.approx(truth.sum(), rel=0.08)
    assert np.corrcoef(mean[plan[c.ENTITY_ID]], truth)[0, 1] > 0.97


def test_contractual_customers__are_told_so(fitted, snapshot):
    told = fitted.predict(snapshot)
    told = told[(told[c.STATISTIC] == "mean") & (told[c.HORIZON] == 12)].set_index(c.ENTITY_ID)[c.REASON]
    said = told.str.contains("a contract with payments every 30 days")
    assert said[told.index.str.startswith("p")].all()
    assert not said[told.index.str.startswith("s")].any()


def test_contractual_customers__teach_the_others_no_level_even_if_their_segment_became_known_late(snapshot):
    """The others' level is the one that they would have had alone."""
    orders, customers = snapshot.history("orders"), snapshot.history("customers")
    late = {"orders": orders, "customers": customers.assign(**{c.KNOWN_AT: END - pd.Timedelta(days=10)})}
    shoppers = {name: rows[rows[c.CUSTOMER_ID].str.startswith("s")] for name, rows in late.items()}
    together, alone = (
        model.fit(model.training_table(Snapshot(MemoryFacts(tables), END))).forecast_
        for model, tables in ((ClvPredictor(dropout="mbg"), late), (ClvPredictor(dropout="mbg"), shoppers))
    )
    assert set(together.contracts.by_segment) == {"Plan"}
    # the longest span is half of the history, which is the subscribers' in the one case
    for span in (91, 182):
        assert together.levels[span] == alone.levels[span]


def test_lapsed_contracts__are_worth_nothing_and_say_so(fitted, snapshot):
    inputs = fitted.inputs(snapshot)
    lapsed = inputs[(inputs["segment"] == "Plan") & (inputs["days_since_last"] > 60)]
    predicted = fitted.predict_inputs(lapsed)
    assert (predicted.loc[predicted[c.STATISTIC].isin(["mean", "q90", "p_alive"]), c.VALUE] == 0.0).all()
    assert set(predicted[c.STATUS]) == {Status.LIMITED.value}
    assert predicted[c.REASON].str.contains("contract has lapsed").all()


def test_save_load__keeps_contracts(fitted, snapshot, tmp_path):
    fitted.save(tmp_path)
    pd.testing.assert_frame_equal(ClvPredictor.load(tmp_path).predict(snapshot), fitted.predict(snapshot), rtol=1e-9)
