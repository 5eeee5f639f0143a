"""The cohort and what is known of it: one row per customer. Training, backtest and serving all come through `build_clv_table`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import horizon_end
from predictkpi.errors import SchemaError, UnknownEntityError
from predictkpi.features import rfm
from predictkpi.features.margins import margin_shares, margin_shares_of_part
from predictkpi.features.purchase_days import DAY, Floats, PurchaseDays
from predictkpi.features.purchase_rhythm import RHYTHM_COLUMNS, rhythm_of
from predictkpi.predictors.clv.cutoffs import practice
from predictkpi.predictors.clv.spec import EXPECTED_PURCHASES, MEAN, SPEC
from predictkpi.snapshot import MemoryFacts, Snapshot

ACCOUNT_DAYS = "account_days"
HISTORY_DAYS = "history_days"
MARGIN_SHARE = "margin_share"
OPENED_LATE = "opened_late"
CATEGORIES = (c.SEGMENT, c.REGION, c.INDUSTRY, c.CHANNEL)
"""What is said of a customer, as text; empty where nothing is."""
CLV_COLUMNS = [c.ENTITY_ID, c.AS_OF, *CATEGORIES, *rfm.RFM_COLUMNS, *RHYTHM_COLUMNS, ACCOUNT_DAYS, HISTORY_DAYS, MARGIN_SHARE, OPENED_LATE]
SPENT, BOUGHT = "spent_", "bought_"
"""Before a span in days: net spend and purchases that came within it, in training tables; missing where it is not over yet."""


@dataclass(frozen=True)
class SharedByCustomers:
    """What the rows of all customers take from the whole company: when it booked its first order, and its margin over net amount."""

    first_order: pd.Timestamp | None
    margin_share: float

    def history_days(self, as_of: pd.Timestamp) -> float:
        """Days since the first order; 0 without one."""
        return 0.0 if self.first_order is None else (as_of - self.first_order) / DAY


def build_clv_table(
    snapshot: Snapshot,
    *,
    entity_ids: Sequence[str] | None = None,
    with_margin: bool = True,
    shared: SharedByCustomers | None = None,
) -> pd.DataFrame:
    """One row per customer with an order, or an account, known before ``as_of``; sorted by id, or in the order of ``entity_ids``.

    Columns `CLV_COLUMNS`: `CATEGORIES`, `features.rfm`, `features.purchase_rhythm`, ``account_days`` since the account was opened (or
    first known, or first bought, whichever is earliest), ``history_days`` since the company's first order, the same in every row,
    ``margin_share`` of `features.margins` (missing where no order has a margin, or not ``with_margin``), and ``opened_late``: whole days by
    which the account is said to have been opened after the first purchase, 0 where it was not. Raises `UnknownEntityError`.

    ``shared``: what all customers share, where ``snapshot`` holds the facts of only a part of them.
    """
    whole = snapshot.base or snapshot  # what all share is not moved by what a request adds
    first_order = whole.orders[c.DS].min() if len(whole.orders) else None
    history_days = (shared or SharedByCustomers(first_order, np.nan)).history_days(snapshot.as_of)
    if entity_ids is not None:
        wanted = pd.Index(np.asarray(entity_ids, dtype="str"))
        if snapshot.base is not None:
            snapshot = _only(snapshot.base, wanted).with_rows(snapshot.added)
    orders, customers = snapshot.orders, snapshot.customers
    if entity_ids is not None:
        orders, customers = orders[orders[c.CUSTOMER_ID].isin(wanted)], customers[customers[c.CUSTOMER_ID].isin(wanted)]
    days = PurchaseDays.of(orders, as_of=snapshot.as_of)
    table = pd.concat([rfm.rfm_of(days), rhythm_of(days)], axis=1)
    accounts = customers.set_index(c.CUSTOMER_ID)
    cohort = table.index.union(accounts.index) if entity_ids is None else wanted
    if entity_ids is not None:
        unknown = cohort[~cohort.isin(table.index) & ~cohort.isin(accounts.index)]
        if len(unknown):
            raise UnknownEntityError(
                f"no customer {unknown[0]!r} known before {snapshot.as_of.isoformat()} ({len(unknown)} unknown in all)"
            )
    table = table.reindex(cohort)
    table = table.fillna({name: 0.0 for name in rfm.RFM_COLUMNS if name != rfm.MONETARY_VALUE})
    for name in CATEGORIES:
        table[name] = accounts[name].reindex(cohort).fillna("").astype("str")
    table[ACCOUNT_DAYS] = np.fmax(_account_days(snapshot, accounts, cohort), table[rfm.T].to_numpy())
    table[HISTORY_DAYS] = history_days
    stated = (snapshot.as_of - accounts[c.CREATED_AT].reindex(cohort)) / DAY
    table[OPENED_LATE] = np.floor(np.fmax(table[rfm.T].to_numpy() - stated.to_numpy(float), 0.0)) * (table[rfm.PURCHASES] > 0)
    table[MARGIN_SHARE] = np.nan
    if with_margin:
        table[MARGIN_SHARE] = margin_shares_of_part(snapshot, cohort, shared.margin_share) if shared else margin_shares(whole, cohort)
    table[c.AS_OF] = snapshot.as_of
    table.index.name = c.ENTITY_ID
    return table.reset_index()[CLV_COLUMNS]


def build_training_table(
    snapshot: Snapshot, *, horizons: Sequence[float], budget: int, shared: SharedByCustomers | None = None, buyers: int | None = None
) -> pd.DataFrame:
    """The cohort now, and cohorts of the past with what they bought since.

    `build_clv_table` at ``snapshot.as_of`` and, for customers with an order, at each cutoff of `cutoffs.practice`, every row as known
    then; columns ``spent_<days>`` and ``bought_<days>`` hold what followed, as known by now. With more than ``budget`` rows of the past,
    a part of the customers stands for all, the same at every cutoff and chosen by their ids alone. Of a part of the facts, ``shared`` says
    what all customers share, and ``buyers`` how many of all have an order.
    """
    now = build_clv_table(snapshot, shared=shared)
    history = shared.history_days(snapshot.as_of) if shared else float(now[HISTORY_DAYS].max()) if len(now) else 0.0
    plan = practice(snapshot.as_of, history_days=history, horizons=horizons)
    bought = now.loc[now[rfm.ORDERS] > 0, c.ENTITY_ID]
    sampled = _sampled(bought, budget // max(len(plan.cutoffs), 1), of=len(bought) if buyers is None else buyers)
    source = snapshot if len(sampled) == len(bought) else _only(snapshot, sampled)
    frames = [now]
    for cutoff in plan.cutoffs:
        rows = build_clv_table(source.at(cutoff), with_margin=False)
        rows = rows[rows[rfm.ORDERS] > 0].reset_index(drop=True)
        rows[HISTORY_DAYS] = history - (snapshot.as_of - cutoff) / DAY
        for span in plan.spans:
            end = cutoff + span * DAY
            if end <= snapshot.as_of:
                came = rfm.spend_in(source.orders, start=cutoff, end=end).reindex(rows[c.ENTITY_ID]).fillna(0.0)
                rows[f"{SPENT}{span}"], rows[f"{BOUGHT}{span}"] = came[rfm.TOTAL].to_numpy(), came[rfm.PURCHASES].to_numpy()
        frames.append(rows)
    return pd.concat(frames, ignore_index=True)


def build_outcomes(later: Snapshot, *, as_of: pd.Timestamp) -> pd.DataFrame:
    """Net revenue and purchases of the cohort of ``as_of`` in each horizon, as known in ``later``; `columns.OUTCOME_COLUMNS`."""
    cohort = build_clv_table(later.at(as_of), with_margin=False)[c.ENTITY_ID]
    frames = []
    for horizon in SPEC.horizons:
        end = horizon_end(as_of, horizon, SPEC.time_unit)
        came_true = rfm.spend_in(later.orders, start=as_of, end=end).reindex(cohort).fillna(0.0)
        for statistic, column in ((MEAN, rfm.TOTAL), (EXPECTED_PURCHASES, rfm.PURCHASES)):
            outcome = pd.DataFrame({c.ENTITY_ID: cohort, c.AS_OF: as_of, c.HORIZON: horizon, c.STATISTIC: statistic})
            outcome[c.VALUE] = came_true[column].to_numpy()
            outcome[c.IS_MATURE] = end <= later.as_of
            frames.append(outcome)
    return pd.concat(frames, ignore_index=True)[c.OUTCOME_COLUMNS]


def check_clv_columns(frame: pd.DataFrame, *, needed: Sequence[str] = CLV_COLUMNS) -> None:
    """Raise `SchemaError` naming what is missing of a table made by `build_clv_table`."""
    missing = set(needed) - set(frame.columns)
    if missing:
        raise SchemaError.missing_columns("clv table", missing=missing, available=frame.columns)


def _sampled(customers: pd.Series, most: int, *, of: int) -> pd.Series:
    """Up to about ``most`` of the ``of`` that there are in all: those whose ids hash below a threshold."""
    if of <= most:
        return customers
    share = pd.util.hash_array(customers.to_numpy(object)).astype(float) / 2.0**64
    return customers[share < most / of]


def _only(snapshot: Snapshot, customers: pd.Series | pd.Index) -> Snapshot:
    """The same instant and history of these customers alone: every look into its past is then as much cheaper."""
    tables = {name: snapshot.history(name) for name in ("orders", "customers")}
    return Snapshot(MemoryFacts({name: rows[rows[c.CUSTOMER_ID].isin(customers)] for name, rows in tables.items()}), snapshot.as_of)


def _account_days(snapshot: Snapshot, accounts: pd.DataFrame, cohort: pd.Index) -> Floats:
    """Days since each account was opened, or first known; NaN for customers that only orders name."""
    first_known = snapshot.history("customers").groupby(c.CUSTOMER_ID)[c.KNOWN_AT].min()
    opened = accounts[c.CREATED_AT].reindex(cohort)
    opened = opened.fillna(first_known.reindex(cohort))
    return (snapshot.as_of - opened).dt.total_seconds().to_numpy(dtype=float) / 86_400.0
