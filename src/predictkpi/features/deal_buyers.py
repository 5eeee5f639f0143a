"""A customer's own past at any instant: how its earlier deals ended, and how large they were beside this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from predictkpi.features.deal_asof import NEVER, Floats, Ints, RunningSums

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
    """Running sums by customer over closes and first amounts, learnt from all deals of a history."""

    def __init__(self, history: DealHistory, own: Own, closes: tuple[Ints, Ints, Floats]) -> None:
        rows, instant, values = closes
        deal = history.deal[rows]
        known = own.buyer[deal] >= 0
        self._closes = RunningSums(own.buyer[deal][known], np.maximum(instant, own.buyer_since[deal])[known], values[known])
        counted = np.column_stack([np.ones(len(own.first)), np.nan_to_num(own.first)])
        priced = own.since < NEVER
        bought = priced & (own.buyer >= 0)
        self._amounts = RunningSums(own.buyer[bought], np.maximum(own.since, own.buyer_since)[bought], counted[bought])
        self._all_amounts = RunningSums(np.zeros(int(priced.sum()), np.int64), own.since[priced], counted[priced])

    def numbers(self, buyer: Ints, landmark: Ints, *, base: Floats, first: Floats, since: Ints) -> dict[str, Floats]:
        """`BUYER_NUMBERS` of deals of these customers: the base win rate, first log amounts, and since when those are known.

        Amounts are held against what was known before a deal's own, so that it is never held against itself, stored or in a request.
        """
        closed, won = self._closes.before(buyer, landmark).T
        edge = (won + SHRINKAGE_OF_WINS * base) / (closed + SHRINKAGE_OF_WINS) - base
        until = np.minimum(since, landmark)
        earlier, everybody = self._amounts.before(buyer, until), self._all_amounts.before(np.zeros(len(buyer), np.int64), until)
        usual = np.divide(everybody[:, 1], everybody[:, 0], out=np.full(len(buyer), np.nan), where=everybody[:, 0] > 0)
        mean = (earlier[:, 1] + SHRINKAGE_OF_AMOUNTS * usual) / (earlier[:, 0] + SHRINKAGE_OF_AMOUNTS)
        return dict(zip(BUYER_NUMBERS, (edge, closed, first - mean), strict=True))


class Own:
    """By deal code: its customer as first stated, and its first amount (log1p) as first known. What was learnt first stays the first.

    ``buyer_since`` and ``since`` say when each became known; `NEVER` where it is not.
    """

    def __init__(self, history: DealHistory, customer: Ints) -> None:
        n = len(history.deals.values)
        self.buyer, self.buyer_since = np.full(n, -1), np.full(n, NEVER)
        stated = np.flatnonzero(customer >= 0)
        stated = stated[np.lexsort((history.row_known[stated], history.row_deal[stated]))]
        deals, at = np.unique(history.row_deal[stated], return_index=True)
        self.buyer[deals], self.buyer_since[deals] = customer[stated[at]], history.row_known[stated[at]]
        self.first, self.since = np.full(n, np.nan), np.full(n, NEVER)
        rows = np.flatnonzero(~np.isnan(history.amount))
        effective = np.maximum(history.known[rows], history.ds[rows])
        order = np.lexsort((effective, history.deal[rows]))
        deals, at = np.unique(history.deal[rows][order], return_index=True)
        self.first[deals], self.since[deals] = np.log1p(history.amount[rows[order][at]]), effective[order][at]
