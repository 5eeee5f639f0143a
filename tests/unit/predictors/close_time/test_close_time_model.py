from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predictkpi.core.arrays import Columns
from predictkpi.errors import ArtifactError
from predictkpi.predictors.close_time.baseline import AalenJohansenBaseline
from predictkpi.predictors.close_time.hazard import Hazard
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.predictors.close_time.spec import BY_HORIZON, PERIOD_CHANCES, QUANTILES, SPEC
from predictkpi.predictors.close_time.stacking import PRIOR_WEIGHT, shrunk_weight
from predictkpi.predictors.close_time.statistics import close_quantile
from predictkpi.tables import table_schema
from toy.own_fields import make_own_fields

ROWS = 6 * len(BY_HORIZON) + 1 + len(QUANTILES) + len(PERIOD_CHANCES) + 2
FEW_TREES = {"rounds": 15, "landmark_budget": 4000}


def values(predicted, entity_id=None):
    frame = predicted if entity_id is None else predicted[predicted["entity_id"] == entity_id]
    return frame.set_index(["statistic", "horizon"])["value"]


def test_predict__gives_every_statistic_of_every_open_deal(fitted, snapshot):
    found = fitted.predict(snapshot)
    n = len(fitted.inputs(snapshot))
    assert n > 50
    counts = found.groupby("statistic").size().to_dict()
    by_horizon = {"cif_won": 6 * n, "cif_lost": 6 * n, "p_open": 6 * n}
    of_the_deal = ["p_win", *QUANTILES, *PERIOD_CHANCES, "p_slip", "expected_value"]
    assert counts == by_horizon | dict.fromkeys(of_the_deal, n)
    assert {statistic.name for statistic in SPEC.statistics} == set(counts)
    told = found[found["value"].notna()]
    assert told["status"].unique().tolist() == ["full"]
    assert set(found["statistic"]) == set(told["statistic"])
    assert found.loc[found["value"].isna(), "reason"].ne("").all()


def test_predict__never_names_a_day_in_the_past(fitted, snapshot):
    wide = fitted.predict(snapshot).pivot(index="entity_id", columns=["statistic", "horizon"], values="value")
    q10, q50, q90 = (wide[name, 180] for name in ("close_q10", "close_q50", "close_q90"))
    assert (q10 >= 0).all()
    assert ((q10 <= q50) & (q50 <= q90) & (q90 <= 180)).all()
    assert (wide["p_win", 180] == wide["cif_won", 180]).all()


edges = st.sampled_from([np.nan, 0.0, 1e6])
rows_of_inputs = st.fixed_dictionaries(
    {
        "age_days": st.floats(0, 4000),
        "days_in_stage": st.one_of(edges, st.floats(0, 4000)),
        "days_since_event": st.one_of(edges, st.floats(0, 4000)),
        "stage_changes": st.integers(0, 60).map(float),
        "pushes": st.integers(0, 60).map(float),
        "log_amount": st.one_of(edges, st.floats(0, 30)),
        "days_to_expected_close": st.one_of(edges, st.floats(-3000, 3000)),
        "stage": st.sampled_from(["Qualification", "Negotiation", "never heard of", None]),
        "source": st.sampled_from(["referral", "", None]),
        "as_of": st.datetimes(pd.Timestamp("1999-01-01"), pd.Timestamp("2060-01-01")).map(pd.Timestamp),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows_of_inputs, min_size=1, max_size=5))
def test_daily__sums_to_one_with_open_and_never_falls_whatever_the_deal(fitted, training_rows, rows):
    inputs = training_rows.iloc[: len(rows)].reset_index(drop=True)
    changed = pd.DataFrame(rows)
    changed["as_of"] = changed["as_of"].astype("datetime64[us]")
    inputs = inputs.assign(**{name: changed[name] for name in changed})
    daily = fitted.daily(Columns.of(inputs))
    assert np.isfinite(daily).all()
    assert (np.diff(daily, axis=2) >= -1e-12).all()
    assert (daily >= 0).all()
    assert (daily.sum(axis=1) <= 1 + 1e-9).all()
    assert daily[:, :, 0] == pytest.approx(0.0)
    assert len(fitted.predict_inputs(inputs)) == ROWS * len(rows)


