"""The loan pipeline (BPI Challenge 2012) as facts: a real pipeline with its full stage history, standing in for B2B deals.

A deal is a case that reached A_PREACCEPTED, created then (half of all cases are declined by a rule before that). Application and offer
events (``A_``, ``O_``) are stages; the first of `WON` or `LOST` closes the deal and ends its history. Work items (``W_``) are
activities, their kind the item and what happened to it, their owner the employee. Instants are local time of `TIME_ZONE`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.snapshot import MemoryFacts
from predictkpi.tables import table_schema

FOLDER = Path("deals", "loan-pipeline")
TIME_ZONE = "Europe/Amsterdam"
END = pd.Timestamp("2012-01-01")
CUTOFFS = (pd.Timestamp("2011-11-15"), pd.Timestamp("2011-12-01"))
STARTS_WITH = "A_PREACCEPTED"
WON = ("A_ACTIVATED", "A_APPROVED", "A_REGISTERED")
LOST = ("A_DECLINED", "A_CANCELLED")


def loan_facts(folder: Path) -> MemoryFacts:
    """Deals, deal events and activities from ``cases.csv.gz`` and ``events.csv.gz`` of that folder; known when they happened."""
    cases = pd.read_csv(folder / "cases.csv.gz", dtype={"case_id": "str"}).set_index("case_id")
    log = _log(folder)
    created = log[log["activity"] == STARTS_WITH].groupby("case_id")["ds"].min()
    log = log[log["case_id"].isin(created.index)]
    log = log[log["ds"] >= log["case_id"].map(created)]
    stages, work = log[log["activity"].str.match("[AO]_")], log[log["activity"].str.startswith("W_")]
    deals = pd.DataFrame({c.DEAL_ID: created.index, c.CREATED_AT: created.to_numpy(), c.KNOWN_AT: created.to_numpy()})
    tables = {"deals": deals, "deal_events": _events(stages, cases["AMOUNT_REQ"].astype(float)), "activities": _activities(work)}
    facts = {name: table_schema(name).validate(_conformed(name, frame)) for name, frame in tables.items()}
    return MemoryFacts(facts, Company(name="Loans", currency="EUR", time_zone=TIME_ZONE))


def _log(folder: Path) -> pd.DataFrame:
    """The event log with local instants ``ds`` and ``owner``, by case and time; ties keep the order of the file."""
    log = pd.read_csv(folder / "events.csv.gz", dtype={"case_id": "str"})
    instants = pd.to_datetime(log["timestamp"], utc=True, format="ISO8601").dt.tz_convert(TIME_ZONE).dt.tz_localize(None)
    owner = log["resource"].astype("Int64").astype("str").where(log["resource"].notna())
    log = log.assign(ds=instants.astype("datetime64[us]"), owner=owner)
    return log.sort_values(["case_id", "ds"], kind="stable", ignore_index=True)


def _events(log: pd.DataFrame, amount: pd.Series) -> pd.DataFrame:
    """Open stages before the first close of each deal, and that close."""
    stage = np.select([log["activity"].isin(WON), log["activity"].isin(LOST)], [c.WON, c.LOST], log["activity"])
    log = log.assign(stage=stage)
    closes = log[log["stage"].isin(c.CLOSED_STAGES)].drop_duplicates("case_id")
    closed_at = log["case_id"].map(closes.set_index("case_id")["ds"])
    is_open = ~log["stage"].isin(c.CLOSED_STAGES) & (closed_at.isna() | (log["ds"] < closed_at))
    kept = pd.concat([log[is_open], closes]).sort_values(["case_id", "ds"], kind="stable")
    return pd.DataFrame(
        {
            c.EVENT_ID: [f"e{number}" for number in range(len(kept))],
            c.DEAL_ID: kept["case_id"],
            c.DS: kept["ds"],
            c.STAGE: kept["stage"],
            c.AMOUNT: kept["case_id"].map(amount),
            c.OWNER: kept.groupby("case_id")["owner"].ffill(),
            c.KNOWN_AT: kept["ds"],
        }
    )


def _activities(log: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            c.ACTIVITY_ID: [f"a{number}" for number in range(len(log))],
            c.DEAL_ID: log["case_id"],
            c.DS: log["ds"],
            c.KIND: log["activity"] + " " + log["lifecycle"],
            c.OWNER: log["owner"],
            c.KNOWN_AT: log["ds"],
        }
    )


def _conformed(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """All columns of the table in its order and types; absent ones empty."""
    empty = table_schema(name).empty()
    return frame.reindex(columns=empty.columns).astype(empty.dtypes.to_dict()).reset_index(drop=True)
