from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.errors import ArtifactError, InsufficientDataError, SchemaError
from predictkpi.predictors.clv.baseline import MeanSpendBaseline
from predictkpi.predictors.clv.model import ClvPredictor
from predictkpi.predictors.clv.spec import SPEC
from predictkpi.snapshot import MemoryFacts, Snapshot

MONTH = 365.25 / 12


def wide(predictions: pd.DataFrame, horizon: int) -> pd.DataFrame:
    chosen = predictions[predictions[c.HORIZON] == horizon]
    return chosen.pivot(index=c.ENTITY_ID, columns=c.STATISTIC, values=c.VALUE)


@pytest.fixture(scope="module")
def fitted(drawn) -> MeanSpendBaseline:
    model = MeanSpendBaseline()
    return model.fit(model.training_table(drawn.snapshot()))


def test_predict__is_mean_spend_a_month_carried_on(book):
    rows = [
        ("a", "2024-01-01", 100.0),
        ("a", "2024-03-01", 50.0),
        ("a", "2024-03-20", -30.0),
        ("b", "2024-05-30", 80.0),
        ("r", "2024-05-01", -9.0),
    ]
    snapshot = Snapshot(book(rows, accounts=[("new", "SMB", "2024-05-01")]), pd.Timestamp("2024-06-01"))
    model = MeanSpendBaseline()
    found = wide(model.fit(model.training_table(snapshot)).predict(snapshot), 6)
    months = 152 / MONTH
    assert found.loc["a", "mean"] == pytest.approx(120.0 / months * 6)
    assert found.loc["a", "expected_purchases"] == pytest.approx(2.0 / months * 6)
    # two days old: one month at least
    assert found.loc["b", "mean"] == pytest.approx(80.0 * 6)
    # half of the four customers bought; a month of one was worth 200 / (months + 1)
    assert found.loc["new", "mean"] == pytest.approx(0.5 * 200.0 / (months + 1.0) * 6)
    assert (found.loc["r"] == 0.0).all()


def test_predict__answers_everybody_and_orders_quantiles(fitted, drawn):
    found = fitted.predict(drawn.snapshot())
    assert list(found.columns) == c.PREDICTION_COLUMNS
    assert set(found[c.STATUS]) == {Status.BASELINE.value, Status.PRIOR.value}
    assert (found[c.REASON] != "").all()
    assert np.isfinite(found[c.VALUE]).all()
    for horizon in SPEC.horizons:
        now = wide(found, horizon)
        assert (now["q10"] <= now["q50"]).all()
        assert (now["q50"] <= now["q90"]).all()
        assert now["p_alive"].between(0, 1).all()


def test_predict__q90_is_exceeded_by_about_one_in_ten(drawn):
    as_of = pd.Timestamp("2022-01-01") + pd.Timedelta(days=700)
    now, later = drawn.snapshot(as_of), drawn.snapshot()
    model = MeanSpendBaseline()
    found = wide(model.fit(model.training_table(now)).predict(now), 6)
    actual = model.outcomes(later, as_of=as_of)
    actual = actual[(actual[c.HORIZON] == 6) & (actual[c.STATISTIC] == "mean")].set_index(c.ENTITY_ID)[c.VALUE]
    assert (actual[found.index] > found["q90"]).mean() == pytest.approx(0.1, abs=0.05)


def test_training_table__pairs_past_cohorts_with_what_came_since(drawn):
    as_of = drawn.end
    table = MeanSpendBaseline().training_table(drawn.snapshot())
    assert sorted(table[c.HORIZON].unique()) == [0, 3, 6, 12, 24]
    past = table[table[c.HORIZON] == 6]
    then = as_of - pd.DateOffset(months=6)
    assert (past[c.AS_OF] == then).all()
    orders = drawn.snapshot().orders
    since = orders[orders["ds"] >= then].groupby("customer_id")["amount"].sum()
    np.testing.assert_allclose(past["actual"], since.reindex(past[c.ENTITY_ID]).fillna(0.0))
    assert table.loc[table[c.HORIZON] == 0, "actual"].isna().all()


def test_predict__knows_nothing_of_the_future(drawn):
    as_of = pd.Timestamp("2022-01-01") + pd.Timedelta(days=600)
    cut = {name: drawn.facts.read(name, known_before=as_of) for name in ("orders", "customers")}
    found = []
    for snapshot in (drawn.snapshot(as_of), Snapshot(MemoryFacts(cut), as_of)):
        model = MeanSpendBaseline()
        found.append(model.fit(model.training_table(snapshot)).predict(snapshot))
    assert len(found[0]) > 5_000
    pd.testing.assert_frame_equal(*found)


def test_save__and_load_give_the_same_predictions(fitted, drawn, tmp_path):
    fitted.save(tmp_path)
    pd.testing.assert_frame_equal(MeanSpendBaseline.load(tmp_path).predict(drawn.snapshot()), fitted.predict(drawn.snapshot()))
    content = json.loads((tmp_path / "clv.json").read_text())
    del content["state"]["ratios"]
    (tmp_path / "clv.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError):
        MeanSpendBaseline.load(tmp_path)
    with pytest.raises(ArtifactError):
        ClvPredictor.load(tmp_path)


def test_fit__forgets_and_refuses(drawn, draw, book, fitted):
    model = MeanSpendBaseline()
    other = draw(seed=9, n=100, days=200).snapshot()
    model.fit(model.training_table(drawn.snapshot())).fit(model.training_table(other))
    fresh = MeanSpendBaseline().fit(MeanSpendBaseline().training_table(other))
    pd.testing.assert_frame_equal(model.predict(other), fresh.predict(other))
    with pytest.raises(SchemaError, match="actual"):
        model.fit(ClvPredictor().training_table(other))
    nothing = Snapshot(book([("a", "2024-01-10", -5.0)]), pd.Timestamp("2024-06-01"))
    with pytest.raises(InsufficientDataError):
        model.fit(model.training_table(nothing))


def test_baseline__is_its_own_and_the_models():
    model = MeanSpendBaseline()
    assert model.baseline() is model
    assert isinstance(ClvPredictor().baseline(), MeanSpendBaseline)
    assert (model.kind, ClvPredictor.kind) == ("baseline", "model")
    assert model.spec is ClvPredictor.spec
