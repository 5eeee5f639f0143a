"""Targets worked out by hand. Company: revenue of 100 a month in 2022, but 300 in March 2022; its year begins in January unless said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.errors import UnknownNameError
from predictkpi.kpis import get_kpi
from predictkpi.kpis.attainment import ATTAINMENT_COLUMNS, Bands, attainments
from predictkpi.kpis.targets import Actuals, make_plan, target_of
from predictkpi.snapshot import Snapshot

DAY = pd.Timestamp


def last_year() -> list[dict]:
    """One order on the 10th of every month of 2022."""
    amounts = {month: 300.0 if month == 3 else 100.0 for month in range(1, 13)}
    return [{"ds": f"2022-{month:02}-10", "customer_id": "A", "amount": amount} for month, amount in amounts.items()]


def target(ds: str, value: float, freq: str, *, kpi: str = "revenue", scope: str = "total", **extra) -> dict:
    return {"kpi": kpi, "scope": scope, "freq": freq, "ds": ds, "value": value, **extra}


@pytest.fixture
def company_of(facts_of):
    """``company_of([targets], as_of=...)``: the company with those targets."""

    def build(targets: list[dict], *, as_of: str = "2023-12-31", orders: list[dict] | None = None, fiscal_year_starts: int = 1):
        orders = last_year() if orders is None else orders
        customers = [{"customer_id": "A", "region": "north"}]
        facts = facts_of(fiscal_year_starts=fiscal_year_starts, orders=orders, customers=customers, targets=targets)
        return Snapshot(facts, DAY(as_of))

    return build


def value_of(snapshot, freq, ds, *, kpi="revenue", scope="total"):
    found = target_of(snapshot, kpi, freq=freq, ds=DAY(ds), scope=scope)
    return None if found is None else (pytest.approx(found.value), found.basis)


def test_year__is_spread_over_months_by_last_years_season(company_of):
    """2022 brought 1,400, March 300 of it: 2,800 make 600 in March and 200 elsewhere; the first quarter is 1,000, the whole 2,800."""
    snapshot = company_of([target("2023-01-01", 2800.0, "Y")])
    assert value_of(snapshot, "M", "2023-03-01") == (600.0, "spread by season")
    assert value_of(snapshot, "M", "2023-07-01") == (200.0, "spread by season")
    assert value_of(snapshot, "Q", "2023-01-01") == (1000.0, "spread by season")
    assert value_of(snapshot, "Y", "2023-01-01") == (2800.0, "exact")
    assert value_of(snapshot, "D", "2023-07-15") == (200 / 31, "spread evenly")


def test_year__is_spread_evenly_without_a_whole_year_of_history(company_of):
    snapshot = company_of([target("2022-01-01", 2400.0, "Y")])
    assert value_of(snapshot, "M", "2022-03-01") == (200.0, "spread evenly")


def test_exact_rows__win_and_the_rest_is_shared_by_the_others(company_of):
    """March has 900 of its own; 2,800 - 900 = 1,900 over eleven months that were alike."""
    snapshot = company_of([target("2023-01-01", 2800.0, "Y"), target("2023-03-01", 900.0, "M")])
    assert value_of(snapshot, "M", "2023-03-15") == (900.0, "exact")
    assert value_of(snapshot, "M", "2023-01-01") == (1900 / 11, "spread by season")
    months = [target_of(snapshot, "revenue", freq="M", ds=DAY(f"2023-{month:02}-01")).value for month in range(1, 13)]
    assert sum(months) == pytest.approx(2800)


def test_quarter__comes_before_the_year(company_of):
    """First quarter 500: 100, 100, 300 by season; the other nine months share 2,300."""
    snapshot = company_of([target("2023-01-01", 2800.0, "Y"), target("2023-01-01", 500.0, "Q")])
    assert value_of(snapshot, "M", "2023-03-01") == (300.0, "spread by season")
    assert value_of(snapshot, "M", "2023-08-01") == (2300 / 9, "spread by season")


def test_months__that_promise_more_than_the_year_leave_nothing(company_of):
    snapshot = company_of([target("2023-01-01", 800.0, "Y"), target("2023-03-01", 900.0, "M")])
    assert value_of(snapshot, "M", "2023-04-01") == (0.0, "spread by season")


def test_months__add_up_to_the_quarter_only_if_all_are_there(company_of):
    months = [target(f"2023-0{month}-01", 10.0 * month, "M") for month in (1, 2, 3, 4)]
    snapshot = company_of(months)
    assert value_of(snapshot, "Q", "2023-01-01") == (60.0, "added up")
    assert value_of(snapshot, "Q", "2023-04-01") is None
    assert value_of(snapshot, "Y", "2023-01-01") is None


def test_week__over_the_end_of_a_month_takes_days_of_both(company_of):
    """Monday 27 February to Sunday 5 March 2023: two days of 28.0 / 28 and five of 62.0 / 31."""
    snapshot = company_of([target("2023-02-01", 28.0, "M"), target("2023-03-01", 62.0, "M")])
    assert value_of(snapshot, "W", "2023-02-27") == (12.0, "spread evenly")


def test_fiscal_year__is_spread_over_its_own_months(company_of):
    """A year from April: the twelve months before April 2023 are not all there by the end of 2022, so March is unknown: evenly."""
    snapshot = company_of([target("2022-04-01", 1200.0, "Y")], fiscal_year_starts=4)
    assert value_of(snapshot, "M", "2023-02-01") == (100.0, "spread evenly")
    assert value_of(snapshot, "M", "2022-03-01") is None
    assert value_of(snapshot, "Q", "2022-07-01") == (300.0, "spread evenly")


def test_rate__holds_for_shorter_periods_and_averages_over_longer(company_of):
    months = [target(f"2023-0{month}-01", 0.1 * month, "M", kpi="win_rate") for month in (4, 5, 6)]
    snapshot = company_of([target("2023-01-01", 0.3, "Y", kpi="win_rate"), target("2023-01-01", 0.2, "Q", kpi="win_rate"), *months])
    assert value_of(snapshot, "M", "2023-02-01", kpi="win_rate") == (0.2, "holds")
    assert value_of(snapshot, "M", "2023-11-01", kpi="win_rate") == (0.3, "holds")
    assert value_of(snapshot, "Q", "2023-07-01", kpi="win_rate") == (0.3, "holds")
    assert value_of(company_of(months), "Q", "2023-04-01", kpi="win_rate") == (0.5, "averaged")


def test_revenue_of_new_customers__is_promised_for_its_own_period_only(company_of):
    """Who is new in a quarter buys on in it: a quarter is more than its months, and nothing follows from one for the other."""
    rows = [target("2023-01-01", 90.0, "Q", kpi="revenue_new_customers"), target("2023-05-01", 10.0, "M", kpi="revenue_new_customers")]
    snapshot = company_of(rows, as_of="2023-05-20")
    assert value_of(snapshot, "Q", "2023-01-01", kpi="revenue_new_customers") == (90.0, "exact")
    assert value_of(snapshot, "M", "2023-02-01", kpi="revenue_new_customers") is None
    running = attainments(snapshot).set_index(c.FREQ).loc["M"]
    assert np.isnan(running["pace"])
    assert running["light"] == "none"


def test_target__is_dated(company_of):
    """The target was raised on 1 July 2023: before that day the first one stands."""
    rows = [target("2023-12-01", 100.0, "M"), target("2023-12-01", 150.0, "M", known_at="2023-07-01")]
    assert value_of(company_of(rows, as_of="2023-07-01"), "M", "2023-12-01") == (100.0, "exact")
    assert value_of(company_of(rows, as_of="2023-07-02"), "M", "2023-12-01") == (150.0, "exact")


def test_target__of_a_scope_is_that_scopes_alone(company_of):
    snapshot = company_of([target("2023-03-01", 70.0, "M", scope="region=north")])
    assert value_of(snapshot, "M", "2023-03-01", scope="region=north") == (70.0, "exact")
    assert value_of(snapshot, "M", "2023-03-01") is None
    with pytest.raises(UnknownNameError, match="dimension=member"):
        target_of(snapshot, "revenue", freq="M", ds=DAY("2023-03-01"), scope="north")


def test_attainment__closed_periods_by_hand(company_of):
    """2022: January 100 of 80 is green, March 300 of 310 amber, April 100 of 200 red."""
    rows = [target("2022-01-01", 80.0, "M"), target("2022-03-01", 310.0, "M"), target("2022-04-01", 200.0, "M")]
    found = attainments(company_of(rows, as_of="2023-01-01")).set_index(c.DS)
    assert found["light"].tolist() == ["green", "amber", "red"]
    assert found["attainment"].tolist() == pytest.approx([1.25, 300 / 310, 0.5])
    assert found["gap"].tolist() == pytest.approx([20, -10, -100])
    assert not found["is_running"].any()


def test_attainment__turns_round_where_less_is_better(facts_of):
    """Ten customers for 1,000: a CAC of 100. Of a target of 125 that is 125 %; of 80 it is 80 %; of 95 it is 95 %."""
    facts = facts_of(
        orders=[{"ds": f"2023-0{m}-05", "customer_id": f"{m}{k}", "amount": 1.0} for m in (1, 2, 3) for k in range(10)],
        spend=[{"ds": f"2023-0{m}-02", "channel": "ads", "cost": 1000.0} for m in (1, 2, 3)],
        targets=[target(f"2023-0{m}-01", value, "M", kpi="cac") for m, value in ((1, 125.0), (2, 80.0), (3, 95.0))],
    )
    found = attainments(Snapshot(facts, DAY("2023-04-01")))
    assert found["attainment"].tolist() == pytest.approx([1.25, 0.8, 0.95])
    assert found["light"].tolist() == ["green", "red", "amber"]
    assert found["gap"].tolist() == pytest.approx([-25, 20, 5])


def test_pace__holds_the_running_month_against_the_same_day_of_earlier_ones(facts_of):
    """On the 11th, earlier months had half (January: 50 of 100) and a fifth (February: 20 of 100): 35 % on average.

    March stands at 70 after ten days: it is heading for 200. Of a target of 220 that is 91 %, amber.
    """
    orders = [
        {"ds": ds, "customer_id": "A", "amount": amount}
        for ds, amount in (("2023-01-02", 50.0), ("2023-01-20", 50.0), ("2023-02-02", 20.0), ("2023-02-25", 80.0), ("2023-03-03", 70.0))
    ]
    facts = facts_of(orders=orders, targets=[target("2023-03-01", 220.0, "M")])
    row = attainments(Snapshot(facts, DAY("2023-03-11"))).iloc[0]
    assert row["is_running"]
    assert (row["actual"], row["usual"], row["usual_low"], row["usual_high"]) == pytest.approx((70, 0.35, 0.2, 0.5))
    assert row["attainment"] == pytest.approx(70 / 220)
    assert row["pace"] == pytest.approx(200 / 220)
    assert row["light"] == "amber"


def test_pace__without_an_earlier_period_has_no_light(facts_of):
    facts = facts_of(orders=[{"ds": "2023-03-03", "customer_id": "A", "amount": 70.0}], targets=[target("2023-03-01", 220.0, "M")])
    row = attainments(Snapshot(facts, DAY("2023-03-11"))).iloc[0]
    assert (row["actual"], row["light"]) == (70, "none")
    assert np.isnan(row["pace"])


def test_rate__of_the_running_period_is_taken_as_it_stands(facts_of, tiny_tables):
    """June 2023: d7 is won on the 30th, one of one; a win rate of 1 against .5, but on one deal."""
    facts = facts_of(**{**tiny_tables, "targets": [target("2023-06-01", 0.5, "M", kpi="win_rate")]})
    row = attainments(Snapshot(facts, DAY("2023-07-01") - pd.Timedelta(minutes=1))).iloc[0]
    assert (row["actual"], row["pace"], row["light"], row[c.STATUS]) == (1.0, 2.0, "green", "limited")
    assert row[c.REASON] == "rests on 1 deals"


def test_freq__gives_every_period_that_follows_from_the_rows(company_of):
    snapshot = company_of([target("2023-01-01", 2800.0, "Y")], as_of="2023-05-20")
    found = attainments(snapshot, freq="Q")
    assert found[c.DS].tolist() == [DAY("2023-01-01"), DAY("2023-04-01")]
    assert found["is_running"].tolist() == [False, True]
    assert attainments(snapshot, freq="M")["target"].sum() == pytest.approx(1400)
    assert len(attainments(snapshot)) == 1


def test_attainments__keep_rows_that_no_catalogue_knows(company_of):
    rows = [
        target("2022-03-01", 10.0, "M", kpi="nps"),
        target("2022-03-01", 10.0, "M", scope="colour=red"),
        target("2022-03-01", 10.0, "M"),
    ]
    found = attainments(company_of(rows))
    assert list(found.columns) == list(ATTAINMENT_COLUMNS)
    reasons = found.set_index([c.KPI, c.SCOPE])[c.REASON]
    assert "no KPI named 'nps'" in reasons["nps", "total"]
    assert "'colour'" in reasons["revenue", "colour=red"]
    assert reasons["revenue", "total"] == ""
    assert found.loc[found[c.REASON] != "", "actual"].isna().all()


def test_attainments__without_targets_are_an_empty_frame(company_of):
    found = attainments(company_of([]))
    assert list(found.columns) == list(ATTAINMENT_COLUMNS)
    assert not len(found)


def test_light__where_a_ratio_says_nothing_the_gap_tells():
    growth, cost = get_kpi("revenue_growth_mom"), get_kpi("cac")
    assert Bands().light(growth, np.nan, 0.02) == "green"
    assert Bands().light(growth, np.nan, -0.02) == "red"
    assert Bands().light(cost, np.nan, -5.0) == "green"
    assert Bands().light(cost, np.nan, 5.0) == "red"
    assert Bands().light(cost, np.nan, np.nan) == "none"


def test_sample_company__quarters_add_up_to_its_months(snapshot):
    actuals = Actuals(snapshot)
    plan = make_plan(actuals, "revenue", "region=EMEA")
    for quarter in pd.date_range("2022-01-01", "2025-10-01", freq="QS"):
        months = [plan.target("M", quarter + pd.DateOffset(months=k)).value for k in range(3)]
        assert plan.target("Q", quarter).value == pytest.approx(sum(months))


def test_actuals__of_a_scope_are_computed_once(company_of):
    """A view by days asks for each of thousands of days."""
    actuals = Actuals(company_of([]))
    assert actuals.of(get_kpi("revenue"), "region=north", "D") is actuals.of(get_kpi("revenue"), "region=north", "D")
