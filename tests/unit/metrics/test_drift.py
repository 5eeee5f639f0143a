from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from predictkpi.metrics.drift import distance, largest_change, sampling_noise


def judged(values, *, level=0.05, noise=0.01, signed=False):
    return largest_change([f"x{place}" for place in range(values.shape[1])], values[0], values[1:], level=level, noise=noise, signed=signed)


def test_distance__of_numbers_is_that_of_kolmogorov_and_smirnov():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=80), rng.normal(0.4, 1.3, size=50)
    assert distance(pd.Series(one), pd.Series(other)) == pytest.approx(stats.ks_2samp(one, other).statistic)


def test_distance__counts_what_is_missing():
    assert distance(pd.Series([1.0, 2.0, 3.0, 4.0]), pd.Series([1.0, 2.0, np.nan, np.nan])) == pytest.approx(0.5)
    assert distance(pd.Series([np.nan] * 3), pd.Series([np.nan] * 5)) == 0.0
    assert distance(pd.Series([1.0] * 3), pd.Series([np.nan] * 5)) == 1.0
    assert np.isnan(distance(pd.Series([], dtype=float), pd.Series([1.0])))


def test_distance__of_text_is_the_share_that_would_have_to_change():
    assert distance(pd.Series(["a", "a", "b", "b"]), pd.Series(["a", "a", "a", "c"])) == pytest.approx(0.5)
    assert distance(pd.Series(["a", "b"]), pd.Series(["", ""])) == 1.0


@pytest.mark.parametrize("values", [[True, False], pd.to_datetime(["2024-01-01", "2024-02-01"])])
def test_distance__takes_flags_and_instants(values):
    assert distance(pd.Series(values), pd.Series(values)) == 0.0


@pytest.mark.parametrize("signed", [True, False])
def test_largest_change__keeps_its_level_where_nothing_has_changed(signed):
    """Twenty dependent inputs, of even and of skewed distances, 600 checks: one false alarm in twenty, but for the luck of the draw."""
    rng, alarms = np.random.default_rng(7), 0
    for _ in range(600):
        common, own = rng.normal(size=(25, 1)), rng.normal(size=(25, 20))
        values = common + own if signed else 0.1 + 0.03 * np.exp(0.5 * (common + own))
        alarms += judged(values, signed=signed, noise=0.001).is_changed
    assert 0.01 < alarms / 600 < 0.065


def test_largest_change__finds_the_one_input_that_moved():
    values = np.abs(np.random.default_rng(2).normal(0.1, 0.02, size=(25, 30)))
    values[0, 17] = 0.5
    test = judged(values, level=0.01)
    assert test.is_changed
    assert test.p_value < 0.01
    assert test.changes[0].name == "x17"
    assert test.changes[0].usual == pytest.approx(values[1:, 17].mean())
    assert test.changes[0].score > test.threshold > test.changes[1].score


def test_largest_change__what_always_moves_as_much_is_no_news():
    values = np.full((25, 2), 0.9)  # accounts that are a month older every month
    values[:, 1] = np.abs(np.sin(np.arange(25)))
    test = judged(values)
    assert not test.is_changed
    assert {change.name: change.score for change in test.changes}["x0"] == 0.0


def test_largest_change__a_move_within_the_noise_of_small_samples_is_none():
    values = np.full((25, 1), 0.1)
    values[0] = 0.16
    assert judged(values, noise=0.001).changes[0].score > 10
    assert judged(values, noise=sampling_noise(40, 40)).changes[0].score < 2


def test_largest_change__passes_over_an_input_that_is_not_always_there():
    values = np.random.default_rng(4).normal(size=(25, 2))
    values[3, 0] = np.nan
    assert [change.name for change in judged(values).changes] == ["x1"]
    assert not judged(np.full((25, 1), np.nan)).is_changed
