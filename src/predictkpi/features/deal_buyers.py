"""A customer's own past at any instant: how its earlier deals ended, and how large they were beside this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from predictkpi.features.deal_asof import NEVER, Floats, Ints, Rows, RunningSums, SumsOfKey, run_starts

if TYPE_CHECKING:
    from predictkpi.features.deal_history import DealHistory

SHRINKAGE_OF_WINS = 5.0
"""Closed deals that a customer's win rate is worth at the base rate: customers are many, and have few deals each."""
SHRINKAGE_OF_AMOUNTS = 1.0
"""Deals that the mean amount of all deals is worth in the mean of a customer's: amounts differ more between customers than within."""
BUYER_NUMBERS = ("customer_edge", "customer_deals", "amount_edge")
"""Shrunk win rate of the customer minus that of all; its deals closed before; log ratio of a deal's first amount to those of the customer's
earlier deals."""


class Buyers:
    """Running sums by customer over closes and over first amounts, and over all first amounts: see `buyer_rows`."""

    def __init__(self, closes: RunningSums, amounts: RunningSums, all_amounts: RunningSums) -> None:
        self._closes, self._amounts, self._all_amounts = closes, amounts, all_amounts

    @property
    def all_amounts(self) -> SumsOfKey:
        """Running (count, total) of all first amounts."""
        return self._all_amounts.of(0)

    def amounts_of(self, buyer: int) -> SumsOfKey:
        """The same of one customer's."""
        return self._amounts.of(buyer)

    def record(self, buyer: Ints, landmark: Ints, base: Floats) -> tuple[Floats, Floats]:
        """Edge, and number of closed deals, of these customers."""
        closed, won = self._closes.before(buyer, landmark).T
        return (won + SHRINKAGE_OF_WINS * base) / (closed + SHRINKAGE_OF_WINS) - base, closed

    def numbers(self, buyer: Ints, landmark: Ints, *, base: Floats, first: Floats, since: Ints) -> dict[str, Floats]:
        """`BUYER_NUMBERS` of deals of these customers: the base win rate, first log amounts, and since when those are known.

        Amounts are held against what was known before a deal's own, so that it is never held against itself, stored or in a request.
        """
        edge, closed = self.record(buyer, landmark, base)
        until = np.minimum(since, landmark)
        earlier, everybody = self._amounts.before(buyer, until), self._all_amounts.before(np.zeros(len(buyer), np.int64), until)
        usual = np.divide(everybody[:, 1], everybody[:, 0], out=np.full(len(buyer), np.nan), where=everybody[:, 0] > 0)
        mean = (earlier[:, 1] + SHRINKAGE_OF_AMOUNTS * usual) / (earlier[:, 0] + SHRINKAGE_OF_AMOUNTS)
        return dict(zip(BUYER_NUMBERS, (edge, closed, first - mean), strict=True))


def buyer_rows(history: DealHistory, customer: Ints, closes: tuple[Ints, Ints, Floats]) -> tuple[Rows, Rows, Rows]:
    """Of all deals of a history: closes (closed, won) by code of the customer, and first amounts (count, total) by customer and of all.

    A deal's customer is the one first stated of it, from when that became known.
    """
    rows, instant, values = closes
    buyer, stated = _first_buyers(history, customer)
    deal, amounts = history.deal[rows], history.first_amounts
    known = buyer[deal] >= 0
    closed = Rows(buyer[deal][known], np.maximum(instant, stated[deal])[known], values[known])
    counted = np.column_stack([np.ones(len(amounts.value)), np.nan_to_num(amounts.value)])
    priced = amounts.since < NEVER
    bought = priced & (buyer >= 0)
    own = Rows(buyer[bought], np.maximum(amounts.since, stated)[bought], counted[bought])
    return closed, own, Rows(np.zeros(int(priced.sum()), np.int64), amounts.since[priced], counted[priced])


class FirstAmounts:
    """By deal code, its first amount (log1p) as first known: ``value``, and ``since`` when; NaN and `NEVER` where it has none."""

    def __init__(self, history: DealHistory) -> None:
        n = len(history.deals)
        self.value, self.since = np.full(n, np.nan), np.full(n, NEVER)
        rows = np.flatnonzero(~np.isnan(history.amount))
        effective = np.maximum(history.known[rows], history.ds[rows])
        order = np.lexsort((effective, history.deal[rows]))
        order = order[run_starts(history.deal[rows[order]])]
        deals = history.deal[rows[order]]
        self.value[deals], self.since[deals] = np.log1p(history.amount[rows[order]]), effective[order]


def _first_buyers(history: DealHistory, customer: Ints) -> tuple[Ints, Ints]:
    """By deal code, its customer as first stated and since when that is known; -1 and `NEVER` where it has none."""
    n = len(history.deals)
    buyer, since = np.full(n, -1), np.full(n, NEVER)
    stated = np.flatnonzero(customer >= 0)
    stated = stated[np.lexsort((history.row_known[stated], history.row_deal[stated]))]
    stated = stated[run_starts(history.row_deal[stated])]
    deals = history.row_deal[stated]
    buyer[deals], since[deals] = customer[stated], history.row_known[stated]
    return buyer, since
