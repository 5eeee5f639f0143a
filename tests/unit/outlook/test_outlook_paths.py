"""Revenue in three parts that add up in every path, and what follows from the paths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.errors import InsufficientDataError, UnknownEntityError, UnknownNameError
from predictkpi.outlook import Trust, make_outlook
from predictkpi.outlook.items import Items
from predictkpi.outlook.periods import Periods
from predictkpi.outlook.rest import split_for
from predictkpi.predictors.revenue.scopes import scope_of


def members(outlook, dimension):
    return [outlook.place(scope) for scope in outlook.scopes if list(scope_of(scope)) == [dimension]]


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
    assert outlook.new.min(axis=1)[never].min() > -1e-3


def test_parts__open_deals_bring_what_the_portfolio_says_times_the_replayed_yield(outlook, now):
    book = outlook.book
    drawn = book.deals.draw(float(book.days[0]), draws=outlook.new.shape[1]).amount.sum(axis=0)
    assert outlook.from_deals[outlook.place("total"), :, 0] == pytest.approx(0.9 * drawn)


def test_parts__of_the_running_month_hold_what_is_booked(outlook, now):
    booked = now.orders.loc[now.orders["ds"] >= "2025-11-01", "amount"].sum()
    assert outlook.booked[outlook.place("total"), 0] == pytest.approx(booked)
    assert (outlook.revenue("total")[:, 0] >= booked - 1e-6).all()


def test_mean__is_the_blend_that_the_trust_asks_for(now, revenue, close_time, outlook):
    alone = make_outlook(now, revenue=revenue, close_time=close_time, trust=Trust.none("not replayed"))
    paths = alone.answers["total"].paths
    assert alone.revenue("total").mean(axis=0) == pytest.approx(paths.mean(axis=0), rel=0.01)
    assert outlook.revenue("total").mean(axis=0)[3:] == pytest.approx(alone.revenue("total").mean(axis=0)[3:], rel=1e-3)
    assert not np.allclose(outlook.revenue("total").mean(axis=0)[:3], alone.revenue("total").mean(axis=0)[:3])


def test_spread__stays_that_of_the_time_series_where_deals_are_not_listened_to(now, revenue, close_time):
    alone = make_outlook(now, revenue=revenue, close_time=close_time, trust=Trust.none("not replayed"))
    own, drawn = (paths.std(axis=0)[1:4] for paths in (alone.answers["total"].paths, alone.revenue("total")))
    assert drawn == pytest.approx(own, rel=0.35)


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
