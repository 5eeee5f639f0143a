"""The steps from the level of the last year to a month's forecast."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.predictors.revenue.explain import STEPS
from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.snapshot import Snapshot


def steps_of(snapshot: Snapshot, entity_id: str = "total", **settings) -> tuple[pd.DataFrame, np.ndarray]:
    model = RevenueForecaster(origins=3, draws=200, **settings)
    model.fit(model.training_table(snapshot))
    inputs = model.inputs(snapshot, entity_ids=[entity_id])
    wide = model.explain(inputs).pivot(index="horizon", columns="feature", values="contribution")
    return wide, model.answers(inputs)[0].paths.mean(axis=0)


@pytest.mark.parametrize("entity_id", ["total", "region=EMEA", "team=Growth", "region=EMEA&segment=SMB"])
def test_steps__add_up_to_the_forecast_of_any_series(snapshot, entity_id):
    wide, forecast = steps_of(snapshot.at(pd.Timestamp("2025-11-17")), entity_id)
    assert set(wide.columns) == set(STEPS)
    assert wide.sum(axis=1).to_numpy() == pytest.approx(forecast)


def test_steps__tell_trend_from_season(make_facts):
    months = np.arange(48)
    y = (1000 + 10 * months) * (1 + 0.3 * np.sin(2 * np.pi * months / 12))
    wide, _ = steps_of(Snapshot(make_facts(y.tolist()), pd.Timestamp("2024-01-01")))
    assert wide["baseline"].iloc[0] == pytest.approx(1000 + 10 * 41.5, rel=0.03)
    assert (wide["trend"].diff().dropna() > 0).all()
    assert wide["season"].idxmax() in (3, 4, 5)
    assert wide["season"].idxmin() in (9, 10, 11)
    assert wide["working_days"].abs().max() < 0.05 * y[-1]
    assert (wide["events"] == 0).all()
    assert (wide["booked_so_far"] == 0).all()


def test_booked_so_far__is_a_step_in_the_middle_of_a_month(snapshot):
    start, middle = (steps_of(snapshot.at(pd.Timestamp(day)))[0]["booked_so_far"] for day in ("2025-11-01", "2025-11-17"))
    assert (start == 0).all()
    assert middle.iloc[0] != 0


def test_event__is_a_step_of_its_month(make_facts):
    event = {"name": "fair", "months": ["2023-03"], "effect": 0.2, "known_from": "2022-01-01"}
    wide, forecast = steps_of(Snapshot(make_facts([1000.0] * 36), pd.Timestamp("2023-01-01")), events=[event])
    assert wide["events"].iloc[2] == pytest.approx(forecast[2] * 0.2 / 1.2, rel=0.05)
    assert (wide["events"].drop(index=3) == 0).all()


def test_titles__are_there_in_both_languages():
    model = RevenueForecaster()
    assert all(model.reason_title(step, language) for step in STEPS for language in ("en", "de"))