def test_predict__of_one_deal_equals_that_of_all(fitted, snapshot):
    everyone = fitted.predict(snapshot)
    one = everyone["entity_id"].iloc[ROWS * 7]
    alone = fitted.predict(snapshot, entity_ids=[one])
    pd.testing.assert_frame_equal(alone, everyone[everyone["entity_id"] == one].reset_index(drop=True))


def test_fit__beats_the_curve_of_all_deals_against_the_truth(snapshot, company):
    past = snapshot.at(pd.Timestamp("2025-01-01"))
    model, baseline = CloseTimePredictor(rounds=60, landmark_budget=8000), AalenJohansenBaseline()
    losses = {}
    for predictor in (model, baseline):
        found = predictor.fit(predictor.training_table(past)).predict(past)
        won = found[found["statistic"] == "cif_won"]
        truth = company.truth.deal_incidence(past.as_of, [7, 14, 30, 60, 90, 180])
        both = won.merge(truth.rename(columns={"deal_id": "entity_id"}), on=["entity_id", "horizon"])
        assert len(both) == len(won)
        losses[predictor.kind] = ((both["value"] - both["cif_won"]) ** 2).mean()
    assert losses["model"] < 0.5 * losses["baseline"]


def test_fit__same_data_and_seed_give_the_same_predictions(fitted, training_rows, snapshot):
    again = CloseTimePredictor(**FEW_TREES).fit(training_rows)
    pd.testing.assert_frame_equal(again.predict(snapshot), fitted.predict(snapshot), check_exact=True)
    other = CloseTimePredictor(**FEW_TREES, random_state=1).fit(training_rows)
    assert not np.allclose(other.predict(snapshot)["value"], fitted.predict(snapshot)["value"])


def test_fit__forgets_what_it_learnt_before(fitted, training_rows, snapshot, many_deals):
    few = CloseTimePredictor(**FEW_TREES)
    small = few.training_table(many_deals(90))
    twice = CloseTimePredictor(**FEW_TREES).fit(small).fit(training_rows)
    pd.testing.assert_frame_equal(twice.predict(snapshot), fitted.predict(snapshot), check_exact=True)
    assert CloseTimePredictor(**FEW_TREES).fit(training_rows).fit(small).hazard_ is None


def _quarter_splits(hazard):
    booster = hazard.booster
    splits = dict(zip(hazard.feature_names, booster.feature_importance(), strict=True))
    return splits["days_to_quarter_end"] + splits["rush_share"]


def test_fit__speaks_of_quarter_ends_only_after_a_year(fitted, training_rows):
    young = training_rows[training_rows["as_of"] < training_rows["as_of"].min() + pd.Timedelta(days=360)]
    assert _quarter_splits(Hazard.fit(young, fitted._boosting(), fitted.hazard_.design)) == 0
    assert _quarter_splits(fitted.hazard_) > 0


@pytest.mark.parametrize(
    ("deals", "status", "has_stages", "has_hazard"),
    [(0, "prior", False, False), (30, "baseline", False, False), (120, "limited", True, False), (480, "full", True, True)],
)
def test_ladder__follows_the_number_of_closed_deals(many_deals, make_snapshot, deals, status, has_stages, has_hazard):
    snapshot = many_deals(deals) if deals else make_snapshot([("A", "2025-01-01")], [("A", "2025-01-01", "Lead")])
    model = CloseTimePredictor(rounds=3)
    readiness = model.readiness(snapshot)
    model.fit(model.training_table(snapshot))
    found = model.predict(snapshot)
    assert readiness.status == status
    assert (readiness.reason == "") == (status == "full")
    assert bool(model.curves_.stages) == has_stages
    assert (model.hazard_ is not None) == has_hazard
    assert set(found["status"]) <= {status, "limited", "insufficient_data"}
    assert len(found) == ROWS * len(model.inputs(snapshot)) > 0


