"""Every predictor of the catalogue keeps the protocol; a new one is tested by being listed."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Spec, Status
from predictkpi.errors import ArtifactError, InsufficientDataError, SettingsError, UnknownEntityError
from predictkpi.pipelines.rules import read_yaml
from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.protocol import Predictor
from predictkpi.snapshot import MemoryFacts, Snapshot

ROOT = Path(__file__).resolve().parents[2]
CANDIDATES = [(name, kind) for name in predictor_names() for kind in ("model", *predictor_class(name)().baselines())]
KEY = [c.ENTITY_ID, c.HORIZON, c.STATISTIC]


FEW_TREES = {
    "close_time": {"rounds": 20, "landmark_budget": 6000},
    "clv": {"rounds": 30, "draws": 64},
    "revenue": {"draws": 200, "origins": 4, "pool_series": 4},
}
"""What is promised holds for any settings; these are learnt in a few seconds."""


def make(name: str, kind: str) -> Predictor:
    """An unfitted candidate."""
    model = predictor_class(name)(**FEW_TREES.get(name, {}))
    return model if kind == "model" else model.baselines()[kind]


def future_is_changed(company, as_of: pd.Timestamp) -> MemoryFacts:
    """The same past, and another future: what became known at or after ``as_of`` is doubled in value or gone."""
    tables = {}
    for name, frame in company.tables.items():
        past, future = frame[frame[c.KNOWN_AT] < as_of], frame[frame[c.KNOWN_AT] >= as_of].iloc[::2]
        money = [column for column in (c.AMOUNT, c.COST, c.VALUE) if column in future]
        tables[name] = pd.concat([past, future.assign(**{column: future[column] * 2 for column in money})])
    return MemoryFacts(tables, company.company)


@pytest.fixture(scope="module", params=CANDIDATES, ids=lambda candidate: "-".join(candidate))
def candidate(request) -> tuple[str, str]:
    return request.param


@pytest.fixture(scope="module")
def as_of(company) -> pd.Timestamp:
    """Seven months before the sample company's end, so that half a year of outcomes is known."""
    return (company.end - pd.DateOffset(months=7)).normalize().replace(day=1)


@pytest.fixture(scope="module")
def past(snapshot, as_of) -> Snapshot:
    return snapshot.at(as_of)


@pytest.fixture(scope="module")
def fitted(candidate, past) -> Predictor:
    """Fitted once a candidate; tests must not change it."""
    predictor = make(*candidate)
    return predictor.fit(predictor.training_table(past))


def _by_key(predictions: pd.DataFrame) -> pd.DataFrame:
    return predictions.sort_values(KEY, ignore_index=True)


@pytest.mark.parametrize("name", predictor_names())
def test_catalogue__folder_name_and_spec_agree(name):
    spec = predictor_class(name).spec
    assert isinstance(spec, Spec)
    assert spec.name == name
    assert set(spec.title) == {"en", "de"}
    assert spec.headline in {statistic.name for statistic in spec.statistics}
    assert list(spec.horizons) == sorted(set(spec.horizons))


@pytest.mark.parametrize("name", predictor_names())
def test_catalogue__settings_file_holds_only_known_settings(name):
    settings = read_yaml(ROOT / "models" / f"{name}.yaml")
    known = set(inspect.signature(predictor_class(name)).parameters)
    assert set(settings) <= known
    predictor_class(name)(**settings)


def test_cohort__is_there_and_is_predicted_whole(fitted, past):
    inputs = fitted.inputs(past)
    assert len(inputs) > 0
    assert list(inputs.columns[:2]) == [c.ENTITY_ID, c.AS_OF]
    assert (inputs[c.AS_OF] == past.as_of).all()
    assert set(fitted.predict(past)[c.ENTITY_ID]) == set(inputs[c.ENTITY_ID])


