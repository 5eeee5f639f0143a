"""The sample company: one call, one seed, all tables with every version, and the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from predictkpi.core.types import Company
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.synthetic import world as w
from predictkpi.synthetic.accounts import simulate_accounts, simulate_spend
from predictkpi.synthetic.calendar import Calendar
from predictkpi.synthetic.deals import WON_CODE, DealLog, simulate_deals
from predictkpi.synthetic.orders import simulate_orders
from predictkpi.synthetic.publish import activities_table, customers_table, deals_tables, orders_table, published, spend_table
from predictkpi.synthetic.targets import targets_table
from predictkpi.synthetic.truth import Truth
from predictkpi.synthetic.world import Floats, Size
from predictkpi.tables import TABLES


@dataclass(frozen=True)
class SampleCompany:
    """Tables keyed as `TABLES`, each with ``known_at`` and all versions known before ``end``, the midnight after the last day."""

    company: Company
    tables: dict[str, pd.DataFrame]
    end: pd.Timestamp
    truth: Truth

    @property
    def facts(self) -> MemoryFacts:
        """The tables as facts, without a store."""
        return MemoryFacts(self.tables, self.company)

    def snapshot(self, as_of: pd.Timestamp | None = None) -> Snapshot:
        """The company as known before ``as_of``; by default before its end."""
        return Snapshot(self.facts, self.end if as_of is None else as_of)


def make_company(
    *, seed: int = 7, customers: int = 800, years: int = 4, deals: int = 4000, orders: int = 9000, start: str = "2022-01-01"
) -> SampleCompany:
    """Make a company of about that many customers, deals and orders (those of won deals included) over that many years.

    Same arguments, same tables, byte for byte. Raises `SettingsError` where the counts cannot be met together.
    """
    size = Size(seed, customers, years, deals, orders, pd.Timestamp(start))
    streams = [np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(9)]
    calendar = Calendar(size.start, price_day=size.days * 5 // 8)
    spend = simulate_spend(size, calendar, streams[0])
    accounts = simulate_accounts(spend, size, calendar, streams[1])
    deal_log = simulate_deals(accounts, size.days, calendar, streams[2])
    order_log = simulate_orders(accounts, deal_log, size.days, calendar, streams[3])
    truth = Truth(calendar, accounts, deal_log, order_log, size.days)

    statics, events = deals_tables(accounts, deal_log, calendar, streams[4])
    made = {
        "customers": customers_table(accounts, calendar, streams[5]),
        "orders": orders_table(accounts, deal_log, order_log, events, calendar, streams[6]),
        "deals": statics,
        "deal_events": events,
        "spend": spend_table(spend, _sales_cost(deal_log, size, calendar), calendar, streams[7]),
        "activities": activities_table(accounts, deal_log, events, calendar, size.days, streams[8]),
    }
    tables = {name: published(name, frame, before=size.end) for name, frame in made.items()}
    history = {name: tables[name] for name in ("customers", "orders", "deal_events", "spend")}
    targets = targets_table(size, truth.monthly_revenue(), history)
    tables["targets"] = published("targets", targets, before=size.end)
    tables |= {name: TABLES[name].empty() for name in ("fx_rates", "attributes")}
    company = Company(name="Sample Company", currency=w.CURRENCY)
    return SampleCompany(company, {name: tables[name] for name in TABLES}, size.end, truth)


def _sales_cost(deals: DealLog, size: Size, calendar: Calendar) -> Floats:
    """The sales force costs the same on every working day of a year, and more each year."""
    days = np.arange(size.days)
    shape = (1.0 + w.SPEND_GROWTH) ** (days // 365.25) * np.where(calendar.dates(days).day_of_week < 5, 1.0, 0.0)
    won = deals.event_amount[deals.event_stage == WON_CODE].sum()
    return w.SALES_COST_SHARE * won * shape / shape.sum()
