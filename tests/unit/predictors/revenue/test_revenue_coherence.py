"""Answers of a company add up in every path, and still say what each series says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.types import Status
from predictkpi.predictors.revenue import forecaster
from predictkpi.predictors.revenue.baseline import RevenueBaseline
from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.predictors.revenue.reconcile import constraints
from predictkpi.predictors.revenue.together import normals, pulled, shared_revenue
from predictkpi.snapshot import MemoryFacts, Snapshot

AS_OF = pd.Timestamp("2024-07-01")


@pytest.fixture(scope="module", params=[RevenueForecaster, RevenueBaseline], ids=lambda cls: cls.__name__)
def learned(request, company):
    snapshot = company.snapshot(AS_OF)
    predictor = request.param(draws=300, origins=6, crossed=[("segment", "region"), ("product", "team")])
    predictor.fit(predictor.training_table(snapshot))
    return predictor, predictor.inputs(snapshot)


def stacked(answers):
    return np.stack([answer.paths for answer in answers])


def test_answers__add_up_in_every_path(learned):
    predictor, inputs = learned
    answers = predictor.answers(inputs)
    rows, paths = constraints([answer.entity_id for answer in answers]), stacked(answers)
    assert len(rows) > 10
    assert np.abs(np.einsum("kn,ndh->kdh", rows, paths)).max() <= 1e-9 * paths.max()


def test_answers__are_nowhere_below_zero_where_history_never_was(learned):
    predictor, inputs = learned
    found = [answer for answer in predictor.answers(inputs) if (answer.history >= 0).all()]
    assert len(found) > 10
    assert stacked(found).min() >= -1e-6


def test_answers__keep_the_spread_of_the_total(learned, monkeypatch):
    """Draws that were independent from series to series would lose more than half of it in what their sums average out.

    Some of it goes: what the parts say of the total is evidence (80 % intervals of the total's months cover .80, see decision 0011).
    """
    predictor, inputs = learned
    after = {answer.entity_id: answer.paths for answer in predictor.answers(inputs)}["total"]
    monkeypatch.setattr(forecaster, "coherent", lambda parts, covariance: [part.answer for part in parts])
    before = {answer.entity_id: answer.paths for answer in predictor.answers(inputs)}["total"]
    for width in (1, 12):
        ratio = after[:, :width].sum(axis=1).std() / before[:, :width].sum(axis=1).std()
        assert 0.6 < ratio < 1.35


def test_answers__of_a_series_without_a_complete_month_are_nothing_beside_others_that_have_some(make_facts, make_months):
    """The records begin late in January, and one region has orders in that month only: it is left out as a part taken for a whole."""
    facts = make_facts(make_months(30), start="2022-01-01")
    orders = facts.read("orders", known_before=AS_OF).copy()
    first = orders["ds"] < "2022-02-01"
    orders.loc[first, "ds"] += pd.Timedelta(days=20)
    orders["product"] = np.where(first, "Old", np.where(orders["customer_id"] == "c1", "Core", "Plus"))
    snapshot = Snapshot(MemoryFacts({"orders": orders}), AS_OF)
    model = RevenueForecaster(draws=100, origins=3)
    answers = {answer.entity_id: answer for answer in model.fit(model.training_table(snapshot)).answers(model.inputs(snapshot))}
    old = answers["product=Old"]
    assert (old.paths == 0).all()
    assert old.status is Status.PRIOR
    assert "no complete month" in old.reason
    np.testing.assert_allclose(answers["product=Core"].paths + answers["product=Plus"].paths, answers["total"].paths, rtol=1e-9)


def test_shared_revenue__is_the_correlation_of_sums_of_the_same_amounts():
    names = ["total", "region=a", "region=b", "segment=x", "region=a&segment=x", "other"]
    level = {"total": 100.0, "region=a": 64.0, "region=b": 36.0, "segment=x": 25.0, "region=a&segment=x": 16.0, "other": 50.0}
    found = pd.DataFrame(shared_revenue(names, level), index=names, columns=names)
    assert found.loc["total", "region=a"] == pytest.approx(0.8)
    assert found.loc["region=a", "region=b"] == 0
    assert found.loc["region=a", "segment=x"] == pytest.approx(0.64 * 0.25 / 0.4)
    assert found.loc["region=a", "region=a&segment=x"] == pytest.approx(0.5)
    assert found.loc["other"].drop("other").eq(0).all()


def test_normals__correlate_as_asked():
    correlation = pulled(np.eye(2), np.array([[1.0, 0.6], [0.6, 1.0]]), 1.0)
    a, b, new = (normals(name, ["a", "b"], correlation, draws=20_000, seed=0) for name in ("a", "b", "new"))
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(0.6, abs=0.02)
    assert abs(np.corrcoef(a, new)[0, 1]) < 0.03