def test_predictions__are_well_formed(fitted, past):
    predictions = fitted.predict(past)
    spec = fitted.spec
    assert list(predictions.columns) == c.PREDICTION_COLUMNS
    assert not predictions.duplicated(KEY).any()
    assert set(predictions[c.STATISTIC]) <= {statistic.name for statistic in spec.statistics}
    assert set(predictions[c.HORIZON]) == set(spec.horizons)
    assert set(predictions[c.STATUS]) <= set(Status)
    told = predictions[c.STATUS] == Status.FULL
    assert (predictions.loc[~told, c.REASON] != "").all(), "every rung below full says why"
    unknown = predictions[c.VALUE].isna()
    assert not (unknown & told).any(), "a full answer is never blank"


def test_predictions__quantiles_never_cross(fitted, past):
    predictions = fitted.predict(past)
    names = predictions[c.STATISTIC].str.extract(r"^(?P<family>.*?)q(?P<level>\d+)$")
    quantiles = predictions.assign(family=names["family"], level=("0." + names["level"]).astype(float)).dropna(subset=["level", c.VALUE])
    steps = quantiles.sort_values("level").groupby([c.ENTITY_ID, c.HORIZON, "family"])[c.VALUE].diff().dropna()
    assert len(steps) or not any(re.search(r"q\d+$", statistic.name) for statistic in fitted.spec.statistics)
    assert (steps >= -1e-9).all()


def test_no_future__changing_the_future_changes_nothing(candidate, company, as_of):
    predictor = make(*candidate)
    before = Snapshot(company.facts, as_of)
    after = Snapshot(future_is_changed(company, as_of), as_of)
    assert len(predictor.inputs(before)), "an empty cohort proves nothing"
    pd.testing.assert_frame_equal(predictor.inputs(before), predictor.inputs(after))
    pd.testing.assert_frame_equal(predictor.training_table(before), predictor.training_table(after))


def test_no_future__catches_a_leaky_control(company, as_of):
    class Leaky(predictor_class("clv")):
        def inputs(self, snapshot, *, entity_ids=None):
            inputs = super().inputs(snapshot, entity_ids=entity_ids)
            everything = snapshot._facts.read("orders", known_before=pd.Timestamp.max)
            return inputs.assign(peek=inputs[c.ENTITY_ID].map(everything.groupby(c.CUSTOMER_ID)[c.AMOUNT].sum()))

    before, after = Snapshot(company.facts, as_of), Snapshot(future_is_changed(company, as_of), as_of)
    with pytest.raises(AssertionError, match="peek"):
        pd.testing.assert_frame_equal(Leaky().inputs(before), Leaky().inputs(after))


def test_corrections__that_arrive_later_change_no_earlier_answer(fitted, company, as_of):
    orders = company.tables["orders"]
    known = orders[orders[c.KNOWN_AT] < as_of].drop_duplicates(c.ORDER_ID, keep="last")
    corrections = known.assign(**{c.AMOUNT: known[c.AMOUNT] * 3, c.KNOWN_AT: as_of})
    corrected = MemoryFacts(company.tables | {"orders": pd.concat([orders, corrections])}, company.company)
    pd.testing.assert_frame_equal(fitted.predict(Snapshot(company.facts, as_of)), fitted.predict(Snapshot(corrected, as_of)))


def test_save_load__gives_the_same_predictions(fitted, past, tmp_path):
    fitted.save(tmp_path)
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert suffixes <= {".txt", ".json", ".parquet"}, "artifacts are data"
    loaded = type(fitted).load(tmp_path)
    pd.testing.assert_frame_equal(fitted.predict(past), loaded.predict(past), rtol=1e-9)


