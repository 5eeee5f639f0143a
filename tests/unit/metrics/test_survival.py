from __future__ import annotations

import numpy as np
import pytest

from predictkpi.metrics.survival import brier, integrated_brier_score, integrated_losses


def test_brier__is_the_squared_error_of_each_probability():
    assert brier([[0.2, 0.9]], [[0.0, 1.0]]) == pytest.approx(np.array([[0.04, 0.01]]))


def test_brier__refuses_shapes_that_would_broadcast():
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(2,\)"):
        brier([[0.1, 0.2], [0.3, 0.4]], [0.0, 1.0])


def test_integrated_losses__equal_the_area_under_the_loss_over_days():
    losses = integrated_losses([[0.2, 0.4], [0.1, 0.1]], [10, 30])
    by_hand = [(0.2 * 10 / 2 + 0.3 * 20) / 30, (0.1 * 10 / 2 + 0.1 * 20) / 30]
    assert losses == pytest.approx(by_hand)


def test_integrated_losses__keep_an_immature_entity_missing():
    assert np.isnan(integrated_losses([[0.2, np.nan]], [7, 14])).tolist() == [True]


@pytest.mark.parametrize("horizons", [[14, 7], [0, 7], [7, 7]])
def test_integrated_losses__refuse_horizons_that_do_not_increase_from_zero(horizons):
    with pytest.raises(ValueError, match="increasing"):
        integrated_losses([[0.1, 0.1]], horizons)


def test_integrated_brier_score__is_lowest_at_the_true_probability():
    rng = np.random.default_rng(0)
    truth = np.array([0.2, 0.35, 0.6])
    happened = (rng.random((20_000, 1)) < truth).astype(float)
    scores = {shift: integrated_brier_score(np.tile(truth + shift, (20_000, 1)), happened, [7, 14, 30]) for shift in (-0.1, 0.0, 0.1)}
    assert min(scores, key=scores.get) == 0.0


def test_integrated_brier_score__of_nobody_is_missing():
    assert np.isnan(integrated_brier_score(np.zeros((0, 2)), np.zeros((0, 2)), [7, 14]))
