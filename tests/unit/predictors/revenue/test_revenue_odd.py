"""Odd books: each has an answer, with the rung it stands on and why, and still adds up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.types import Status
from predictkpi.predictors.revenue.baseline import RevenueBaseline
from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.predictors.revenue.table import filled, monthly_series
from predictkpi.snapshot import MemoryFacts, Snapshot

AS_OF = pd.Timestamp("2024-01-01")
PER_MONTH = 10


def books(amounts, *, south=None, per_month: int = PER_MONTH) -> Snapshot:
    """Months that end with December 2023: ``per_month`` orders each for two products, north with 60 % of the amount unless ``south`` says.

    A month given as NaN has no order at all.
    """
    amounts = np.asarray(amounts, dtype=float)
    south = 0.4 * amounts if south is None else np.asarray(south, dtype=float)
    months = pd.date_range(end="2023-12-01", periods=len(amounts), freq="MS")
    rows = []
    for month, total, part in zip(months, amounts, south, strict=True):
        for k in range(0 if np.isnan(total) else per_month):
            ds = month + pd.Timedelta(days=1 + k, hours=9)
            for product, amount in (("north", (total - part) / per_month), ("south", part / per_month)):
                rows.append((f"{ds:%Y%m%d}{product}", ds, product, amount, ds + pd.Timedelta(hours=1)))
    orders = pd.DataFrame(rows, columns=["order_id", "ds", "product", "amount", "known_at"])
    orders = orders.assign(customer_id="c", currency="EUR", deal_id=None).astype({"ds": "datetime64[us]", "known_at": "datetime64[us]"})
    return Snapshot(MemoryFacts({"orders": orders}), AS_OF)


@pytest.fixture(params=[RevenueForecaster, RevenueBaseline], ids=lambda cls: cls.__name__)
def answered(request):
    def answers(snapshot):
        predictor = request.param(draws=200, origins=4)
        predictor.fit(predictor.training_table(snapshot))
        found = {answer.entity_id: answer for answer in predictor.answers(predictor.inputs(snapshot))}
        parts = found["product=north"].paths + found["product=south"].paths
        np.testing.assert_allclose(parts, found["total"].paths, rtol=1e-9, atol=1e-6)
        return found

    return answers


def test_two_months__are_their_mean_with_an_assumed_spread(answered):
    total = answered(books([1000, 1100]))["total"]
    assert total.status is Status.PRIOR
    assert "2 complete months" in total.reason
    assert 800 < total.paths.mean() < 1400
    low, high = np.quantile(total.paths[:, 0], [0.1, 0.9])
    assert high > 1.3 * low > 0


def test_gap__of_a_company_with_many_orders_is_missing_records(answered, make_months):
    y = make_months(48, noise=0.03, growth=0.0)
    whole, gap = answered(books(y)), answered(books(np.where(np.isin(np.arange(48), (30, 31)), np.nan, y)))
    for name, answer in gap.items():
        assert answer.status is Status.LIMITED
        assert "2 months without any order of the company" in answer.reason
        assert answer.history[30:32].min() > 0
        assert answer.paths.mean() == pytest.approx(whole[name].paths.mean(), rel=0.1)


def test_gap__of_a_company_with_few_orders_or_in_every_year_is_a_true_zero(make_months):
    y, at = make_months(48), np.arange(48)
    few = monthly_series(books(np.where(at == 30, np.nan, y), per_month=1))
    each_august = monthly_series(books(np.where(at % 12 == 7, np.nan, y)))
    once = monthly_series(books(np.where(at == 30, np.nan, y)))
    assert not few["is_missing"].any()
    assert not each_august["is_missing"].any()
    assert set(once.loc[once["is_missing"], "ds"]) == {pd.Timestamp("2022-07-01")}


def test_gap__in_one_series_alone_is_a_true_zero(make_months):
    y = make_months(36)
    frame = monthly_series(books(y, south=np.where(np.arange(36) == 20, 0.0, 0.4 * y)))
    assert not frame["is_missing"].any()


def test_gap__of_the_newest_month_is_the_month_before_again_and_not_in_the_books(answered, make_months):
    y = make_months(37, noise=0.03, growth=0.0)
    snapshot = books(np.where(np.arange(37) == 35, np.nan, y)).at(pd.Timestamp("2023-12-20"))
    for answer in answered(snapshot).values():
        assert "1 months without any order of the company" in answer.reason
        assert answer.history[35] == answer.history[34] > 0
        assert answer.recorded.tolist() == [*answer.history[:35], 0.0]


def test_filled__takes_what_was_booked_early_from_complete_months_only(make_months):
    y = make_months(37)
    snapshot = books(np.where(np.arange(37) == 35, np.nan, y)).at(pd.Timestamp("2023-12-06"))
    total = monthly_series(snapshot).query("unique_id == 'total'")
    early = filled(total, "to_date").to_numpy()
    assert early[35] == early[34]
    assert early[36] == total["to_date"].iloc[36] > 0


def test_gap__is_no_outcome(make_months):
    y = np.where(np.arange(36) == 33, np.nan, make_months(36))
    outcomes = RevenueForecaster().outcomes(books(y), as_of=pd.Timestamp("2023-09-01"))
    total = outcomes[outcomes["entity_id"] == "total"].set_index("horizon")["value"]
    assert np.isnan(total[2])
    assert total[[1, 3, 4]].notna().all()


@pytest.mark.parametrize("effect", [1.0, -0.8])
def test_newcomer__in_a_month_with_an_event_is_expected_as_it_is_booked(make_months, effect):
    """What it has booked holds the event already."""
    south = np.where(np.arange(37) == 36, 400.0, 0.0)
    snapshot = books(make_months(37) + south, south=south)
    rows = snapshot.orders[lambda rows: (rows["product"] == "north") | (rows["amount"] > 0)]
    rows = rows.assign(known_at=rows["ds"] + pd.Timedelta(hours=1))
    newcomer = Snapshot(MemoryFacts({"orders": rows}), pd.Timestamp("2023-12-20"))
    event = {"name": "fair", "months": ["2023-12"], "effect": effect, "known_from": "2023-01"}
    means = []
    for events in ((), (event,)):
        model = RevenueForecaster(draws=100, origins=2, events=events)
        model.fit(model.training_table(newcomer))
        part = next(part for _, part, _ in model._answered(model.inputs(newcomer)) if part.answer.entity_id == "product=south")
        means.append((part.drawn[0], part.drawn[1]))
    assert means[1][0] == pytest.approx(means[0][0]), "the running month, event and all"
    assert means[1][1] == pytest.approx(means[0][1] / (1 + effect)), "a month without it"


def test_all_zeros__are_zero_and_say_why(answered):
    total = answered(books(np.zeros(30)))["total"]
    assert (total.paths == 0).all()
    if total.status is not Status.FULL:
        assert "taken to have ended" in total.reason


def test_net_refunds__may_come_again(answered, make_months):
    y = make_months(36)
    found = answered(books(np.where(np.arange(36) % 9 == 4, -0.3 * y, y)))
    total = found["total"]
    assert np.isfinite(total.paths).all()
    assert total.paths.min() < 0 < total.paths.mean()


def test_one_month_a_hundred_times_the_rest__does_not_set_the_level(answered, make_months, request):
    y = make_months(36, growth=0.0)
    found = answered(books(np.where(np.arange(36) == 20, 100 * y, y)))
    if "Forecaster" in request.node.name:
        assert found["total"].paths.mean() == pytest.approx(y.mean(), rel=0.25)
        assert found["total"].status is Status.LIMITED
        assert "were pulled in" in found["total"].reason
    assert np.isfinite(found["total"].paths).all()


def test_a_series_that_stopped__stays_at_nothing_and_takes_nothing_from_the_others(answered, make_months, request):
    y = make_months(48, growth=0.0)
    south = np.where(np.arange(48) < 30, 0.4 * y, 0.0)
    found = answered(books(0.6 * y + south, south=south))
    assert (found["product=south"].paths == 0).all()
    assert found["product=north"].paths.mean() == pytest.approx(0.6 * y.mean(), rel=0.2)
    if "Forecaster" in request.node.name:
        assert found["product=south"].status is Status.LIMITED
        assert "taken to have ended" in found["product=south"].reason
