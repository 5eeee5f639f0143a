from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.errors import ArtifactError
from predictkpi.predictors.close_time.baselines import RepDateBaseline, StageCurvesBaseline, StageWinRateBaseline
from predictkpi.predictors.close_time.curves import LandmarkCurves
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.snapshot import MemoryFacts, Snapshot
from toy.own_fields import versions

CLOSED = [("won", 10), ("won", 20), ("lost", 40), ("lost", 2)]


@pytest.fixture(scope="module")
def closed_deals(make_snapshot):
    """Four closed deals: A, B won after 10 and 20 days; C and D lost, C from stage Talk after 40 days; and open deals of several kinds."""
    opened = pd.Timestamp("2025-01-01")
    deals, events = [("first", opened - pd.Timedelta(days=9))], [("first", opened - pd.Timedelta(days=9), "Lead")]
    events += [("first", opened - pd.Timedelta(days=8), "lost")]
    for name, (end, days) in zip("ABCD", CLOSED, strict=True):
        deals.append((name, opened))
        events += [(name, opened, "Lead"), (name, opened + pd.Timedelta(days=days), end)]
    events.append(("C", opened + pd.Timedelta(days=5), "Talk"))
    for name, day, fields in [
        ("young", "2025-05-30", ()),
        ("old", "2025-02-01", ({"expected_close_on": pd.Timestamp("2025-03-01")},)),
        ("dated", "2025-05-30", ({"expected_close_on": pd.Timestamp("2025-06-08")},)),
    ]:
        deals.append((name, day))
        events.append((name, day, "Lead", *fields))
    deals.append(("talks", "2025-05-30"))
    events += [("talks", "2025-05-30", "Lead"), ("talks", "2025-05-31", "Talk")]
    return make_snapshot(deals, events)


def learnt(kind, snapshot, **settings):
    baseline = kind(landmark_rate=1.0, **settings)
    return baseline.fit(baseline.training_table(snapshot))


def won_by(baseline, snapshot):
    inputs = baseline.inputs(snapshot)
    return dict(zip(inputs[c.ENTITY_ID], baseline.daily(Columns.of(inputs))[:, 0], strict=True))


def test_stage_win_rate__puts_the_stages_win_rate_on_the_mean_age_of_won_deals(closed_deals):
    baseline = learnt(StageWinRateBaseline, closed_deals)
    assert baseline.cycle_days_ == pytest.approx(15.0, abs=1e-3)
    won = won_by(baseline, closed_deals)
    # two days old on 1 June, so 13 days to go; 2 of the 5 that were in Lead were won, none of those in Talk
    assert won["young"][13] == 0.0
    assert won["young"][14] == won["young"][180] == pytest.approx(2 / 5)
    assert won["talks"].max() == 0.0


def test_stage_win_rate__never_names_a_day_in_the_past(closed_deals):
    won = won_by(learnt(StageWinRateBaseline, closed_deals), closed_deals)
    assert won["old"][0] == 0.0
    assert won["old"][1] == pytest.approx(2 / 5)


def test_stage_win_rate__of_a_stage_never_seen_is_that_of_all(closed_deals):
    baseline = learnt(StageWinRateBaseline, closed_deals)
    inputs = Columns.of(baseline.inputs(closed_deals).assign(stage="Signature"))
    assert baseline.daily(inputs)[:, 0, -1] == pytest.approx(np.full(len(inputs), 2 / 5))


def test_stage_win_rate__leaves_nothing_open_after_the_day(closed_deals):
    baseline = learnt(StageWinRateBaseline, closed_deals)
    total = baseline.daily(baseline.features(closed_deals)).sum(axis=1)
    assert set(np.unique(total)) == {0.0, 1.0}


def test_rep_date__is_the_day_the_rep_expects_and_today_once_it_has_passed(closed_deals):
    won = won_by(learnt(RepDateBaseline, closed_deals), closed_deals)
    assert won["dated"][7] == 0.0
    assert won["dated"][8] == pytest.approx(2 / 5)
    assert won["old"][1] == pytest.approx(2 / 5)


def test_rep_date__without_a_date_is_the_mean_age(closed_deals):
    dated, mean = (won_by(learnt(kind, closed_deals), closed_deals) for kind in (RepDateBaseline, StageWinRateBaseline))
    assert dated["young"] == pytest.approx(mean["young"])
    assert not np.allclose(dated["dated"], mean["dated"])


def test_rep_date__takes_the_probability_that_the_crm_holds(closed_deals, tmp_path):
    held = versions("deals", ["dated", "young", "A"], "probability", "number", ["80", None, "100"], pd.Timestamp("2025-05-29"))
    facts = MemoryFacts(
        {name: closed_deals.history(name) for name in ("deals", "deal_events")} | {"attributes": held}, closed_deals.company
    )
    snapshot = Snapshot(facts, closed_deals.as_of)
    baseline = RepDateBaseline(landmark_rate=1.0)
    # of landmarks only those from 30 May on hold it
    baseline.fit(baseline.training_table(snapshot)).save(tmp_path)
    for found in (baseline, RepDateBaseline.load(tmp_path)):
        won = won_by(found, snapshot)
        assert won["dated"][-1] == pytest.approx(0.8)
        assert won["young"][-1] == pytest.approx(2 / 5), "a deal without one: the win rate of its stage"


def test_stage_curves__are_the_landmark_curves(training_rows, snapshot):
    baseline = StageCurvesBaseline().fit(training_rows)
    inputs = baseline.features(snapshot)
    assert baseline.daily(inputs) == pytest.approx(LandmarkCurves.fit(training_rows, by_stage=True).daily(inputs))


def test_baselines__take_the_models_settings():
    found = CloseTimePredictor(landmark_budget=123, landmark_rate=0.2, random_state=7).baselines()
    assert list(found) == ["baseline", "stage_curves", "stage_win_rate", "rep_date"]
    assert {found[name].landmark_budget for name in list(found)[1:]} == {123}


def test_load__refuses_the_files_of_another_baseline(closed_deals, tmp_path):
    learnt(RepDateBaseline, closed_deals).save(tmp_path)
    with pytest.raises(ArtifactError, match="the day the rep expects, with the CRM's probability"):
        StageWinRateBaseline.load(tmp_path)
