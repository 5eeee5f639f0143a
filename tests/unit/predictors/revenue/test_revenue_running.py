"""The running month: completed from its own pace, and no worse known than before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.types import Status
from predictkpi.predictors.revenue import forecaster
from predictkpi.predictors.revenue.baseline import RevenueBaseline
from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.predictors.revenue.running import Booked, Pace, completed, paces, working_days_gone
from predictkpi.predictors.revenue.table import monthly_series
from predictkpi.snapshot import MemoryFacts, Snapshot

RUNNING = pd.Timestamp("2023-01-01")
MONTHS = 36


def daily(*, days: int = 20, last: float = 1.0, noise: float = 0.1, seed: int = 0) -> Snapshot:
    """36 months of an order a day and region at a level that differs from month to month, and ``days`` of the next at ``last`` times it."""
    rng = np.random.default_rng(seed)
    rows = []
    for month in pd.date_range(RUNNING - pd.DateOffset(months=MONTHS), RUNNING, freq="MS"):
        level = 100 * np.exp(noise * rng.standard_normal()) * (last if month == RUNNING else 1.0)
        length = days if month == RUNNING else month.days_in_month
        for day in range(length):
            ds = month + pd.Timedelta(days=day, hours=9)
            rows += [(f"{ds:%Y%m%d}{place}", ds, place, level * share) for place, share in (("north", 0.7), ("south", 0.3))]
    orders = pd.DataFrame(rows, columns=["order_id", "ds", "product", "amount"]).assign(customer_id="c", currency="EUR", deal_id=None)
    orders = orders.astype({"ds": "datetime64[us]"})
    orders["known_at"] = orders["ds"] + pd.Timedelta(hours=1)
    return Snapshot(MemoryFacts({"orders": orders}), RUNNING + pd.Timedelta(days=days))


@pytest.fixture(scope="module", params=[RevenueForecaster, RevenueBaseline], ids=lambda cls: cls.__name__)
def predictor(request):
    snapshot = daily(days=0)
    fitted = request.param(draws=400, origins=6)
    return fitted.fit(fitted.training_table(snapshot))


def answers_of(predictor, snapshot):
    return {answer.entity_id: answer for answer in predictor.answers(predictor.inputs(snapshot))}


def booked(y: np.ndarray, early: np.ndarray, so_far: float) -> Booked:
    """The company's revenue, of months with the usual days."""
    return Booked("total", y, early, so_far, np.ones(len(y)), np.ones(12))


def test_to_date__is_what_was_booked_by_the_same_position_of_each_month():
    snapshot = daily(days=10)
    frame = monthly_series(snapshot)
    total = frame[frame["unique_id"] == "total"].set_index("ds")
    np.testing.assert_allclose(total["to_date"].iloc[:-1] / total["y"].iloc[:-1], 10 / total.index.days_in_month[:-1], rtol=1e-9)
    orders = snapshot.orders
    assert total["to_date"].iloc[-1] == pytest.approx(orders.loc[orders["ds"] >= RUNNING, "amount"].sum())


def test_to_date__of_short_months_is_clamped_to_their_length():
    february = monthly_series(daily(days=30)).set_index(["unique_id", "ds"]).loc[("total", pd.Timestamp("2022-02-01"))]
    assert february["to_date"] == february["y"]


def test_to_date__leaves_out_what_was_not_known_by_then(make_facts):
    facts = make_facts([100, 100])
    orders = facts.read("orders", known_before=pd.Timestamp("2021-01-01")).copy()
    orders.loc[0, "known_at"] = pd.Timestamp("2020-01-20")
    orders.loc[1, "known_at"] = pd.Timestamp("2020-02-28")
    frame = monthly_series(Snapshot(MemoryFacts({"orders": orders}), pd.Timestamp("2020-03-15")))
    total = frame[frame["unique_id"] == "total"]
    assert total["y"].tolist()[:2] == [100, 100]
    assert total["to_date"].tolist() == [40, 100, 0], "late by days: not there by then; late by more than a month: an old stock"


def test_answers__at_a_months_start_are_those_of_the_complete_months(predictor, monkeypatch):
    snapshot = daily(days=0)
    found = answers_of(predictor, snapshot)
    monkeypatch.setattr(forecaster, "paces", lambda series, as_of: {})
    for name, answer in answers_of(predictor, snapshot).items():
        assert answer.to_date == 0
        np.testing.assert_array_equal(found[name].paths, answer.paths)


