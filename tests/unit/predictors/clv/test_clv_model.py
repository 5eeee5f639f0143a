from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.errors import ArtifactError, InsufficientDataError, SettingsError
from predictkpi.metrics.ranking import calibration_slope, normalised_gini, pit_coverage, randomised_pit, total_bias
from predictkpi.predictors.clv.model import ClvPredictor, horizon_days
from predictkpi.predictors.clv.spec import MARGIN, SPEC, STATISTICS
from predictkpi.snapshot import MemoryFacts, Snapshot

START = pd.Timestamp("2022-01-01")


def wide(predictions: pd.DataFrame, horizon: int) -> pd.DataFrame:
    chosen = predictions[predictions[c.HORIZON] == horizon]
    return chosen.pivot(index=c.ENTITY_ID, columns=c.STATISTIC, values=c.VALUE)


def verdict(predictions: pd.DataFrame, entity_id: str, horizon: int = 3) -> tuple[str, str]:
    rows = predictions[(predictions[c.ENTITY_ID] == entity_id) & (predictions[c.HORIZON] == horizon)]
    assert rows[[c.STATUS, c.REASON]].drop_duplicates().shape[0] == 1
    return rows[c.STATUS].iloc[0], rows[c.REASON].iloc[0]


@pytest.fixture(scope="module")
def fitted(drawn) -> ClvPredictor:
    model = ClvPredictor()
    return model.fit(model.training_table(drawn.snapshot()))


@pytest.fixture(scope="module")
def predictions(fitted, drawn) -> pd.DataFrame:
    return fitted.predict(drawn.snapshot())


def test_predict__answers_everybody_with_every_statistic(predictions, drawn, fitted):
    assert list(predictions.columns) == c.PREDICTION_COLUMNS
    assert set(predictions[c.STATISTIC]) == set(STATISTICS) - {MARGIN}, "this company gives no margin"
    assert len(predictions) == 940 * len(SPEC.horizons) * (len(STATISTICS) - 1)
    assert not predictions.duplicated([c.ENTITY_ID, c.HORIZON, c.STATISTIC]).any()
    assert np.isfinite(predictions[c.VALUE]).all()
    assert (predictions[c.VALUE] >= 0).all()
    assert (predictions[c.STATUS] == Status.FULL).mean() > 0.6
    assert (predictions.loc[predictions[c.STATUS] != Status.FULL, c.REASON] != "").all()


def test_predict__orders_quantiles_and_never_falls_with_the_horizon(predictions):
    before = None
    for horizon in SPEC.horizons:
        now = wide(predictions, horizon)
        assert (now["q10"] <= now["q50"]).all()
        assert (now["q50"] <= now["q90"]).all()
        assert now["p_alive"].between(0, 1).all()
        if before is not None:
            risen = ["mean", "expected_purchases", "q10", "q50", "q90"]
            assert (now[risen] >= before[risen]).all().all()
            assert (now["mean"] > before["mean"]).mean() > 0.95
        before = now


def test_predict__of_one_customer_is_what_the_batch_says(fitted, drawn, predictions):
    named = ["new003", "c00010", "c00451"]
    alone = fitted.predict(drawn.snapshot(), entity_ids=named)
    assert alone[c.ENTITY_ID].unique().tolist() == named
    keys = [c.ENTITY_ID, c.HORIZON, c.STATISTIC]
    merged = alone.merge(predictions, on=keys, suffixes=("", "_batch"))
    assert len(merged) == len(alone)
    np.testing.assert_allclose(merged[c.VALUE], merged["value_batch"], rtol=1e-12)


def test_predict_inputs__mixes_instants(fitted, drawn):
    early, late = (drawn.snapshot(START + pd.Timedelta(days=d)) for d in (500, 900))
    known = fitted.inputs(early)[c.ENTITY_ID].iloc[:5].tolist()
    frames = [fitted.inputs(s, entity_ids=known) for s in (early, late)]
    both = fitted.predict_inputs(pd.concat(frames))
    apart = pd.concat([fitted.predict_inputs(frame) for frame in frames], ignore_index=True)
    pd.testing.assert_frame_equal(both, apart)


