"""How much all customers together bring, over what their purchase histories alone foretell.

A purchase model knows neither seasons nor how its own errors have run: its totals are off by tens of percent, and so are those of
whatever learns from few cohorts. Past cohorts say by how much. There are three rules:

- ``customers``: the customers' own histories, nothing added;
- ``recent``: half of the newest cohort's log error (half, because errors last only in part);
- ``seasonal``: the log error a year before, when the same season followed, halfway to the mean of a whole year's cohorts, in which
  seasons cancel out: the revenue of existing customers, tied to its season and its level.

The last one that the history allows is used, unless another would have been clearly better at past cutoffs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from predictkpi.features.purchase_days import DAY
from predictkpi.predictors.clv.cutoffs import SHORT_STEP, YEAR

Rule = Literal["customers", "recent", "seasonal"]
PERSISTENCE = 0.5
DEFAULT_SPREAD = 0.2
"""Standard deviation of the log of a total around its forecast, where no past cohort says otherwise: published totals of purchase models
are 15 to 35 % off."""
PRIOR_COHORTS = 4.0
"""Cohorts that `DEFAULT_SPREAD` counts as."""
YEARS = 2
FEWEST_COMPARED = 4
"""Past cutoffs below which no rule can be said to be better than another."""


@dataclass(frozen=True)
class Level:
    """``factor`` on every customer's expectation over ``span`` days, the ``rule`` it comes from, and the ``spread`` of its log.

    ``cohorts`` past cutoffs the rules were compared at.
    """

    span: int
    factor: float
    rule: Rule
    spread: float
    cohorts: int

    @classmethod
    def find(
        cls, span: int, cutoffs: Sequence[pd.Timestamp], ratios: Sequence[float], errors_of: Sequence[float], as_of: pd.Timestamp
    ) -> Level:
        """From the actual over the expected totals of past cohorts, newest first, whose span was over by ``as_of``.

        ``errors_of`` are the standard errors of their logs: a log is drawn to 0 as far as it may be chance.
        """
        trust = DEFAULT_SPREAD**2 / (DEFAULT_SPREAD**2 + np.square(errors_of))
        logs = dict(zip(cutoffs, trust * np.log(ratios), strict=True))
        foretold = foretell(logs, as_of, span)
        errors: dict[Rule, list[float]] = {rule: [] for rule in foretold}
        for cutoff, actual in logs.items():
            then = foretell(logs, cutoff, span)
            if set(then) >= set(foretold):
                for rule in foretold:
                    errors[rule].append(float(actual - then[rule]))
        rule = _chosen(errors)
        missed = [float(value) for value in logs.values()] if rule == "customers" else errors[rule]
        variance = (DEFAULT_SPREAD**2 * PRIOR_COHORTS + float(np.sum(np.square(missed)))) / (PRIOR_COHORTS + len(missed))
        return cls(span, float(np.exp(foretold[rule])), rule, float(np.sqrt(variance)), len(errors[rule]))


def foretell(logs: dict[pd.Timestamp, float], at: pd.Timestamp, span: int) -> dict[Rule, float]:
    """Log factor by rule at an instant, from cohorts whose span was over by then (newest first).

    Rules come in order, from the plainest to the one that asks for most history.
    """
    over = {cutoff: value for cutoff, value in logs.items() if cutoff + span * DAY <= at}
    found: dict[Rule, float] = {"customers": 0.0}
    if over:
        found["recent"] = PERSISTENCE * next(iter(over.values()))
    before = [_near(over, at - year * YEAR * DAY) for year in range(1, YEARS + 1)]
    if over and before[0] is not None:
        then = float(np.mean([value for value in before if value is not None]))
        lately = _of_a_year(over)
        found["seasonal"] = then if lately is None else (then + lately) / 2.0
    return found


def _of_a_year(logs: dict[pd.Timestamp, float]) -> float | None:
    """Mean over the newest year's cutoffs; None unless they stand all around the year."""
    newest, *others = logs
    lately = [cutoff for cutoff in logs if newest - cutoff < YEAR * DAY]
    if not others or newest - lately[-1] + (newest - others[0]) < YEAR * DAY:
        return None
    return float(np.mean([logs[cutoff] for cutoff in lately]))


def _chosen(errors: dict[Rule, list[float]]) -> Rule:
    """The last rule, or the one whose absolute errors were smaller by more than the standard error of the difference."""
    last = list(errors)[-1]
    best, gain = last, 0.0
    for rule, missed in errors.items():
        saved = np.abs(errors[last]) - np.abs(missed)
        if rule != last and len(saved) >= FEWEST_COMPARED:
            better = float(saved.mean() - saved.std(ddof=1) / np.sqrt(len(saved)))
            best, gain = (rule, better) if better > gain else (best, gain)
    return best


def _near(logs: dict[pd.Timestamp, float], at: pd.Timestamp) -> float | None:
    """The value of the cutoff within half a short step of an instant."""
    close = {abs(cutoff - at): value for cutoff, value in logs.items() if abs(cutoff - at) <= SHORT_STEP / 2 * DAY}
    return close[min(close)] if close else None
