from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.metrics.ranking import normalised_gini
from predictkpi.predictors.clv.blend import Cohort, stacked
from predictkpi.predictors.clv.model import ClvPredictor
from predictkpi.snapshot import Snapshot

START, DAYS = pd.Timestamp("2023-01-01"), 800


def two_kinds(n: int = 900, *, seed: int = 0) -> tuple[list, list]:
    """Buyers of segment Fading buy ever more rarely, those of Growing ever more often: frequency and recency alone cannot tell."""
    rng = np.random.default_rng(seed)
    rows, accounts = [], []
    for number in range(n):
        grows = number % 2 == 0
        born = int(rng.integers(0, 250))
        accounts.append((f"c{number:04d}", "Growing" if grows else "Fading", START + pd.Timedelta(days=born)))
        rate = rng.gamma(3.0, 1 / 150.0)
        day, value = float(born), rng.gamma(4.0, 10.0)
        while day < DAYS:
            rows.append((f"c{number:04d}", START + pd.Timedelta(days=day), float(value * rng.gamma(5.0, 0.2))))
            pace = rate * (1.0 + (day - born) / 300.0 if grows else max(1.5 - (day - born) / 300.0, 0.1))
            day += max(rng.exponential(1.0 / pace), 1.0)
    return rows, accounts


@pytest.fixture(scope="module")
def facts(book):
    rows, accounts = two_kinds()
    return book(rows, accounts=accounts)


@pytest.fixture(scope="module")
def as_of() -> pd.Timestamp:
    return START + pd.Timedelta(days=DAYS - 184)


def six_months(model: ClvPredictor, snapshot: Snapshot) -> pd.Series:
    found = model.fit(model.training_table(snapshot)).predict(snapshot)
    return found[(found[c.HORIZON] == 6) & (found[c.STATISTIC] == "mean")].set_index(c.ENTITY_ID)[c.VALUE]


@pytest.fixture(scope="module")
def learnt(facts, as_of) -> ClvPredictor:
    model = ClvPredictor(learn_from=1000)
    return model.fit(model.training_table(Snapshot(facts, as_of)))


def test_learnt_shape__orders_customers_better_than_the_purchase_model_alone(facts, as_of):
    now, later = Snapshot(facts, as_of), Snapshot(facts, START + pd.Timedelta(days=DAYS))
    outcomes = ClvPredictor().outcomes(later, as_of=as_of)
    actual = outcomes[(outcomes[c.HORIZON] == 6) & (outcomes[c.STATISTIC] == "mean")].set_index(c.ENTITY_ID)[c.VALUE]
    alone, with_shape = (six_months(ClvPredictor(learn_from=least), now) for least in (10**9, 1000))
    gini = [normalised_gini(actual.to_numpy(), found.reindex(actual.index).to_numpy()) for found in (alone, with_shape)]
    assert gini[1] > gini[0] + 0.03


def test_learnt_shape__leaves_the_total_to_the_level(learnt, facts, as_of):
    inputs = learnt.inputs(Snapshot(facts, as_of))
    days = np.array([182.0])
    forecast = learnt.forecast_
    bare = forecast.model.counts(inputs, days)[:, 0] * forecast.model.value(inputs)
    assert forecast.expected(inputs, days).mean.sum() == pytest.approx(bare.sum() * forecast.level(182.0).factor, rel=1e-6)


def test_level__is_said_with_its_rule(learnt):
    level = learnt.forecast_.level(182.0)
    words = learnt.level_in_words(182.0)
    assert f"rule {level.rule}" in words
    assert f"x {level.factor:.2f}" in words


def test_learnt_shape__is_for_customers_such_as_were_seen(learnt, facts, as_of):
    """Of a customer far larger than any that was learnt from, the purchase model's word stands."""
    inputs = learnt.inputs(Snapshot(facts, as_of)).iloc[[0]]
    giant = inputs.assign(total=inputs["total"] * 1e4, gross=inputs["gross"] * 1e4)
    days, forecast = np.array([182.0]), learnt.forecast_
    bare = forecast.model.counts(giant, days) * forecast.model.value(giant)[:, None]
    assert forecast.expected(giant, days).mean == pytest.approx(bare * forecast.level(182.0).factor)


def grown() -> list[tuple[str, pd.Timestamp, float]]:
    """600 customers of the last 55 days, ten orders each."""
    end = START + pd.Timedelta(days=DAYS)
    return [(f"y{n:03d}", end - pd.Timedelta(days=54 - 5 * k, hours=n % 20), 20.0) for n in range(600) for k in range(10)]