def test_fit__is_deterministic_and_forgets(drawn, draw, predictions):
    model = ClvPredictor()
    other = draw(seed=9, n=150, days=500).snapshot()
    model.fit(model.training_table(other)).predict(other)
    again = model.fit(model.training_table(drawn.snapshot())).predict(drawn.snapshot())
    pd.testing.assert_frame_equal(again, predictions)


def test_predict__knows_nothing_of_the_future(drawn):
    as_of = START + pd.Timedelta(days=600)
    cut = {name: drawn.facts.read(name, known_before=as_of) for name in ("orders", "customers")}
    assert len(cut["orders"]) < len(drawn.facts.read("orders", known_before=drawn.end))
    found = []
    for snapshot in (drawn.snapshot(as_of), Snapshot(MemoryFacts(cut), as_of)):
        model = ClvPredictor()
        table = model.training_table(snapshot)
        found.append((table, model.fit(table).predict(snapshot)))
    assert len(found[0][0]) > 400
    pd.testing.assert_frame_equal(found[0][0], found[1][0])
    pd.testing.assert_frame_equal(found[0][1], found[1][1])


def test_predict__totals_slope_and_intervals_hold_for_customers_drawn_from_the_model(draw):
    book = draw(seed=3, n=2500)
    as_of = START + pd.Timedelta(days=700)
    now, later = book.snapshot(as_of), book.snapshot()
    model = ClvPredictor()
    inputs = model.inputs(now)
    predicted = wide(model.fit(model.training_table(now)).predict_inputs(inputs), 6)
    outcomes = model.outcomes(later, as_of=as_of)
    assert outcomes.loc[outcomes[c.HORIZON] == 6, c.IS_MATURE].all()
    actual = outcomes[outcomes[c.HORIZON] == 6].pivot(index=c.ENTITY_ID, columns=c.STATISTIC, values=c.VALUE)
    buyers = inputs.loc[inputs["purchases"] > 0, c.ENTITY_ID]
    predicted, actual = predicted.loc[buyers], actual.loc[buyers]
    assert total_bias(actual["mean"], predicted["mean"]) == pytest.approx(0.0, abs=0.08)
    assert total_bias(actual["expected_purchases"], predicted["expected_purchases"]) == pytest.approx(0.0, abs=0.08)
    # one drawn future has a slope of its own (1.1 to 1.3 by seed, the true model's too): what level and shape add may not move it
    known = inputs[inputs["purchases"] > 0].set_index(c.ENTITY_ID).loc[buyers]
    bare = model.forecast_.model.counts(known, horizon_days(as_of)[[1]])[:, 0] * model.forecast_.model.value(known)
    slope = calibration_slope(actual["mean"], bare)
    assert slope == pytest.approx(1.0, abs=0.15)
    assert calibration_slope(actual["mean"], predicted["mean"]) == pytest.approx(slope, abs=0.06)

    rng, pit = np.random.default_rng(0), []
    for rows, draws in model.spend_draws(inputs.set_index(c.ENTITY_ID).loc[buyers].reset_index(), days=horizon_days(as_of)):
        came_true = actual["mean"].to_numpy()[rows]
        pit.append(randomised_pit(came_true, draws[:, 1], rng.random(len(rows))))
    assert pit_coverage(np.concatenate(pit)) == pytest.approx(0.8, abs=0.025)


def test_spend_draws__have_the_mean_that_is_stated(fitted, drawn):
    inputs = fitted.inputs(drawn.snapshot())
    stated = fitted.predict_inputs(inputs)
    buyers = inputs[inputs["purchases"] > 0]
    drawn_total = sum(draws.mean(axis=-1).sum(axis=0) for _, draws in fitted.spend_draws(buyers, days=horizon_days(drawn.end)))
    for h, horizon in enumerate(SPEC.horizons):
        assert drawn_total[h] == pytest.approx(wide(stated, horizon).loc[buyers[c.ENTITY_ID], "mean"].sum(), rel=0.06)


