"""The engine of revenue forecasts any KPI."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.errors import UnknownEntityError, UnknownNameError
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.pipelines.kpi_forecast import FORECAST_COLUMNS, forecast_kpi

QUICK = {"draws": 100, "origins": 3}
ORDERED = ["q025", "q10", "q50", "q90", "q975"]


@pytest.mark.parametrize("name", kpi_names())
def test_forecast__is_there_or_says_why_not(name, snapshot):
    found = forecast_kpi(snapshot, name, **QUICK)
    assert list(found.columns) == FORECAST_COLUMNS
    assert len(found) == 12
    told = found["mean"].notna()
    assert told.all() or (found.loc[~told, c.REASON] != "").all()
    assert (found.loc[told, ORDERED].diff(axis=1).iloc[:, 1:] >= -1e-9).all().all()


def test_share__stays_between_none_and_all(snapshot):
    found = forecast_kpi(snapshot, "win_rate", **QUICK)
    assert found[ORDERED].to_numpy().min() >= 0
    assert found[ORDERED].to_numpy().max() <= 1


def test_scope__is_the_members_own(snapshot):
    found = forecast_kpi(snapshot, "revenue", scope="segment=SMB", **QUICK)
    history = get_kpi("revenue").series(snapshot, by="segment")
    usual = history.loc[history[c.MEMBER] == "SMB", c.VALUE].tail(12).mean()
    assert found["mean"].mean() == pytest.approx(usual, rel=0.5)


def test_first_month__is_the_running_one(snapshot):
    past = snapshot.at(pd.Timestamp("2025-11-17"))
    assert forecast_kpi(past, "new_customers", **QUICK)[c.DS].iloc[0] == pd.Timestamp("2025-11-01")


def test_names__that_are_not_there_are_refused(snapshot):
    with pytest.raises(UnknownNameError):
        forecast_kpi(snapshot, "happiness")
    with pytest.raises(UnknownEntityError, match="SMB"):
        forecast_kpi(snapshot, "revenue", scope="segment=Mars")
