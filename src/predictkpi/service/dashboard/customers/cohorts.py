"""Cohorts by the quarter of the first order: what a customer has brought by each age, and how many still buy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis import get_kpi
from predictkpi.kpis.cohorts import ACTIVE, AGE, STEP_MONTHS, cohort_ages
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import in_words
from predictkpi.service.view import View

KPI = "clv_realised"
STEPS = 12
SHOWN = 12
"""Cohorts, the newest."""
STRONGEST = 0.6
"""Share of the colour that the highest number gets: text must be read on it."""


@dataclass(frozen=True)
class Cell:
    """One number; ``heat`` is how much colour stands behind it, in percent."""

    text: str
    heat: float


@dataclass(frozen=True)
class CohortRow:
    """One cohort; ages that not all its customers have reached are empty. ``is_early``: its customers may only look new."""

    name: str
    customers: str
    to_date: str
    values: list[Cell | None]
    active: list[Cell | None]
    is_early: bool


@dataclass(frozen=True)
class Cohorts:
    """The card. ``ages`` in months."""

    ages: list[str]
    rows: list[CohortRow]
    formula: str
    kpi: str
    has_early: bool


def cohorts(view: View) -> Cohorts | None:
    """The newest cohorts of complete quarters; None without one."""
    told = view.kpi_series(KPI, freq="Q")
    told = told[told[c.N] > 0].tail(SHOWN).set_index(c.DS)
    if told.empty:
        return None
    ages = cohort_ages(view.snapshot, steps=STEPS)
    columns = [STEP_MONTHS * step for step in range(1, STEPS + 1)]
    wide = {name: ages.pivot(index=c.DS, columns=AGE, values=name).reindex(index=told.index, columns=columns) for name in (c.VALUE, ACTIVE)}
    reached = [age for age in columns if wide[c.VALUE][age].notna().any()]
    values, active = (_cells(wide[name][reached], write) for name, write in ((c.VALUE, f.amount), (ACTIVE, f.percent)))
    settled = view.snapshot.orders[c.DS].min() + pd.DateOffset(years=1)
    starts = view.company.fiscal_year_starts
    rows = [
        CohortRow(f.quarter(ds, starts), f.number(row[c.N]), f.amount(row[c.VALUE]), values[at], active[at], bool(ds < settled))
        for at, (ds, row) in enumerate(told[[c.N, c.VALUE]].iterrows())
    ]
    kpi = get_kpi(KPI)
    return Cohorts([f.number(age) for age in reached], rows, kpi.formula, in_words(kpi.title), any(row.is_early for row in rows))


def _cells(numbers: pd.DataFrame, write: Callable[[float], str]) -> list[list[Cell | None]]:
    values = numbers.to_numpy(float)
    known = values[~np.isnan(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    heat = (values - min(low, 0.0)) / ((high - min(low, 0.0)) or 1.0) * STRONGEST * 100
    return [
        [None if np.isnan(value) else Cell(write(float(value)), round(float(warm), 1)) for value, warm in zip(row, warmth, strict=True)]
        for row, warmth in zip(values, heat, strict=True)
    ]