def test_spend_draws__of_accounts_without_an_order_have_the_mean_that_is_stated(fitted, drawn):
    inputs = fitted.inputs(drawn.snapshot())
    new = inputs[inputs["orders"] == 0].reset_index(drop=True)
    days = horizon_days(drawn.end)
    ((_, draws),) = fitted.spend_draws(new, days=days)
    np.testing.assert_allclose(draws.mean(axis=-1, dtype=float), fitted.forecast_.expected(new, days).mean, rtol=1e-4)


def test_predict__accounts_without_an_order_are_shrunk_from_their_segment_and_fade_with_age(fitted, predictions):
    status, reason = verdict(predictions, "new000")
    assert (status, reason[:12]) == (Status.PRIOR, "no order yet")
    mean = wide(predictions, 12)["mean"]
    newest, oldest = mean[["new000", "new001"]], mean[["new038", "new039"]]
    assert (newest.to_numpy() > oldest.to_numpy()).all()
    assert (mean[[name for name in mean.index if name.startswith("new")]] > 0).all()


def test_predict__refunds_only_is_worth_nothing_and_says_so(drawn, book):
    orders = drawn.facts.read("orders", known_before=drawn.end)[["customer_id", "ds", "amount"]]
    day = drawn.end - pd.Timedelta(days=30)
    usual = float(orders["amount"].median())
    extra = [
        ("refunds", day, -50.0),
        ("back", day, 80.0),
        ("back", day + pd.Timedelta(days=9), -80.0),
        ("kept", day, 80.0),
        ("giant", day, 1000.0 * usual),
    ]
    facts = book(pd.concat([orders, pd.DataFrame(extra, columns=orders.columns)], ignore_index=True))
    snapshot = Snapshot(facts, drawn.end)
    model = ClvPredictor()
    with_extra = model.fit(model.training_table(snapshot)).predict(snapshot)
    at_year = wide(with_extra, 12)

    assert (at_year.loc["refunds"] == 0.0).all()
    status, reason = verdict(with_extra, "refunds")
    assert status == Status.LIMITED
    assert "only refunds" in reason

    assert 0.0 < at_year.loc["back", "mean"] < 0.9 * at_year.loc["kept", "mean"]
    assert "as much was refunded as bought" in verdict(with_extra, "back")[1]

    status, reason = verdict(with_extra, "giant")
    assert status == Status.LIMITED
    assert "100 times the usual" in reason
    assert np.isfinite(at_year.loc["giant"]).all()
    # and one giant does not move the others
    without = ClvPredictor()
    before = wide(without.fit(without.training_table(drawn.snapshot())).predict(drawn.snapshot()), 12)["mean"]
    known = [name for name in before.index if name.startswith("c")]
    assert at_year.loc[known, "mean"].sum() == pytest.approx(before[known].sum(), rel=0.1)


def test_predict__says_when_the_horizon_outruns_the_history(draw):
    book = draw(seed=2, n=400, days=400)
    snapshot = book.snapshot()
    model = ClvPredictor()
    found = model.fit(model.training_table(snapshot)).predict(snapshot)
    buyer = model.inputs(snapshot).query("purchases > 0")[c.ENTITY_ID].iloc[0]
    # 400 days bear 8.7 months
    assert [verdict(found, buyer, horizon)[0] for horizon in SPEC.horizons] == ["full", "full", "limited", "limited"]
    assert "two thirds" in verdict(found, buyer, 12)[1]


@pytest.mark.parametrize(("n", "days", "status"), [(40, 300, Status.LIMITED), (14, 300, Status.PRIOR), (400, 80, Status.PRIOR)])
def test_ladder__goes_down_with_few_customers_or_little_history(draw, n, days, status):
    snapshot = draw(seed=5, n=n, days=days).snapshot()
    model = ClvPredictor()
    readiness = model.readiness(snapshot)
    found = model.fit(model.training_table(snapshot)).predict(snapshot)
    assert readiness.status == status
    assert readiness.reason
    assert Status.FULL not in set(found[c.STATUS])
    assert np.isfinite(found[c.VALUE]).all()
    buyers = model.inputs(snapshot).query("purchases > 0")[c.ENTITY_ID]
    per_purchase = snapshot.orders["amount"].mean()
    # a defined and sane answer: within the company's own size
    assert 0.0 < wide(found, 12).loc[buyers, "mean"].mean() < 30.0 * per_purchase


