"""The months ahead together, and each in its parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.outlook.ahead import PARTS, all_ahead, parts_by_month
from predictkpi.outlook.levels import RECORDED_COLUMNS, levels, recorded


def test_all_ahead__is_the_sum_of_the_paths_on_as_many_months_before(outlook):
    found, paths = all_ahead(outlook, "region=EMEA"), outlook.revenue("region=EMEA").sum(axis=1)
    before = outlook.answers["region=EMEA"].history[-12:].sum()
    assert (found.months, found.mean) == (12, pytest.approx(paths.mean()))
    assert found.quantiles["q90"] == pytest.approx(np.quantile(paths, 0.9))
    assert found.growth["q50"] == pytest.approx(np.median(paths) / before - 1)


def test_parts__add_up_to_each_month(outlook, now):
    parts = parts_by_month(outlook, "total")
    assert parts[list(PARTS)].sum(axis=1).to_numpy() == pytest.approx(outlook.revenue("total").mean(axis=0))
    assert list(parts["ds"]) == list(levels(outlook, now, "total", "M")["ds"])


@pytest.mark.parametrize(("freq", "last", "back"), [("W", "2025-11-10", 52), ("M", "2025-10-01", 12), ("Q", "2025-07-01", 4)])
def test_recorded__ends_before_the_running_period_and_grows_as_what_follows(outlook, now, freq, last, back):
    found = recorded(outlook, now, "total", freq)
    assert list(found.columns) == RECORDED_COLUMNS
    assert found["ds"].iloc[-1] == pd.Timestamp(last)
    assert found["growth_previous"].iloc[-1] == pytest.approx(found["value"].iloc[-1] / found["value"].iloc[-2] - 1)
    assert found["growth_year_before"].iloc[:back].isna().all()
    ahead = levels(outlook, now, "total", freq).iloc[0]
    assert ahead["growth_year_before_q50"] == pytest.approx(ahead["q50"] / found["value"].iloc[-back] - 1)
