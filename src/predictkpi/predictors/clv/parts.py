"""Customers apart: what the rows of all of them share, and the rows of those whose facts are in one part."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.deal_asof import microseconds
from predictkpi.features.margins import MARGIN, margins_held, share_of
from predictkpi.parts import AT, COUNT, SUM, Own, Parts, added_up, contribution, kinds_of_fields, of, of_each
from predictkpi.predictors.clv.ladder import MONTH_DAYS
from predictkpi.predictors.clv.spec import SPEC
from predictkpi.predictors.clv.table import SharedByCustomers, build_clv_table, build_training_table
from predictkpi.snapshot import Snapshot

FIRST_ORDER, NET, OF_MARGIN, BUYERS = "first_order", "net", "margin", "buyers"


class CustomerParts(Parts[SharedByCustomers]):
    """By customer: accounts, orders, and the margins of these orders. ``past_rows``: see `ClvPredictor`."""

    key = c.CUSTOMER_ID
    own = (
        Own("customers", on=c.CUSTOMER_ID),
        Own("orders", on=c.CUSTOMER_ID),
        Own("attributes", on=c.ENTITY_ID, through=("orders", c.ORDER_ID), of="orders"),
    )
    everywhere = ("fx_rates",)

    def __init__(self, *, past_rows: int) -> None:
        self.past_rows = past_rows

    def contributed(self, part: Snapshot) -> pd.DataFrame:
        """The part's first order, its margins and the net amounts they are of."""
        orders, held = part.orders, margins_held(part, is_number=True)
        found = [contribution(NET, total=held["net"].sum()), contribution(OF_MARGIN, total=held[MARGIN].sum())]
        if len(orders):
            found.append(contribution(FIRST_ORDER, at=_micros(orders[c.DS].min())))
        return added_up(found)

    def shared(self, sums: pd.DataFrame, company: Snapshot) -> SharedByCustomers:
        """See `SharedByCustomers`."""
        by = of_each(sums)
        first = of(by, FIRST_ORDER)[AT]
        share = share_of(float(of(by, NET)[SUM].sum()), float(of(by, OF_MARGIN)[SUM].sum()))
        is_number = kinds_of_fields(by, "orders").get(MARGIN) == "number"
        return SharedByCustomers(pd.Timestamp(int(first.min()), unit="us") if len(first) else None, share if is_number else np.nan)

    def inputs(self, part: Snapshot, shared: SharedByCustomers) -> pd.DataFrame:
        """See `build_clv_table`."""
        return build_clv_table(part, shared=shared)

    def counted(self, part: Snapshot, shared: SharedByCustomers) -> pd.DataFrame:
        """Customers with an order."""
        return contribution(BUYERS, count=part.orders[c.CUSTOMER_ID].nunique())

    def training_rows(self, part: Snapshot, shared: SharedByCustomers, counts: pd.DataFrame) -> pd.DataFrame:
        """See `build_training_table`."""
        horizons = [months * MONTH_DAYS for months in SPEC.horizons]
        buyers = int(of(of_each(counts), BUYERS)[COUNT].sum())
        return build_training_table(part, horizons=horizons, budget=self.past_rows, shared=shared, buyers=buyers)


def _micros(instant: pd.Timestamp) -> int:
    return int(microseconds(instant.to_datetime64()))
