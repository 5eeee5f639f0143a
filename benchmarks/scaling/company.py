"""A sample company of any number of customers, as Parquet files with a mapping: made part by part, so that it never has to fit in memory.

Each part is a sample company of at most `PART` customers with a seed of its own, its ids marked with the number of the part. Per customer
there are 5 deals and 11.25 orders, as in the demo. What does not grow with customers is the demo's: four years, 12 owners, three regions
and segments; spend and targets are those of the demo's company too, money in proportion. What only the maker of a sample company knows is
left out: to compute it takes two thirds of the time. `DISTINCT` parts are drawn; those after them are the same again under other ids.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.synthetic import make_company
from predictkpi.synthetic import world as w
from predictkpi.synthetic.accounts import simulate_accounts, simulate_spend
from predictkpi.synthetic.calendar import Calendar
from predictkpi.synthetic.deals import simulate_deals
from predictkpi.synthetic.orders import simulate_orders
from predictkpi.synthetic.publish import activities_table, customers_table, deals_tables, orders_table, published
from predictkpi.synthetic.world import Size
from predictkpi.tables import TABLES

PART, DISTINCT, SAMPLE = 25_000, 4, 800
DEALS, ORDERS = 5, 11.25
YEARS, START = 4, pd.Timestamp("2022-01-01")
END = START + pd.DateOffset(years=YEARS)
MAPPING = "mapping.yaml"
IDS = (c.CUSTOMER_ID, c.DEAL_ID, c.ORDER_ID, c.EVENT_ID, c.ACTIVITY_ID)
GROWING = ("customers", "orders", "deals", "deal_events", "activities")


def write_company(folder: Path, customers: int) -> dict[str, int]:
    """Write a file for each table, and the mapping that reads them; rows by table."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = dict.fromkeys(GROWING, 0)
    writers: dict[str, pq.ParquetWriter] = {}
    for number, size in enumerate(parts(customers)):
        for name, drawn in part_tables(number % DISTINCT, size).items():
            frame = marked(drawn, f"P{number:03d}-")
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if name not in writers:
                writers[name] = pq.ParquetWriter(folder / f"{name}.parquet", table.schema)
            writers[name].write_table(table)
            rows[name] += len(frame)
    for writer in writers.values():
        writer.close()
    for name, frame in shared_tables(customers).items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
        rows[name] = len(frame)
    (folder / MAPPING).write_text(yaml.safe_dump(mapping(list(rows)), sort_keys=False), encoding="utf-8")
    return rows


def parts(customers: int) -> list[int]:
    """Customers of each part: as equal as can be, none larger than `PART`."""
    count = -(-customers // PART)
    return [customers // count + (number < customers % count) for number in range(count)]


@lru_cache(maxsize=DISTINCT)
def part_tables(number: int, customers: int) -> dict[str, pd.DataFrame]:
    """What `make_company` makes of that many customers and the seed of this part, without truth, spend and targets."""
    size = Size(7 + number, customers, YEARS, DEALS * customers, round(ORDERS * customers), START)
    streams = [np.random.default_rng(stream) for stream in np.random.SeedSequence(size.seed).spawn(9)]
    calendar = Calendar(size.start, price_day=size.days * 5 // 8)
    accounts = simulate_accounts(simulate_spend(size, calendar, streams[0]), size, calendar, streams[1])
    deals = simulate_deals(accounts, size.days, calendar, streams[2])
    orders = simulate_orders(accounts, deals, size.days, calendar, streams[3])
    statics, events = deals_tables(accounts, deals, calendar, streams[4])
    made = {
        "customers": customers_table(accounts, calendar, streams[5]),
        "orders": orders_table(accounts, deals, orders, events, calendar, streams[6]),
        "deals": statics,
        "deal_events": events,
        "activities": activities_table(accounts, deals, events, calendar, size.days, streams[8]),
    }
    return {name: published(name, frame, before=size.end) for name, frame in made.items()}


def marked(frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """The same rows, every id with that prefix."""
    return frame.assign(**{name: prefix + frame[name] for name in IDS if name in frame})


def shared_tables(customers: int) -> dict[str, pd.DataFrame]:
    """Spend and targets of the demo's company, money times as many customers as this one has more."""
    demo, times = (
        make_company(customers=SAMPLE, deals=DEALS * SAMPLE, orders=round(ORDERS * SAMPLE), years=YEARS).tables,
        customers / SAMPLE,
    )
    is_money = demo["targets"][c.KPI] == "revenue"
    return {
        "spend": demo["spend"].assign(**{c.COST: demo["spend"][c.COST] * times}),
        "targets": demo["targets"].assign(**{c.VALUE: demo["targets"][c.VALUE] * np.where(is_money, times, 1.0)}),
    }


def mapping(tables: list[str]) -> dict[str, object]:
    """Every column has the table's own name, and ``known_at`` tells the versions of a row apart."""
    company = Company(name="Sample Company", currency=w.CURRENCY)
    feeds = [
        {
            "table": name,
            "file": f"{name}.parquet",
            "columns": {column: column for column in TABLES[name].column_names},
            "known_at": c.KNOWN_AT,
        }
        for name in tables
    ]
    last_day = END - pd.Timedelta(days=1)
    return {"company": company.model_dump(exclude_none=True), "exported_at": f"{last_day:%Y-%m-%d}", "feeds": feeds}
