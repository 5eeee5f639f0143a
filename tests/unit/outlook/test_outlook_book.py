"""What deals bring by month: open ones, and those won before whose orders follow."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.outlook.book import Book, Booking, booked
from predictkpi.outlook.items import Items
from predictkpi.predictors.close_time.baseline import AalenJohansenBaseline
from predictkpi.snapshot import MemoryFacts, Snapshot

AS_OF = pd.Timestamp("2025-06-10")


@pytest.fixture(scope="module")
def company_of(company):
    """``company_of(parts)``: the sample company, each won deal's order split over (days after the win, share)."""

    def make(parts: list[tuple[int, float]]) -> Snapshot:
        orders = company.tables["orders"]
        linked = orders["deal_id"].notna() & (orders["deal_id"] != "")
        split = [
            orders[linked].assign(
                order_id=orders.loc[linked, "order_id"] + f"-{days}",
                ds=orders.loc[linked, "ds"] + pd.Timedelta(days=days),
                known_at=orders.loc[linked, "known_at"] + pd.Timedelta(days=days),
                amount=orders.loc[linked, "amount"] * share,
            )
            for days, share in parts
        ]
        tables = company.tables | {"orders": pd.concat([orders[~linked], *split], ignore_index=True)}
        return Snapshot(MemoryFacts(tables, company.company), AS_OF)

    return make


def book_of(snapshot: Snapshot) -> Book:
    baseline = AalenJohansenBaseline()
    baseline.fit(baseline.training_table(snapshot))
    return Book.of(baseline, snapshot, Items.of(snapshot), ["total"], 12)


def still_to_come(snapshot: Snapshot, company) -> np.ndarray:
    """What the deals won before as_of booked after it in the months ahead, from the whole of the books."""
    wins = snapshot.deal_events
    won = set(wins.loc[wins["stage"] == "won", "deal_id"])
    later = snapshot._facts.read("orders", known_before=pd.Timestamp.max)
    later = later[(later["ds"] >= AS_OF) & later["deal_id"].isin(won)]
    months = pd.date_range("2025-06-01", periods=12, freq="MS")
    return np.array([later.loc[later["ds"].dt.to_period("M") == month.to_period("M"), "amount"].sum() for month in months])


def test_curve__of_orders_on_the_day_of_the_win_is_one_and_leaves_no_backlog(company_of):
    book = book_of(company_of([(0, 1.0)]))
    assert book.curve == pytest.approx(np.ones(1), abs=0.02)
    assert np.abs(book.backlog).max() < 1e-6


@pytest.mark.parametrize("parts", [[(20, 1.0)], [(0, 0.4), (35, 0.3), (70, 0.3)]], ids=["late", "instalments"])
def test_backlog__is_about_what_the_won_deals_are_still_to_bring(company_of, company, parts):
    snapshot = company_of(parts)
    book, truth = book_of(snapshot), still_to_come(snapshot, company)
    assert book.backlog[0].sum() == pytest.approx(truth.sum(), rel=0.35)
    assert book.backlog[0, :3].sum() > 0.8 * book.backlog[0].sum()


def test_curve__follows_the_orders(company_of):
    snapshot = company_of([(0, 0.4), (35, 0.3), (70, 0.3)])
    booking = Booking.learn(Items.of(snapshot), snapshot)
    assert booking.within(np.array([-1.0, 0.5, 50.0, 200.0])) == pytest.approx([0.0, 0.4, 0.7, 1.0], abs=0.05)
    months = booking.by_month()
    assert months.sum() == pytest.approx(1.0, abs=0.05)
    assert months[:3] == pytest.approx([0.4, 0.25, 0.3], abs=0.12), "of wins on any day: 35 days later is mostly the next month"


def test_amount__of_an_open_deal_is_less_by_what_it_has_booked(company_of, company):
    snapshot = company_of([(0, 1.0)])
    plain = book_of(snapshot)
    first = plain.deals.inputs["entity_id"].iloc[int(np.argmax(plain.amount))]
    orders = snapshot._facts.read("orders", known_before=AS_OF)
    order = orders.iloc[[-1]].assign(order_id="early", deal_id=first, amount=plain.amount.max(), ds=AS_OF - pd.Timedelta(days=3))
    order["known_at"] = order["ds"]
    tables = company.tables | {"orders": pd.concat([orders, order])}
    paid = book_of(Snapshot(MemoryFacts(tables, company.company), AS_OF))
    assert paid.amount[paid.deals.inputs["entity_id"].tolist().index(first)] == 0


def test_booked__spreads_wins_over_later_months():
    assert booked(np.array([[10.0, 0.0, 20.0]]), np.array([0.5, 0.5])).tolist() == [[5.0, 5.0, 10.0]]
