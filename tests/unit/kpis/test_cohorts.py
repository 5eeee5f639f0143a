"""Cohorts by age, against a loop over customers."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.kpis import get_kpi
from predictkpi.kpis.acquisition import acquisitions
from predictkpi.kpis.cohorts import ACTIVE, AGE, COHORT_COLUMNS, MONTH_DAYS, STEP_MONTHS, cohort_ages

STEPS = 5


def by_hand(snapshot):
    """``(cohort, age) -> (value per customer, share that bought)``, customer by customer."""
    first = acquisitions(snapshot.orders).set_index(c.CUSTOMER_ID)[c.DS]
    cohorts = first.dt.to_period("Q")
    found = {}
    for cohort in sorted(cohorts.unique()):
        members = cohorts.index[cohorts == cohort]
        for age in range(STEP_MONTHS, (STEPS + 1) * STEP_MONTHS, STEP_MONTHS):
            until, since = (pd.Timedelta(days=months * MONTH_DAYS) for months in (age, age - STEP_MONTHS))
            if (cohort + 1).start_time + until > snapshot.as_of:
                continue
            revenue, buyers = 0.0, 0
            for customer_id in members:
                own = snapshot.orders[snapshot.orders[c.CUSTOMER_ID] == customer_id]
                lived = own[c.DS] - first[customer_id]
                revenue += own.loc[lived <= until, c.AMOUNT].sum()
                buyers += bool(((own[c.AMOUNT] > 0) & (lived > since) & (lived <= until)).any())
            found[cohort.start_time, age] = (revenue / len(members), buyers / len(members))
    return found


def test_ages__are_those_of_a_loop_over_customers(snapshot):
    wanted = by_hand(snapshot)
    found = cohort_ages(snapshot, steps=STEPS)
    assert list(zip(found[c.DS], found[AGE], strict=True)) == list(wanted)
    assert list(found[c.VALUE]) == pytest.approx([value for value, _ in wanted.values()])
    assert list(found[ACTIVE]) == pytest.approx([share for _, share in wanted.values()])


def test_oldest_age__comes_to_no_more_customers_than_the_kpi_counts(snapshot):
    kpi = get_kpi("clv_realised").series(snapshot, freq="Q")
    assert set(cohort_ages(snapshot)[c.DS]) <= set(kpi.loc[kpi[c.N] > 0, c.DS])


def test_without_orders__there_is_no_cohort(snapshot):
    empty = cohort_ages(snapshot.at(snapshot.orders[c.DS].min() - pd.Timedelta(days=400)))
    assert list(empty.columns) == COHORT_COLUMNS
    assert empty.empty
