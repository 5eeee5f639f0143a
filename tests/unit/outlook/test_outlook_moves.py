"""What moved: from the forecast of then to that of now, to the deal."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.errors import FutureAccessError
from predictkpi.outlook import make_outlook
from predictkpi.outlook.moves import MODEL, STEPS, moves
from predictkpi.snapshot import MemoryFacts, Snapshot
from toy.books import rows

QUARTER = {"start": pd.Timestamp("2025-10-01"), "end": pd.Timestamp("2026-01-01")}


@pytest.fixture(scope="module")
def moved(earlier, outlook, then, now):
    return moves(earlier, outlook, before=then, after=now, scope="total", **QUARTER)


def test_steps__lead_from_start_to_end(moved, earlier, outlook):
    assert moved.start == pytest.approx(earlier.sums("total", **QUARTER).mean())
    assert moved.end == pytest.approx(outlook.sums("total", **QUARTER).mean())
    assert set(moved.steps) == {*STEPS, MODEL}
    assert moved.start + sum(moved.steps.values()) == pytest.approx(moved.end)


def test_deals__add_up_to_their_steps(moved):
    by_step = moved.deals.groupby("step")["change"].sum()
    for step in STEPS:
        assert moved.steps[step] == pytest.approx(by_step.get(step, 0.0))


def test_deals__stand_in_the_step_of_what_happened(moved, then, now):
    events = now.deal_events[now.deal_events["ds"] >= then.as_of].sort_values("ds").drop_duplicates("deal_id", keep="last")
    closed = events[events["stage"].isin(["won", "lost"])].set_index("deal_id")["stage"]
    rows = moved.deals[moved.deals["deal_id"].isin(closed.index)].set_index("deal_id")["step"]
    assert len(rows) > 5
    assert (rows == closed.reindex(rows.index)).all()
    fresh = set(now.deals["deal_id"]) - set(then.deals["deal_id"])
    assert set(moved.deals.loc[moved.deals["step"] == "new", "deal_id"]) <= fresh


def test_won__counts_what_the_deal_brought(moved, now):
    won = moved.deals[moved.deals["step"] == "won"].iloc[0]
    assert won["after"] == pytest.approx(now.orders.loc[now.orders["deal_id"] == won["deal_id"], "amount"].sum())


def test_new__counts_what_is_expected_of_the_deal_with_the_replayed_yield(moved, outlook):
    new = moved.deals[moved.deals["step"] == "new"].iloc[0]
    place = outlook.book.deals.inputs["entity_id"].tolist().index(new["deal_id"])
    expected = outlook.book.by_deal()[place] * outlook.trust.yields(12)
    assert new["after"] == pytest.approx(expected[:2].sum()), "November and December"
    assert outlook.trust.yields(12)[0] == 0.9


def test_scope__has_its_own_deals(earlier, outlook, then, now):
    found = moves(earlier, outlook, before=then, after=now, scope="team=Growth", **QUARTER)
    teams = now.deals.set_index("deal_id")["team"]
    assert set(teams.reindex(found.deals["deal_id"])) == {"Growth"}


def test_order__of_the_two_days_is_checked(earlier, outlook, then, now):
    with pytest.raises(FutureAccessError, match="earlier day"):
        moves(outlook, earlier, before=now, after=then, scope="total", **QUARTER)


@pytest.fixture
def story(company, then, now, earlier, outlook, revenue, close_time, trust):
    """What moved of one deal that is open on both days, had it and its orders gone otherwise: rows by step."""
    both = set(earlier.book.deals.inputs["entity_id"]) & set(outlook.book.deals.inputs["entity_id"])
    deal = then.deals[then.deals["deal_id"].isin(both)].iloc[0]
    history = {name: company.snapshot().history(name) for name in ("orders", "deal_events")}

    def told(*, event: dict, order: dict | None = None, deal_id: str | None = None) -> pd.DataFrame:
        subject = deal_id or deal["deal_id"]
        events = history["deal_events"]
        if deal_id is None:
            events = events[(events["deal_id"] != subject) | (events["known_at"] < then.as_of)]
        more = {"deal_events": (events, {"event_id": "Z", "deal_id": subject, "amount": 9000.0} | event)}
        if order:
            of_deal = {"order_id": "Z", "deal_id": subject, "customer_id": deal["customer_id"], "amount": 9000.0, "currency": "EUR"}
            more["orders"] = (history["orders"], of_deal | {"product": "Core"} | order)
        added = {name: pd.concat([frame, rows(name, row)]) for name, (frame, row) in more.items()}
        facts = MemoryFacts({**company.tables, **added}, company.company)
        books = [Snapshot(facts, at) for at in (then.as_of, now.as_of)]
        outlooks = [make_outlook(book, revenue=revenue, close_time=close_time, trust=trust) for book in books]
        found = moves(*outlooks, before=books[0], after=books[1], scope="total", **QUARTER).deals
        return found[found["deal_id"] == subject].set_index("step")

    return told


def at(instant: str, known: str | None = None) -> dict[str, pd.Timestamp]:
    return {"ds": pd.Timestamp(instant), "known_at": pd.Timestamp(known or instant)}


def test_won__before_the_day_but_learnt_after_it_is_won_with_its_orders(story):
    late = at("2025-11-02 16:00", "2025-11-03 02:00")
    found = story(event={"stage": "won"} | late, order=late)
    assert list(found.index) == ["won"]
    assert found.at["won", "after"] == pytest.approx(9000.0)


def test_won__but_not_booked_yet_keeps_what_is_still_to_come(story):
    found = story(event={"stage": "won"} | at("2025-11-14"))
    assert found.at["won", "after"] == pytest.approx(9000.0, rel=0.2)


def test_won__after_its_order_was_booked_takes_nothing_off(story):
    found = story(event={"stage": "won"} | at("2025-11-14"), order=at("2025-10-28"))
    assert not len(found) or found.at["won", "change"] >= 0


def test_reopened__deal_is_not_new(story, then):
    from predictkpi.kpis.deals import deal_table

    won = deal_table(then).query("outcome == 'won' and amount > 0").iloc[-1]
    found = story(event={"stage": "Negotiation"} | at("2025-11-10"), deal_id=won["deal_id"])
    assert list(found.index) == ["chances"]
