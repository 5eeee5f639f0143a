"""Real purchase histories as facts, each cut once into what was known and what came true.

An order is known when it was booked; there are no accounts beside the orders. Cohort of a split: everybody with an order before its
cutoff. The recipe of a model must be chosen on inner cutoffs: these holdouts overlap one another and CDNOW's is known to the whole field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.features import rfm
from predictkpi.features.purchase_days import DAY
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema


@dataclass(frozen=True)
class Split:
    """One cutoff: ``full`` knows all; ``counts`` says that every purchase day is worth 1."""

    name: str
    full: Snapshot
    cutoff: pd.Timestamp
    end: pd.Timestamp
    counts: bool = False

    @cached_property
    def snapshot(self) -> Snapshot:
        """What was known at the cutoff."""
        return self.full.at(self.cutoff)

    @property
    def days(self) -> float:
        """Length of the holdout ``[cutoff, end)``."""
        return (self.end - self.cutoff) / DAY

    @property
    def history_days(self) -> float:
        """Days from the midnight of the first order to the cutoff."""
        return (self.cutoff - self.snapshot.orders[c.DS].min().normalize()) / DAY

    @cached_property
    def actual(self) -> pd.DataFrame:
        """Net spend (``total``) and purchase days (``purchases``) in the holdout of the cohort, indexed by customer and sorted."""
        cohort = pd.Index(sorted(self.snapshot.orders[c.CUSTOMER_ID].unique()), name=c.ENTITY_ID)
        return rfm.spend_in(self.full.orders, start=self.cutoff, end=self.end).reindex(cohort).fillna(0.0)

    @property
    def new_share(self) -> float:
        """Share of the holdout's net spend by customers who had not bought before it: no part of what is judged."""
        return 1.0 - float(self.actual[rfm.TOTAL].sum() / rfm.spend_in(self.full.orders, start=self.cutoff, end=self.end)[rfm.TOTAL].sum())


def facts_of_orders(orders: pd.DataFrame, *, name: str, currency: str = "USD") -> MemoryFacts:
    """Facts of orders ``customer_id, ds, amount``, in that order of ids, known when booked."""
    empty = table_schema("orders").empty()
    made = orders.assign(**{c.ORDER_ID: [f"o{number}" for number in range(len(orders))], c.KNOWN_AT: orders[c.DS]})
    made = made.reindex(columns=empty.columns).astype(empty.dtypes.to_dict()).reset_index(drop=True)
    return MemoryFacts({"orders": table_schema("orders").validate(made)}, Company(name=name, currency=currency))


def cdnow_orders(folder: Path) -> pd.DataFrame:
    """All 23,570 customers of the CDNOW cohort; amounts in USD, some of them 0."""
    names = [c.CUSTOMER_ID, c.DS, "cds", c.AMOUNT]
    frame = pd.read_csv(folder / "clv/cdnow/CDNOW_master.txt", sep=r"\s+", header=0, names=names, dtype={c.CUSTOMER_ID: str, c.DS: str})
    return frame.assign(**{c.DS: pd.to_datetime(frame[c.DS], format="%Y%m%d")})


def journey_orders(folder: Path) -> pd.DataFrame:
    """One order a basket of the Complete Journey: its sales value, USD."""
    columns = ["household_id", "basket_id", "sales_value", "transaction_timestamp"]
    lines = pd.read_parquet(folder / "clv/complete_journey/transactions.parquet", columns=columns)
    baskets = lines.groupby(["household_id", "basket_id"], as_index=False).agg(
        **{c.DS: ("transaction_timestamp", "min"), c.AMOUNT: ("sales_value", "sum")}
    )
    baskets[c.AMOUNT] = baskets[c.AMOUNT].round(2)
    return baskets.assign(**{c.CUSTOMER_ID: baskets["household_id"].astype("str").str.zfill(4)})


def grocery_orders(folder: Path) -> pd.DataFrame:
    """Purchase days of an online grocer's buyers of early 2006; there are no amounts, so each is worth 1."""
    frame = pd.read_csv(folder / "clv/grocery_btydplus/groceryElog.csv", dtype={"cust": str})
    days = pd.to_datetime(frame["date"], format="%Y-%m-%d")
    return pd.DataFrame({c.CUSTOMER_ID: frame["cust"].str.zfill(4), c.DS: days, c.AMOUNT: 1.0}).drop_duplicates()


def afisha_orders(folder: Path) -> pd.DataFrame:
    """Ticket orders of a year; ids of 20 digits stay strings."""
    frame = pd.read_csv(folder / "spend/afisha/orders_log_us.csv.gz", dtype={"Uid": str})
    return pd.DataFrame({c.CUSTOMER_ID: frame["Uid"], c.DS: pd.to_datetime(frame["Buy Ts"]), c.AMOUNT: frame["Revenue"].astype(float)})


@dataclass(frozen=True)
class Source:
    """A data set: the folder it needs below the folder of real data, its reader, and ``(name, cutoff, end)`` of its splits."""

    folder: str
    read: Callable[[Path], pd.DataFrame]
    splits: tuple[tuple[str, str, str], ...]
    counts: bool = False


SOURCES = {
    "cdnow": Source(
        "clv/cdnow",
        cdnow_orders,
        (("CDNOW 39 weeks", "1997-10-01", "1998-07-01"), ("CDNOW 13 weeks", "1998-04-01", "1998-07-01")),
    ),
    "journey": Source(
        "clv/complete_journey",
        journey_orders,
        (("Journey 3 months", "2017-10-01", "2018-01-01"), ("Journey 6 months", "2017-07-01", "2018-01-01")),
    ),
    "grocery": Source("clv/grocery_btydplus", grocery_orders, (("grocery 52 weeks", "2007-01-01", "2007-12-31"),), counts=True),
    "afisha": Source("spend/afisha", afisha_orders, (("afisha 3 months", "2018-03-01", "2018-06-01"),)),
}


def load_splits(folder: Path, name: str) -> list[Split]:
    """The splits of one of `SOURCES`. Raises `FileNotFoundError` where its folder is not in ``folder``."""
    source = SOURCES[name]
    if not (folder / source.folder).is_dir():
        raise FileNotFoundError(f"{source.folder} is not in {folder}")
    orders = source.read(folder).sort_values([c.DS, c.CUSTOMER_ID], kind="stable", ignore_index=True)
    # as_of is exclusive: an instant after the last order knows them all
    full = Snapshot(facts_of_orders(orders, name=name), orders[c.DS].max() + DAY)
    return [Split(title, full, pd.Timestamp(cutoff), pd.Timestamp(end), source.counts) for title, cutoff, end in source.splits]
