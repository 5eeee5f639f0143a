"""Small companies for the KPI tests: facts written as tuples, dates as strings."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core.types import Company
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema


def _frame(table: str, rows: list[dict]) -> pd.DataFrame:
    """Typed rows of a table; a row without known_at was known when it happened, or from the beginning."""
    schema = table_schema(table)
    empty = schema.empty()
    rows = [{"known_at": row.get(schema.happened_at) or "2000-01-01", **row} for row in rows]
    frame = pd.DataFrame(rows).reindex(columns=empty.columns)
    for name, dtype in empty.dtypes.items():
        frame[name] = (
            pd.to_datetime(frame[name], format="ISO8601").astype(dtype) if str(dtype).startswith("datetime") else frame[name].astype(dtype)
        )
    return frame


@pytest.fixture(scope="session")
def facts_of():
    """``facts_of(fiscal_year_starts=1, orders=[{...}], ...)`` builds MemoryFacts; an order or event without an id is numbered."""

    def build(*, fiscal_year_starts: int = 1, **tables: list[dict]) -> MemoryFacts:
        for table, key in (("orders", "order_id"), ("deal_events", "event_id")):
            if table in tables:
                tables[table] = [{key: f"{number:05d}", **row} for number, row in enumerate(tables[table])]
        company = Company(fiscal_year_starts=fiscal_year_starts)
        return MemoryFacts({name: _frame(name, rows) for name, rows in tables.items() if rows}, company)

    return build


@pytest.fixture(scope="session")
def tiny_tables() -> dict[str, list[dict]]:
    """Three known customers and an unknown one, seven deals. Worked out in test_kpis_by_hand.py."""
    return {
        "customers": [
            {"customer_id": "A", "segment": "big", "region": "north", "industry": "it", "channel": "search"},
            {"customer_id": "B", "segment": "small", "region": "north", "industry": "it", "channel": "fair"},
            {"customer_id": "D", "segment": "big", "region": "south", "industry": "", "channel": "search"},
        ],
        "orders": [
            {"ds": "2023-02-03", "customer_id": "A", "amount": 100.0, "product": "p"},
            {"ds": "2023-02-20", "customer_id": "B", "amount": 50.0, "product": "q"},
            {"ds": "2023-03-05", "customer_id": "A", "amount": 30.0, "product": "q"},
            {"ds": "2023-05-02", "customer_id": "A", "amount": -20.0, "product": "p"},
            {"ds": "2023-05-15", "customer_id": "C", "amount": 120.0},
            {"ds": "2023-06-30 23:59:59", "customer_id": "D", "amount": 0.0, "product": "p"},
            {"ds": "2023-07-01", "customer_id": "D", "amount": 60.0, "product": "p"},
            {"ds": "2023-08-09", "customer_id": "B", "amount": 500.0, "product": "q"},
        ],
        "spend": [
            {"ds": "2023-02-01", "channel": "search", "cost": 30.0},
            {"ds": "2023-02-02", "channel": "search", "cost": 10.0},
            {"ds": "2023-02-02", "channel": "fair", "cost": 20.0},
            {"ds": "2023-03-31", "channel": "search", "cost": 10.0},
            {"ds": "2023-07-20", "channel": "search", "cost": 25.0},
        ],
        "deals": [
            {
                "deal_id": "d1",
                "customer_id": "A",
                "created_at": "2023-02-01",
                "region": "north",
                "team": "t",
                "source": "web",
                "product": "p",
            },
            {
                "deal_id": "d2",
                "customer_id": "B",
                "created_at": "2023-02-01",
                "region": "north",
                "team": "t",
                "source": "web",
                "product": "p",
            },
            {"deal_id": "d3", "customer_id": "A", "region": "north", "team": "t", "source": "fair", "product": "q"},
            {
                "deal_id": "d4",
                "customer_id": "C",
                "created_at": "2023-03-01",
                "region": "south",
                "team": "u",
                "source": "web",
                "product": "p",
            },
            {
                "deal_id": "d5",
                "customer_id": "D",
                "created_at": "2023-04-01",
                "region": "south",
                "team": "u",
                "source": "web",
                "product": "p",
            },
            {"deal_id": "d6", "created_at": "2023-03-01", "region": "south", "team": "u", "source": "web", "product": "p"},
            {
                "deal_id": "d7",
                "customer_id": "D",
                "created_at": "2023-05-01",
                "region": "south",
                "team": "u",
                "source": "web",
                "product": "p",
            },
        ],
        "deal_events": [
            {"deal_id": "d1", "ds": "2023-02-01", "stage": "offer", "amount": 80.0, "owner": "ann"},
            {"deal_id": "d1", "ds": "2023-02-11", "stage": "won", "amount": 100.0, "owner": "ann"},
            {"deal_id": "d2", "ds": "2023-02-01", "stage": "offer", "amount": 10.0, "owner": "ann", "expected_close_on": "2023-03-01"},
            {"deal_id": "d2", "ds": "2023-03-03", "stage": "lost", "amount": 10.0, "owner": "ann"},
            {"deal_id": "d3", "ds": "2023-02-21", "stage": "offer", "amount": 30.0, "owner": "bob", "expected_close_on": "2023-03-31"},
            {"deal_id": "d3", "ds": "2023-03-13", "stage": "won", "amount": 30.0, "owner": "bob"},
            {"deal_id": "d4", "ds": "2023-03-01", "stage": "offer", "amount": 70.0, "owner": "bob", "expected_close_on": "2023-04-15"},
            {"deal_id": "d4", "ds": "2023-03-21", "stage": "won", "amount": 70.0, "owner": "bob"},
            {"deal_id": "d4", "ds": "2023-05-05", "stage": "offer", "amount": 75.0, "owner": "ann", "expected_close_on": "2023-06-15"},
            {"deal_id": "d5", "ds": "2023-04-01", "stage": "offer", "owner": "bob", "expected_close_on": "2023-05-31"},
            {"deal_id": "d6", "ds": "2023-03-01", "stage": "offer", "amount": 5.0, "owner": "bob", "expected_close_on": "2023-04-30"},
            {"deal_id": "d6", "ds": "2023-04-10", "stage": "won", "amount": 5.0, "owner": "bob"},
            {"deal_id": "d6", "ds": "2023-05-20", "stage": "won", "amount": 6.0, "owner": "bob"},
            {"deal_id": "d7", "ds": "2023-05-01", "stage": "offer", "amount": 9.0, "owner": "", "expected_close_on": "2023-06-30"},
            {"deal_id": "d7", "ds": "2023-05-31", "stage": "lost", "amount": 9.0, "owner": ""},
            {"deal_id": "d7", "ds": "2023-06-05", "stage": "offer", "amount": 9.0, "owner": ""},
            {"deal_id": "d7", "ds": "2023-06-30", "stage": "won", "amount": 9.0, "owner": ""},
        ],
        "targets": [
            {"kpi": "revenue", "scope": "total", "freq": "Q", "ds": "2023-02-01", "value": 190.0},
            {"kpi": "revenue", "scope": "region=north", "freq": "Q", "ds": "2023-02-01", "value": 160.0},
            {"kpi": "revenue", "scope": "total", "freq": "M", "ds": "2023-05-01", "value": 60.0},
            {"kpi": "revenue", "scope": "total", "freq": "M", "ds": "2023-06-01", "value": 60.0},
            {"kpi": "revenue", "scope": "total", "freq": "M", "ds": "2023-07-01", "value": 80.0},
            {"kpi": "revenue", "scope": "total", "freq": "Q", "ds": "2023-08-01", "value": 50.0},
        ],
    }


@pytest.fixture(scope="session")
def tiny(facts_of, tiny_tables) -> Snapshot:
    """The tiny company on 10 August 2023; its fiscal year starts in February."""
    return Snapshot(facts_of(fiscal_year_starts=2, **tiny_tables), pd.Timestamp("2023-08-10"))
