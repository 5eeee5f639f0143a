"""Reasons add up, name what moves a deal, and speak two languages."""

from __future__ import annotations

import numpy as np
import pytest

from predictkpi.core.arrays import Columns
from predictkpi.predictors.close_time import explain, shap
from predictkpi.predictors.close_time.explain import Explainer
from predictkpi.predictors.close_time.hazard import Hazard
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.predictors.close_time.periods import Seen
from predictkpi.predictors.close_time.reasons import REASONS, reason_of, title_of


@pytest.fixture(scope="module")
def inputs(fitted, snapshot):
    return fitted.inputs(snapshot).iloc[:40].reset_index(drop=True)


@pytest.fixture(scope="module")
def explained(fitted, inputs):
    return fitted.explain(inputs)


def test_explain__reasons_and_baseline_add_up_to_the_prediction(fitted, inputs, explained):
    predicted = fitted.predict_inputs(inputs).set_index(["entity_id", "horizon", "statistic"])["value"]
    totals = explained.groupby(["entity_id", "horizon", "statistic"])["contribution"].sum()
    assert set(totals.index.get_level_values("statistic")) == {"cif_won", "close_q50"}
    assert totals.to_numpy() == pytest.approx(predicted.loc[totals.index].to_numpy(), abs=1e-9)


def test_explain__all_deals_start_from_the_same_baseline(explained):
    baseline = explained[explained["feature"] == "baseline"].groupby("statistic")["contribution"]
    assert (baseline.nunique() == 1).all()


def test_explain__the_steps_account_for_nearly_all_of_the_difference(fitted, inputs):
    """What they leave over is spread by size: were it large, the reasons would be made up."""
    explainer = Explainer(fitted.hazard_, fitted.direct_, fitted.curves_, fitted.weight_, fitted.usual_)
    columns = Columns.of(inputs)
    way = explain._Way.of(explainer, columns)
    whole = way.at(1.0)[0]
    left_over = np.abs(whole - way.at(0.0)[0] - way.shared_out()[:, 0].sum(axis=0))
    assert left_over.max() < 0.01
    predicted = fitted.daily(columns)[:, 0, 90]
    assert whole == pytest.approx(predicted, abs=1e-9), "the end of the way is the prediction itself"


def test_contributions__are_lightgbm_s_by_reason(fitted, inputs):
    for learner in (fitted.hazard_, fitted.direct_):
        seen = Seen.of(Columns.of(inputs), fitted.hazard_.design)
        expected = learner.by_reason(learner.contributions_by_feature(seen)[..., :-1].transpose(0, 3, 1, 2))
        assert learner.contributions(seen) == pytest.approx(expected, abs=1e-12)


def test_contributions__of_trees_that_look_at_too_many_features_are_lightgbm_s(fitted, inputs, monkeypatch, caplog):
    learner = Hazard(fitted.hazard_.booster, fitted.hazard_.design, fitted.hazard_.last_period)
    monkeypatch.setattr(shap, "MOST_FEATURES", 1)
    seen = Seen.of(Columns.of(inputs), learner.design)
    assert learner.contributions(seen) == pytest.approx(fitted.hazard_.contributions(seen), abs=1e-12)
    assert "LightGBM's way" in caplog.text


def test_explain__an_owner_who_always_wins_is_named(fitted, inputs):
    better = inputs.assign(owner_edge=inputs["owner_edge"] + 0.3)
    before, after = (
        found[(found["statistic"] == "cif_won") & (found["feature"] == "owner")]["contribution"].to_numpy()
        for found in (fitted.explain(inputs), fitted.explain(better))
    )
    assert np.mean(after - before) > 0
    assert np.mean(after > before) > 0.5


def test_explain__is_empty_where_only_curves_speak(many_deals):
    model = CloseTimePredictor()
    snapshot = many_deals(90)
    model.fit(model.training_table(snapshot))
    assert model.explain(model.inputs(snapshot)).empty


def test_reasons__cover_every_feature_and_have_words_for_each(fitted):
    names = {reason.name for reason in REASONS}
    for learner in (fitted.hazard_, fitted.direct_):
        assert {reason_of(name) for name in learner.feature_names} <= names
    assert reason_of("deal.Industry Code") == "deal.Industry Code"
    assert title_of("deal.Industry Code", "de") == "Industry Code"
    assert title_of("owner", "de") != title_of("owner", "en")
