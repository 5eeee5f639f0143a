"""Customer KPIs that need more history than the tiny company has, each on a company of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.kpis import get_kpi
from predictkpi.kpis.acquisition import acquisitions, observed_lag
from predictkpi.snapshot import Snapshot

DAYS_A_MONTH = 365.25 / 12


def by_month(series: pd.DataFrame) -> dict[str, float]:
    return dict(zip(series["ds"].dt.strftime("%Y-%m"), series["value"], strict=True))


def test_churn_rate__who_came_in_the_year_before_and_not_in_the_year_up_to_the_end(facts_of):
    """X buys on 10 January 2022 only, Y on 20 January and 5 December, Z on 1 June and again on 10 July 2023.

    January 2023: X, Y, Z bought in 2022; X has nothing from February 2022 on: 1/3. February: of Y, Z none left. June: Z, whose order of
    1 June is a year old, has left: 1/2. July: Z had no order in the year before, so it cannot leave, and Y stays.
    """
    days = [("X", "2022-01-10"), ("Y", "2022-01-20"), ("Y", "2022-12-05"), ("Z", "2022-06-01"), ("Z", "2023-07-10")]
    facts = facts_of(orders=[{"ds": day, "customer_id": who, "amount": 1.0} for who, day in days])
    series = get_kpi("churn_rate").series(Snapshot(facts, pd.Timestamp("2023-08-01"))).set_index("ds")
    assert series["value"].first_valid_index() == pd.Timestamp("2023-01-01")
    expected = {"2023-01-01": (1 / 3, 3), "2023-02-01": (0, 2), "2023-06-01": (1 / 2, 2), "2023-07-01": (0, 1)}
    for month, (value, n) in expected.items():
        assert series.loc[month, ["value", "n"]].tolist() == [pytest.approx(value), n]


def test_churn_rate__back_within_the_period_is_not_lost(facts_of):
    """As above without the return of Z in July, but on 30 June: the order of 1 June 2022 is too old at the end, the new one is not."""
    days = [("Y", "2022-01-20"), ("Y", "2022-12-05"), ("Z", "2022-06-01"), ("Z", "2023-06-30")]
    facts = facts_of(orders=[{"ds": day, "customer_id": who, "amount": 1.0} for who, day in days])
    series = get_kpi("churn_rate").series(Snapshot(facts, pd.Timestamp("2023-07-01"))).set_index("ds")
    assert series.loc["2023-06-01", ["value", "n"]].tolist() == [0, 2]


def test_repeat_purchase_rate__forgets_after_twelve_months(facts_of):
    """A bought on 5 January and 5 March 2022, B in June: at the end of 2022 1 of 2, a month later only March and June are in the year."""
    days = [("A", "2022-01-05"), ("A", "2022-03-05"), ("B", "2022-06-05"), ("B", "2022-06-05")]
    facts = facts_of(orders=[{"ds": day, "customer_id": who, "amount": 1.0} for who, day in days])
    series = by_month(get_kpi("repeat_purchase_rate").series(Snapshot(facts, pd.Timestamp("2023-08-01"))))
    assert (series["2022-12"], series["2023-01"]) == (1 / 2, 0)
    assert np.isnan(series["2023-07"])


def test_revenue_cagr__whole_years_since_the_first(facts_of):
    """10 a month in 2020, 12 in 2021, 40 in 2022: 144/120 = 20 % over one year, 480/120 = 4, so 100 % a year over two."""
    amounts = {2020: 10.0, 2021: 12.0, 2022: 40.0}
    orders = [{"ds": f"{year}-{month:02d}-05", "customer_id": "A", "amount": a} for year, a in amounts.items() for month in range(1, 13)]
    frame = get_kpi("revenue_cagr").series(Snapshot(facts_of(orders=orders), pd.Timestamp("2023-01-01")), freq="Y")
    series = by_month(frame)
    assert (series["2021-12"], series["2022-12"]) == (pytest.approx(0.2), pytest.approx(1.0))
    assert np.isnan([series[f"2021-{month:02d}"] for month in range(1, 12)]).all()
    assert series["2022-06"] == pytest.approx(((6 * 12 + 6 * 40) / 120) ** (12 / 18) - 1)
    assert frame["n"].iloc[-1] == 12


def test_revenue__new_and_existing_add_up_for_every_member(snapshot):
    for by in (None, "segment", "product"):
        whole, new, existing = (
            get_kpi(name).series(snapshot, freq="Q", by=by) for name in ("revenue", "revenue_new_customers", "revenue_existing_customers")
        )
        np.testing.assert_allclose(new["value"] + existing["value"], whole["value"], atol=1e-6)
        assert (new["n"] + existing["n"]).tolist() == whole["n"].tolist()


@pytest.fixture(scope="module")
def thirty_days_late(facts_of) -> dict[str, list[dict]]:
    """Two years of spend of 0 to 30 a day; every 10 bring a customer 30 days later."""
    days = pd.date_range("2021-01-01", "2022-12-31")
    gains = np.random.default_rng(3).integers(0, 4, len(days))
    spend = [{"ds": str(day), "channel": "ads", "cost": 10.0 * count} for day, count in zip(days, gains, strict=True)]
    arrivals = np.repeat(days + pd.Timedelta(days=30), gains)
    orders = [{"ds": str(day), "customer_id": f"c{i}", "amount": 4.0} for i, day in enumerate(arrivals)]
    return {"spend": spend, "orders": orders}


def test_cac_lagged__finds_the_lag_and_the_cost(facts_of, thirty_days_late):
    snapshot = Snapshot(facts_of(**thirty_days_late), pd.Timestamp("2023-01-01"))
    assert observed_lag(snapshot.spend, acquisitions(snapshot.orders)) == 30
    lagged = get_kpi("cac_lagged").series(snapshot)
    whole = lagged[lagged["ds"] >= "2021-02-01"]
    np.testing.assert_allclose(whole["value"], 10.0)
    assert (lagged["ds"].iloc[0], lagged["status"].iloc[0]) == (pd.Timestamp("2021-01-01"), "limited")
    assert (whole["status"] == "full").all()
    same_period = get_kpi("cac").series(snapshot)
    assert same_period["value"].iloc[2:].std() > 0.5


def test_cac_lagged__without_a_year_of_spend_is_cac(facts_of, thirty_days_late):
    snapshot = Snapshot(facts_of(**thirty_days_late), pd.Timestamp("2021-12-01"))
    pd.testing.assert_frame_equal(
        get_kpi("cac_lagged").series(snapshot).drop(columns="kpi"), get_kpi("cac").series(snapshot).drop(columns="kpi")
    )


def test_observed_lag__of_the_sample_company_is_near_its_truth(snapshot):
    """Spend brings accounts by a gamma of mean 20 days. 163 customers in four years are few; the estimate must be in its bulk."""
    assert 5 <= observed_lag(snapshot.spend, acquisitions(snapshot.orders)) <= 40


@pytest.mark.parametrize(("as_of", "months"), [("2022-03-12", 61 / DAYS_A_MONTH), ("2022-03-11", None)])
def test_cac_payback__as_far_as_the_whole_cohort_has_lived(facts_of, as_of, months):
    """January: spend 100 for A (10 January) and B (5 January), so 100 to earn. 40 on day 0, 70 when B buys on day 40, 100 on A's day 61.

    On 11 March A has lived for 60 days: B's large order of 10 March, its day 64, does not speak for A.
    """
    orders = [("A", "2022-01-10", 20), ("B", "2022-01-05", 20), ("B", "2022-02-14", 30), ("B", "2022-03-10", 99), ("A", "2022-03-12", 30)]
    facts = facts_of(
        orders=[{"ds": day, "customer_id": who, "amount": float(amount)} for who, day, amount in orders],
        spend=[{"ds": "2022-01-03", "channel": "ads", "cost": 100.0}],
    )
    at = pd.Timestamp(as_of) + (pd.Timedelta(days=1) if months else pd.Timedelta(0))
    series = get_kpi("cac_payback").series(Snapshot(facts, at))
    january = series.iloc[0]
    assert january["n"] == 2
    assert january["value"] == pytest.approx(months) if months else np.isnan(january["value"])
