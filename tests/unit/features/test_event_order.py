from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.features.event_order import in_event_order
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
