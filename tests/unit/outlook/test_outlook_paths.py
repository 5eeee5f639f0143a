"""Revenue in three parts that add up in every path, and what follows from the paths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.errors import InsufficientDataError, UnknownEntityError, UnknownNameError
from predictkpi.outlook import Trust, make_outlook
from predictkpi.outlook.items import Items
from predictkpi.outlook.periods import Periods
from predictkpi.outlook.rest import forecast_rest, split_for
from predictkpi.predictors.revenue.scopes import scope_of
from predictkpi.snapshot import MemoryFacts, Snapshot


def members(outlook, dimension):
    return [outlook.place(scope) for scope in outlook.scopes if list(scope_of(scope)) == [dimension]]


def test_parts__of_crossed_scopes_add_up_to_both_they_belong_to(outlook):
    for part in (outlook.booked, outlook.from_deals, outlook.new, outlook.weighted):
        for dimension in ("region", "segment"):
            for scope in [scope for scope in outlook.scopes if list(scope_of(scope)) == [dimension]]:
                crossed = [
                    i
                    for i, other in enumerate(outlook.scopes)
                    if len(scope_of(other)) == 2 and scope_of(scope).items() <= scope_of(other).items()
                ]
                assert np.abs(part[crossed].sum(axis=0) - part[outlook.place(scope)]).max() < 1e-4


@pytest.mark.parametrize("dimension", ["segment", "region", "channel", "product", "team"])
@pytest.mark.parametrize("part", ["booked", "from_deals", "new", "weighted"])
def test_parts__of_the_members_add_up_to_the_total_in_every_path(outlook, part, dimension):
    values = getattr(outlook, part)
    total = values[outlook.place("total")]
    places = members(outlook, dimension)
    assert len(places) > 1
    assert np.abs(values[places].sum(axis=0) - total).max() <= 1e-6 * max(np.abs(total).max(), 1.0)


def test_parts__business_not_yet_created_is_never_negative_where_it_never_was(outlook, now):
    past = split_for(Items.of(now), now.as_of, outlook.scopes, horizons=outlook.new.shape[2]).from_rest
    never = past.min(axis=1) >= 0
    assert never.mean() > 0.8
    listened = outlook.new[:, :, :3]
    assert listened.min(axis=1)[never[:, :3]].min() > -1.0


def test_parts__open_deals_bring_what_the_portfolio_says_times_the_replayed_yield(outlook, now):
    book = outlook.book
    drawn = book.deals.draw(float(book.days[0]), draws=outlook.new.shape[1]).amount.sum(axis=0)
    assert outlook.from_deals[outlook.place("total"), :, 0] == pytest.approx(0.9 * drawn, rel=0.01)


def test_parts__of_the_running_month_hold_what_is_booked(outlook, now):
    booked = now.orders.loc[now.orders["ds"] >= "2025-11-01", "amount"].sum()
    assert outlook.booked[outlook.place("total"), 0] == pytest.approx(booked)
    assert (outlook.revenue("total")[:, 0] >= booked - 1e-6).all()


def test_paths__are_the_time_series_where_deals_are_not_listened_to(now, revenue, close_time, outlook):
    alone = make_outlook(now, revenue=revenue, close_time=close_time, trust=Trust.none("not replayed"))
    for scope, answer in alone.answers.items():
        assert alone.revenue(scope) == pytest.approx(answer.paths)
        assert outlook.revenue(scope)[:, 3:] == pytest.approx(answer.paths[:, 3:])


def test_mean__is_the_blend_that_the_trust_asks_for(outlook, now):
    place, months = outlook.place("total"), slice(0, 3)
    split = split_for(Items.of(now), now.as_of, outlook.scopes, horizons=12)
    rest = forecast_rest(split, horizons=3)[place]
    with_deals = (outlook.booked + outlook.from_deals.mean(axis=1))[place, months] + rest
    series = outlook.answers["total"].paths.mean(axis=0)[months]
    assert outlook.revenue("total").mean(axis=0)[months] == pytest.approx((with_deals + series) / 2, rel=0.03)


def test_revenue__is_never_below_what_the_series_keep_to(outlook):
    for scope, answer in outlook.answers.items():
        if len(answer.history) and (answer.history >= 0).all():
            assert outlook.revenue(scope).min() > -1e-3
        if answer.paths[:, 0].min() >= answer.to_date:
            assert outlook.revenue(scope)[:, 0].min() >= answer.to_date - 1e-3


def test_deals__of_a_scope_without_revenue_are_not_lost(now, revenue, close_time, trust, company):
    """A new region that has open deals only."""
    facts = {name: now.history(name) for name in ("orders", "deals", "deal_events", "targets", "spend")}
    customers = now.history("customers")
    with_orders = set(now.orders["customer_id"])
    book = close_time.features(now).frame()
    fresh = now.deals[now.deals["deal_id"].isin(book["entity_id"]) & ~now.deals["customer_id"].isin(with_orders)]["customer_id"].unique()[
        :3
    ]
    assert len(fresh) == 3
    facts["customers"] = customers.assign(region=customers["region"].where(~customers["customer_id"].isin(fresh), "LATAM"))
    found = make_outlook(Snapshot(MemoryFacts(facts, company.company), now.as_of), revenue=revenue, close_time=close_time, trust=trust)
    assert found.from_deals[found.place("region=LATAM")].mean() > 0
    places = members(found, "region")
    assert np.abs(found.from_deals[places].sum(axis=0) - found.from_deals[found.place("total")]).max() < 1e-6


def test_no_deals__leaves_two_parts(now, revenue):
    found = make_outlook(now, revenue=revenue, close_time=None, trust=Trust.none("no deals"))
    assert not found.from_deals.any()
    assert found.booked + found.new.mean(axis=1) == pytest.approx(
        np.stack([answer.paths.mean(axis=0) for answer in found.answers.values()])
    )


def test_no_revenue__is_an_answer_of_its_own(snapshot, revenue, close_time, trust):
    with pytest.raises(InsufficientDataError, match="no complete month"):
        make_outlook(snapshot.at(snapshot.orders["ds"].min()), revenue=revenue, close_time=close_time, trust=trust)


def test_scope__that_is_not_there_names_those_that_are(outlook):
    with pytest.raises(UnknownEntityError, match="region=EMEA"):
        outlook.revenue("region=Mars")


def test_quarter__holds_its_closed_month_as_it_was(outlook, now):
    period = Periods(outlook, now).one("total", "this_quarter")
    october = now.orders.loc[now.orders["ds"].between("2025-10-01", "2025-11-01", inclusive="left"), "amount"].sum()
    paths = october + outlook.revenue("total")[:, :2].sum(axis=1)
    assert period.mean == pytest.approx(paths.mean())
    assert period.commit == pytest.approx(np.quantile(paths, 0.1))
    assert period.booked + period.from_deals.mean + period.new.mean == pytest.approx(period.mean)
    assert period.commit < period.most_likely < period.best_case


def test_target__is_hit_in_as_many_paths_as_the_chance_says(outlook, now):
    period = Periods(outlook, now).one("total", "this_quarter")
    paths = outlook.sums("total", period.start, period.end)
    assert period.target is not None
    assert period.chance == pytest.approx(np.mean(paths >= period.target.value))
    assert period.needed == pytest.approx(period.target.value - period.booked)
    assert period.coverage > 0
    assert period.pace > 0


def test_growth__of_next_quarter_is_path_by_path_on_this_one(outlook, now):
    found = Periods(outlook, now).one("total", "next_quarter").growth
    quarters = [
        outlook.sums("total", pd.Timestamp(start), pd.Timestamp(end)) for start, end in (("2025-10", "2026-01"), ("2026-01", "2026-04"))
    ]
    assert found["previous"]["q50"] == pytest.approx(np.median(quarters[1] / quarters[0] - 1))
    last_year = now.orders.loc[now.orders["ds"].between("2025-01-01", "2025-04-01", inclusive="left"), "amount"].sum()
    assert found["year_before"]["q90"] == pytest.approx(np.quantile(quarters[1] / last_year - 1, 0.9))


def test_growth__per_year_starts_at_the_first_whole_year(outlook, now):
    period = Periods(outlook, now).one("total", "this_year")
    first = now.orders.loc[now.orders["ds"] < "2023-01-01", "amount"].sum()
    paths = outlook.sums("total", period.start, period.end)
    assert period.growth["cagr"]["q50"] == pytest.approx(np.median((paths / first) ** (1 / 3) - 1))


def test_period__that_is_not_named_names_those_that_are(outlook, now):
    with pytest.raises(UnknownNameError, match="this_quarter"):
        Periods(outlook, now).one("total", "this_decade")


def test_crossed_scope__has_periods_without_a_target(outlook, now):
    scope = next(scope for scope in outlook.scopes if "&" in scope)
    assert {period.target for period in Periods(outlook, now).of(scope)} == {None}