def test_predict__without_amount_stage_or_owner_is_limited_and_says_so(fitted, snapshot):
    inputs = fitted.inputs(snapshot).head(3)
    bare = inputs.assign(
        amount=[np.nan, 5.0, 5.0], log_amount=[np.nan, 1.8, 1.8], owner=["Ann", None, "Ann"], stage=[None, "Proposal", "Unheard"]
    )
    found = fitted.predict_inputs(bare).drop_duplicates("entity_id")
    assert found["status"].tolist() == ["limited"] * 3
    assert found["reason"].tolist() == ["stage is missing; amount is missing", "owner is missing", "stage was never seen in training"]


def test_predict__of_a_deal_in_a_request_needs_no_stored_row(fitted, snapshot):
    at = snapshot.as_of - pd.Timedelta(days=12)
    rows = {
        "deals": pd.DataFrame({"deal_id": ["request"], "created_at": [at], "known_at": [at]}),
        "deal_events": pd.DataFrame(
            {"event_id": ["r1"], "deal_id": ["request"], "ds": [at], "stage": ["Proposal"], "amount": [5000.0], "known_at": [at]}
        ),
    }
    found = fitted.predict(snapshot.with_rows(rows), entity_ids=["request"])
    assert found["entity_id"].unique().tolist() == ["request"]
    assert 0 < values(found)["p_win", 180] < 1
    assert "owner is missing" in found["reason"].iloc[0]


def test_predict__of_a_deal_in_a_request_does_not_depend_on_the_others_in_it(fitted, snapshot):
    owner = snapshot.deal_events["owner"].dropna().iloc[0]

    def rows(n):
        at = snapshot.as_of - pd.Timedelta(days=40)
        ids = ["request", *(f"other{i}" for i in range(n))]
        deals = pd.DataFrame({"deal_id": ids, "created_at": at, "known_at": at})
        steps = [("Proposal", 0)] + [("lost", 5), ("Qualification", 6), ("Proposal", 7)] * bool(n)
        events = pd.DataFrame(
            {
                "event_id": f"{key}@{day}",
                "deal_id": key,
                "ds": at + pd.Timedelta(days=day),
                "stage": stage,
                "owner": owner,
                "amount": 5000.0,
            }
            for key in ids
            for stage, day in (steps if key != "request" else steps[:1])
        )
        return {"deals": deals, "deal_events": events.assign(known_at=events["ds"])}

    for predictor in (fitted, AalenJohansenBaseline().fit(fitted.training_table(snapshot))):
        alone = predictor.predict(snapshot.with_rows(rows(0)), entity_ids=["request"])
        richer = snapshot.with_rows(rows(300))
        among = predictor.predict(richer, entity_ids=["request", *(f"other{i}" for i in range(300))])
        assert among["entity_id"].nunique() == 301
        pd.testing.assert_frame_equal(among.head(len(alone)), alone, check_exact=True)
        whole, stored = predictor.predict(richer), predictor.predict(snapshot)
        is_added = ~whole["entity_id"].isin(stored["entity_id"])
        pd.testing.assert_frame_equal(whole[~is_added].reset_index(drop=True), stored, check_exact=True)
        assert whole.loc[is_added, "entity_id"].nunique() == 301


def test_answer_for__a_deal_in_a_request_makes_no_frame_and_says_what_the_stored_deal_gets(monkeypatch):
    snapshot = make_own_fields(deals=500).snapshot()
    model = CloseTimePredictor(**FEW_TREES)
    model.fit(model.training_table(snapshot))
    assert model.hazard_ is not None
    stored = snapshot.deals["deal_id"].tolist()
    open_deals = [key for key in model.inputs(snapshot)["entity_id"] if key in stored][:3]
    expected = model.answer_for(snapshot, entity_ids=open_deals)
    records = {name: _as_requested(snapshot.history(name), open_deals) for name in ("deals", "deal_events", "attributes")}

    def refuse(self, *args, **kwargs):
        raise AssertionError("pandas on the way of a request")

    monkeypatch.setattr(pd.DataFrame, "__init__", refuse)
    monkeypatch.setattr(pd.Series, "__init__", refuse)
    richer = snapshot.with_rows({name: table_schema(name).rows(rows) for name, rows in records.items()})
    told = model.answer_for(richer, entity_ids=[f"request {key}" for key in open_deals])
    monkeypatch.undo()
    assert len(told) == len(expected) > 0
    for answer, stored_answer in zip(told, expected, strict=True):
        pd.testing.assert_frame_equal(pd.DataFrame(answer.rows), pd.DataFrame(stored_answer.rows), check_exact=True)


