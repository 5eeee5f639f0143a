"""The numbers of the page's charts, tables and files: how a scope went, how it may go on, and what was said of it before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.outlook.periods import Periods
from predictkpi.service.dashboard.forecast.question import Question
from predictkpi.service.outlooks import levels_of, periods_of, recorded_of
from predictkpi.service.past_forecasts import LEAD, PastForecasts
from predictkpi.service.view import View

A_YEAR = {"W": 52, "M": 12, "Q": 4}
LEVEL_BAND, GROWTH_BAND = ("q025", "q10", "q50", "q90", "q975"), ("q10", "q50", "q90")
COURSE_COLUMNS = ["ds", "actual", "expected", *LEVEL_BAND, "target", "chance", "scenario", "said", "said_q10", "said_q90"]
_GROWTH_SAID = {"year_before": "growth_yoy", "previous": "growth_mom"}


@dataclass(frozen=True)
class Course:
    """One scope: ``rows`` (`COURSE_COLUMNS`), one a period from the oldest to the last ahead, in currency or as shares.

    ``actual`` of whole periods that are over, ``expected`` and its quantiles from the running one on: of a growth the middle is expected.
    ``said`` is the past forecast of a period, with its 80 % range.
    """

    scope: str
    rows: pd.DataFrame

    @property
    def past(self) -> pd.DataFrame:
        """Periods that are over."""
        return self.rows[self.rows["expected"].isna()]

    @property
    def ahead(self) -> pd.DataFrame:
        """The running period and those after it."""
        return self.rows[self.rows["expected"].notna()]


def course(view: View, question: Question, scope: str, *, changed: Periods | None, past: PastForecasts | None) -> Course:
    """The course of a scope; ``changed`` is the outlook under a scenario."""
    key = f"course {scope} {question.freq} {question.measure}"
    rows = cast(pd.DataFrame, view.page(key, lambda view: _rows(view, question, scope)))
    if changed is not None:
        under = changed.levels(scope, question.freq).set_index(c.DS)[_middle(question)]
        rows = rows.assign(scenario=rows["ds"].map(under))
    if past is not None and question.freq == "M":
        rows = _with_past(rows, question, past)
    over = rows["expected"].isna().sum()
    first = max(over - question.years * A_YEAR[question.freq], 0)
    return Course(scope, rows.iloc[first:].reset_index(drop=True))


def _rows(view: View, question: Question, scope: str) -> pd.DataFrame:
    """What does not depend on sliders, history and lead."""
    known, ahead = recorded_of(view, scope, question.freq), levels_of(view, scope, question.freq)
    over = pd.DataFrame({"ds": known[c.DS], "actual": known[c.VALUE if question.is_level else f"growth_{question.measure}"]})
    coming = pd.DataFrame({"ds": ahead[c.DS], "expected": ahead[_middle(question)]})
    for name in LEVEL_BAND if question.is_level else GROWTH_BAND:
        coming[name] = ahead[name if question.is_level else f"growth_{question.measure}_{name}"]
    rows = pd.concat([over, coming[coming["expected"].notna()]], ignore_index=True).reindex(columns=COURSE_COLUMNS)
    if question.is_level and question.freq != "W":
        promised = [periods_of(view).promised(scope, question.freq, ds) for ds in rows["ds"]]
        rows["target"] = [found[0].value if found else np.nan for found in promised]
        chance = pd.Series([found[1] if found else np.nan for found in promised], index=rows.index)
        rows["chance"] = chance.where(rows["expected"].notna())
    return rows.astype(dict.fromkeys(COURSE_COLUMNS[1:], float))


def _middle(question: Question) -> str:
    return "mean" if question.is_level else f"growth_{question.measure}_q50"


def _with_past(rows: pd.DataFrame, question: Question, past: PastForecasts) -> pd.DataFrame:
    if question.lead == "none":
        return rows
    said = past.rows[past.rows[LEAD] == int(question.lead)].set_index(c.DS)
    kind = "" if question.is_level else f"{_GROWTH_SAID[question.measure]}_"
    names = {"said": "mean" if question.is_level else f"{kind}q50", "said_q10": f"{kind}q10", "said_q90": f"{kind}q90"}
    return rows.assign(**{column: rows["ds"].map(said[name]).astype(float) for column, name in names.items()})
