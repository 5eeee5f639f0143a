from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.pipelines.findings import MonitorRule, Severity
from predictkpi.pipelines.watch_errors import Matured, judge_error, origins, since_training
from toy import company
from toy.model import SPEC, Toy

RULE = MonitorRule()
TRAINED = pd.Timestamp("2023-07-01")


def folds(values, metric="loss_h1"):
    return pd.DataFrame({"fold": range(1, len(values) + 1), "metric": metric, c.VALUE: values})


def judge(error, of_folds=(1.0, 1.2, 0.9, 1.1), outcomes=100):
    return judge_error("toy", Matured({"loss_h1": error}, outcomes, 3), folds(list(of_folds)), RULE)


@pytest.mark.parametrize(("error", "is_wrong"), [(1.0, False), (1.4, False), (0.2, False), (3.0, True)])
def test_error__is_held_against_what_the_folds_let_expect(error, is_wrong):
    finding = judge(error)
    assert finding.is_wrong is is_wrong
    assert 1.4 < finding.threshold < 3.0
    assert finding.figures["expected"] == pytest.approx(np.exp(np.log([1.0, 1.2, 0.9, 1.1]).mean()))


def test_error__folds_that_differ_more_allow_more():
    assert judge(1.0, (1.0, 2.0, 0.5, 1.5)).threshold > 2 * judge(1.0).threshold


def test_error__keeps_its_level_on_folds_like_any_other():
    rng = np.random.default_rng(5)
    alarms = sum(judge(*_split(np.exp(rng.normal(0, 0.25, size=5)))).is_wrong for _ in range(2000))
    assert alarms / 2000 < 0.02


@pytest.mark.parametrize(("bias", "is_wrong"), [(0.1, False), (-0.1, False), (-0.6, True), (1.5, True)])
def test_error__of_totals_is_wrong_on_either_side(bias, is_wrong):
    matured = Matured({"total_bias": bias}, 100, 3)
    finding = judge_error("toy", matured, folds([0.02, -0.05, 0.08, 0.0], metric="total_bias"), RULE)
    assert finding.is_wrong is is_wrong
    assert finding.figures["low"] < 0 < finding.figures["high"]
    if is_wrong:
        assert ("at least" if bias < 0 else "at most") in finding.reason


def _split(values):
    return float(values[0]), values[1:]


@pytest.mark.parametrize(
    ("matured", "of_folds", "words"),
    [
        (None, [1.0, 1.0], "has come true yet"),
        (Matured({"loss_h1": 9.0}, 12, 1), [1.0, 1.0], "12 outcomes have come true of the 30 needed"),
        (Matured({"loss_h1": 9.0}, 100, 1), [1.0], "fewer than two folds"),
    ],
)
def test_error__that_cannot_be_judged_says_why(matured, of_folds, words):
    finding = judge_error("toy", matured, folds(of_folds), RULE)
    assert finding.severity is Severity.NOTE
    assert words in finding.reason


def test_since_training__scores_what_came_true_and_nothing_else():
    champion = Toy().fit(Toy().training_table(company.snapshot(as_of=TRAINED)))
    now = pd.Timestamp("2023-10-01")
    matured = since_training(champion, company.snapshot(as_of=now), trained=TRAINED)
    assert (matured.origins, matured.outcomes) == (3, 120)
    assert set(matured.metrics) == {"tweedie_deviance_h1", "tweedie_deviance_h2", "total_bias"}
    worse = company.orders()
    worse.loc[worse[c.DS] >= TRAINED, c.AMOUNT] *= 5
    after = since_training(champion, company.snapshot(worse, as_of=now), trained=TRAINED)
    assert after.metrics["tweedie_deviance_h1"] > 3 * matured.metrics["tweedie_deviance_h1"]
    assert since_training(champion, company.snapshot(as_of=TRAINED), trained=TRAINED) is None


def test_origins__lie_between_the_training_and_what_has_come_true():
    assert origins(SPEC, TRAINED, pd.Timestamp("2023-07-20")) == []
    assert origins(SPEC, TRAINED, pd.Timestamp("2023-08-01")) == [TRAINED]
    assert len(origins(SPEC, TRAINED, pd.Timestamp("2024-07-01"))) == 6
    daily = SPEC.model_copy(update={"time_unit": "day", "horizons": (7, 30)})
    days = origins(daily, TRAINED, pd.Timestamp("2023-09-01"))
    assert all(TRAINED <= day <= pd.Timestamp("2023-08-25") for day in days)
    assert len(days) >= 5
