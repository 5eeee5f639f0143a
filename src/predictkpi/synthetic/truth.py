"""What only the maker of the sample company knows: exact chances and expectations to hold predictions against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import horizon_end
from predictkpi.errors import DataError, UnknownEntityError
from predictkpi.synthetic import world as w
from predictkpi.synthetic.accounts import Accounts
from predictkpi.synthetic.calendar import Calendar
from predictkpi.synthetic.deal_truth import believe, outcomes_by_day
from predictkpi.synthetic.deals import DealLog
from predictkpi.synthetic.orders import OrderLog
from predictkpi.synthetic.publish import customer_ids, deal_ids
from predictkpi.synthetic.spend_truth import expected_orders, expected_spend, expected_wins, is_active


@dataclass(frozen=True)
class Truth:
    """Exact answers about a sample company. Every ``as_of`` must be a midnight; nothing that happened at or after it is used."""

    calendar: Calendar
    accounts: Accounts
    deals: DealLog
    orders: OrderLog
    days: int

    def deal_incidence(self, as_of: pd.Timestamp, horizons: Sequence[int], deal_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """Chances that deals open at ``as_of`` are won, and lost, within each horizon in days.

        Given the generator, the deal's properties and its events before ``as_of``, but not whether it silently went dormant.
        Returns ``deal_id, horizon, cif_won, cif_lost``, one row per deal and horizon; all open deals unless ``deal_ids`` names some.
        Raises `UnknownEntityError` for a deal that is not open at ``as_of``.
        """
        day = self._day(as_of)
        belief = believe(self.deals, self.accounts, self.calendar, day)
        won, lost = (part.cumsum(axis=0) for part in outcomes_by_day(belief, self.calendar, day, max(horizons)))
        names = self._deal_names()[belief.deal]
        frame = pd.concat(
            [
                pd.DataFrame({c.DEAL_ID: pd.Series(names, dtype="str"), c.HORIZON: h, "cif_won": won[h - 1], "cif_lost": lost[h - 1]})
                for h in horizons
            ]
        ).sort_values([c.DEAL_ID, c.HORIZON], ignore_index=True)
        if deal_ids is None:
            return frame
        missing = set(deal_ids) - set(names)
        if missing:
            raise UnknownEntityError(f"not open at {as_of.isoformat()}: {', '.join(sorted(missing))}")
        return frame[frame[c.DEAL_ID].isin(list(deal_ids))].reset_index(drop=True)

    def customer_spend(self, as_of: pd.Timestamp, months: int | Sequence[int]) -> pd.DataFrame:
        """Expected net revenue in ``[as_of, as_of + months)`` of every customer created before ``as_of``.

        Given everything hidden about the customer (its rates, its values, whether it has left), but of its open deals only what
        `deal_incidence` is given. Covers repeat orders, refunds, open deals and deals to come; nothing is discounted.
        Returns ``customer_id, months, expected_spend``.
        """
        day = self._day(as_of)
        there = self.accounts.created < day
        names = np.array(customer_ids(self.accounts), dtype=object)[there]
        frames = []
        for count in [months] if isinstance(months, int) else months:
            length = (horizon_end(as_of, count, "month") - as_of).days
            spend = expected_spend(self.accounts, self.deals, self.orders, self.calendar, day=day, length=length)[there]
            frames.append(pd.DataFrame({c.CUSTOMER_ID: pd.Series(names, dtype="str"), "months": count, "expected_spend": spend}))
        return pd.concat(frames, ignore_index=True)

    def customer_alive(self, as_of: pd.Timestamp) -> pd.DataFrame:
        """Whether each customer created before ``as_of`` is still a buyer then: ``customer_id, is_alive``. No observer can see it."""
        day = self._day(as_of)
        there = self.accounts.created < day
        names = pd.Series(np.array(customer_ids(self.accounts), dtype=object)[there], dtype="str")
        return pd.DataFrame({c.CUSTOMER_ID: names, "is_alive": is_active(self.accounts, self.deals, day)[there]})

    def monthly_revenue(self) -> pd.DataFrame:
        """Expected net revenue of every generated month: ``ds, expected_revenue``.

        Given which accounts arrived, from when to when each was a buyer, and which deals were opened for how much; what remains
        random is the number and size of orders, the refunds, and which deals are won and when.
        """
        days = np.arange(self.days)
        orders = expected_orders(self.accounts, self.deals, self.calendar, self.days)
        lags = np.arange(w.REFUND_LAG.last + 1)
        refunds = np.convolve(orders, w.REFUND_SHARE * np.diff(w.REFUND_LAG.within(lags), prepend=0.0))[: self.days]
        daily = orders - refunds + expected_wins(self.accounts, self.deals, self.calendar, self.days)
        starts = self.calendar.dates(days).to_period("M").start_time
        series = pd.Series(daily, index=starts.as_unit("us")).groupby(level=0).sum()
        return series.rename_axis(c.DS).rename("expected_revenue").reset_index()

    def _deal_names(self) -> np.ndarray:
        return np.array(deal_ids(self.deals), dtype=object)

    def _day(self, as_of: pd.Timestamp) -> int:
        if as_of != as_of.normalize():
            raise DataError(f"the truth is known at midnights, not at {as_of.isoformat()}")
        return self.calendar.day_of(as_of)
