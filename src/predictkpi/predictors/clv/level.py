"""How much all customers together bring, over what their purchase histories alone foretell.

A purchase model knows neither seasons nor how its own errors have run: its totals are off by tens of percent, and so are those of
whatever learns from few cohorts. Past cohorts say by how much. Three rules are compared at past cutoffs by what they would have said
there, and the best one is used:

- ``customers``: the customers' own histories, nothing added;
- ``recent``: half of the newest cohort's log error (half, because errors last only in part);
- ``seasonal``: the log error a year before, when the same season followed: the revenue of existing customers, tied to its season.
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
RULES: tuple[Rule, ...] = ("customers", "recent", "seasonal")
PERSISTENCE = 0.5
DEFAULT_SPREAD = 0.2
"""Standard deviation of the log of a total around its forecast, where no past cohort says otherwise: published totals of purchase models
are 15 to 35 % off."""
PRIOR_COHORTS = 4.0
"""Cohorts that `DEFAULT_SPREAD` counts as."""
YEARS = 2


@dataclass(frozen=True)
class Level:
    """``factor`` on every customer's expectation over ``span`` days, the ``rule`` it comes from, and the ``spread`` of its log.

    ``cohorts`` past cutoffs the rules were compared at; 0 where none could be: then the year before is taken where it is known.
    """

    span: int
    factor: float
    rule: Rule
    spread: float
    cohorts: int

    @classmethod
    def find(cls, span: int, cutoffs: Sequence[pd.Timestamp], ratios: Sequence[float], as_of: pd.Timestamp) -> Level:
        """From the actual over the expected totals of past cohorts, newest first, whose span was over by ``as_of``."""
        logs = dict(zip(cutoffs, np.log(ratios), strict=True))
        foretold = foretell(logs, as_of, span)
        errors: dict[Rule, list[float]] = {rule: [] for rule in foretold}
        for cutoff, actual in logs.items():
            then = foretell(logs, cutoff, span)
            if set(then) >= set(foretold):
                for rule in foretold:
                    errors[rule].append(float(actual - then[rule]))
        compared = len(errors["customers"])
        rule: Rule = RULES[len(foretold) - 1]
        if compared:
            rule = min(foretold, key=lambda name: float(np.mean(np.abs(errors[name]))))
        if not foretold or rule == "customers":
            missed = [float(value) for value in logs.values()]
        else:
            missed = errors[rule]
        variance = (DEFAULT_SPREAD**2 * PRIOR_COHORTS + float(np.sum(np.square(missed)))) / (PRIOR_COHORTS + len(missed))
        return cls(span, float(np.exp(foretold[rule])), rule, float(np.sqrt(variance)), compared)


def foretell(logs: dict[pd.Timestamp, float], at: pd.Timestamp, span: int) -> dict[Rule, float]:
    """Log factor by rule at an instant, from cohorts whose span was over by then (newest first); rules in the order of `RULES`."""
    over = {cutoff: value for cutoff, value in logs.items() if cutoff + span * DAY <= at}
    found: dict[Rule, float] = {"customers": 0.0}
    if over:
        found["recent"] = PERSISTENCE * next(iter(over.values()))
    before = [_near(over, at - year * YEAR * DAY) for year in range(1, YEARS + 1)]
    known = [value for value in before if value is not None]
    if over and before[0] is not None:
        found["seasonal"] = float(np.mean(known))
    return found


def _near(logs: dict[pd.Timestamp, float], at: pd.Timestamp) -> float | None:
    """The value of the cutoff within half a short step of an instant."""
    close = {abs(cutoff - at): value for cutoff, value in logs.items() if abs(cutoff - at) <= SHORT_STEP / 2 * DAY}
    return close[min(close)] if close else None