def test_load__refuses_a_foreign_folder(fitted, tmp_path):
    (tmp_path / "something.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactError):
        type(fitted).load(tmp_path)


def test_fit__is_deterministic_and_forgets_what_it_knew(candidate, fitted, past, as_of):
    earlier = past.at(as_of - pd.DateOffset(months=9))
    again = make(*candidate)
    again.fit(again.training_table(earlier))
    again.fit(again.training_table(past))
    pd.testing.assert_frame_equal(again.predict(past), fitted.predict(past))


def test_baseline__learns_the_same_from_the_models_table(candidate, fitted, past):
    name, kind = candidate
    again = make(name, kind)
    if not again.takes_model_table:
        assert (kind == "model") == (again.kind == "model")
        return
    assert again.kind == "baseline"
    again.fit(make(name, "model").training_table(past))
    pd.testing.assert_frame_equal(again.predict(past), fitted.predict(past))


@pytest.mark.parametrize("name", predictor_names())
def test_baselines__hold_the_one_that_the_gate_compares_with(name):
    model = predictor_class(name)()
    found = model.baselines()
    assert type(found["baseline"]) is type(model.baseline())
    assert "model" not in found
    assert all(baseline.kind == "baseline" and baseline.spec is model.spec for baseline in found.values())


def test_backtest_equals_serving__one_path_for_both(fitted, snapshot, as_of, sample_store):
    in_backtest = fitted.predict(snapshot.at(as_of))
    in_service = fitted.predict(sample_store.snapshot(as_of))
    pd.testing.assert_frame_equal(_by_key(in_backtest), _by_key(in_service), rtol=1e-9)


def test_one_entity__is_answered_as_within_the_whole(fitted, past):
    whole = fitted.predict(past)
    name = whole[c.ENTITY_ID].iloc[len(whole) // 2]
    alone = fitted.predict(past, entity_ids=[name])
    pd.testing.assert_frame_equal(_by_key(alone), _by_key(whole[whole[c.ENTITY_ID] == name]), rtol=1e-9)


def test_answer_for__says_what_predict_says_in_the_order_asked_for(fitted, past):
    names = fitted.inputs(past)[c.ENTITY_ID].unique().tolist()[:3][::-1]
    predicted = fitted.predict(past, entity_ids=names)
    answers = fitted.answer_for(past, entity_ids=names)
    assert [answer.entity_id for answer in answers] == names
    for answer in answers:
        rows = predicted[predicted[c.ENTITY_ID] == answer.entity_id]
        assert [tuple(row)[:2] + tuple(row)[3:] for row in answer.rows] == list(
            zip(rows[c.HORIZON], rows[c.STATISTIC], rows[c.STATUS], rows[c.REASON], strict=True)
        )
        np.testing.assert_allclose([row.value for row in answer.rows], rows[c.VALUE], rtol=1e-12)
        assert answer.as_of == past.as_of


def test_unknown_entity__is_an_error_that_names_it(fitted, past):
    with pytest.raises(UnknownEntityError, match="nobody-knows-this"):
        fitted.inputs(past, entity_ids=["nobody-knows-this"])


def test_outcomes__are_mature_only_when_the_whole_span_has_passed(fitted, snapshot, past, as_of):
    outcomes = fitted.outcomes(snapshot, as_of=as_of)
    assert list(outcomes.columns) == c.OUTCOME_COLUMNS
    assert outcomes[c.IS_MATURE].any()
    assert set(outcomes[c.ENTITY_ID]) <= set(fitted.inputs(past)[c.ENTITY_ID])
    unit = pd.DateOffset(months=1) if fitted.spec.time_unit == "month" else pd.Timedelta(days=1)
    ends = outcomes[c.HORIZON].map({h: as_of + h * unit for h in fitted.spec.horizons})
    over = ends <= snapshot.as_of
    assert outcomes.loc[over, c.IS_MATURE].all()
    judged = outcomes[c.STATISTIC] == fitted.spec.headline
    assert not outcomes.loc[judged & ~over, c.IS_MATURE].any(), "only a statistic with a deadline of its own is known before the horizon"


def test_readiness__counts_and_names_a_rung(fitted, past):
    readiness = fitted.readiness(past)
    assert set(readiness.have) == set(readiness.need)
    assert (readiness.reason == "") == (readiness.status == Status.FULL)


def test_no_history__gives_a_rung_not_a_crash(candidate, past):
    empty = Snapshot(MemoryFacts({}), past.as_of)
    readiness = make(*candidate).readiness(empty)
    assert readiness.status != Status.FULL


def _only(company, *names: str) -> MemoryFacts:
    return MemoryFacts({name: company.tables[name] for name in names}, company.company)


def _nothing_open(company, as_of: pd.Timestamp) -> MemoryFacts:
    """Deals of which every one is closed, and customers of whom nobody has bought anything."""
    deals, events = company.tables["deals"], company.tables["deal_events"]
    events = events[events[c.KNOWN_AT] < as_of]
    closed = events.loc[events[c.STAGE].isin(c.CLOSED_STAGES), c.DEAL_ID].unique()
    events, deals = events[events[c.DEAL_ID].isin(closed)], deals[deals[c.DEAL_ID].isin(closed)]
    last = events.sort_values(c.DS, kind="stable").drop_duplicates(c.DEAL_ID, keep="last")
    ends = last.assign(**{c.EVENT_ID: last[c.DEAL_ID] + "/end", c.STAGE: c.LOST, c.DS: last[c.KNOWN_AT]})
    ends = ends[~last[c.STAGE].isin(c.CLOSED_STAGES)]
    tables = {"customers": company.tables["customers"], "deals": deals, "deal_events": pd.concat([events, ends])}
    return MemoryFacts(tables, company.company)


THIN = {
    "nothing": lambda company, as_of: MemoryFacts({}, company.company),
    "only orders": lambda company, as_of: _only(company, "orders"),
    "only deals": lambda company, as_of: _only(company, "deals", "deal_events"),
    "nothing open": _nothing_open,
}


@pytest.mark.parametrize("thin", THIN)
def test_thin_company__is_learnt_and_predicted_or_refused_in_fit(candidate, company, as_of, thin, tmp_path):
    predictor, snapshot = make(*candidate), Snapshot(THIN[thin](company, as_of), as_of)
    readiness, table = predictor.readiness(snapshot), predictor.training_table(snapshot)
    try:
        predictor.fit(table)
    except InsufficientDataError:
        assert readiness.status == Status.INSUFFICIENT_DATA, "what cannot be learnt is told beforehand"
        return
    predictions = predictor.predict(snapshot)
    assert list(predictions.columns) == c.PREDICTION_COLUMNS
    assert set(predictions[c.ENTITY_ID]) == set(predictor.inputs(snapshot)[c.ENTITY_ID])
    assert not predictor.outcomes(snapshot, as_of=as_of)[c.IS_MATURE].any()
    predictor.save(tmp_path)
    pd.testing.assert_frame_equal(type(predictor).load(tmp_path).predict(snapshot), predictions, rtol=1e-9)


def test_fitted__predicts_a_company_with_an_empty_cohort(fitted, company, as_of):
    for facts in (THIN[name](company, as_of) for name in ("nothing", "nothing open")):
        snapshot = Snapshot(facts, as_of)
        predictions = fitted.predict(snapshot)
        assert list(predictions.columns) == c.PREDICTION_COLUMNS
        assert set(predictions[c.ENTITY_ID]) == set(fitted.inputs(snapshot)[c.ENTITY_ID])


def test_no_history_at_all__is_insufficient_and_says_why(candidate, past):
    readiness = make(*candidate).readiness(Snapshot(MemoryFacts({}), past.as_of))
    assert readiness.status == Status.INSUFFICIENT_DATA
    assert readiness.reason


def test_close_time__has_an_empty_cohort_where_no_deal_is_open(company, as_of):
    snapshot = Snapshot(_nothing_open(company, as_of), as_of)
    assert make("close_time", "model").readiness(snapshot).status == Status.FULL
    assert make("close_time", "model").inputs(snapshot).empty


def test_predict_at__chosen_horizons_is_the_same_answer_and_refuses_others(fitted, past):
    inputs, chosen = fitted.inputs(past), fitted.spec.horizons[1:3]
    whole = fitted.predict_inputs(inputs)
    expected = whole[whole[c.HORIZON].isin(chosen)].reset_index(drop=True)
    pd.testing.assert_frame_equal(fitted.predict_at(inputs, chosen), expected, check_exact=True)
    for horizon in (0, max(fitted.spec.horizons) + 1):
        with pytest.raises(SettingsError, match=f"no horizon {horizon}"):
            fitted.predict_at(inputs, [horizon])
