"""What moved: from the forecast of then to that of now, to the deal."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.errors import FutureAccessError
from predictkpi.outlook.moves import MODEL, STEPS, moves

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


def test_scope__has_its_own_deals(earlier, outlook, then, now):
    found = moves(earlier, outlook, before=then, after=now, scope="team=Growth", **QUARTER)
    teams = now.deals.set_index("deal_id")["team"]
    assert set(teams.reindex(found.deals["deal_id"])) == {"Growth"}


def test_order__of_the_two_days_is_checked(earlier, outlook, then, now):
    with pytest.raises(FutureAccessError, match="earlier day"):
        moves(outlook, earlier, before=now, after=then, scope="total", **QUARTER)
