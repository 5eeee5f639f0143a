"""A company whose own fields matter: deals that are won by their fit, their tier and their customer's industry, and fields that leak."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import TABLES, table_schema

COMPANY = Company(name="Own Fields", currency="EUR")
START = pd.Timestamp("2023-01-02")
DAYS = 900
ALWAYS = pd.Timestamp("1970-01-02")


def versions(table: str, ids: object, name: str, kind: str, values: object, known: object) -> pd.DataFrame:
    """Rows of the table of attributes: one field of many records, as text."""
    return pd.DataFrame(
        {c.TABLE: table, c.ENTITY_ID: ids, c.NAME: name, c.KIND: kind, c.VALUE: values, c.KNOWN_AT: known},
        columns=list(table_schema("attributes").empty().columns),
    ).astype(table_schema("attributes").empty().dtypes.to_dict())


@dataclass(frozen=True)
class OwnFields:
    """``deals`` holds the truth: what wins them, when they close (NaT while open), whether won, and the daily hazards win and lose."""

    deals: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    end: pd.Timestamp = START + pd.Timedelta(days=DAYS)
    company: Company = COMPANY

    @cached_property
    def facts(self) -> MemoryFacts:
        return MemoryFacts(self.tables, self.company)

    def snapshot(self, as_of: pd.Timestamp | None = None) -> Snapshot:
        return Snapshot(self.facts, self.end if as_of is None else as_of)

    def true_incidence(self, deal_ids: pd.Series, days: pd.Series) -> np.ndarray:
        """Chance of an open deal to be won within so many days: its hazards are constant."""
        deals = self.deals.set_index(c.DEAL_ID).loc[deal_ids]
        win, leaves = deals["win"].to_numpy(), (deals["win"] + deals["lose"]).to_numpy()
        return win / leaves * -np.expm1(-leaves * days.to_numpy())

    def without(self, *names: str) -> OwnFields:
        """The same company without these fields."""
        kept = self.tables["attributes"]
        return OwnFields(self.deals, self.tables | {"attributes": kept[~kept[c.NAME].isin(names)]})

    def only(self, *names: str) -> OwnFields:
        """The same company with these fields only."""
        return self.without(*set(self.tables["attributes"][c.NAME]) - set(names))


def make_own_fields(*, deals: int = 1500, seed: int = 5) -> OwnFields:
    """Known as it happened, but ``loss_reason`` and ``closed_by``: filled at the close and stated as if known at creation."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({c.DEAL_ID: [f"D{i:05d}" for i in range(deals)], c.CUSTOMER_ID: [f"C{i % 60:03d}" for i in range(deals)]})
    frame[c.CREATED_AT] = START + pd.to_timedelta(np.sort(rng.uniform(0, DAYS, deals)) // (1 / 24), unit="h")
    frame["fit"], frame["tier"] = rng.normal(size=deals).round(3), rng.choice(["gold", "silver", "tin"], deals)
    frame["industry"] = [("retail", "energy", "health")[int(i) % 60 % 3] for i in range(deals)]
    edge = 1.1 * frame["fit"] + frame["tier"].map({"gold": 0.8, "silver": 0.0, "tin": -0.8}) + 0.6 * (frame["industry"] == "energy")
    frame["win"], frame["lose"] = np.exp(edge - 4.6), np.exp(-4.2)
    leaves = frame["win"] + frame["lose"]
    close = frame[c.CREATED_AT] + pd.to_timedelta((rng.exponential(size=deals) / leaves * 24).round() + 1, unit="h")
    frame["won"] = rng.random(deals) < frame["win"] / leaves
    frame["close"] = close.where(close < START + pd.Timedelta(days=DAYS))
    return OwnFields(frame, {name: TABLES[name].empty() for name in TABLES} | _books(frame) | {"attributes": _fields(frame, rng)})


def _books(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    closed = frame[frame["close"].notna()]
    opened = pd.DataFrame({c.DEAL_ID: frame[c.DEAL_ID], c.DS: frame[c.CREATED_AT], c.STAGE: "Lead"})
    ends = pd.DataFrame({c.DEAL_ID: closed[c.DEAL_ID], c.DS: closed["close"], c.STAGE: np.where(closed["won"], c.WON, c.LOST)})
    events = pd.concat([opened, ends], ignore_index=True)
    events = events.assign(
        **{c.EVENT_ID: events[c.DEAL_ID] + "/" + events[c.STAGE], c.AMOUNT: 1000.0, c.OWNER: "Ann", c.KNOWN_AT: events[c.DS]}
    )
    deals = frame[[c.DEAL_ID, c.CUSTOMER_ID, c.CREATED_AT]].assign(**{c.KNOWN_AT: frame[c.CREATED_AT]})
    customers = pd.DataFrame({c.CUSTOMER_ID: frame[c.CUSTOMER_ID].unique(), c.KNOWN_AT: ALWAYS})
    given = {"deals": deals, "deal_events": events, "customers": customers}
    return {
        name: rows.reindex(columns=TABLES[name].empty().columns).astype(TABLES[name].empty().dtypes.to_dict())
        for name, rows in given.items()
    }


def _fields(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    ids, created, closed = frame[c.DEAL_ID], frame[c.CREATED_AT], frame["close"].notna()
    lost, later = closed & ~frame["won"], created + pd.Timedelta(days=3)
    customers = frame.drop_duplicates(c.CUSTOMER_ID)
    live = (created + pd.to_timedelta(rng.integers(30, 300, len(frame)), unit="D")).dt.strftime("%Y-%m-%dT%H:%M:%S")
    corrected = frame[closed & (np.arange(len(frame)) % 5 == 0)]
    parts = [
        versions("deals", ids, "fit", "number", frame["fit"].map(repr), created),
        versions("deals", corrected[c.DEAL_ID], "fit", "number", "9.0", corrected["close"]),
        versions("deals", ids, "tier", "category", frame["tier"], created),
        versions("deals", ids, "has_budget", "flag", rng.choice(["true", "false"], len(frame)), later),
        versions("deals", ids, "goes_live", "date", live, created),
        versions(
            "deals", ids[closed], "closing_note", "category", np.where(frame["won"], "signed", "gone")[closed], frame["close"][closed]
        ),
        versions("deals", ids[lost], "loss_reason", "category", rng.choice(["price", "timing"], int(lost.sum())), created[lost]),
        versions("deals", ids[closed], "closed_by", "category", "Ann", created[closed]),
        versions("customers", customers[c.CUSTOMER_ID], "industry", "category", customers["industry"], ALWAYS),
    ]
    whole = pd.concat(parts, ignore_index=True)
    return whole[whole[c.KNOWN_AT] < START + pd.Timedelta(days=DAYS)]
