from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.features.event_order import event_order, in_event_order
from predictkpi.kpis.deals import deal_table
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema

DAY = pd.Timestamp("2024-01-10")


def _frame(table, rows):
    empty = table_schema(table).empty()
    return pd.DataFrame(rows, columns=list(empty.columns)).astype(empty.dtypes.to_dict())


@pytest.fixture
def tied():
    """Twenty deals that change and are won on one day; the source numbers its events, and 10 sorts before 9 as text."""
    deals = [{"deal_id": f"d{n}", "created_at": pd.Timestamp("2024-01-01"), "known_at": pd.Timestamp("2024-01-01")} for n in range(20)]
    events = [
        {"event_id": str(9 + 2 * n + step), "deal_id": f"d{n}", "ds": DAY, "stage": stage, "known_at": DAY}
        for n in range(20)
        for step, stage in enumerate(["Proposal", "won"])
    ]
    return Snapshot(
        MemoryFacts({"deals": _frame("deals", deals), "deal_events": _frame("deal_events", events)}), pd.Timestamp("2024-02-01")
    )


def test_in_event_order__a_closing_comes_last_among_what_was_learnt_together(tied):
    stages = in_event_order(tied.deal_events).groupby("deal_id")["stage"].agg(list)
    assert stages.map(tuple).unique().tolist() == [("Proposal", "won")]


def test_kpis_and_predictor__agree_on_who_is_won(tied):
    assert (deal_table(tied)["outcome"] == "won").all()
    assert CloseTimePredictor().inputs(tied).empty, "nothing is open"


def test_event_order__is_that_of_sorting_rows_one_by_one():
    rng = np.random.default_rng(0)
    deal, ds, known = (rng.integers(0, high, 400) for high in (12, 4, 3))
    is_closing, ids = rng.random(400) < 0.3, np.array([str(number) for number in rng.integers(0, 120, 400)], dtype=object)
    expected = sorted(range(400), key=lambda row: (deal[row], ds[row], known[row], is_closing[row], len(ids[row]), ids[row]))
    assert event_order(deal, ds, known, is_closing, ids).tolist() == expected


@pytest.mark.parametrize("n", [0, 1])
def test_event_order__of_none_and_of_one(n):
    zeros = np.zeros(n, int)
    assert event_order(zeros, zeros, zeros, zeros.astype(bool), np.full(n, "e", object)).tolist() == list(range(n))
