from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.arrays import Columns
from predictkpi.predictors.close_time.baseline import AalenJohansenBaseline
from predictkpi.predictors.close_time.model import CloseTimePredictor

HORIZONS = (7, 14, 30, 60, 90, 180)


def naive_curve(rows, age, ahead):
    """P(won), P(lost) within ``ahead`` days of a deal open at ``age``: one loop over the closes in between."""
    open_share, found = 1.0, [0.0, 0.0]
    for time in sorted({end for _, end, event in rows if event and age <= end < age + ahead}):
        at_risk = sum(1 for entry, end, _ in rows if end >= time and (entry < time or entry == 0))
        happened = [sum(1 for _, end, event in rows if end == time and event == cause) for cause in (1, 2)]
        found = [total + open_share * number / at_risk for total, number in zip(found, happened, strict=True)]
        open_share *= 1 - sum(happened) / at_risk
    return found


def test_baseline__equals_a_naive_aalen_johansen_with_delayed_entry(many_deals):
    snapshot = many_deals(80)
    baseline = AalenJohansenBaseline()
    table = baseline.training_table(snapshot)
    found = baseline.fit(table).predict(snapshot)
    rows = []
    for row in table.itertuples():
        entry = 0.0 if row.age_days <= 1 else row.age_days
        rows.append((entry, row.age_days + row.duration, row.event))
    assert any(entry > 0 for entry, _, _ in rows)
    ages = baseline.inputs(snapshot).set_index("entity_id")["age_days"]
    wide = found.pivot(index="entity_id", columns=["statistic", "horizon"], values="value")
    for entity_id in [*wide.index[:5], *wide.index[-5:]]:
        for horizon in HORIZONS:
            won, lost = naive_curve(rows, ages[entity_id], horizon)
            assert wide.loc[entity_id, ("cif_won", horizon)] == pytest.approx(won, abs=1e-6)
            assert wide.loc[entity_id, ("cif_lost", horizon)] == pytest.approx(lost, abs=1e-6)


def test_baseline__knows_only_the_age(snapshot):
    baseline = AalenJohansenBaseline()
    baseline.fit(baseline.training_table(snapshot))
    inputs = baseline.inputs(snapshot).head(2)
    same_age = inputs.assign(age_days=12.0, as_of=inputs["as_of"].iloc[0])
    first, second = baseline.daily(Columns.of(same_age))
    assert first == pytest.approx(second)
    assert not np.allclose(baseline.daily(Columns.of(inputs.assign(age_days=90.0)))[0], first)


def test_baseline__states_its_rung(snapshot, make_snapshot):
    baseline = AalenJohansenBaseline()
    served = baseline.fit(baseline.training_table(snapshot)).predict(snapshot)
    assert set(served["status"]) <= {"baseline", "insufficient_data"}
    empty = make_snapshot([("A", "2025-01-01")], [("A", "2025-01-01", "Lead")])
    found = baseline.fit(baseline.training_table(empty)).predict(empty)
    assert set(found.loc[found["value"].notna(), "status"]) == {"prior"}


def test_baseline__is_what_the_model_names_and_takes_its_tables(training_rows, snapshot):
    baseline = CloseTimePredictor().baseline()
    assert isinstance(baseline, AalenJohansenBaseline)
    own = AalenJohansenBaseline()
    pd.testing.assert_frame_equal(baseline.fit(training_rows).predict(snapshot), own.fit(own.training_table(snapshot)).predict(snapshot))


def test_predict__of_a_deal_older_than_any_that_closed_has_no_close_date(many_deals, make_snapshot):
    baseline = AalenJohansenBaseline()
    baseline.fit(baseline.training_table(many_deals(80)))
    old = make_snapshot([("A", "2015-01-01")], [("A", "2015-01-01", "Lead")])
    found = baseline.predict(old).set_index(["statistic", "horizon"])
    assert found.loc[("p_win", 180), "value"] == 0.0
    assert np.isnan(found.loc[("close_q50", 180), "value"])
    assert found.loc[("close_q50", 180), "status"] == "insufficient_data"
