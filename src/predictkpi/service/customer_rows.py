"""All customers of a view as rows: what is known of each, and what it will be worth. Built once a view."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.predictors.clv.groups import owners
from predictkpi.predictors.clv.ranks import DECILE, RANK, RANKED_BY, ranks
from predictkpi.predictors.clv.spec import EXPECTED_PURCHASES, MEAN, P_ALIVE, QUANTILES
from predictkpi.protocol import worst
from predictkpi.service.deal_rows import LABEL, OPEN, STATE, deal_rows
from predictkpi.service.paging import Rows
from predictkpi.service.view import Champion, View

FIRST, LAST, ORDERS, REVENUE, OPEN_DEALS = "first_order_at", "last_order_at", "orders", "revenue", "open_deals"
FACTS = (c.SEGMENT, c.REGION, c.INDUSTRY, c.CHANNEL, c.CREATED_AT)
VALUES = (MEAN, *QUANTILES, P_ALIVE, EXPECTED_PURCHASES)
PREDICTED = (*VALUES, RANK, DECILE, c.STATUS, c.REASON)
AT_RISK = "at_risk"
"""What hangs on a customer of whom it is not sure that they still are one: mean x (1 - p_alive). Missing before the first order."""
STILL_ACTIVE = "still_active"
"""p_alive of those who have bought: of the others it says something else."""


def customer_rows(view: View, horizon: int = RANKED_BY) -> Rows:
    """Every customer known as of the view, whoever asks: ``view.sees`` says what of it may be shown.

    Values are those over ``horizon`` months; rank and decile are always by `RANKED_BY`.
    """
    return cast(Rows, view.page(f"customer-rows {horizon}", lambda view: _rows(view, horizon)))


def _rows(view: View, horizon: int) -> Rows:
    facts = cast(pd.DataFrame, view.page("customer-facts", _facts))
    champion = view.champions.get("clv")
    predicted = pd.DataFrame(columns=list(PREDICTED), dtype=float) if champion is None else _predicted(champion, horizon)
    predicted = predicted.reindex(facts.index)
    texts = predicted[[c.STATUS, c.REASON]].astype("str")
    numbers = predicted.drop(columns=[c.STATUS, c.REASON])
    numbers[STILL_ACTIVE] = numbers[P_ALIVE].where(facts[ORDERS] > 0)
    numbers[AT_RISK] = numbers[MEAN] * (1.0 - numbers[STILL_ACTIVE])
    return Rows.of(facts.join(numbers.join(texts)).reset_index(), c.CUSTOMER_ID)


def _facts(view: View) -> pd.DataFrame:
    """What is known of each customer; index ``customer_id``."""
    accounts, orders = view.snapshot.customers.set_index(c.CUSTOMER_ID), view.snapshot.orders
    bought = orders.groupby(c.CUSTOMER_ID).agg(
        **{FIRST: (c.DS, "min"), LAST: (c.DS, "max"), ORDERS: (c.AMOUNT, "size"), REVENUE: (c.AMOUNT, "sum")}
    )
    table = accounts[list(FACTS)].reindex(accounts.index.union(bought.index)).join(bought)
    table.index.name = c.CUSTOMER_ID
    table[[ORDERS, REVENUE]] = table[[ORDERS, REVENUE]].fillna(0.0)
    table[LABEL] = [view.label("customer", str(customer_id)) for customer_id in table.index]
    table[c.OWNER] = owners(view.snapshot).reindex(table.index)
    deals = deal_rows(view).columns
    is_open = deals[STATE] == OPEN
    table[OPEN_DEALS] = pd.Series(deals[c.CUSTOMER_ID][is_open]).value_counts().reindex(table.index).fillna(0.0).to_numpy(float)
    return table


def _predicted(champion: Champion, horizon: int) -> pd.DataFrame:
    """`PREDICTED` by customer_id, over ``horizon`` months; status and reason are those of the mean."""
    frame = champion.table.frame
    mean = frame[(frame[c.HORIZON] == horizon) & (frame[c.STATISTIC] == MEAN)].set_index(c.ENTITY_ID)
    found = champion.table.wide(horizon).reindex(columns=list(VALUES)).join(ranks(frame))
    floor = Status.BASELINE if champion.ref.kind == "baseline" else Status.FULL
    found[c.STATUS] = [worst(Status(status), floor).value for status in mean[c.STATUS].reindex(found.index)]
    found[c.REASON] = np.where(mean[c.REASON].reindex(found.index) != "", mean[c.REASON].reindex(found.index), champion.ref.reason)
    return found.rename_axis(c.CUSTOMER_ID)
