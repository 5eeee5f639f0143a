from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.types import Company, Status
from predictkpi.errors import ArtifactError, InsufficientDataError, SettingsError, UnknownEntityError
from predictkpi.predictors.revenue.baseline import RevenueBaseline
from predictkpi.predictors.revenue.model import RevenueForecaster, backtest_errors
from predictkpi.predictors.revenue.point import prepare
from predictkpi.snapshot import MemoryFacts, Snapshot

AS_OF = pd.Timestamp("2024-01-01")
CLASSES = [RevenueForecaster, RevenueBaseline]


def fitted(cls, snapshot, **settings):
    predictor = cls(**({"draws": 200, "origins": 4} | settings))
    return predictor.fit(predictor.training_table(snapshot))


def wide(predictions):
    return predictions.pivot(index=["entity_id", "horizon"], columns="statistic", values="value")


@pytest.fixture(scope="module")
def sample(company):
    """The sample company a year and a half before its end, so that outcomes are there."""
    return company.snapshot(pd.Timestamp("2024-07-01"))


@pytest.fixture(scope="module", params=CLASSES, ids=lambda cls: cls.__name__)
def predictor(request, sample):
    return fitted(request.param, sample)


def test_predict__gives_every_series_horizon_and_statistic(predictor, sample):
    predictions = predictor.predict(sample)
    assert not predictions.duplicated(["entity_id", "horizon", "statistic"]).any()
    table = wide(predictions)
    assert set(table.index.get_level_values("horizon")) == set(range(1, 13))
    assert set(table.columns) == {statistic.name for statistic in predictor.spec.statistics}
    assert np.isfinite(table[["mean", "q10", "q50", "q90"]].to_numpy()).all()
    assert np.isfinite(table.loc["total", ["growth_mom_q50", "growth_yoy_q50"]].to_numpy()).all()


def test_predict__quantiles_are_ordered(predictor, sample):
    table = wide(predictor.predict(sample))
    names = ["q025", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "q975"]
    assert (np.diff(table[names].to_numpy(), axis=1) >= 0).all()
    assert (table["q10"] < table["q90"]).all()
    growth = table[["growth_yoy_q10", "growth_yoy_q50", "growth_yoy_q90"]].dropna().to_numpy()
    assert len(growth) and (np.diff(growth, axis=1) >= 0).all()


def test_predict__mean_lies_among_the_paths_of_every_series(predictor, sample):
    """A heavy tail of a small and rough series must not carry its mean away, nor by adding up that of others."""
    table = wide(predictor.predict(sample))
    assert (table["mean"] < table["q975"]).all()
    assert (table["mean"] > table["q025"]).all()


def test_predict__growth_follows_from_the_same_paths(predictor, sample):
    inputs = predictor.inputs(sample, entity_ids=["total"])
    table = wide(predictor.predict_inputs(inputs)).loc["total"]
    history = inputs.loc[inputs["entity_id"] == "total", "y"].dropna().to_numpy()
    np.testing.assert_allclose(table["growth_mom_q50"].loc[1], table["q50"].loc[1] / history[-1] - 1)
    for horizon in (1, 7, 12):
        base = history[-12 + horizon - 1]
        for level in ("q10", "q50", "q90"):
            assert table[f"growth_yoy_{level}"].loc[horizon] == pytest.approx(table[level].loc[horizon] / base - 1)
    (answer,) = predictor.answers(inputs)
    whole = np.column_stack([np.tile(history[-3:], (len(answer.paths), 1)), answer.paths])
    quarter = whole[:, 3:6].sum(axis=1) / whole[:, 0:3].sum(axis=1) - 1
    assert table["growth_qoq_q10"].loc[3] == pytest.approx(np.quantile(quarter, 0.1))


@pytest.mark.parametrize(("starts", "ends"), [(1, [3, 6, 9, 12]), (2, [1, 4, 7, 10]), (12, [2, 5, 8, 11])])
def test_predict__growth_by_quarter_stands_where_a_fiscal_quarter_ends(make_facts, make_months, starts, ends):
    facts = make_facts(make_months(30), start="2021-07-01", company=Company(fiscal_year_starts=starts))
    snapshot = Snapshot(facts, AS_OF)
    predictions = fitted(RevenueForecaster, snapshot, origins=2).predict(snapshot, entity_ids=["total"])
    found = predictions.loc[predictions["statistic"] == "growth_qoq_q50", "horizon"]
    assert found.tolist() == ends


