"""What if: the same draws under another win rate, cycle length or spend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from predictkpi.errors import SettingsError, UnknownNameError
from predictkpi.outlook.periods import Periods
from predictkpi.outlook.scenarios import Scenario, WhatIf, under
from predictkpi.pipelines.outlook import what_if
from predictkpi.predictors.revenue.reconcile import constraints
from predictkpi.snapshot import MemoryFacts, Snapshot


def means(outlook, scope="total"):
    return outlook.revenue(scope).mean(axis=0)


def test_plain__changes_nothing(outlook, now):
    assert under(outlook, Scenario(), now) is outlook


def test_win_rate__raises_open_deals_and_later_ones(outlook, now):
    found = under(outlook, Scenario(win_rate=0.1), now)
    place = outlook.place("total")
    more = found.from_deals[place].mean(axis=0) - outlook.from_deals[place].mean(axis=0)
    assert more[0] > 0
    assert (found.new[place].mean(axis=0) - outlook.new[place].mean(axis=0))[1:].min() > 0
    assert (found.booked == outlook.booked).all()


def test_win_rate__that_doubles_doubles_what_open_deals_are_expected_to_bring(outlook, now):
    rate = np.mean([row == "won" for row in closed_in_a_year(now)])
    found = under(outlook, Scenario(win_rate=float(rate)), now)
    place = outlook.place("total")
    assert found.from_deals[place].sum(axis=1).mean() == pytest.approx(2 * outlook.from_deals[place].sum(axis=1).mean(), rel=0.1)


def closed_in_a_year(now):
    from predictkpi.kpis.deals import deal_table

    deals = deal_table(now)
    return deals.loc[deals["closed_at"] >= now.as_of - np.timedelta64(366, "D"), "outcome"]


def test_cycle__brings_wins_forward_and_takes_them_from_later(outlook, now):
    place = outlook.place("total")
    usual, sooner = (found.from_deals[place].mean(axis=0) for found in (outlook, under(outlook, Scenario(cycle_days=14), now)))
    assert sooner[0] > usual[0] * 1.2
    assert sooner[1:6].sum() < usual[1:6].sum()


def test_cycle__longer_takes_from_the_running_month(outlook, now):
    assert means(under(outlook, Scenario(cycle_days=-14), now))[0] < means(outlook)[0]


def test_spend__brings_customers_whose_revenue_grows_month_by_month(outlook, now):
    more, less = (means(under(outlook, Scenario(spend={"search": factor}), now)) - means(outlook) for factor in (1.5, 0.5))
    assert more[-1] > more[1] >= 0
    assert more == pytest.approx(-less)


def test_spend__brings_nobody_before_its_lag(outlook, now, monkeypatch):
    monkeypatch.setattr("predictkpi.outlook.scenarios.lag_of", lambda snapshot: 61)
    more = means(under(outlook, Scenario(spend={"search": 1.5}), now)) - means(outlook)
    assert np.abs(more[:2]).max() < 1e-6
    assert more[2] > 0


def test_spend__counts_in_its_channel_and_adds_up_over_the_others(outlook, now):
    found = under(outlook, Scenario(spend={"search": 2.0}), now)
    gain = {scope: (means(found, scope) - means(outlook, scope))[-1] for scope in outlook.scopes}
    assert gain["channel=search"] == pytest.approx(gain["total"], rel=0.03)
    regions = [scope for scope in outlook.scopes if scope.startswith("region=") and "&" not in scope]
    assert sum(gain[scope] for scope in regions) == pytest.approx(gain["total"])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"win_rate": 5.0}, "in shares"),
        ({"cycle_days": 400.0}, "must lie between"),
        ({"spend": {"search": -1.0}}, "the factor"),
        ({"win_rate": float("nan")}, "in shares"),
        ({"cycle_days": float("nan")}, "must lie between"),
        ({"spend": {"search": float("nan")}}, "the factor"),
    ],
)
def test_scenario__out_of_reach_is_refused_with_the_way_out(asked, says):
    with pytest.raises(SettingsError, match=says):
        Scenario(**asked)


def test_scenario__beyond_what_a_rate_can_be_is_refused(outlook, now):
    with pytest.raises(SettingsError, match="gives no rate"):
        under(outlook, Scenario(win_rate=0.9), now)


def test_spend__of_an_unknown_channel_names_those_there_are(outlook, now):
    with pytest.raises(UnknownNameError, match="search"):
        under(outlook, Scenario(spend={"sarch": 2.0}), now)


SCENARIOS = {
    "less won": {"win_rate": -0.1},
    "much later": {"cycle_days": -120.0},
    "much sooner": {"cycle_days": 120.0},
    "no spend": {"spend": {"search": 0.0}},
    "all": {"win_rate": 0.05, "cycle_days": 10.0, "spend": {"search": 3.0}},
}


@pytest.mark.parametrize("asked", SCENARIOS.values(), ids=SCENARIOS)
def test_paths__add_up_and_stay_above_nothing(outlook, now, asked):
    found = under(outlook, Scenario(**asked), now)
    rows = constraints(found.scopes)
    assert len(rows) > 5, "single and crossed dimensions"
    assert np.abs(np.tensordot(rows, found.new, axes=1)).max() < 1e-6 * np.abs(found.new).max()
    never_below = outlook.new.min(axis=1) >= 0
    assert never_below.any()
    assert found.new.min(axis=1)[never_below].min() >= 0


def test_spend__in_the_running_month_counts_for_its_days_to_come(outlook, now, monkeypatch):
    monkeypatch.setattr("predictkpi.outlook.scenarios.lag_of", lambda snapshot: 0)
    late = replace(outlook, as_of=pd.Timestamp("2025-11-30 23:00"))
    first, last = (means(under(at, Scenario(spend={"search": 2.0}), now)) - means(at) for at in (outlook, late))
    assert last[0] == pytest.approx(first[0] / (14 * 24), rel=1e-3)
    assert last[1] > 10 * last[0]


def test_cycle__of_later_deals_is_measured_in_days_from_as_of(outlook, now):
    late = replace(outlook, as_of=pd.Timestamp("2025-11-30"))
    usual, place = means(outlook), outlook.place("total")
    by_day = [(under(at, Scenario(cycle_days=10), now).new - at.new)[place].mean(axis=0) for at in (outlook, late)]
    assert 0 < by_day[1][0] < by_day[0][0] < usual[0], "in one day to come little can come sooner"


def test_spend__of_a_channel_without_cost_is_refused(outlook, now, company):
    tables = {**company.tables, "spend": company.tables["spend"].assign(cost=0.0)}
    free = Snapshot(MemoryFacts(tables, company.company), now.as_of)
    with pytest.raises(SettingsError, match="is 0"):
        under(outlook, Scenario(spend={"search": 2.0}), free)


def test_spend__of_an_unknown_channel_is_refused_though_nothing_changes(outlook, now):
    with pytest.raises(UnknownNameError, match="search"):
        under(outlook, Scenario(spend={"sarch": 1.0}), now)


def test_scenario__that_names_a_channel_is_not_plain_so_that_a_wrong_name_is_told():
    assert Scenario().is_plain
    assert not Scenario(spend={"sarch": 1.0}).is_plain


def test_levers__are_what_can_be_asked(outlook, now):
    what_if = WhatIf(outlook, now)
    levers = what_if.levers
    assert levers.win_rate == pytest.approx(np.mean([row == "won" for row in closed_in_a_year(now)]))
    assert {"search"} <= set(levers.channels)
    for channel in levers.channels:
        what_if.under(Scenario(spend={channel: 1.1}))
    for channel, reason in levers.unknown.items():
        with pytest.raises(SettingsError) as refused:
            what_if.under(Scenario(spend={channel: 1.1}))
        assert str(refused.value) == reason
    assert WhatIf(replace(outlook, book=None), now).levers.win_rate is None


def test_what_is_kept__changes_no_answer(outlook, now):
    asked = Scenario(win_rate=0.05, cycle_days=10.0, spend={"search": 3.0})
    what_if = WhatIf(outlook, now)
    what_if.prepare()
    what_if.under(Scenario(win_rate=-0.1, spend={"search": 0.5}))
    again, once = what_if.under(asked), under(outlook, asked, now)
    assert (again.from_deals == once.from_deals).all()
    assert (again.new == once.new).all()


def test_periods__are_summed_once_and_anew_under_a_scenario(outlook, now):
    plain = Periods(outlook, now)
    once = plain.one("total", "this_year")
    assert plain.one("total", "this_year") is once
    assert plain.levels("total", "M") is plain.levels("total", "M")
    changed = what_if(plain, Scenario(win_rate=0.05))
    assert changed.one("total", "this_year").mean > once.mean
    assert changed.one("total", "this_year").target == once.target
    assert changed.levels("total", "M")["mean"].sum() > plain.levels("total", "M")["mean"].sum()
