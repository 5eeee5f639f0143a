"""A company small enough to work out by hand, seen on 10 August 2023; fiscal year from February (quarters February to April, ...).

Orders   Feb: A 100, B 50 · Mar: A 30 · Apr: none · May: A -20 (refund), C 120 (C is not in customers) · Jun: D 0 (free, last second)
         Jul: D 60 (first instant) · Aug (running): B 500
Spend    Feb: search 40, fair 20 · Mar: search 10 · Apr to Jun: none · Jul: search 25
Channel  A, D: search · B: fair · C: unknown
Deals    d1 1 Feb, won after 10 days · d2 1 Feb, lost after 30 · d3 no created_at, first event 21 Feb, won after 20
         d4 1 Mar, won after 20 on 21 Mar, reopened on 5 May, open · d5 1 Apr, open · d6 1 Mar, won after 40 on 10 Apr, amount mended as
         won again on 20 May · d7 1 May, lost on 31 May, reopened on 5 June, won after 60 on 30 June
Amounts  d1 100 · d2 10 · d3 30 · d4 70, reopened as 75 · d5 none · d6 5, from 20 May on 6 · d7 9
Expected d2 1 Mar · d3 31 Mar · d4 15 Apr, reopened 15 Jun · d5 31 May · d6 30 Apr · d7 30 Jun, reopened: none
Targets  revenue: quarter from Feb 190 (north 160), May 60, Jun 60, Jul 80, quarter from Aug 50

Revenue        150, 30, 0, 100, 0, 60 · quarters 180, 160
New customers  Feb 150 (A, B) · May 120 (C) · Jun 0 (D) · none else; existing: the rest, Mar 30, May -20, Jul 60
Growth         mom: -, 30/150-1 = -.8, 0/30-1 = -1, -, 0/100-1 = -1, - (nothing grows from zero) · qoq: -, 160/180-1 = -1/9
New, counted   Feb 2, May 1, Jun 1 · quarters 2, 2
Spent          Feb 60, Mar 10, Jul 25, between them nothing · quarters 70, 25 · August, in which none is booked yet: unknown
CAC            Feb 60/2 = 30 (A, B) · Mar 10/0: none · Apr -, · May 0/1 = 0 (C; the span of spend goes on) · Jun 0/1 = 0 (D: a free
               first order wins a customer too) · Jul 25/0: none
CLV            Feb: A 100+30-20 = 110, B 50+500 = 550, mean 330 · May: C 120 · Jun: D 0+60 = 60
Payback        Feb: 100 and 50 on day 0 are more than 2 * 30: 0 · May, Jun: nothing to pay back: 0
LTV:CAC        Feb 330/30 = 11 · none where CAC is 0
Repeat rate    bought on two days: A from Mar on, D from Jul on: 0/2, 1/2, 1/2, 1/3 (C), 1/4 (D), 2/4
Churn          none: no year before any month; there would be 2, 2, 2, 3, 4 customers from March on
Mean cycle     by closing: Feb d1 10 · Mar d3 20 (d4 is open again) · Apr d6 40 · Jun d7 60
Win rate       Feb 1/1 · Mar d3 of d2, d3 = 1/2 · Apr 1/1 · May none (d7 was reopened) · Jun 1/1
Median cycle   at the end of Feb: d1 won at 10 of {d1, d2}, d3 being censored at 8: cif .5; median 10
               end of Mar: cif(10) = 1/5, cif(20) = 1/5 + 4/5 * 2/4 = .6 (d3, d4, which was won then), final .6, half .3: 20; 3 won
               end of May: d4 and d5 open, d7 lost at 30: cif 1/7, 2/7, then 3/7 at 40: half 3/14: 20; 3 won
               end of Jul: won at 10, 20, 40, 60 of 7, lost at 30, d4 and d5 open: cif 1/7, 2/7, 3/7, 4/7: half 2/7: 20; 4 won
By amount      Feb 100/100 · Mar d3 30 of 30 + 10 = 3/4 · Apr 1 · Jun 1; mean size 100, 30, 6, -, 9, -
Open pipeline  end of Feb d2 10 + d3 30 · Mar d6 5 · Apr d5 without amount: 0 · May, Jun, Jul d4 75, d5
Coverage       Feb 40/(190 - 150) = 1 · Mar 5/(190 - 180) = 1/2 · Apr 0/(60 + 60 + 80) = 0, the quarter from May on · May and Jun
               75/(200 - 100) · Jul 75/50, the quarter from August on · north in Feb 40/(160 - 150) = 4
Slip rate      due and open at its start: Mar d2 (lost), d3 (won): 0/2 · Apr d6 (won): 0/1, d4 is closed · May d5: 1/1 · Jun d4: 1/1,
               d7 was lost at its start · Jul none, d4 and d5 being overdue
Velocity       open x won share x mean size won / median, as it stood: Feb 2 * 1 * 100 / 10 = 20 · Mar 1 * 3/4 * 200/3 / 20 = 2.5 (d4
               is won) · Apr 1 * 4/5 * 205/4 / 20 = 2.05 · May (d4 is open) 2 * 3/5 * 136/3 / 20 = 2.72 · Jun and Jul 2 * 4/5 * 145/4
               / 20 = 2.9
Time in stage  stays in `offer`: d1 10, d2 30, d3 20, d4 20 and from 5 May on, d5 from 1 Apr on, d6 40, d7 30 and 25
               end of Feb: 10, open at 28 and 8: S(10) = 1/2: 10 · Mar: S(10) = 4/5, S(20) = 4/5 * 2/4 = .4: 20 · Apr: 5/6, 5/6 * 3/5 = .5:
               20
               May: 7/8, 5/8, then two of the four not open at 27: S(30) = 5/16: 30 · Jun, Jul: 8/9, 6/9, 5/9 (25), 3/9: 30
Conversion     of `offer`: Feb d1 1/1 · Mar d2 lost, d3, d4: 2/3 · Apr d6 1/1 · May d7 lost 0/1 · Jun d7 1/1
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.kpis import get_kpi
from predictkpi.kpis.deals import deal_table
from predictkpi.snapshot import Snapshot

NAN = float("nan")
FULL, LIMITED, NONE = "full", "limited", "insufficient_data"
FEB_TO_JUL = ["2023-02-01", "2023-03-01", "2023-04-01", "2023-05-01", "2023-06-01", "2023-07-01"]


def member(series: pd.DataFrame, name: str = "total") -> pd.DataFrame:
    return series[series["member"] == name].reset_index(drop=True)


def check(series: pd.DataFrame, periods: list[str], values: list[float], n: list[int], status: list[str]) -> None:
    assert series["ds"].tolist() == [pd.Timestamp(period) for period in periods]
    np.testing.assert_allclose(series["value"], values, rtol=1e-12, atol=1e-12)
    assert series["n"].tolist() == n
    assert series["status"].tolist() == status


def test_revenue__months_with_refund_gap_and_running_month(tiny):
    check(get_kpi("revenue").series(tiny), FEB_TO_JUL, [150, 30, 0, 100, 0, 60], [2, 1, 0, 2, 1, 1], [FULL] * 6)


def test_revenue__fiscal_quarters(tiny):
    check(get_kpi("revenue").series(tiny, freq="Q"), ["2023-02-01", "2023-05-01"], [180, 160], [3, 4], [FULL] * 2)


def test_revenue__by_segment_with_unknown_customer(tiny):
    series = get_kpi("revenue").series(tiny, by="segment")
    assert series["member"].unique().tolist() == ["big", "small", "unknown"]
    check(member(series, "big"), FEB_TO_JUL, [100, 30, 0, -20, 0, 60], [1, 1, 0, 1, 1, 1], [FULL] * 6)
    check(member(series, "unknown"), FEB_TO_JUL, [0, 0, 0, 120, 0, 0], [0, 0, 0, 1, 0, 0], [FULL] * 6)


def test_revenue__by_product_is_the_orders_own(tiny):
    series = get_kpi("revenue").series(tiny, by="product")
    check(member(series, "q"), FEB_TO_JUL, [50, 30, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [FULL] * 6)


def test_revenue__empty_attribute_is_unknown(tiny):
    series = get_kpi("revenue").series(tiny, by="industry")
    check(member(series, "unknown"), FEB_TO_JUL, [0, 0, 0, 120, 0, 60], [0, 0, 0, 1, 1, 1], [FULL] * 6)


@pytest.mark.parametrize("freq", ["M", "Q", "Y"])
def test_growth_mom__compares_months_whatever_is_asked(tiny, freq):
    series = get_kpi("revenue_growth_mom").series(tiny, freq=freq)
    check(series, FEB_TO_JUL, [NAN, -0.8, -1, NAN, -1, NAN], [0, 1, 0, 0, 1, 1], [NONE, LIMITED, LIMITED, NONE, LIMITED, NONE])


@pytest.mark.parametrize("freq", ["M", "Q"])
def test_growth_qoq__compares_fiscal_quarters_whatever_is_asked(tiny, freq):
    series = get_kpi("revenue_growth_qoq").series(tiny, freq=freq)
    check(series, ["2023-02-01", "2023-05-01"], [NAN, -1 / 9], [0, 3], [NONE, LIMITED])


def test_new_customers__are_counted_once(tiny):
    check(get_kpi("new_customers").series(tiny), FEB_TO_JUL, [2, 0, 0, 1, 1, 0], [2, 0, 0, 1, 1, 0], [LIMITED] + [FULL] * 5)
    check(get_kpi("new_customers").series(tiny, freq="Q"), ["2023-02-01", "2023-05-01"], [2, 2], [2, 2], [LIMITED, FULL])
    north = member(get_kpi("new_customers").series(tiny, by="region"), "north")
    check(north, FEB_TO_JUL, [2, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0], [LIMITED] + [FULL] * 5)


def test_acquisition_spend__is_nothing_inside_its_span_and_unknown_outside(tiny, facts_of, tiny_tables):
    check(get_kpi("acquisition_spend").series(tiny), FEB_TO_JUL, [60, 10, 0, 0, 0, 25], [3, 1, 0, 0, 0, 1], [FULL] * 6)
    check(get_kpi("acquisition_spend").series(tiny, freq="Q"), ["2023-02-01", "2023-05-01"], [70, 25], [4, 1], [FULL] * 2)
    fair = member(get_kpi("acquisition_spend").series(tiny, by="channel"), "fair")
    check(fair, FEB_TO_JUL, [20, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [FULL] * 6)
    later = Snapshot(facts_of(fiscal_year_starts=2, **tiny_tables), pd.Timestamp("2023-11-02"))
    check(get_kpi("acquisition_spend").series(later).tail(2), ["2023-09-01", "2023-10-01"], [NAN, NAN], [0, 0], [NONE] * 2)
    quarters = get_kpi("acquisition_spend").series(later, freq="Q")
    check(quarters, ["2023-02-01", "2023-05-01", "2023-08-01"], [70, 25, NAN], [4, 1, 0], [FULL, FULL, NONE])


def test_cac__blended(tiny):
    check(
        get_kpi("cac").series(tiny),
        FEB_TO_JUL,
        [30, NAN, NAN, 0, 0, NAN],
        [2, 0, 0, 1, 1, 0],
        [LIMITED, NONE, NONE, LIMITED, LIMITED, NONE],
    )


def test_cac__by_channel(tiny):
    series = get_kpi("cac").series(tiny, by="channel")
    check(member(series, "fair"), FEB_TO_JUL, [20] + [NAN] * 5, [1, 0, 0, 0, 0, 0], [LIMITED] + [NONE] * 5)
    check(member(series, "search"), FEB_TO_JUL, [40, NAN, NAN, NAN, 0, NAN], [1, 0, 0, 0, 1, 0], [LIMITED, NONE, NONE, NONE, LIMITED, NONE])
    check(member(series, "unknown"), FEB_TO_JUL, [NAN] * 6, [0, 0, 0, 1, 0, 0], [NONE] * 6)


def test_clv__cohorts_up_to_as_of(tiny):
    series = get_kpi("clv_realised").series(tiny)
    check(series, FEB_TO_JUL, [330, NAN, NAN, 120, 60, NAN], [2, 0, 0, 1, 1, 0], [LIMITED, NONE, NONE, LIMITED, LIMITED, NONE])


def test_clv__knows_nothing_after_as_of(tiny):
    series = get_kpi("clv_realised").series(tiny.at(pd.Timestamp("2023-05-01")))
    check(series, FEB_TO_JUL[:3], [(130 + 50) / 2, NAN, NAN], [2, 0, 0], [LIMITED, NONE, NONE])


def test_sales_cycle_mean__deals_won_in_the_period(tiny):
    series = get_kpi("sales_cycle_mean").series(tiny)
    check(series, FEB_TO_JUL, [10, 20, 40, NAN, 60, NAN], [1, 1, 1, 0, 1, 0], [LIMITED] * 3 + [NONE, LIMITED, NONE])


def test_sales_cycle_median__counts_open_deals_as_they_stood(tiny):
    series = get_kpi("sales_cycle_median").series(tiny)
    check(series, FEB_TO_JUL, [10, 20, 20, 20, 20, 20], [1, 3, 4, 3, 4, 4], [LIMITED] * 6)


def test_win_rate__by_final_state(tiny):
    series = get_kpi("win_rate").series(tiny)
    check(series, FEB_TO_JUL, [1, 0.5, 1, NAN, 1, NAN], [1, 2, 1, 0, 1, 0], [LIMITED] * 3 + [NONE, LIMITED, NONE])


def test_win_rate__by_owner_at_the_closing(tiny):
    series = get_kpi("win_rate").series(tiny, by="owner")
    assert series["member"].unique().tolist() == ["ann", "bob", "unknown"]
    check(member(series, "ann"), FEB_TO_JUL, [1, 0] + [NAN] * 4, [1, 1, 0, 0, 0, 0], [LIMITED] * 2 + [NONE] * 4)


def test_revenue__of_new_and_of_existing_customers(tiny):
    new, existing = (get_kpi(f"revenue_{which}_customers").series(tiny) for which in ("new", "existing"))
    check(new, FEB_TO_JUL, [150, 0, 0, 120, 0, 0], [2, 0, 0, 1, 1, 0], [LIMITED] + [FULL] * 5)
    check(existing, FEB_TO_JUL, [0, 30, 0, -20, 0, 60], [0, 1, 0, 1, 0, 1], [LIMITED] + [FULL] * 5)


def test_cac_payback__paid_by_the_first_orders(tiny):
    series = get_kpi("cac_payback").series(tiny)
    check(series, FEB_TO_JUL, [0, NAN, NAN, 0, 0, NAN], [2, 0, 0, 1, 1, 0], [LIMITED, NONE, NONE, LIMITED, LIMITED, NONE])


def test_ltv_to_cac__of_paid_customers(tiny):
    check(get_kpi("ltv_to_cac").series(tiny), FEB_TO_JUL, [11] + [NAN] * 5, [2, 0, 0, 1, 1, 0], [LIMITED] + [NONE] * 5)


def test_repeat_purchase_rate__two_days_of_a_rolling_year(tiny):
    series = get_kpi("repeat_purchase_rate").series(tiny)
    check(series, FEB_TO_JUL, [0, 1 / 2, 1 / 2, 1 / 3, 1 / 4, 1 / 2], [2, 2, 2, 3, 4, 4], [LIMITED] * 6)


def test_churn_rate__none_before_a_whole_year(tiny):
    check(get_kpi("churn_rate").series(tiny), FEB_TO_JUL[1:], [NAN] * 5, [2, 2, 2, 3, 4], [NONE] * 5)


def test_time_in_stage__counts_stays_under_way(tiny):
    series = get_kpi("time_in_stage").series(tiny)
    check(series, FEB_TO_JUL, [10, 20, 20, 30, 30, 30], [1, 4, 5, 6, 7, 7], [LIMITED] * 6)
    assert (
        get_kpi("time_in_stage")
        .series(tiny, by="stage")
        .drop(columns=["dimension", "member"])
        .equals(series.drop(columns=["dimension", "member"]))
    )


def test_stage_conversion__departures_of_the_period(tiny):
    series = get_kpi("stage_conversion").series(tiny, by="stage")
    assert series["member"].unique().tolist() == ["offer"]
    check(series, FEB_TO_JUL, [1, 2 / 3, 1, 0, 1, NAN], [1, 3, 1, 1, 1, 0], [LIMITED] * 5 + [NONE])


def test_win_rate__by_amount_and_deal_size(tiny):
    by_amount = get_kpi("win_rate_amount").series(tiny)
    check(by_amount, FEB_TO_JUL, [1, 0.75, 1, NAN, 1, NAN], [1, 2, 1, 0, 1, 0], [LIMITED] * 3 + [NONE, LIMITED, NONE])
    size = get_kpi("average_deal_size").series(tiny)
    check(size, FEB_TO_JUL, [100, 30, 6, NAN, 9, NAN], [1, 1, 1, 0, 1, 0], [LIMITED] * 3 + [NONE, LIMITED, NONE])


def test_sales_velocity__as_it_stood_at_each_end(tiny):
    series = get_kpi("sales_velocity").series(tiny)
    check(series, FEB_TO_JUL, [20, 2.5, 2.05, 2.72, 2.9, 2.9], [1, 3, 4, 3, 4, 4], [LIMITED] * 6)


def test_open_pipeline__as_it_stood_at_each_end(tiny):
    check(get_kpi("open_pipeline").series(tiny), FEB_TO_JUL, [40, 5, 0, 75, 75, 75], [2, 1, 1, 2, 2, 2], [FULL] * 6)


def test_pipeline_coverage__of_what_the_running_quarter_lacks(tiny):
    series = get_kpi("pipeline_coverage").series(tiny)
    check(series, FEB_TO_JUL, [1, 0.5, 0, 0.75, 0.75, 1.5], [2, 1, 1, 2, 2, 2], [LIMITED] * 6)
    north = member(get_kpi("pipeline_coverage").series(tiny, by="region"), "north")
    assert north.loc[0, ["value", "n"]].tolist() == [4, 2]
    assert north["value"].iloc[2:].isna().all()


def test_slip_rate__of_deals_due_at_the_start(tiny):
    series = get_kpi("slip_rate").series(tiny)
    check(series, FEB_TO_JUL[1:], [0, 0, 1, 1, NAN], [2, 1, 1, 1, 0], [LIMITED] * 4 + [NONE])


def test_deal_table__states_in_force(tiny):
    deals = deal_table(tiny).set_index("deal_id")
    assert deals["outcome"].fillna("open").to_dict() == {
        "d1": "won", "d2": "lost", "d3": "won", "d4": "open", "d5": "open", "d6": "won", "d7": "won",
    }  # fmt: skip
    assert deals.loc["d3", "start"] == pd.Timestamp("2023-02-21")
    assert deals.loc["d6", "closed_at"] == pd.Timestamp("2023-04-10")
    assert deals.loc["d7", "closed_at"] == pd.Timestamp("2023-06-30")
    assert pd.isna(deals.loc["d4", "closed_at"])
    assert deals.loc[["d4", "d6"], "amount"].tolist() == [75, 6]
    assert deals.loc["d1", "segment"] == "big"


def test_growth_yoy__same_period_a_year_before(facts_of):
    """12 orders of 10 in March 2022, 24 in March 2023, so +100 % by month; by fiscal quarter (April on) the same; by fiscal year too."""
    days = [f"2022-03-{day:02d}" for day in range(1, 13)] + [f"2023-03-{day:02d}" for day in range(1, 13)] * 2
    facts = facts_of(fiscal_year_starts=4, orders=[{"ds": day, "customer_id": "A", "amount": 10.0} for day in [*days, "2022-01-05"]])
    snapshot = Snapshot(facts, pd.Timestamp("2023-04-01"))
    by_month = get_kpi("revenue_growth_yoy").series(snapshot).set_index("ds")
    assert by_month.loc["2023-03-01", ["value", "n", "status"]].tolist() == [1.0, 12, "full"]
    assert by_month.loc["2022-12-01", "status"] == NONE
    by_quarter = get_kpi("revenue_growth_yoy").series(snapshot, freq="Q").set_index("ds")
    assert by_quarter.loc["2023-01-01", "value"] == pytest.approx(240 / 130 - 1)


def test_growth_yoy__no_year_that_began_before_the_data(facts_of):
    """Orders from June 2021 on, 10 a month: 2021 holds 7 months and 2022 all 12: that is no growth of 71 %. 2023 on 2022 is 0."""
    months = pd.date_range("2021-06-15", "2023-12-15", freq="MS").strftime("%Y-%m-15")
    snapshot = Snapshot(facts_of(orders=[{"ds": day, "customer_id": "A", "amount": 10.0} for day in months]), pd.Timestamp("2024-01-01"))
    growth = get_kpi("revenue_growth_yoy").series(snapshot, freq="Y")
    check(growth, ["2021-01-01", "2022-01-01", "2023-01-01"], [NAN, NAN, 0], [0, 6, 12], [NONE, NONE, FULL])
    revenue = get_kpi("revenue").series(snapshot, freq="Y")
    assert revenue["status"].tolist() == [LIMITED, FULL, FULL]


def test_cac__outside_the_span_of_spend_there_is_none(facts_of):
    """A customer a month from January to June, spend of 5 in March and in April only: January, May and June do not come for free.

    The calendar year holds 10 / 2 customers of those two months, and says that it is not the full year.
    """
    orders = [{"ds": f"2022-{month:02d}-10", "customer_id": str(month), "amount": 1.0} for month in range(1, 7)]
    spend = [{"ds": f"2022-{month:02d}-20", "channel": "fair", "cost": 5.0} for month in (3, 4)]
    snapshot = Snapshot(facts_of(orders=orders, spend=spend), pd.Timestamp("2023-01-05"))
    by_month = get_kpi("cac").series(snapshot)
    assert by_month["ds"].iloc[0] == pd.Timestamp("2022-03-01")
    np.testing.assert_array_equal(by_month["value"], [5, 5] + [NAN] * 8)
    check(get_kpi("cac").series(snapshot, freq="Y"), ["2022-01-01"], [5], [2], [LIMITED])


def test_sales_cycle_median__late_entry(facts_of):
    """All start on 1 January. Y is won at 10, Z stays open; X1, X2 come into view on day 30 and are won at 40 and 50.

    At risk at 10: Y, Z, so cif 1/2; then 2/3 and 5/6, half of it is reached at 10. Had X1, X2 been at risk from the start it would be 40.
    """
    seen = {"X1": "2023-01-31", "X2": "2023-01-31", "Y": "2023-01-01", "Z": "2023-01-01"}
    won = {"X1": "2023-02-10", "X2": "2023-02-20", "Y": "2023-01-11"}
    facts = facts_of(
        deals=[{"deal_id": deal, "created_at": "2023-01-01"} for deal in seen],
        deal_events=[{"deal_id": deal, "ds": day, "stage": "offer"} for deal, day in seen.items()]
        + [{"deal_id": deal, "ds": day, "stage": "won"} for deal, day in won.items()],
    )
    series = get_kpi("sales_cycle_median").series(Snapshot(facts, pd.Timestamp("2023-03-01")))
    check(series, ["2023-01-01", "2023-02-01"], [10, 10], [1, 3], [LIMITED] * 2)


def test_sales_cycle_median__emptied_risk_set_gives_no_value(facts_of):
    """The only deal seen from its start closes at once; the others, seen from day 30 on, would weigh nothing: no value rather than 1."""
    seen = {"X1": "2023-01-31", "X2": "2023-01-31", "Y": "2023-01-01"}
    won = {"X1": "2023-02-10", "X2": "2023-02-20", "Y": "2023-01-02"}
    facts = facts_of(
        deals=[{"deal_id": deal, "created_at": "2023-01-01"} for deal in seen],
        deal_events=[{"deal_id": deal, "ds": day, "stage": "offer"} for deal, day in seen.items()]
        + [{"deal_id": deal, "ds": day, "stage": "won"} for deal, day in won.items()],
    )
    series = get_kpi("sales_cycle_median").series(Snapshot(facts, pd.Timestamp("2023-03-01")))
    check(series, ["2023-01-01", "2023-02-01"], [1, NAN], [1, 3], [LIMITED, NONE])


def test_sales_cycle_median__source_without_history(facts_of):
    """Only closings are told: won at 10 and 50, one deal has no event at all. All three are seen from created_at on.

    End of January: 1 of 3 at risk, median 10. End of February: cif 1/3, then 2/3; half is reached at 10. Mean by closing: 10, 50.
    """
    facts = facts_of(
        deals=[{"deal_id": deal, "created_at": "2023-01-01"} for deal in "abc"],
        deal_events=[{"deal_id": "a", "ds": "2023-01-11", "stage": "won"}, {"deal_id": "b", "ds": "2023-02-20", "stage": "won"}],
    )
    snapshot = Snapshot(facts, pd.Timestamp("2023-03-01"))
    check(get_kpi("sales_cycle_median").series(snapshot), ["2023-01-01", "2023-02-01"], [10, 10], [1, 2], [LIMITED] * 2)
    check(get_kpi("sales_cycle_mean").series(snapshot), ["2023-01-01", "2023-02-01"], [10, 50], [1, 1], [LIMITED] * 2)
    assert deal_table(snapshot)["deal_id"].tolist() == ["a", "b", "c"]


def test_sales_cycle_median__forgets_deals_older_than_twelve_months(facts_of):
    """Won after 5 days in January 2022, after 25 days in February 2023: at the end of February 2023 only the second is in the window."""
    facts = facts_of(
        deals=[{"deal_id": "old", "created_at": "2022-01-01"}, {"deal_id": "new", "created_at": "2023-02-01"}],
        deal_events=[{"deal_id": "old", "ds": "2022-01-06", "stage": "won"}, {"deal_id": "new", "ds": "2023-02-26", "stage": "won"}],
    )
    series = get_kpi("sales_cycle_median").series(Snapshot(facts, pd.Timestamp("2023-03-01"))).set_index("ds")
    assert series["value"].dropna().to_dict() == {
        **dict.fromkeys(pd.date_range("2022-01-01", "2022-12-01", freq="MS"), 5.0),
        pd.Timestamp("2023-02-01"): 25.0,
    }