@pytest.mark.parametrize(
    "rows",
    [
        [("a", "2024-01-10", 100.0)],
        [(f"c{i}", "2024-01-10", 10.0 + i) for i in range(50)],
        [(f"c{i}", f"2024-01-{1 + i % 28:02d}", 100.0) for i in range(200)],
    ],
    ids=["one order", "all on one day", "nobody twice"],
)
def test_ladder__degenerate_order_books_have_an_answer(book, rows):
    snapshot = Snapshot(book(rows), pd.Timestamp("2024-06-01"))
    model = ClvPredictor()
    found = model.fit(model.training_table(snapshot)).predict(snapshot)
    assert set(found[c.STATUS]) == {"prior"}
    assert np.isfinite(found[c.VALUE]).all()
    year = wide(found, 12)
    assert (year["mean"] > 0).all()
    assert (year["mean"] < 400).all()


def test_fit__refuses_a_company_that_sold_nothing(book):
    snapshot = Snapshot(book([("a", "2024-01-10", -5.0)], accounts=[("b", "SMB", "2024-01-01")]), pd.Timestamp("2024-06-01"))
    model = ClvPredictor()
    assert model.readiness(snapshot).status == Status.INSUFFICIENT_DATA
    with pytest.raises(InsufficientDataError):
        model.fit(model.training_table(snapshot))


def test_save__and_load_give_the_same_predictions(fitted, predictions, drawn, tmp_path):
    fitted.save(tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json"]
    pd.testing.assert_frame_equal(ClvPredictor.load(tmp_path).predict(drawn.snapshot()), predictions)


def _foreign(content):
    content["predictor"] = "revenue"


def _newer(content):
    content["format"] = 99


def _without_spend(content):
    del content["state"]["model"]


def _of_another_kind(content):
    content["kind"] = "baseline"


@pytest.mark.parametrize("damage", [_foreign, _newer, _without_spend, _of_another_kind])
def test_load__refuses_damaged_and_foreign_artifacts(fitted, tmp_path, damage):
    fitted.save(tmp_path)
    path = tmp_path / "clv.json"
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactError):
        ClvPredictor.load(tmp_path)


def test_load__refuses_missing_and_truncated_files(fitted, tmp_path):
    with pytest.raises(ArtifactError):
        ClvPredictor.load(tmp_path)
    fitted.save(tmp_path)
    path = tmp_path / "clv.json"
    path.write_text(path.read_text()[:200])
    with pytest.raises(ArtifactError):
        ClvPredictor.load(tmp_path)


def test_sample_company__is_ordered_well_and_better_totalled_than_by_mean_spend(company):
    snapshot = company.snapshot()
    truth = company.truth.customer_spend(snapshot.as_of, 12).set_index("customer_id")["expected_spend"]
    scores = {}
    for model in (ClvPredictor(), ClvPredictor().baseline()):
        found = wide(model.fit(model.training_table(snapshot)).predict(snapshot), 12)["mean"]
        actual = truth.reindex(found.index).fillna(0.0)
        scores[model.kind] = normalised_gini(actual, found), abs(total_bias(actual, found))
    assert scores["model"][0] > 0.88
    assert scores["model"][0] > scores["baseline"][0] + 0.05
    assert scores["model"][1] < min(0.35, scores["baseline"][1])


def test_models_yaml__holds_the_settings_of_the_constructor():
    settings = yaml.safe_load(Path(__file__).parents[4].joinpath("models", "clv.yaml").read_text(encoding="utf-8"))
    assert set(settings) == set(inspect.signature(ClvPredictor).parameters)
    assert settings == {name: getattr(ClvPredictor(**settings), name) for name in settings}


@pytest.mark.parametrize("settings", [{"dropout": "pareto"}, {"draws": 4}, {"prior_weight": -1.0}, {"segment_shrinkage": 0.0}])
def test_settings__that_make_no_sense_are_refused(settings):
    with pytest.raises(SettingsError):
        ClvPredictor(**settings)
