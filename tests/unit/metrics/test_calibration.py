from __future__ import annotations

import numpy as np
import pytest

from predictkpi.metrics.calibration import (
    calibration_noise_floor,
    calibration_table,
    expected_calibration_error,
    observed_expected,
)


@pytest.fixture
def probabilities():
    return np.random.default_rng(3).uniform(0.05, 0.95, 2_000)


def test_calibration_table__counts_every_prediction_once_and_keeps_the_means(probabilities):
    happened = (np.random.default_rng(4).random(len(probabilities)) < probabilities).astype(float)
    table = calibration_table(happened, probabilities, bins=10)
    assert table["n"].sum() == len(probabilities)
    assert table["n"].between(190, 210).all()
    assert (table["n"] * table["observed"]).sum() == pytest.approx(happened.sum())
    assert (table["n"] * table["predicted"]).sum() == pytest.approx(probabilities.sum())


def test_expected_calibration_error__agrees_with_the_table(probabilities):
    happened = (np.random.default_rng(5).random(len(probabilities)) < probabilities**2).astype(float)
    table = calibration_table(happened, probabilities)
    naive = sum(row.n * abs(row.observed - row.predicted) for row in table.itertuples()) / len(probabilities)
    assert expected_calibration_error(happened, probabilities) == pytest.approx(naive)


def test_expected_calibration_error__does_not_depend_on_the_order_of_ties():
    predicted = np.repeat([0.2, 0.5], 50)
    happened = np.r_[np.ones(10), np.zeros(40), np.ones(25), np.zeros(25)]
    order = np.random.default_rng(0).permutation(100)
    assert expected_calibration_error(happened, predicted) == pytest.approx(0.0)
    assert expected_calibration_error(happened[order], predicted[order]) == pytest.approx(0.0)


def test_noise_floor__is_what_true_probabilities_score_and_false_ones_exceed(probabilities):
    rng = np.random.default_rng(6)
    floor = calibration_noise_floor(probabilities)
    honest = [expected_calibration_error(rng.random(2_000) < probabilities, probabilities) for _ in range(30)]
    skewed = [expected_calibration_error(rng.random(2_000) < probabilities**1.5, probabilities) for _ in range(5)]
    assert np.mean(honest) == pytest.approx(floor, rel=0.1)
    assert min(skewed) > 2 * floor


def test_noise_floor__repeats_with_its_seed_and_shrinks_with_more_outcomes(probabilities):
    assert calibration_noise_floor(probabilities) == calibration_noise_floor(probabilities)
    assert calibration_noise_floor(probabilities) != calibration_noise_floor(probabilities, random_state=1)
    assert calibration_noise_floor(probabilities) < calibration_noise_floor(probabilities[:200])


def test_observed_expected__is_one_when_the_total_is_right():
    assert observed_expected([1, 0, 0, 1], [0.5, 0.5, 0.5, 0.5]) == 1.0
    assert observed_expected([1, 1], [0.5, 0.5]) == 2.0
    assert np.isnan(observed_expected([0], [0.0]))


def test_calibration__refuses_missing_values():
    with pytest.raises(ValueError, match="missing"):
        expected_calibration_error([np.nan], [0.5])


def test_calibration__of_nothing_is_missing():
    assert np.isnan(expected_calibration_error([], []))
    assert np.isnan(calibration_noise_floor([]))
