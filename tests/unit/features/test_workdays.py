"""How much business a month can hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.features.workdays import Workdays

UNTIL = pd.Timestamp("2025-01-01")


def bookings(days: pd.DatetimeIndex, weights=(1.0,) * 7, noise: float = 0.0, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    amount = 100 * np.asarray(weights)[days.day_of_week] * np.exp(noise * rng.normal(size=len(days)))
    return pd.DataFrame({"ds": days, "amount": amount})


def learnt(frame: pd.DataFrame, **more) -> Workdays:
    return Workdays.learn(frame["ds"], frame["amount"], until=UNTIL, **more)


DAYS = pd.date_range("2022-01-01", "2024-12-31")
WEEKDAYS_ONLY = (1.4, 1.4, 1.4, 1.4, 1.4, 0.0, 0.0)


def test_learn__finds_the_week_of_a_company_that_rests_at_weekends():
    assert learnt(bookings(DAYS, WEEKDAYS_ONLY, noise=0.3)).weights == pytest.approx(WEEKDAYS_ONLY, abs=0.1)


def test_learn__takes_chance_for_chance():
    believed, seen = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        frame = bookings(DAYS[rng.random(len(DAYS)) < 0.1], noise=0.5, seed=seed)
        raw = frame.groupby(frame["ds"].dt.day_of_week)["amount"].sum().reindex(range(7), fill_value=0.0)
        believed.append(np.square(np.array(learnt(frame).weights) - 1).sum())
        seen.append(np.square(raw / raw.mean() - 1).sum())
    assert np.mean(believed) < 0.4 * np.mean(seen)


def test_learn__needs_half_a_year_and_looks_at_nothing_from_until_on():
    assert learnt(bookings(DAYS[-60:], WEEKDAYS_ONLY)).weights == (1.0,) * 7
    later = bookings(pd.date_range("2025-01-01", periods=300), (7.0, 0, 0, 0, 0, 0, 0))
    frame = bookings(DAYS, WEEKDAYS_ONLY)
    assert learnt(pd.concat([frame, later])) == learnt(frame)


def test_factors__tell_a_month_of_23_working_days_from_one_of_20():
    months = pd.DatetimeIndex(["2023-01-01", "2022-02-01", "2024-02-01", "2025-01-01"])
    factors = Workdays(WEEKDAYS_ONLY).factors(months)
    januaries = [np.busday_count(f"{year}-01", f"{year}-02") for year in range(2001, 2029)]
    assert factors[[0, 3]] == pytest.approx([22 / np.mean(januaries), 23 / np.mean(januaries)], rel=1e-3)
    assert factors[2] > factors[1], "a leap day more"


def test_factors__of_plain_days_differ_by_the_leap_day_only():
    months = pd.date_range("2023-01-01", "2024-12-01", freq="MS")
    factors = pd.Series(Workdays().factors(months), index=months)
    assert factors[factors.index.month != 2].to_numpy() == pytest.approx(1.0)
    assert factors["2024-02-01"] == pytest.approx(29 / 28.25, rel=1e-3)


def test_holidays__are_days_off_in_their_country_and_region():
    plain, german, bavarian = (Workdays(WEEKDAYS_ONLY, country) for country in (None, "DE", "DE-BY"))
    october = pd.DatetimeIndex(["2025-10-01"])  # Friday the 3rd is the day of unity in all of Germany
    assert german.factors(october)[0] < plain.factors(october)[0] * 1.01
    epiphany = pd.DatetimeIndex(["2025-01-06"])  # a Monday
    assert (bavarian.of_days(epiphany)[0], german.of_days(epiphany)[0]) == (0.0, 1.4)