def test_answers__of_a_month_at_twice_the_pace_are_near_twice(predictor):
    usual, twice = (answers_of(predictor, daily(days=20, last=last))["total"] for last in (1.0, 2.0))
    assert twice.to_date == pytest.approx(2 * usual.to_date)
    assert twice.paths[:, 0].mean() / usual.paths[:, 0].mean() == pytest.approx(2, rel=0.12)
    later = twice.paths[:, 1:].mean() / usual.paths[:, 1:].mean()
    assert 1.0 < later < 1.5 if isinstance(predictor, RevenueForecaster) else later == pytest.approx(1.0, rel=0.01)


def test_answers__add_up_and_hold_what_is_booked(predictor):
    found = answers_of(predictor, daily(days=12, last=1.4))
    np.testing.assert_allclose(found["product=north"].paths + found["product=south"].paths, found["total"].paths, rtol=1e-9)
    for answer in found.values():
        assert answer.paths[:, 0].min() >= answer.to_date * (1 - 1e-9)


def test_answers__narrow_as_the_month_goes_on(predictor):
    widths = [np.ptp(np.quantile(answers_of(predictor, daily(days=days))["total"].paths[:, 0], [0.1, 0.9])) for days in (0, 10, 20, 30)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.2 * widths[0]


def test_answers__cover_the_month_that_came():
    """Months whose days are independent: forty of them, from a third of the way."""
    inside = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        daily_amounts = 100 * rng.gamma(1.0, 1.0, (25, 30))
        y, early = daily_amounts.sum(axis=1), daily_amounts[:, :10].sum(axis=1)
        series = booked(y[:-1], early[:-1], early[-1])
        base = y[:-1].mean() * (1 + 0.2 * rng.standard_normal((500, 12)))
        month = completed(base, series, paces([series], pd.Timestamp("2023-06-11"))["total"], carried=0.3)[:, 0]
        low, high = np.quantile(month, [0.1, 0.9])
        inside.append(low <= y[-1] <= high)
    assert 0.65 <= np.mean(inside) <= 0.95


def test_answers__of_a_series_that_begins_in_the_running_month_go_at_the_companys_pace(predictor):
    snapshot = daily(days=15)
    orders = snapshot.orders.copy()
    orders.loc[(orders["ds"] >= RUNNING) & (orders["product"] == "south"), "product"] = "new"
    found = answers_of(predictor, Snapshot(MemoryFacts({"orders": orders}), snapshot.as_of))
    new = found["product=new"]
    assert new.status is Status.PRIOR
    assert "company's pace" in new.reason
    assert np.median(new.paths[:, 0]) == pytest.approx(2 * new.to_date, rel=0.3)
    assert new.paths[:, 1:].mean() > 0
    parts = sum(found[f"product={name}"].paths for name in ("north", "south", "new"))
    np.testing.assert_allclose(parts, found["total"].paths, rtol=1e-9)


def test_completed__lets_refunds_take_from_what_is_booked():
    series = booked(np.full(24, 100.0), np.full(24, 120.0), 130.0)
    paths = 100 + np.random.default_rng(0).standard_normal((300, 12))
    month = completed(paths, series, paces([series], pd.Timestamp("2023-06-21"))["total"], carried=0.0)[:, 0]
    assert not series.only_adds
    assert month.min() < 130


def test_completed__weighs_pace_and_expectation():
    series = booked(np.full(24, 100.0), np.full(24, 50.0), 80.0)
    paths = np.full((200, 12), 100.0) * np.exp(0.05 * np.random.default_rng(0).standard_normal((200, 1)))
    for weight, expected in ((0.0, 130.0), (1.0, 160.0), (0.5, 145.0)):
        found = completed(paths, series, Pace(share=0.5, weight=weight, spread=0.05), carried=0.0)
        assert found[:, 0].mean() == pytest.approx(expected, rel=0.01)
        np.testing.assert_array_equal(found[:, 1:], paths[:, 1:])


def test_working_days_gone__counts_parts_of_days_and_no_weekends():
    june = pd.Timestamp("2024-06-01")  # a Saturday; 20 working days
    assert working_days_gone(june, pd.Timedelta(days=2)) == 0
    assert working_days_gone(june, pd.Timedelta(days=2, hours=12)) == pytest.approx(0.5 / 20)
    assert working_days_gone(june, pd.Timedelta(days=9)) == pytest.approx(5 / 20)
    assert working_days_gone(june, pd.Timedelta(days=40)) == 1
