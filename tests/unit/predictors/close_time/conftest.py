"""A small fitted model, once a run, and a maker of deals by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema

FEW_TREES = {"rounds": 15, "landmark_budget": 4000}


def table_frame(table, rows):
    empty = table_schema(table).empty()
    return pd.DataFrame(list(rows), columns=list(empty.columns)).astype(empty.dtypes.to_dict())


@pytest.fixture(scope="session")
def training_rows(snapshot):
    """Landmarks of the sample company as of its end."""
    return CloseTimePredictor(**FEW_TREES).training_table(snapshot)


@pytest.fixture(scope="session")
def fitted(training_rows):
    """A model with few trees."""
    return CloseTimePredictor(**FEW_TREES).fit(training_rows)


@pytest.fixture(scope="session")
def make_snapshot():
    """``make_snapshot(deals, events, as_of)``: deals as ``(id, created)``, events as ``(id, instant, stage, fields)``."""

    def make(deals, events, as_of="2025-06-01"):
        deal_rows = [{"deal_id": key, "created_at": pd.Timestamp(at), "known_at": pd.Timestamp(at)} for key, at in deals]
        event_rows = [
            {"event_id": f"e{n}", "deal_id": key, "ds": pd.Timestamp(at), "stage": stage, "known_at": pd.Timestamp(at)} | dict(*fields)
            for n, (key, at, stage, *fields) in enumerate(events)
        ]
        tables = {"deals": table_frame("deals", deal_rows), "deal_events": table_frame("deal_events", event_rows)}
        return Snapshot(MemoryFacts(tables), pd.Timestamp(as_of))

    return make


@pytest.fixture(scope="session")
def many_deals(make_snapshot):
    """``many_deals(n)``: n deals, one opened a day, two thirds closed 5 to 34 days later, alternately won and lost."""

    def make(n):
        opened = pd.date_range("2023-01-01", periods=n, freq="D")
        events = [(f"D{i}", day, "Lead") for i, day in enumerate(opened)]
        events += [(f"D{i}", day + pd.Timedelta(days=5 + i % 30), "won" if i % 2 else "lost") for i, day in enumerate(opened) if i % 3]
        return make_snapshot([(f"D{i}", day) for i, day in enumerate(opened)], events, as_of=opened[-1] + pd.Timedelta(days=60))

    return make
