"""What is spent on new customers, how many come, and the cost of one: of the same period, and of those that the spend brought."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.acquisition import acquisitions, observed_lag
from predictkpi.kpis.base import CUSTOMER_DIMENSIONS, IS_PARTIAL, UNKNOWN, Kpi, View, no_cells, starts_of
from predictkpi.snapshot import Snapshot


class NewCustomers(Kpi):
    """Customers won. In the first period of the data everybody looks new: it is partial. A free first order wins a customer too."""

    name = "new_customers"
    title: ClassVar[dict[str, str]] = {"en": "New customers", "de": "Neukunden"}
    formula = "customers whose first order falls in the period"
    family = "customers"
    unit = "count"
    better = "up"
    counts = "customers"
    needs = ("orders",)
    dimensions = CUSTOMER_DIMENSIONS
    least_n = 0
    when_empty = 0.0
    over_time = "sums"
    covered_by = "orders"
    settles_with = "orders"

    def compute(self, view: View) -> pd.DataFrame:
        """Count, which is ``n`` too."""
        won = acquisitions(view.snapshot.orders)
        if won.empty:
            return no_cells()
        n = view.group(won, c.DS).size()
        starts = starts_of(n.to_frame())
        return pd.DataFrame({c.VALUE: n.astype("float64"), c.N: n, IS_PARTIAL: starts == starts.min()})


class AcquisitionSpend(Kpi):
    """Spend on marketing and sales. A period inside the span that spend speaks for without any is a true zero, outside it is unknown."""

    name = "acquisition_spend"
    title: ClassVar[dict[str, str]] = {"en": "Acquisition spend", "de": "Ausgaben für Kundengewinnung"}
    formula = "sum of the spend of the period, sales included"
    family = "customers"
    unit = "currency"
    better = "none"
    counts = "entries"
    needs = ("spend",)
    dimensions = (c.CHANNEL,)
    least_n = 0
    over_time = "sums"
    covered_by = "spend"

    def compute(self, view: View) -> pd.DataFrame:
        """Sum and count of the rows of spend; a period that they cover only in part is partial."""
        spend = view.snapshot.spend
        if spend.empty:
            return no_cells()
        cells = view.fill(view.group(spend, c.DS)[c.COST].agg(["sum", "size"]).set_axis([c.VALUE, c.N], axis=1))
        covered_from, covered_to = view.coverage(spend[c.DS])
        starts = starts_of(cells)
        is_partial = (starts < covered_from) | (view.ends(starts) > covered_to)
        return cells.assign(**{c.VALUE: cells[c.VALUE].fillna(0.0).where(starts < covered_to), IS_PARTIAL: is_partial})


class Cac(Kpi):
    """Blended CAC of the same period; by channel, the channel's spend over the customers it won.

    Only the span that spend speaks for counts, on both sides of the ratio: a customer won while no spend was loaded did not come
    for free. Inside it, a channel without spend (organic) costs nothing. No ratio without a new customer, nor for customers
    whose channel is unknown.
    """

    name = "cac"
    title: ClassVar[dict[str, str]] = {"en": "Customer acquisition cost (CAC)", "de": "Kundengewinnungskosten (CAC)"}
    formula = "spend of the period / customers whose first order falls in the period"
    family = "customers"
    unit = "currency"
    better = "down"
    counts = "customers"
    needs = ("orders", "spend")
    dimensions = (c.CHANNEL,)
    settles_with = "orders"

    def compute(self, view: View) -> pd.DataFrame:
        """Cost per new customer; a period that spend covers only in part is partial."""
        return _cost_per_customer(view, lag=0)


class CacLagged(Kpi):
    """CAC with spend moved forward to when its customers come. The lag is one for all channels and periods, `observed_lag` at ``as_of``.

    Without a year of spend the lag is 0 and the value is that of `Cac`.
    """

    name = "cac_lagged"
    title: ClassVar[dict[str, str]] = {"en": "CAC, spend shifted by its lag", "de": "Kundengewinnungskosten, zeitversetzt"}
    formula = (
        "spend of the period moved back by the observed lag / customers whose first order falls in the period; "
        "the lag is the 0 to 120 days at which changes of spend and of new customers (28-day means, over 28 days) correlate most"
    )
    family = "customers"
    unit = "currency"
    better = "down"
    counts = "customers"
    needs = Cac.needs
    dimensions = Cac.dimensions
    settles_with = Cac.settles_with

    def compute(self, view: View) -> pd.DataFrame:
        """Cost per new customer; a period whose spend is covered only in part is partial."""
        return _cost_per_customer(view, lag=lag_of(view.snapshot))


def paid_acquisitions(view: View, *, lag: int = 0) -> pd.DataFrame:
    """The `acquisitions` in the span that spend speaks for, ``lag`` days later; there must be spend."""
    covered_from, covered_to = _covered(view, lag)
    won = acquisitions(view.snapshot.orders)
    return won[won[c.DS].between(covered_from, covered_to, inclusive="left")]


def _covered(view: View, lag: int) -> tuple[pd.Timestamp, pd.Timestamp]:
    start, end = view.coverage(view.snapshot.spend[c.DS])
    return start + pd.Timedelta(days=lag), end + pd.Timedelta(days=lag)


def acquisition_cells(view: View, *, lag: int) -> pd.DataFrame:
    """The two sides of CAC, spend (moved ``lag`` days forward) and the customers won: ``cost, n, is_partial`` by member and period.

    There must be spend. A period that spend covers only in part is partial.
    """
    spend = view.snapshot.spend
    covered_from, covered_to = _covered(view, lag)
    spent = spend.assign(**{c.DS: spend[c.DS] + pd.Timedelta(days=lag)})
    won = paid_acquisitions(view, lag=lag)
    cells = pd.DataFrame({c.COST: view.group(spent, c.DS)[c.COST].sum(), c.N: view.group(won, c.DS).size()}).fillna(0.0)
    starts = starts_of(cells)
    return cells.assign(**{IS_PARTIAL: (starts < covered_from) | (view.ends(starts) > covered_to)})


def lag_of(snapshot: Snapshot) -> int:
    """Days that `CacLagged` moves spend by: `observed_lag` at ``as_of``."""
    return observed_lag(snapshot.spend, acquisitions(snapshot.orders))


def _cost_per_customer(view: View, *, lag: int) -> pd.DataFrame:
    if view.snapshot.spend.empty:
        return no_cells()
    cells = acquisition_cells(view, lag=lag)
    has_ratio = cells[c.N] > 0
    if view.by is not None:
        has_ratio &= cells.index.get_level_values(c.MEMBER) != UNKNOWN
    return pd.DataFrame({c.VALUE: cells[c.COST] / cells[c.N].where(has_ratio), c.N: cells[c.N], IS_PARTIAL: cells[IS_PARTIAL]})
