from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.backtest.scores import integration_weights, score
from predictkpi.core import columns as c
from predictkpi.metrics.survival import integrated_brier_score
from toy.model import SPEC

RNG = np.random.default_rng(5)
DAY = pd.Timestamp("2024-01-01")


def index(entities: int, horizons: tuple[int, ...]) -> pd.MultiIndex:
    return pd.MultiIndex.from_product([[DAY], [f"e{n}" for n in range(entities)], horizons], names=[c.AS_OF, c.ENTITY_ID, c.HORIZON])


def scored(family: str, predicted: dict, actual: dict, at: pd.MultiIndex, scale: float = 1.0):
    spec = SPEC.model_copy(update={"score": family, "headline": next(iter(actual))})
    return score(spec, pd.DataFrame(predicted, index=at), pd.DataFrame(actual, index=at), pd.Series(scale, index=at))


def test_quantiles__known_numbers_of_two_months():
    at = index(1, (1, 2))
    found = scored("quantiles", {"mean": [11.0, 18.0], "q10": [5.0, 15.0], "q90": [15.0, 19.0]}, {"mean": [10.0, 20.0]}, at, scale=2.0)
    assert found.metrics["mase"] == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert found.metrics["wape"] == pytest.approx(3 / 30)
    assert found.metrics["bias_scaled"] == pytest.approx((1 - 2) / 2 / 2)
    assert found.metrics["coverage80"] == 0.5
    assert "coverage95" not in found.metrics
    assert found.metrics["crps_scaled"] == pytest.approx(found.losses["loss"].mean())


def test_quantiles__scale_takes_the_size_of_a_series_out():
    at, y, spread = index(3, (1, 2, 3)), RNG.normal(100, 10, 9), np.full(9, 12.0)
    predicted = {"mean": np.full(9, 100.0), "q10": 100 - spread, "q50": np.full(9, 100.0), "q90": 100 + spread}
    small = scored("quantiles", predicted, {"mean": y}, at, scale=5.0)
    large = scored("quantiles", {name: 1000 * value for name, value in predicted.items()}, {"mean": 1000 * y}, at, scale=5000.0)
    np.testing.assert_allclose(small.losses["loss"], large.losses["loss"])


def test_quantiles__the_truth_beats_a_shifted_forecast():
    at, y = index(400, (1,)), RNG.normal(100, 10, 400)
    honest = {"mean": np.full(400, 100.0), "q10": np.full(400, 87.2), "q50": np.full(400, 100.0), "q90": np.full(400, 112.8)}
    shifted = {name: value + 8 for name, value in honest.items()}
    better, worse = (scored("quantiles", each, {"mean": y}, at).metrics for each in (honest, shifted))
    assert better["crps_scaled"] < worse["crps_scaled"]
    assert better["coverage80"] == pytest.approx(0.8, abs=0.06)


def test_mean__ranks_within_one_horizon_only():
    at = index(3, (3, 12))
    actual, predicted = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0], [1.0, 30.0, 2.0, 20.0, 3.0, 10.0]
    found = scored("mean", {"mean": predicted}, {"mean": actual}, at)
    # right order at 3 months, reversed at 12
    assert found.metrics["gini"] == pytest.approx(0.0)
    assert found.metrics["total_bias"] == pytest.approx(0.0)
    assert found.metrics["tweedie_deviance_h3"] == 0.0
    assert found.metrics["tweedie_deviance_h12"] > 0


def test_cumulative_incidence__loss_is_the_integrated_brier_score():
    horizons, n = (7, 30, 90), 50
    at, won = index(n, horizons), np.sort(RNG.random((n, 3)) < 0.3, axis=1).astype(float)
    cif = np.sort(RNG.random((n, 3)), axis=1)
    found = scored("cumulative_incidence", {"cif_won": cif.ravel()}, {"cif_won": won.ravel()}, at)
    assert found.metrics["brier_won"] == pytest.approx(integrated_brier_score(cif, won, horizons))
    assert (found.losses["loss"] * found.losses["weight"]).mean() == pytest.approx(found.metrics["brier_won"])
    assert found.metrics["portfolio_error_30"] == pytest.approx(cif[:, 1].sum() / won[:, 1].sum() - 1)
    assert found.metrics["brier_won_h30"] == pytest.approx(((cif - won) ** 2)[:, 1].mean())


def test_cumulative_incidence__close_dates_are_judged_among_won_deals():
    at, empty = index(4, (180,)), np.nan
    actual = {"cif_won": [1.0, 1.0, 0.0, 1.0], "close_q50": [10.0, 50.0, empty, 100.0]}
    predicted = {"cif_won": [0.5] * 4, "close_q10": [5.0] * 4, "close_q50": [30.0] * 4, "close_q90": [60.0] * 4}
    found = scored("cumulative_incidence", predicted, actual, at).metrics
    assert found["close_days_n"] == 3
    assert found["close_days_median_error"] == 20.0
    assert found["close_days_coverage80"] == pytest.approx(2 / 3)


def test_integration_weights__a_fold_of_which_more_came_true_counts_for_no_more():
    old, recent = index(30, (7, 30, 90)), index(30, (7, 30)).set_levels([DAY + pd.Timedelta(days=60)], level=c.AS_OF)
    at = old.append(recent)
    weight = pd.Series(integration_weights(at), index=at)
    losses = pd.Series(RNG.random(len(at)), index=at)
    folds = [
        integrated_brier_score(np.sqrt(losses[part].to_numpy().reshape(30, -1)), np.zeros((30, len(horizons))), horizons)
        for part, horizons in ((old, (7, 30, 90)), (recent, (7, 30)))
    ]
    assert (losses * weight).mean() == pytest.approx(np.mean(folds))


def test_integration_weights__a_horizon_known_for_fewer_deals_keeps_its_share():
    at = pd.MultiIndex.from_tuples([(DAY, "a", 10), (DAY, "b", 10), (DAY, "b", 20)], names=[c.AS_OF, c.ENTITY_ID, c.HORIZON])
    weight = integration_weights(at)
    assert weight[:2].sum() / 3 == pytest.approx(0.5)
    assert weight[2] / 3 == pytest.approx(0.25)
