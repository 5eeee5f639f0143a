"""The law of a deal: probabilities add up, and forward and backward recursion agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.synthetic.calendar import LULL, RUSH, Calendar
from predictkpi.synthetic.hazards import STAGES, Kind, advance, quality, retreat, team_hazards

CALENDAR = Calendar(pd.Timestamp("2024-01-01"), price_day=100)


@pytest.fixture
def hazards():
    rng = np.random.default_rng(0)
    n = 30
    return team_hazards(
        segment=rng.integers(0, 3, n), source=rng.integers(0, 5, n), amount_z=rng.standard_normal(n), team=rng.integers(0, 3, n)
    )


def test_team_hazards__never_exceed_one_on_any_day():
    extreme = quality(segment=np.array([2]), source=np.array([2]), amount_z=np.array([-9.0]), owner=np.array([8]))
    assert extreme[0] < 1.4
    n = 3 * 5 * 3 * 2
    segment, source, team, side = (axis.ravel() for axis in np.meshgrid(range(3), range(5), range(3), (-9.0, 9.0), indexing="ij"))
    hazards = team_hazards(segment=segment, source=source, amount_z=side, team=team)
    assert hazards.shape == (len(Kind), n, 4, len(STAGES))
    pace = CALENDAR.pace(np.arange(366)).max(axis=1)
    assert (hazards * pace[:, None, None, None]).sum(axis=0).max() < 1.0


def test_pace__rushes_before_the_end_of_a_quarter_and_stops_on_weekends():
    days = pd.DatetimeIndex(["2024-03-29", "2024-03-22", "2024-03-21", "2024-04-01", "2024-03-30"])
    pace = CALENDAR.pace(np.array([CALENDAR.day_of(day) for day in days]))
    assert list(pace[Kind.WON]) == [RUSH, RUSH, 1.0, LULL, 0.0]
    assert list(pace[Kind.DORMANT]) == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_advance__loses_no_probability_but_to_dormancy(hazards):
    alive = np.random.default_rng(1).dirichlet(np.ones(16), 30).reshape(30, 4, 4)
    pace = CALENDAR.pace(np.array([2]))[:, 0]
    after, won, lost = advance(alive, hazards, pace)
    asleep = (alive * hazards[Kind.DORMANT] * pace[Kind.DORMANT]).sum(axis=(1, 2))
    assert after.min() > 0
    assert after.sum(axis=(1, 2)) + won + lost + asleep == pytest.approx(np.ones(30))


def test_retreat__gives_what_advance_adds_up(hazards):
    paces = CALENDAR.pace(np.arange(60, 120))
    start = np.zeros((30, 4, 4))
    start[:, 1, 2] = 1.0
    alive, total = start, np.zeros(30)
    for day in range(60):
        alive, won, _ = advance(alive, hazards, paces[:, day])
        total += won
    win = np.zeros((30, 4, 4))
    for day in range(59, -1, -1):
        win = retreat(win, hazards, paces[:, day])
    assert win[:, 1, 2] == pytest.approx(total, abs=1e-12)