@pytest.mark.parametrize("old", [1, 4, 29])
def test_fit__is_not_led_astray_by_a_few_customers_from_before(book, old):
    end = START + pd.Timedelta(days=DAYS)
    growing = [
        (f"old{n}", START + pd.Timedelta(days=100 + 30 * k), 10.0 * (1.0 + (k > 15) * 5.0 * k)) for n in range(old) for k in range(23)
    ]
    alone, joined = (Snapshot(book(rows), end) for rows in (grown(), grown() + growing))
    without, with_old = (ClvPredictor().fit(ClvPredictor().training_table(at)).predict(at) for at in (alone, joined))
    total = [
        found.loc[(found[c.STATISTIC] == "mean") & (found[c.HORIZON] == 12) & found[c.ENTITY_ID].str.startswith("y"), c.VALUE].sum()
        for found in (without, with_old)
    ]
    assert total[1] == pytest.approx(total[0], rel=0.25), "the error of a handful is no level of all"


def test_ratio_error__of_one_customer_is_endless_and_of_a_giant_large():
    def error(spent: list[float], expected: list[float]) -> float:
        rows, ones = pd.DataFrame({c.ENTITY_ID: range(len(spent))}), np.ones(len(spent))
        return Cohort(rows, np.array(expected), ones, np.array(spent), ones, ones).ratio_error

    assert error([50.0], [10.0]) == np.inf
    assert error([10.0] * 100, [10.0] * 100) == pytest.approx(0.0, abs=1e-12)
    assert error([10.0] * 100 + [5000.0], [10.0] * 100 + [1000.0]) > 0.5
    noisy = np.random.default_rng(0).gamma(1.0, 10.0, 400)
    assert error(list(noisy), [10.0] * 400) == pytest.approx(1.0 / 20.0, rel=0.15)


def test_save_load__keeps_the_boosters(learnt, facts, as_of, tmp_path):
    learnt.save(tmp_path)
    assert len(list(tmp_path.glob("*.txt"))) == 2 * len(learnt.forecast_.blends) > 0
    snapshot = Snapshot(facts, as_of)
    pd.testing.assert_frame_equal(ClvPredictor.load(tmp_path).predict(snapshot), learnt.predict(snapshot), rtol=1e-9)


def test_training_table__past_rows_are_as_known_then_and_hold_what_followed(facts, as_of):
    snapshot = Snapshot(facts, as_of)
    model = ClvPredictor()
    table = model.training_table(snapshot)
    past = table[table[c.AS_OF] < as_of]
    cutoff = past[c.AS_OF].max()
    rows = past[past[c.AS_OF] == cutoff].drop(columns=[name for name in past if name.startswith(("spent_", "bought_"))])
    expected = model.inputs(snapshot.at(cutoff))
    expected = expected[expected["orders"] > 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows.reset_index(drop=True), expected)
    orders = snapshot.orders
    span = orders[(orders[c.DS] >= cutoff) & (orders[c.DS] < cutoff + pd.Timedelta(days=91))]
    assert past.loc[past[c.AS_OF] == cutoff, "spent_91"].sum() == pytest.approx(
        span.loc[span[c.CUSTOMER_ID].isin(rows[c.ENTITY_ID]), c.AMOUNT].sum()
    )
    assert past.loc[past[c.AS_OF] > as_of - pd.Timedelta(days=182), "spent_182"].isna().all()


def test_training_table__samples_the_same_customers_at_every_cutoff(facts, as_of):
    table = ClvPredictor(past_rows=1500).training_table(Snapshot(facts, as_of))
    past = table[table[c.AS_OF] < as_of]
    assert len(past) < 2000
    newest = set(past.loc[past[c.AS_OF] == past[c.AS_OF].max(), c.ENTITY_ID])
    assert set(past[c.ENTITY_ID]) <= newest
    assert (table[c.AS_OF] == as_of).sum() == 900


def test_stacked__weights_are_shares_halfway_to_equal():
    rng = np.random.default_rng(0)
    good = rng.gamma(2.0, 1.0, 5000)
    columns = np.column_stack([good, rng.gamma(2.0, 1.0, 5000), rng.gamma(2.0, 1.0, 5000)])
    weights = stacked(columns, good)
    assert sum(weights) == pytest.approx(1.0)
    assert weights[0] == pytest.approx((1.0 + 1 / 3) / 2, abs=0.02)
    assert stacked(columns, np.zeros(5000)) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
