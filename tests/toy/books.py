"""Small books made by hand."""

from __future__ import annotations

import pandas as pd

from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema

AS_OF = pd.Timestamp("2024-07-01")


def rows(name: str, *given: dict) -> pd.DataFrame:
    """Rows of a table; columns not given are empty, ``known_at`` is when it happened."""
    schema = table_schema(name)
    empty = schema.empty()
    frame = pd.DataFrame([{column: row.get(column) for column in empty} for row in given], columns=list(empty.columns))
    if schema.happened_at:
        frame["known_at"] = frame["known_at"].where(frame["known_at"].notna(), frame[schema.happened_at])
    return frame.astype(empty.dtypes.to_dict())


def books(**tables: list[dict]) -> Snapshot:
    """``books(deals=[...], deal_events=[...])``: a snapshot of those rows; events are numbered."""
    events = [{"event_id": f"E{number:05d}", **event} for number, event in enumerate(tables.pop("deal_events", []))]
    frames = {name: rows(name, *given) for name, given in {**tables, "deal_events": events}.items() if given}
    return Snapshot(MemoryFacts(frames), AS_OF)


def event(deal: str, day: str, stage: str, **more: object) -> dict:
    """An event of a deal on that day of 2024 (month-day)."""
    return {"deal_id": deal, "ds": pd.Timestamp(f"2024-{day}"), "stage": stage, **more}


def deal(name: str, day: str, **more: object) -> dict:
    """A deal created on that day of 2024."""
    return {"deal_id": name, "created_at": pd.Timestamp(f"2024-{day}"), "name": f"deal {name}", **more}
