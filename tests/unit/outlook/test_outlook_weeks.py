"""Weeks out of the same paths as months."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.outlook.weeks import weeks_of
from predictkpi.predictors.revenue.scopes import scope_of


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


@pytest.mark.parametrize("dimension", ["region", "segment", "team"])
def test_weeks__of_members_add_up_to_those_of_the_total_in_every_path(weeks, outlook, now, dimension):
    members = [scope for scope in outlook.scopes if list(scope_of(scope)) == [dimension]]
    assert len(members) > 1
    found = [weeks_of(outlook, now, scope, weeks=50) for scope in members]
    assert sum(member.paths for member in found) == pytest.approx(weeks.paths)
    newest = sum(member.history.iloc[-26:].to_numpy() for member in found)
    assert newest == pytest.approx(weeks.history.iloc[-26:].to_numpy())


def test_weeks__of_another_length_or_seed_are_made_anew(outlook, now):
    four, five = (weeks_of(outlook, now, "total", weeks=count).paths for count in (4, 5))
    assert five[:, :4] == pytest.approx(four)
    assert not np.allclose(weeks_of(outlook, now, "total", weeks=4, seed=1).paths, four)


def test_same_seed__same_weeks(outlook, now):
    one, two = (weeks_of(outlook, now, "region=EMEA", weeks=4).paths for _ in range(2))
    assert np.array_equal(one, two)
