"""What a company knows of single months."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.errors import SettingsError
from predictkpi.predictors.revenue.events import checked_events, event_factors
from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.snapshot import Snapshot

AS_OF = pd.Timestamp("2023-01-01")
MONTHS = pd.date_range("2020-01-01", periods=36, freq="MS")
AHEAD = pd.date_range("2023-01-01", periods=12, freq="MS")
FAIR = {"name": "fair", "months": ["2020-09", "2021-05", "2022-09", "2023-04"], "known_from": "2020-01-01"}


def revenue(effect: float) -> np.ndarray:
    y = 1000 * np.exp(0.02 * np.random.default_rng(1).standard_normal(36))
    y[[8, 16, 32]] *= 1 + effect
    return y


def test_effect__is_learnt_from_the_months_that_are_over_and_drawn_to_none():
    past, ahead = event_factors(checked_events([FAIR]), revenue(0.5), MONTHS, AHEAD, AS_OF)
    assert ahead[3] == pytest.approx(1.5**0.75, rel=0.05)
    assert (ahead[[0, 1, 2, 4]] == 1).all()
    assert past[[8, 16, 32]] == pytest.approx(ahead[3])


def test_effect__that_is_stated_is_taken_as_it_is():
    events = checked_events([{"name": "prices", "from_month": "2022-12", "effect": 0.05, "known_from": "2022-06-01"}])
    past, ahead = event_factors(events, revenue(0.0), MONTHS, AHEAD, AS_OF)
    assert past[-2:].tolist() == [1.0, 1.05]
    assert (ahead == 1.05).all()


def test_event__counts_from_the_day_it_was_known_on():
    planned = {"name": "prices", "from_month": "2023-03", "effect": 0.05}
    for known, expected in ((None, 1.0), ("2023-01-01", 1.0), ("2022-12-31", 1.05)):
        events = checked_events([planned | ({"known_from": known} if known else {})])
        assert event_factors(events, revenue(0.0), MONTHS, AHEAD, AS_OF)[1][2] == expected


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"months": ["2022-01"]}, "without a name"),
        ({"name": "a"}, "either months or from_month"),
        ({"name": "a", "from_month": "2022-01"}, "needs its effect"),
        ({"name": "a", "months": ["soon"]}, "number 1"),
        ({"name": "a", "months": ["2022-01"], "effects": 1}, "effects"),
        ({"name": "a", "months": ["2022-01"], "effect": float("inf")}, "effect"),
        ({"name": "a", "months": ["NaT"]}, "'NaT' is no month"),
        ({"name": "a", "months": ["today"]}, "'today' is no month"),
        ({"name": "a", "months": ["2022-01"], "known_from": "NaT"}, "'NaT' is no month"),
        ({"name": "a", "months": ["2022-01-01T00:00+02:00"]}, "without a time zone"),
        ({"name": "a", "from_month": "2022-01-01 00:00Z", "effect": 0.1}, "without a time zone"),
        ({"name": "a", "months": ["2022-13"]}, "number 1"),
    ],
)
def test_event__that_is_not_told_right_is_refused(event, says):
    with pytest.raises(SettingsError, match=says):
        checked_events([event])


def test_model__forecasts_a_planned_event_and_no_echo_of_past_ones(make_facts):
    snapshot = Snapshot(make_facts(revenue(0.8).tolist()), AS_OF)
    models = [RevenueForecaster(origins=3, draws=100, events=events) for events in ((), (FAIR,))]
    plain, told = (model.fit(model.training_table(snapshot)).answers(model.inputs(snapshot, entity_ids=["total"]))[0] for model in models)
    paths = told.paths.mean(axis=0)
    assert paths[3] / paths[[2, 4]].mean() == pytest.approx(1.8**0.75, rel=0.1)
    assert told.paths[:, 1].std() < plain.paths[:, 1].std(), "what is explained is no noise"
