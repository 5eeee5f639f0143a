"""Aalen-Johansen curves as predictions: daily cumulative incidences of won and lost for each deal, whatever they came from.

A "daily" array is ``(n_deals, 2, LAST_DAY + 1)``: the probability of won and of lost before day 0, 1, 2, ... after as_of.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.core.compiled import compiled
from predictkpi.features.deal_history import AGE, IN_STAGE
from predictkpi.features.incidence import Floats, Incidence, aalen_johansen
from predictkpi.predictors.close_time.spec import CAUSES, HORIZONS, LAST_DAY
from predictkpi.predictors.close_time.table import DURATION, EVENT, IS_SAMPLED, OBSERVED, curve_rows

JUST_BEFORE = 1e-6
"""Days; the span ``[as_of, as_of + h)`` leaves out its end, an incidence counts it in."""
DAYS = np.arange(LAST_DAY + 1, dtype=float)
IN_STAGE_EDGES = (1.0, 3.0, 7.0, 14.0, 21.0, 30.0, 45.0, 60.0, 90.0, 180.0)
NO_STAGE = "(none)"
SHRINKAGES = (20.0, 60.0, 200.0, 600.0)
"""Deals that the curve of all may be worth in the curve of a stage, and that of a stage in a cell: the best on deals held out is taken."""
FOLDS = 5
PRIOR_SHARES = np.array([0.25, 0.45])
PRIOR_DAYS = 60.0
"""With no close ever seen: a quarter will be won, 45 % lost, after 60 days on average. An assumption, and labelled so."""


def prior_daily(n: int) -> Floats:
    """The curve of a company that has closed nothing yet."""
    return np.broadcast_to(PRIOR_SHARES[:, None] * -np.expm1(-DAYS / PRIOR_DAYS), (n, 2, len(DAYS))).copy()


def age_curve(table: pd.DataFrame) -> Incidence:
    """Overall Aalen-Johansen over the age of a deal, with delayed entry."""
    entry, duration, event = curve_rows(table)
    return aalen_johansen(duration, event, entry=entry)


def age_daily(curve: Incidence, age: Floats) -> Floats:
    """What the overall curve says of deals that have reached these ages."""
    return _age_daily(curve.times, curve.padded, age, len(DAYS))


@compiled
def _age_daily(times: Floats, cif: Floats, age: Floats, n_days: int) -> Floats:
    """`Incidence.conditional` of each day from just before ``age`` on, put right as by `_proper`; ``cif`` ``(2, len(times) + 1)``."""
    daily = np.zeros((len(age), 2, n_days))
    for deal in range(len(age)):
        start = age[deal] - JUST_BEFORE
        at = np.searchsorted(times, start, side="right")
        now = cif[:, at]
        still_open = 1.0 - (now[0] + now[1])
        if still_open <= 1e-12:
            continue
        for day in range(n_days):
            while at < len(times) and times[at] <= start + day:
                at += 1
            for cause in range(2):
                gained = max((cif[cause, at] - now[cause]) / still_open, 0.0)
                daily[deal, cause, day] = max(gained, daily[deal, cause, day - 1]) if day else gained
        room = max(daily[deal, 0, n_days - 1] + daily[deal, 1, n_days - 1], 1.0)
        for day in range(n_days):
            daily[deal, 0, day] /= room
            daily[deal, 1, day] /= room
    return daily


def _proper(daily: Floats) -> Floats:
    """Rounding of differences may leave 1e-17 below zero or above one."""
    rising = np.maximum.accumulate(np.maximum(daily, 0.0), axis=2)
    return rising / np.maximum(rising.sum(axis=1, keepdims=True)[:, :, -1:], 1.0)


def cells(inputs: Columns) -> list[tuple[str, int]]:
    """Stage and band of days in stage of each row; the last band of a row without days."""
    return [
        (NO_STAGE if stage is None else stage, bisect_right(IN_STAGE_EDGES, days) if days == days else len(IN_STAGE_EDGES))
        for stage, days in inputs.tuples((c.STAGE, IN_STAGE))
    ]


@dataclass
class LandmarkCurves:
    """Landmark Aalen-Johansen by stage and days in stage; a thin cell leans on its stage, a thin stage on all deals of that age.

    ``stages`` and ``cells`` map a key to ``(daily (2, days), weight of the key's own curve)``.
    """

    overall: Incidence
    stages: dict[str, tuple[Floats, float]]
    cells: dict[tuple[str, int], tuple[Floats, float]]

    @classmethod
    def fit(cls, table: pd.DataFrame, *, by_stage: bool) -> LandmarkCurves:
        """Estimate from a training table; without ``by_stage`` only the overall curve."""
        overall = age_curve(table)
        if not by_stage:
            return cls(overall, {}, {})
        rows = table[table[IS_SAMPLED].to_numpy(bool)].reset_index(drop=True)
        shrinkage = _best_shrinkage(rows, overall) if len(rows) else SHRINKAGES[0]
        return _Counted.of(rows, overall).leaning(shrinkage)

    def daily(self, inputs: Columns) -> Floats:
        """Daily incidences of each row of inputs."""
        return self.parts(inputs)[-1]

    def parts(self, inputs: Columns, *, overall: Floats | None = None) -> tuple[Floats, Floats, Floats]:
        """Daily incidences by what is looked at: the age alone (``overall``, where it is known), then the stage, then the days in it."""
        overall = age_daily(self.overall, inputs.floats(AGE)) if overall is None else overall
        if not self.stages:
            return overall, overall, overall
        of_stage, of_cell = overall.copy(), overall.copy()
        rows: dict[tuple[str, int], list[int]] = {}
        for row, cell in enumerate(cells(inputs)):
            rows.setdefault(cell, []).append(row)
        for cell, places in rows.items():
            at = places if len(rows) > 1 else slice(None)
            if held := self.stages.get(cell[0]):
                of_stage[at] = of_cell[at] = _leaning(*held, overall[at])
            if held := self.cells.get(cell):
                of_cell[at] = _leaning(*held, of_cell[at])
        return overall, of_stage, of_cell

    def frame(self) -> pd.DataFrame:
        """All curves in one long table, as `from_frame` reads it."""
        steps = pd.DataFrame({"kind": "overall", "stage": "", "band": -1, "weight": 1.0, "day": self.overall.times})
        steps[[*CAUSES]] = self.overall.cif.T
        parts = [steps.assign(survival=self.overall.survival, at_risk=self.overall.at_risk)]
        keyed = [("stage", stage, -1, value) for stage, value in self.stages.items()]
        keyed += [("cell", stage, band, value) for (stage, band), value in self.cells.items()]
        for kind, stage, band, (curve, weight) in keyed:
            key = {"kind": kind, "stage": stage, "band": band, "weight": weight, "day": DAYS}
            parts.append(pd.DataFrame(key | dict(zip(CAUSES, curve, strict=True)) | {"survival": np.nan, "at_risk": np.nan}))
        return pd.concat(parts, ignore_index=True)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> LandmarkCurves:
        """Inverse of `frame`."""
        first = frame[frame["kind"] == "overall"]
        cif = first[[*CAUSES]].to_numpy(float).T
        columns = (first[name].to_numpy(float) for name in ("day", "survival", "at_risk"))
        times, survival, at_risk = columns
        by_kind = [
            {_cell(key): _stored(part) for key, part in frame[frame["kind"] == kind].groupby(["stage", "band"], sort=False)}
            for kind in ("stage", "cell")
        ]
        return cls(Incidence(times, cif, survival, at_risk), {stage: value for (stage, _), value in by_kind[0].items()}, by_kind[1])


@compiled
def _leaning(curve: Floats, weight: float, on: Floats) -> Floats:
    """A key's own curve ``(2, days)`` with its weight, and for the rest those ``(n, 2, days)`` that it leans on."""
    found = np.empty_like(on)
    for deal in range(len(on)):
        for cause in range(on.shape[1]):
            for day in range(on.shape[2]):
                found[deal, cause, day] = weight * curve[cause, day] + (1.0 - weight) * on[deal, cause, day]
    return found


def _cell(key: Hashable) -> tuple[str, int]:
    stage, band = cast("tuple[str, int]", key)
    return str(stage), int(band)


def _stored(part: pd.DataFrame) -> tuple[Floats, float]:
    return np.ascontiguousarray(part[[*CAUSES]].to_numpy(float).T), float(part["weight"].iloc[0])


@dataclass(frozen=True)
class _Counted:
    """Curves of stages and cells with the number of different deals behind each: leaning on one another is still to be settled."""

    overall: Incidence
    stages: dict[str, tuple[Floats, int]]
    cells: dict[tuple[str, int], tuple[Floats, int]]

    @classmethod
    def of(cls, rows: pd.DataFrame, overall: Incidence) -> _Counted:
        of_rows = {"duration": DURATION, "event": EVENT, "deal": c.ENTITY_ID}
        cell = pd.DataFrame(cells(Columns.of(rows, [c.STAGE, IN_STAGE])), columns=["stage", "band"])
        keyed = cell.assign(**{name: rows[column].to_numpy() for name, column in of_rows.items()})
        return cls(
            overall,
            {str(key): _curve(part) for key, part in keyed.groupby("stage")},
            {_cell(key): _curve(part) for key, part in keyed.groupby(["stage", "band"])},
        )

    def leaning(self, shrinkage: float) -> LandmarkCurves:
        """Each curve weighs by its deals against ``shrinkage`` of them."""
        return LandmarkCurves(
            self.overall,
            {key: (curve, deals / (deals + shrinkage)) for key, (curve, deals) in self.stages.items()},
            {key: (curve, deals / (deals + shrinkage)) for key, (curve, deals) in self.cells.items()},
        )


def _best_shrinkage(rows: pd.DataFrame, overall: Incidence) -> float:
    """The shrinkage with the smallest integrated Brier score of won over folds of deals; the overall curve is taken as it is."""
    deal = pd.factorize(rows[c.ENTITY_ID])[0]
    fold = np.random.default_rng(0).permutation(deal.max() + 1)[deal] % FOLDS
    duration, observed = rows[DURATION].to_numpy(float), rows[OBSERVED].to_numpy(float)
    losses = dict.fromkeys(SHRINKAGES, 0.0)
    for held in range(FOLDS):
        if not (fold != held).any() or not (fold == held).any():
            continue
        counted = _Counted.of(rows[fold != held].reset_index(drop=True), overall)
        inside = fold == held
        tested = rows[inside].reset_index(drop=True)
        asked = Columns.of(tested, [c.STAGE, AGE, IN_STAGE])
        by_age = age_daily(overall, asked.floats(AGE))
        for shrinkage in SHRINKAGES:
            won = counted.leaning(shrinkage).parts(asked, overall=by_age)[-1][:, 0]
            for horizon, width in zip(HORIZONS, np.diff([0, *HORIZONS]), strict=True):
                mature = observed[inside] >= horizon
                happened = (tested[EVENT].to_numpy() == 1) & (duration[inside] < horizon)
                losses[shrinkage] += float(width * ((won[:, horizon] - happened) ** 2)[mature].sum())
    return min(losses, key=lambda shrinkage: losses[shrinkage])


def _curve(part: pd.DataFrame) -> tuple[Floats, int]:
    """A group's own daily curve and the number of different deals behind it."""
    curve = aalen_johansen(part["duration"], part["event"])
    daily = curve.at(DAYS - JUST_BEFORE) if len(curve.times) else np.zeros((2, len(DAYS)))
    return _proper(daily[None])[0], part["deal"].nunique()
