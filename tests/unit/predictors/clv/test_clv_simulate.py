from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.predictors.clv.accounts import AccountPrior
from predictkpi.predictors.clv.btyd import Btyd
from predictkpi.predictors.clv.contracts import Contract
from predictkpi.predictors.clv.gamma_gamma import GammaGamma
from predictkpi.predictors.clv.shifted_beta_geometric import ShiftedBetaGeometric
from predictkpi.predictors.clv.simulate import SharedDraws

BTYD = Btyd(0.8, 60.0, 0.7, 3.0)
SPEND = GammaGamma(3.0, 5.0, 90.0)
DAYS = np.array([91.0, 365.0, 730.0])
HISTORY = {"frequency": np.array([0.0, 2.0, 12.0]), "recency": np.array([0.0, 40.0, 300.0]), "T": np.array([20.0, 90.0, 310.0])}
SPENT = np.array([30.0, 120.0, 200.0])


@pytest.fixture(scope="module")
def shared() -> SharedDraws:
    return SharedDraws(BTYD, SPEND, draws=4096, random_state=1)


def customers(*rows: int) -> dict[str, np.ndarray]:
    """Arguments of `SharedDraws.of_customers` for some of the three histories."""
    chosen = {name: values[list(rows)] for name, values in HISTORY.items()}
    alive = BTYD.p_alive(chosen["frequency"], chosen["recency"], chosen["T"])
    return {
        "frequency": chosen["frequency"],
        "T": chosen["T"],
        "alive": alive,
        "spent": SPENT[list(rows)],
        "days": DAYS,
        "tempo": np.ones((len(rows), len(DAYS))),
    }


def all_draws(chunks) -> np.ndarray:
    return np.concatenate([draws for _, draws in chunks])


def test_of_customers__have_the_analytic_mean_and_never_fall(shared):
    draws = all_draws(shared.of_customers(**customers(0, 1, 2)))
    assert draws.shape == (3, 3, 4096)
    assert (np.diff(draws, axis=1) >= 0).all()
    purchases = HISTORY["frequency"] + 1.0
    value = SPEND.expected_value(purchases, SPENT / purchases)
    for h, days in enumerate(DAYS):
        expected = BTYD.expected_purchases(float(days), HISTORY["frequency"], HISTORY["recency"], HISTORY["T"]) * value
        np.testing.assert_allclose(draws[:, h].mean(axis=-1), expected, rtol=0.05)


def test_of_customers__agree_with_a_plain_simulation(shared):
    """Quantiles and the chance of nothing, from independent draws purchase by purchase."""
    draws = all_draws(shared.of_customers(**customers(0, 1, 2)))[:, 1]
    rng, n = np.random.default_rng(3), 40_000
    for i in range(3):
        x, T = HISTORY["frequency"][i], HISTORY["T"][i]
        alive = rng.random(n) < BTYD.p_alive(*(HISTORY[name][[i]] for name in ("frequency", "recency", "T")))[0]
        rate, leave = rng.gamma(BTYD.r + x, 1.0 / (BTYD.alpha + T), n), rng.beta(BTYD.a, BTYD.b + x + 1.0, n)
        nu = rng.gamma(SPEND.q + SPEND.p * (x + 1.0), 1.0 / (SPEND.gamma + SPENT[i]), n)
        now, spend = rng.exponential(1.0, n) / rate, np.zeros(n)
        on = alive & (now < 365.0)
        while on.any():
            spend += np.where(on, rng.gamma(SPEND.p, 1.0, n) / nu, 0.0)
            on &= rng.random(n) >= leave
            now = now + rng.exponential(1.0, n) / rate
            on &= now < 365.0
        assert (draws[i] == 0).mean() == pytest.approx((spend == 0).mean(), abs=0.02)
        for level in (0.5, 0.8, 0.9):
            assert np.quantile(draws[i], level) == pytest.approx(np.quantile(spend, level), rel=0.08, abs=1.0)


@pytest.mark.parametrize("modified", [True, False])
def test_of_accounts__have_the_analytic_mean(modified):
    btyd = Btyd(0.8, 60.0, 0.7, 3.0, modified=modified)
    shared = SharedDraws(btyd, SPEND, draws=4096, random_state=1)
    prior = AccountPrior(odds=2.0, rate=1 / 60, slow_rate=1 / 2000, odds_ratio={"A": 1.5}, value_ratio={"A": 2.0})
    age, segment = np.array([0.0, 30.0]), pd.Series(["A", "B"])
    draws = all_draws(shared.of_accounts(age=age, segment=segment, prior=prior, days=DAYS))
    assert (np.diff(draws, axis=1) >= 0).all()
    for h, days in enumerate(DAYS):
        count = prior.expected_purchases(float(days), age=age, segment=segment, btyd=btyd)
        np.testing.assert_allclose(draws[:, h].mean(axis=-1), count * SPEND.mean_value * np.array([2.0, 1.0]), rtol=0.06)
        bought = prior.p_first_purchase(float(days), age=age, segment=segment)
        np.testing.assert_allclose((draws[:, h] > 0).mean(axis=-1), bought, atol=0.01)


def test_draws__of_one_customer_do_not_depend_on_the_others(shared):
    together = all_draws(shared.of_customers(**customers(0, 1, 2)))
    alone = all_draws(shared.of_customers(**customers(1)))
    np.testing.assert_allclose(alone[0], together[1], rtol=1e-12)


def test_draws__are_chunked_without_gap_or_overlap(shared):
    small = SharedDraws(BTYD, SPEND, draws=32, random_state=0)
    n = 9000
    column = np.arange(n) % 3
    chunks = list(small.of_customers(**customers(*column)))
    rows = np.concatenate([np.arange(n)[part] for part, _ in chunks])
    assert len(chunks) > 1
    np.testing.assert_array_equal(rows, np.arange(n))
    draws = np.concatenate([draws for _, draws in chunks])
    np.testing.assert_allclose(draws[::3], np.broadcast_to(draws[0], draws[::3].shape))


def test_tempo__of_two_is_twice_the_time(shared):
    fast = customers(0, 1, 2) | {"tempo": np.full((3, 3), 2.0)}
    slow = customers(0, 1, 2) | {"days": 2.0 * DAYS}
    np.testing.assert_allclose(all_draws(shared.of_customers(**fast)), all_draws(shared.of_customers(**slow)))


def test_of_contracts__have_the_analytic_mean_and_end_with_the_contract(shared):
    rows = pd.DataFrame({"frequency": [0.0, 5.0, 5.0], "days_since_last": [10.0, 3.0, 80.0]})
    contract = Contract(30.0, ShiftedBetaGeometric(0.7, 3.0))
    spent = np.array([20.0, 100.0, 100.0])
    arguments = {
        "survived": rows["frequency"].to_numpy(),
        "is_active": contract.is_active(rows),
        "due": contract.due(rows, DAYS),
    }
    draws = all_draws(shared.of_contracts(contract, **arguments, spent=spent))
    value = SPEND.expected_value(rows["frequency"].to_numpy() + 1.0, spent / (rows["frequency"].to_numpy() + 1.0))
    np.testing.assert_allclose(draws.mean(axis=-1), contract.counts(rows, DAYS) * value[:, None], rtol=0.05)
    assert (draws[2] == 0).all(), "80 days without a payment: lapsed"
