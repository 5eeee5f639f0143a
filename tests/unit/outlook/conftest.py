"""Two small fitted predictors and the outlooks they give, made once."""

from __future__ import annotations

import pandas as pd
import pytest
from outlook_parts import month_trust

from predictkpi.outlook import Trust, make_outlook
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.predictors.revenue.model import RevenueForecaster


@pytest.fixture(scope="session")
def trust():
    """Three months ahead are trusted."""
    return Trust(tuple(month_trust(horizon) for horizon in (1, 2, 3)), "made up")


@pytest.fixture(scope="session")
def then(snapshot):
    """The books two weeks before `now`."""
    return snapshot.at(pd.Timestamp("2025-11-03"))


@pytest.fixture(scope="session")
def now(snapshot):
    """The books in the middle of a quarter and of a month."""
    return snapshot.at(pd.Timestamp("2025-11-17"))


@pytest.fixture(scope="session")
def revenue(then):
    model = RevenueForecaster(draws=200, origins=6, pool_series=6)
    return model.fit(model.training_table(then))


@pytest.fixture(scope="session")
def close_time(then):
    model = CloseTimePredictor(rounds=15, landmark_budget=4000)
    return model.fit(model.training_table(then))


@pytest.fixture(scope="session")
def outlook(now, revenue, close_time, trust):
    return make_outlook(now, revenue=revenue, close_time=close_time, trust=trust)


@pytest.fixture(scope="session")
def earlier(then, revenue, close_time, trust):
    return make_outlook(then, revenue=revenue, close_time=close_time, trust=trust)
