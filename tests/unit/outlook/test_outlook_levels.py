"""Level and growth by week, month or quarter, from the same paths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.errors import UnknownNameError
from predictkpi.outlook.levels import LEVEL_COLUMNS, levels
from predictkpi.outlook.periods import Periods


@pytest.mark.parametrize(("freq", "first"), [("W", "2025-11-17"), ("M", "2025-11-01"), ("Q", "2025-10-01")])
def test_levels__begin_with_the_running_period(outlook, now, freq, first):
    found = levels(outlook, now, "total", freq)
    assert list(found.columns) == LEVEL_COLUMNS
    assert found["ds"].iloc[0] == pd.Timestamp(first)
    assert found["mean"].notna().all()
    assert found["growth_year_before_q50"].notna().all()


def test_quarters__are_the_named_ones(outlook, now):
    quarters = levels(outlook, now, "total", "Q")
    named = Periods(outlook, now).of("total", ["this_quarter", "next_quarter"])
    assert quarters["mean"].iloc[:2].tolist() == pytest.approx([period.mean for period in named])
    assert quarters["growth_previous_q50"].iloc[1] == pytest.approx(named[1].growth["previous"]["q50"])
    assert len(quarters) == 4, "twelve months from November hold the quarters from October to September"


def test_months__are_the_paths_own(outlook, now):
    months = levels(outlook, now, "region=EMEA", "M")
    paths = outlook.revenue("region=EMEA")
    assert months["q90"].to_numpy() == pytest.approx(np.quantile(paths, 0.9, axis=0))
    assert months["growth_previous_q50"].iloc[3] == pytest.approx(np.median(paths[:, 3] / paths[:, 2] - 1))


def test_weeks__grow_on_52_weeks_before(outlook, now):
    weeks = levels(outlook, now, "total", "W")
    second = now.orders["ds"].between("2024-11-25", "2024-12-02", inclusive="left")
    base = now.orders.loc[second, "amount"].sum()
    assert weeks["growth_year_before_q50"].iloc[1] == pytest.approx(weeks["q50"].iloc[1] / base - 1)


def test_length__that_is_none_is_refused(outlook, now):
    with pytest.raises(UnknownNameError, match="W"):
        levels(outlook, now, "total", "D")
