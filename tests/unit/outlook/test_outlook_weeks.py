"""Weeks out of the same paths as months."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.outlook.weeks import weeks_of


@pytest.fixture(scope="module")
def weeks(outlook, now):
    return weeks_of(outlook, now, "total", weeks=50)


def test_weeks__begin_with_the_running_one_and_end_within_the_months(weeks, outlook):
    assert weeks.starts[0] == pd.Timestamp("2025-11-17")
    assert weeks.starts[-1] + pd.Timedelta(days=7) <= outlook.months[-1] + pd.offsets.MonthBegin()
    assert (weeks.starts.day_of_week == 0).all()


def test_weeks__of_a_month_add_up_to_it_in_every_path(weeks, outlook):
    """December 2025 to May 2026 hold whole weeks from 1 December to 31 May."""
    months = outlook.revenue("total")[:, 1:7].sum(axis=1)
    inside = (weeks.starts >= "2025-12-01") & (weeks.starts < "2026-06-01")
    assert weeks.paths[:, inside].sum(axis=1) == pytest.approx(months)


def test_weeks__scatter_more_than_their_share_of_the_month_would(weeks, outlook):
    december = outlook.revenue("total")[:, 1]
    week = weeks.paths[:, 3]
    assert week.std() / week.mean() > december.std() / december.mean()


def test_weeks__are_about_as_wide_as_past_weeks_scatter(weeks):
    known = weeks.history.iloc[-52:]
    spread = weeks.paths[:, 2:14].std(axis=0).mean() / weeks.paths[:, 2:14].mean()
    assert 0.4 < spread / (known.std() / known.mean()) < 1.6


def test_history__holds_whole_past_weeks(weeks, now):
    week = now.orders["ds"].between("2025-11-10", "2025-11-17", inclusive="left")
    assert weeks.history.iloc[-1] == pytest.approx(now.orders.loc[week, "amount"].sum())
    assert weeks.history.index[-1] == pd.Timestamp("2025-11-10")


def test_same_seed__same_weeks(outlook, now):
    one, two = (weeks_of(outlook, now, "region=EMEA", weeks=4).paths for _ in range(2))
    assert np.array_equal(one, two)