def test_predict__ignores_what_became_known_later(predictor, company, sample):
    orders = company.tables["orders"]
    changed = orders.assign(amount=orders["amount"].where(orders["known_at"] < sample.as_of, orders["amount"] * 9))
    other = Snapshot(MemoryFacts(company.tables | {"orders": changed}, company.company), sample.as_of)
    again = type(predictor)(**predictor._settings())
    pd.testing.assert_frame_equal(again.training_table(other), predictor.training_table(sample))
    pd.testing.assert_frame_equal(predictor.predict(other), predictor.predict(sample))


def test_fit__same_data_gives_same_predictions_and_forgets(predictor, make_facts, make_months, sample):
    expected = predictor.predict(sample)
    again = type(predictor)(**predictor._settings())
    other = Snapshot(make_facts(make_months(40, noise=0.4), start="2020-09-01"), AS_OF)
    again.fit(again.training_table(other))
    assert not again.predict(sample).equals(expected)
    again.fit(again.training_table(sample))
    pd.testing.assert_frame_equal(again.predict(sample), expected)


def test_predict__one_series_alone_is_as_among_all(predictor, sample):
    among = predictor.predict(sample)
    names = ["region=EMEA", "total"]
    expected = among[among["entity_id"].isin(names)].reset_index(drop=True)
    pd.testing.assert_frame_equal(predictor.predict(sample, entity_ids=names), expected)
    with pytest.raises(UnknownEntityError):
        predictor.predict(sample, entity_ids=["region=Mars"])


def test_save__loads_to_the_same_predictions(predictor, sample, tmp_path):
    predictor.save(tmp_path)
    loaded = type(predictor).load(tmp_path)
    pd.testing.assert_frame_equal(loaded.predict(sample), predictor.predict(sample))


@pytest.mark.parametrize(
    "content", [None, "not json", "[]", json.dumps({"format": "another/1"}), json.dumps({"format": "predictkpi.revenue.model/2"})]
)
@pytest.mark.parametrize("cls", CLASSES)
def test_load__refuses_what_it_did_not_save(cls, content, tmp_path):
    if content is not None:
        (tmp_path / "state.json").write_text(content, encoding="utf-8")
    with pytest.raises(ArtifactError):
        cls.load(tmp_path)


def test_load__refuses_the_other_kind(predictor, tmp_path):
    predictor.save(tmp_path)
    (other,) = [cls for cls in CLASSES if cls is not type(predictor)]
    with pytest.raises(ArtifactError, match="holds"):
        other.load(tmp_path)


def test_outcomes__are_the_months_that_came(predictor, company):
    later, as_of = company.snapshot(), company.end - pd.DateOffset(months=4)
    found = predictor.outcomes(later, as_of=as_of)
    total = found[found["entity_id"] == "total"].set_index("horizon")
    orders = later.orders
    month = (orders["ds"] >= as_of) & (orders["ds"] < as_of + pd.DateOffset(months=1))
    assert total["value"].loc[1] == pytest.approx(orders.loc[month, "amount"].sum())
    assert total["is_mature"].tolist() == [True] * 4 + [False] * 8
    assert total["value"].loc[5:].isna().all()
    assert set(found["entity_id"]) == set(predictor.predict(later.at(as_of))["entity_id"])


def test_outcomes__of_a_mid_month_day_wait_for_the_whole_span(make_facts, make_months):
    facts = make_facts(make_months(30), start="2021-07-01")
    found = RevenueForecaster().outcomes(Snapshot(facts, pd.Timestamp("2023-07-10")), as_of=pd.Timestamp("2023-05-20"))
    total = found[found["entity_id"] == "total"]
    assert total["is_mature"].tolist()[:2] == [True, False]
    assert np.isfinite(total["value"].iloc[1])


@pytest.mark.parametrize(
    ("months", "status"),
    [
        (1, Status.PRIOR),
        (2, Status.PRIOR),
        (3, Status.BASELINE),
        (11, Status.BASELINE),
        (12, Status.LIMITED),
        (23, Status.LIMITED),
        (24, Status.FULL),
    ],
)
@pytest.mark.parametrize("cls", CLASSES)
def test_ladder__every_length_has_an_answer_and_a_reason(make_facts, make_months, cls, months, status):
    start = AS_OF - pd.DateOffset(months=months)
    snapshot = Snapshot(make_facts(make_months(months), start=str(start.date())), AS_OF)
    predictor = fitted(cls, snapshot, origins=3)
    predictions = predictor.predict(snapshot)
    assert set(predictions["status"]) == {status.value}
    assert (predictions["reason"] == "").all() == (status is Status.FULL)
    assert np.isfinite(predictions["value"]).all()
    table = wide(predictions).loc["total"]
    assert (table["q10"] < table["q90"]).all()
    readiness = predictor.readiness(snapshot)
    assert (readiness.status, readiness.have, readiness.need) == (status, {"months": months}, {"months": 24})