def _as_requested(history, deals):
    """The versions of these deals, under ids of their own."""
    owner = "deal_id" if "deal_id" in history else "entity_id"
    rows = history[history[owner].isin(deals)]
    rows = rows.assign(**{key: "request " + rows[key] for key in {owner, "event_id"} & {*rows}})
    return rows.astype(object).where(rows.notna(), None).to_dict("records")


def test_save__and_load_give_the_same_predictions(fitted, snapshot, tmp_path):
    fitted.save(tmp_path)
    loaded = CloseTimePredictor.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.predict(snapshot), fitted.predict(snapshot), check_exact=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "curves.parquet",
        "direct.txt",
        "hazard.txt",
        "state.json",
        "usual_deal.parquet",
    ]


@pytest.mark.parametrize("deals", [0, 120])
def test_save__and_load_work_on_the_lower_rungs(many_deals, make_snapshot, tmp_path, deals):
    snapshot = many_deals(deals) if deals else make_snapshot([("A", "2025-01-01")], [("A", "2025-01-01", "Lead")])
    for number, predictor in enumerate((CloseTimePredictor(), AalenJohansenBaseline())):
        folder = tmp_path / str(number)
        folder.mkdir()
        predictor.fit(predictor.training_table(snapshot)).save(folder)
        pd.testing.assert_frame_equal(type(predictor).load(folder).predict(snapshot), predictor.predict(snapshot), check_exact=True)


def test_load__refuses_what_it_did_not_write(fitted, tmp_path):
    with pytest.raises(ArtifactError, match="not a readable"):
        CloseTimePredictor.load(tmp_path)
    fitted.save(tmp_path)
    with pytest.raises(ArtifactError, match="baseline"):
        AalenJohansenBaseline.load(tmp_path)
    (tmp_path / "hazard.txt").write_text("tree\nbroken", encoding="utf-8")
    with pytest.raises(ArtifactError, match="cut short"):
        CloseTimePredictor.load(tmp_path)
    state = json.loads((tmp_path / "state.json").read_text(encoding="utf-8"))
    (tmp_path / "state.json").write_text(json.dumps({**state, "format": 99}), encoding="utf-8")
    with pytest.raises(ArtifactError, match="99"):
        CloseTimePredictor.load(tmp_path)
    (tmp_path / "state.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ArtifactError):
        CloseTimePredictor.load(tmp_path)


def test_close_quantile__is_where_that_share_of_the_wins_has_come():
    won = np.array([[0.0, 0.0, 0.2, 0.2, 0.4], [0.0, 0.1, 0.1, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0, 0.0]])
    found = close_quantile(won, np.array([0.5, 0.75]))
    assert found.shape == (3, 2)
    assert found[:2, 0] == pytest.approx([2.0, 0.5])
    assert found[0, 1] == pytest.approx(3.5)
    assert np.isnan(found[2]).all()


def test_shrunk_weight__goes_to_who_is_right_and_stays_at_the_prior_without_evidence():
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.1, 0.9, 3000)
    won = rng.random(3000) < chance
    held = pd.DataFrame({"entity_id": [f"d{i}" for i in range(3000)], "event": won.astype(int), "duration": 3.0, "observed_days": 400.0})
    right, flat = np.repeat(chance[:, None], 181, axis=1), np.full((3000, 181), 0.5)
    assert shrunk_weight(held, right, flat) > 0.9
    assert shrunk_weight(held, flat, right) < 0.15
    noisy = [right + rng.normal(0, 0.1, (3000, 1)) for _ in range(2)]
    assert 0.4 < shrunk_weight(held, *noisy) < PRIOR_WEIGHT
    assert shrunk_weight(held, flat, flat) == PRIOR_WEIGHT
