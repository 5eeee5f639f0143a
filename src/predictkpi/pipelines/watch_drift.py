"""Have a predictor's inputs, or its predictions, changed since its champion learnt, by more than they change anyway?

A cohort (customers, open deals) is compared with that of the day the champion learnt, the yardstick being cohorts as far apart before that
day. A series is told by its newest whole month beside the mean of the twelve before, the yardstick being the months before the training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import shift
from predictkpi.metrics.drift import FEWEST_PAIRS, DriftTest, distance, largest_change, sampling_noise
from predictkpi.pipelines.findings import Finding, MonitorRule, Severity
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot
from predictkpi.tables import table_schema

INPUTS, PREDICTIONS = "input drift", "prediction drift"
Frame = Callable[[pd.Timestamp], pd.DataFrame]

_DAY = pd.Timedelta(days=1)
# The first half year of the books tells of a company that is being set up.
_SETTING_UP = 180 * _DAY
_SHORTEST_STEP, _LONGEST_STEP = 14 * _DAY, 28 * _DAY
_MONTHS_OF_A_LEVEL = 12
# A month without anything is as far down as a month of so small a share of the usual one; and no series is steadier than that.
_SHARE_OF_NOTHING = 0.05
_NOTHING_SHOWN = 3


@dataclass
class Cohorts:
    """A predictor's inputs, and a score of each entity, at whatever past day is asked for; each is computed once."""

    predictor: Predictor
    snapshot: Snapshot
    _inputs: dict[pd.Timestamp, pd.DataFrame] = field(default_factory=dict)
    _scores: dict[pd.Timestamp, pd.DataFrame] = field(default_factory=dict)

    @property
    def of_series(self) -> bool:
        """Whether its entities are series."""
        return self.predictor.spec.entity == "series"

    @property
    def first(self) -> pd.Timestamp | None:
        """The first day whose cohort can be a yardstick."""
        starts = [self._start(name) for name in ("orders", "deals")]
        known = [start for start in starts if start is not None]
        return min(known).normalize() + _SETTING_UP if known else None

    def inputs(self, day: pd.Timestamp) -> pd.DataFrame:
        """One row an entity; of series, one column a series: the log of its newest month over the mean of the months before."""
        if day not in self._inputs:
            frame = self.predictor.inputs(self.snapshot.at(day))
            self._inputs[day] = _levels(frame) if self.of_series else frame.drop(columns=[c.ENTITY_ID, c.AS_OF])
        return self._inputs[day]

    def scores(self, day: pd.Timestamp) -> pd.DataFrame:
        """The headline at the middle horizon, one row an entity; of series, one column a series, its log over the mean of the past."""
        if day not in self._scores:
            spec, inputs = self.predictor.spec, self.predictor.inputs(self.snapshot.at(day))
            horizon = sorted(spec.horizons)[len(spec.horizons) // 2]
            found = self.predictor.predict_inputs(inputs) if len(inputs) else pd.DataFrame(columns=[c.HORIZON, c.STATISTIC, c.VALUE])
            found = found[(found[c.HORIZON] == horizon) & (found[c.STATISTIC] == spec.headline)]
            if self.of_series:
                past = _past_means(inputs)
                values = found.set_index(c.ENTITY_ID)[c.VALUE].reindex(past.index) / past
                self._scores[day] = _logs(values).to_frame().T
            else:
                self._scores[day] = found[[c.VALUE]].rename(columns={c.VALUE: spec.headline}).reset_index(drop=True)
        return self._scores[day]

    def _start(self, table: str) -> pd.Timestamp | None:
        when = self.snapshot.table(table)[str(table_schema(table).happened_at)].min()
        return None if pd.isna(when) else pd.Timestamp(when)


def drift(
    cohorts: Cohorts, *, trained: pd.Timestamp, rule: MonitorRule, level: float, checks: Sequence[str] = (INPUTS, PREDICTIONS)
) -> list[Finding]:
    """Of inputs and of predictions; ``level`` is the false alarm rate of each of the ``checks``."""
    name, now, first = cohorts.predictor.spec.name, cohorts.snapshot.as_of, cohorts.first
    if trained >= now:
        return [Finding(INPUTS, name, Severity.NOTE, "the champion has learnt from the newest data: nothing to compare yet")]
    if first is None:
        return [Finding(INPUTS, name, Severity.NOTE, "no orders and no deals: nothing to compare")]
    found = []
    for check in checks:
        frame = cohorts.inputs if check == INPUTS else cohorts.scores
        if cohorts.of_series:
            months = [shift(trained, -back, "M") for back in range(rule.drift_pairs)]
            months = [month for month in months if month >= first + 365 * _DAY]
            test = _of_series(frame, now, months, level) if len(months) >= FEWEST_PAIRS else None
            since = f"beside the {len(months)} months before the training"
        else:
            pairs = past_pairs(first, trained, now, rule.drift_pairs)
            test = _of_cohorts(frame, pairs, level) if len(pairs) > FEWEST_PAIRS else None
            since = f"since {pairs[0][0]:%Y-%m-%d}" if pairs else ""
        found.append(_finding(check, name, test, since))
    return found


def past_pairs(first: pd.Timestamp, trained: pd.Timestamp, now: pd.Timestamp, most: int) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Today's pair of days, then as many as ``most`` that lie as far apart between ``first`` and ``trained``, newest first.

    Where the books are too young for that, the days lie nearer to one another; none where there is no room for `FEWEST_PAIRS`.
    """
    room = trained.normalize() - first
    gap = min(now - trained, room - FEWEST_PAIRS * _SHORTEST_STEP)
    if gap < _DAY:
        return []
    step = min(max((room - gap) / most, _SHORTEST_STEP), _LONGEST_STEP).floor("D")
    count = min(most, int((room - gap) / step))
    ends = [trained.normalize() - back * step for back in range(count)]
    return [(now - gap, now), *((end - gap, end) for end in ends)]


def _of_cohorts(frame: Frame, pairs: list[tuple[pd.Timestamp, pd.Timestamp]], level: float) -> DriftTest:
    reference, current = (frame(day) for day in pairs[0])
    names = [name for name in reference.columns if name in current.columns]
    rows = [[_distance(frame(start), frame(end), name) for name in names] for start, end in pairs]
    return largest_change(names, rows[0], rows[1:], level=level, noise=sampling_noise(len(reference), len(current)), signed=False)


def _of_series(frame: Frame, now: pd.Timestamp, months: list[pd.Timestamp], level: float) -> DriftTest:
    rows = pd.concat([frame(day) for day in [now, *months]], ignore_index=True)
    return largest_change(list(rows.columns), rows.iloc[0], rows.iloc[1:], level=level, noise=_SHARE_OF_NOTHING, signed=True)


def _distance(reference: pd.DataFrame, current: pd.DataFrame, name: str) -> float:
    if name not in reference or name not in current:
        return float("nan")
    return distance(reference[name], current[name])


def _levels(inputs: pd.DataFrame) -> pd.DataFrame:
    known = inputs.dropna(subset=[c.Y]).sort_values(c.DS, kind="stable")
    newest = known.groupby(c.ENTITY_ID)[c.Y].last()
    return _logs(newest / _past_means(inputs, but=1).reindex(newest.index)).to_frame().T


def _past_means(inputs: pd.DataFrame, *, but: int = 0) -> pd.Series:
    """Mean of the newest twelve months of each series, leaving out the last ``but``; missing where there are fewer."""
    known = inputs.dropna(subset=[c.Y]).sort_values(c.DS, kind="stable")
    months = known[c.Y].groupby(known[c.ENTITY_ID]).apply(lambda y: _mean_of(y.to_numpy(dtype=float)[: len(y) - but]))
    return months.astype("float64")


def _mean_of(months: npt.NDArray[np.float64]) -> float:
    return float(months[-_MONTHS_OF_A_LEVEL:].mean()) if len(months) >= _MONTHS_OF_A_LEVEL else float("nan")


def _logs(ratios: pd.Series) -> pd.Series:
    positive = ratios.where(np.isfinite(ratios)).clip(lower=0.0)
    return np.log(positive + _SHARE_OF_NOTHING).rename_axis(None)


def _finding(check: str, name: str, test: DriftTest | None, since: str) -> Finding:
    if test is None or not test.changes:
        reason = "the books are too young to tell how far it moves anyway: about two years before the training are needed"
        return Finding(check, name, Severity.NOTE, reason)
    top = test.changes[0]
    figures: dict[str, float | str] = {"p_value": test.p_value, "score": top.score, "distance": top.distance, "usual": top.usual}
    figures |= {f"input_{place + 1}": change.name for place, change in enumerate(test.changes[:_NOTHING_SHOWN])}
    if not test.is_changed:
        reason = f"{len(test.changes)} compared {since}: the largest change, of {top.name}, is no larger than changes of the past"
        return Finding(check, name, Severity.NOTE, reason, figures=figures, threshold=test.threshold)
    beyond = [change.name for change in test.changes if change.score > test.threshold]
    shown = ", ".join(beyond[:_NOTHING_SHOWN]) + (f" and {len(beyond) - _NOTHING_SHOWN} more" if len(beyond) > _NOTHING_SHOWN else "")
    reason = (
        f"{shown} changed more than ever before {since}: {top.name} by {top.distance:.2f} where {top.usual:.2f} is usual, "
        f"{top.score:.1f} standard deviations off ({test.threshold:.1f} allowed)"
    )
    way_out = (
        "look at the newest records of these fields: a changed export, unit or meaning is to be mended at the source; if the business "
        f"has changed, `predictkpi retrain {name}`"
    )
    return Finding(check, name, Severity.ALARM, reason, way_out, figures, test.threshold)