@pytest.mark.parametrize("cls", CLASSES)
def test_ladder__no_complete_month_says_so_without_a_number(make_facts, cls):
    snapshot = Snapshot(make_facts([100.0], start="2024-01-01"), pd.Timestamp("2024-01-20"))
    predictions = fitted(cls, snapshot).predict(snapshot)
    assert set(predictions["status"]) == {"insufficient_data"}
    assert predictions["value"].isna().all()
    assert len(predictions[predictions["entity_id"] == "total"]) == 12 * 10


@pytest.mark.parametrize("cls", CLASSES)
def test_fit__refuses_a_company_without_orders(make_facts, cls):
    snapshot = Snapshot(make_facts([]), AS_OF)
    assert cls().readiness(snapshot).status is Status.INSUFFICIENT_DATA
    with pytest.raises(InsufficientDataError, match="no orders"):
        cls().fit(cls().training_table(snapshot))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda y: np.where(np.arange(36) % 3 == 1, 0, y), "zero or negative"),
        (lambda y: np.where(np.arange(36) == 30, -y, y), "zero or negative"),
        (lambda y: np.where(np.arange(36) == 25, y * 100, y), "pulled in"),
        (lambda y: np.where(np.arange(36) < 20, y, 0), "taken to have ended"),
    ],
    ids=["gaps", "negative", "outlier", "stopped"],
)
def test_predict__states_what_is_odd_about_a_series(make_facts, make_months, change, says):
    snapshot = Snapshot(make_facts(change(make_months(36)), start="2021-01-01"), AS_OF)
    predictions = fitted(RevenueForecaster, snapshot).predict(snapshot, entity_ids=["total"])
    assert set(predictions["status"]) == {"limited"}
    assert says in predictions["reason"].iloc[0]
    table = wide(predictions)
    assert np.isfinite(table[["mean", "q025", "q975"]].to_numpy()).all()
    assert table["mean"].max() < 6000


def test_predict__stopped_series_have_no_growth_to_state(make_facts, make_months):
    y = np.where(np.arange(36) < 20, make_months(36), 0)
    snapshot = Snapshot(make_facts(y, start="2021-01-01"), AS_OF)
    predictions = fitted(RevenueForecaster, snapshot).predict(snapshot)
    assert not predictions["statistic"].str.startswith("growth").any()
    assert (predictions["value"] == 0).all()


def test_baseline__repeats_the_month_of_the_last_year(make_facts, make_months):
    y = make_months(36, noise=0.0, growth=0.0)
    snapshot = Snapshot(make_facts(y, start="2021-01-01"), AS_OF)
    table = wide(fitted(RevenueBaseline, snapshot).predict(snapshot, entity_ids=["total"])).loc["total"]
    np.testing.assert_allclose(table[["q025", "q50", "q975"]], np.column_stack([y[-12:]] * 3), rtol=1e-6)


def test_baseline__is_the_models_own(predictor):
    baseline = predictor.baseline()
    assert isinstance(baseline, RevenueBaseline)
    assert baseline.kind == "baseline"


@pytest.mark.parametrize("settings", [{"draws": 10}, {"origins": 0}, {"freedom": 2.0}, {"prior_weight": 0.0}, {"pool_series": 0}])
def test_settings__refuse_values_out_of_range(settings):
    with pytest.raises(SettingsError, match="revenue"):
        RevenueForecaster(**settings)


def test_settings__of_the_repository_are_arguments_of_the_model():
    from pathlib import Path

    import yaml

    settings = yaml.safe_load((Path(__file__).parents[4] / "models" / "revenue.yaml").read_text(encoding="utf-8"))
    assert RevenueForecaster(**settings)._settings() == settings


def test_backtest_errors__of_a_series_alone_count_its_part_in_the_season_it_borrowed(make_months):
    """Of 30 months, origins before the 24th borrow the season of all 30; those from it on have their own and stay as they are."""
    y = pd.Series(make_months(30), index=pd.date_range("2020-01-01", periods=30, freq="MS"))
    versions = {y.index[n - 1] + pd.DateOffset(months=1): y.iloc[:n] for n in range(12, 31)}
    among, alone = backtest_errors("a", versions).errors, backtest_errors("a", versions, alone=True).errors
    borrowed = np.arange(12, 30) < 24
    factor = prepare(y.to_numpy()).season_error() / np.sqrt(1 + 12 / 30)
    assert factor > 1.1
    np.testing.assert_allclose(alone[borrowed], factor * among[borrowed])
    np.testing.assert_array_equal(alone[~borrowed], among[~borrowed])
