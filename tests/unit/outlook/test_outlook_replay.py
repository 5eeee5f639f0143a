"""The replay forecasts past months from what was known then."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.outlook import replay
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.snapshot import MemoryFacts, Snapshot

ORIGINS = 4
SAID = ["time_series", "with_deals", "weighted_pipeline", "deals_expected"]


def run(snapshot) -> pd.DataFrame:
    revenue = RevenueForecaster(draws=100, origins=3, pool_series=4)
    return replay(snapshot, revenue=revenue, close_time=CloseTimePredictor(rounds=5, landmark_budget=2000), origins=ORIGINS)


@pytest.fixture(scope="module")
def replayed(now):
    return run(now)


def test_replay__has_a_row_for_each_month_that_is_over(replayed):
    assert replayed.groupby(c.AS_OF).size().tolist() == [4, 3, 2, 1]
    assert not replayed.isna().any().any()


def test_replay__holds_what_came_true(replayed, now):
    months = now.orders.groupby(now.orders["ds"].dt.to_period("M"))["amount"].sum()
    for row in replayed.itertuples():
        assert row.actual == pytest.approx(months[row.as_of.to_period("M") + row.horizon - 1])


def test_replay__has_forecasts_of_the_right_size(replayed):
    ratio = replayed[["time_series", "with_deals"]].div(replayed["actual"], axis=0)
    assert ratio.stack().between(0.3, 3).all()
    assert (replayed["deals_expected"] > 0).all()


def test_replay__sees_nothing_of_what_came_later(replayed, now, company):
    origin = replayed[c.AS_OF].min()
    tables = {}
    for name, frame in company.tables.items():
        past, future = frame[frame[c.KNOWN_AT] < origin], frame[frame[c.KNOWN_AT] >= origin].iloc[::2]
        tables[name] = pd.concat([past, future.assign(**{column: future[column] * 2 for column in (c.AMOUNT,) if column in future})])
    changed = run(Snapshot(MemoryFacts(tables, company.company), now.as_of))
    first = replayed[c.AS_OF] == origin
    pd.testing.assert_frame_equal(replayed.loc[first, SAID], changed.loc[first, SAID])
    assert not replayed.loc[~first, SAID].equals(changed.loc[~first, SAID])
    assert not replayed.loc[first, "actual"].equals(changed.loc[first, "actual"])
