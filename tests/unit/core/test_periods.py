"""Calendar arithmetic at its edges: fiscal years, running periods, month ends."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import periods

T = pd.Timestamp


@pytest.mark.parametrize(
    ("as_of", "freq", "fiscal_year_starts", "cutoff"),
    [
        ("2024-03-01", "M", 1, "2024-02-01"),
        ("2024-03-01 00:00:01", "M", 1, "2024-02-01"),
        ("2024-03-31", "Q", 1, "2023-10-01"),
        ("2024-04-01", "Q", 1, "2024-01-01"),
        ("2024-04-01", "Q", 3, "2023-12-01"),
        ("2024-06-01", "Y", 6, "2023-06-01"),
        ("2024-03-06", "W", 1, "2024-02-26"),
        ("2024-03-06", "D", 1, "2024-03-05"),
    ],
)
def test_cutoff_of__is_the_last_complete_period(as_of, freq, fiscal_year_starts, cutoff):
    assert periods.cutoff_of(T(as_of), freq, fiscal_year_starts=fiscal_year_starts) == T(cutoff)


def test_complete_periods__leave_out_the_running_one():
    found = periods.complete_periods(T("2024-01-17"), T("2024-04-02"), "M")
    assert list(found) == [T("2024-01-01"), T("2024-02-01"), T("2024-03-01")]


def test_complete_periods__are_none_within_the_first_period():
    assert len(periods.complete_periods(T("2024-01-17"), T("2024-01-30"), "M")) == 0


def test_future_periods__begin_with_the_running_one():
    assert list(periods.future_periods(T("2024-04-02"), 2, "M")) == [T("2024-04-01"), T("2024-05-01")]


def test_period_start__follows_the_fiscal_quarter():
    starts = periods.period_start(pd.Series([T("2024-01-31"), T("2024-02-01")]), "Q", fiscal_year_starts=2)
    assert list(starts) == [T("2023-11-01"), T("2024-02-01")]


def test_horizon_end__counts_calendar_months_and_plain_days():
    assert periods.horizon_end(T("2024-01-31"), 1, "month") == T("2024-02-29")
    assert periods.horizon_end(T("2024-01-31"), 30, "day") == T("2024-03-01")
