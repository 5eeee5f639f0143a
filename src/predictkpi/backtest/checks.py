"""What a model must show beside its gain: that it keeps its promises, that no segment pays for the others, that it is not slow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from predictkpi.backtest.paired import improvement_interval, loss_tables, ratio_interval, sum_tables
from predictkpi.backtest.run import CANDIDATE, KEY, BacktestResult
from predictkpi.backtest.scores import CALIBRATION_HORIZON
from predictkpi.core import columns as c
from predictkpi.protocol import BASELINE, MODEL

CHAMPION = "champion"
"""Name of the serving model's recipe among the candidates."""
_INTERVALS = {0.8: ("q10", "q90"), 0.95: ("q025", "q975")}


class GateRule(BaseModel):
    """What lets a model serve; models/evaluation.yaml may set these under ``gate``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fewest_outcomes: int = Field(30, ge=1, description="outcomes below which a person must confirm")
    segment_outcomes: int = Field(30, ge=5, description="outcomes of a segment below which it is not judged")
    coverage_tolerance: float = Field(0.05, gt=0, lt=0.5, description="how far from its level the share inside an interval may lie")
    promise_tolerance: float = Field(
        0.15, gt=0, lt=1, description="how far the expected number or amount may lie from what came true, as a share"
    )
    chance_tolerance: float = Field(
        0.05, gt=0, lt=1, description="calibration error of chances to win, beyond what chance alone would show"
    )
    slowest_ms: float = Field(1000.0, gt=0, description="milliseconds a prediction may take, per entity, in the backtest")
    times_champion: float = Field(3.0, ge=1, description="how many times the champion's time a prediction may take")


@dataclass(frozen=True)
class Check:
    """One thing the gate looked at: ``reason`` in one clause, ``figures`` as measured."""

    name: str
    is_passed: bool
    reason: str
    figures: Mapping[str, float] = field(default_factory=dict)


def against_baseline(result: BacktestResult, name: str, *, draws: int, random_state: int) -> tuple[float, float, float]:
    """Share of the baseline's loss that a candidate saves, with its 95 % interval."""
    return improvement_interval(loss_tables(result.losses, (name, BASELINE)), draws=draws, random_state=random_state)


def better_than_champion(result: BacktestResult, *, draws: int, random_state: int) -> Check | None:
    """The champion's settings, learnt anew at each cutoff, on the same pairs; None where they were not among the candidates."""
    if CHAMPION not in result.metrics:
        return None
    saved, low, high = improvement_interval(loss_tables(result.losses, (MODEL, CHAMPION)), draws=draws, random_state=random_state)
    reason = f"saves {saved:+.1%} [{low:+.1%}, {high:+.1%}] of the champion's loss"
    return Check(CHAMPION, low > 0, reason, {"improvement": saved, "low": low, "high": high})


@dataclass(frozen=True)
class _Promise:
    """What was promised and what was kept, by pair; ``right`` times their ratio should be ``right``, give or take ``tolerance``."""

    name: str
    kept: pd.Series
    promised: pd.Series
    right: float
    tolerance: float

    def value(self, *, draws: int, random_state: int) -> tuple[float, float, float]:
        tables = sum_tables(pd.DataFrame({"kept": self.kept, "promised": self.promised}), ("kept", "promised"))
        ratio, low, high = ratio_interval(tables, draws=draws, random_state=random_state)
        return self.right * ratio, self.right * low, self.right * high


def keeps_promises(result: BacktestResult, rule: GateRule, *, draws: int, random_state: int) -> list[Check]:
    """Whether intervals hold as often as they say, and expected numbers come true.

    One fails where it clearly does not, and the candidate it would replace (the champion, else the baseline) is not as far off: what all of
    them missed, the calendar did. The reason then says so.
    """
    reference = _reference(result)
    theirs = {promise.name: promise for promise in _promises(result, reference, rule)}
    found = _chances_hold(result, rule)
    for promise in _promises(result, MODEL, rule):
        value, low, high = promise.value(draws=draws, random_state=random_state)
        is_off = low > promise.right + promise.tolerance or high < promise.right - promise.tolerance
        other, meant = promise.right, promise.right
        if promise.name in theirs:
            other, meant = theirs[promise.name].value(draws=draws, random_state=random_state)[0], theirs[promise.name].right
        is_further = abs(value - promise.right) > abs(other - meant)
        reason = f"{promise.name}: {value:.2f} [{low:.2f}, {high:.2f}] for {promise.right:.2f}"
        if is_off and not is_further:
            reason += f", off, but no further than the {reference} ({other:.2f} for {meant:.2f})"
        figures = {"value": value, "low": low, "high": high, "right": promise.right, "reference": other}
        found.append(Check(f"calibration: {promise.name}", not (is_off and is_further), reason, figures))
    return found


def _promises(result: BacktestResult, name: str, rule: GateRule) -> list[_Promise]:
    """Those that a candidate's statistics make."""
    predicted, actual = _wide(result, result.predictions[result.predictions[CANDIDATE] == name]), _wide(result, result.outcomes)
    y, found = actual[result.spec.headline], []
    for level, (low, high) in _INTERVALS.items():
        if low in predicted and high in predicted:
            found.append(_coverage(level, y, predicted[low], predicted[high], rule.coverage_tolerance))
    expected, near = predicted[result.spec.headline], y.index.get_level_values(c.HORIZON) == CALIBRATION_HORIZON
    if result.spec.score == "cumulative_incidence" and near.any():
        found.append(_Promise(f"wins within {CALIBRATION_HORIZON} days", y[near], expected[near], 1.0, rule.promise_tolerance))
    if result.spec.score == "mean":
        found.append(_Promise("total", y, expected, 1.0, rule.promise_tolerance))
    return found


def _coverage(level: float, y: pd.Series, low: pd.Series, high: pd.Series, tolerance: float) -> _Promise:
    """Of a central interval. Where its low end is nothing at all, no outcome lies below: such a pair is inside more often than ``level``.

    An interval that is nothing as a whole holds at least as often; where it holds oftener, that is no fault.
    """
    inside = ((y >= low) & (y <= high)).astype(float)
    at_floor, is_nothing = (1 + level) / 2, (low == 0) & (high == 0)
    nominal = pd.Series(np.where(low == 0, at_floor, level), y.index)
    if is_nothing.any():
        nominal[is_nothing] = max(at_floor, float(inside[is_nothing].mean()))
    return _Promise(f"coverage {level:.0%}", inside, nominal, float(nominal.mean()), tolerance)


def _chances_hold(result: BacktestResult, rule: GateRule) -> list[Check]:
    """Expected calibration error of the chances to win within 30 days, beyond what honest chances would show on as many deals."""
    found = {name: metrics["ece_30"] - metrics["ece_30_noise_floor"] for name, metrics in result.metrics.items() if "ece_30" in metrics}
    if MODEL not in found:
        return []
    ours, theirs = found[MODEL], found.get(_reference(result), 0.0)
    reason = f"chances within {CALIBRATION_HORIZON} days: {ours:.3f} off beyond chance (limit {rule.chance_tolerance:.3f})"
    figures = {"value": ours, "limit": rule.chance_tolerance, "reference": theirs}
    return [Check("calibration: chances", ours <= rule.chance_tolerance, reason, figures)]


def _reference(result: BacktestResult) -> str:
    """The candidate that the model would replace."""
    return CHAMPION if CHAMPION in result.metrics else BASELINE


def segments_hold(result: BacktestResult, segments: pd.DataFrame, rule: GateRule, *, draws: int, random_state: int) -> list[Check]:
    """Every segment with enough outcomes, against the champion where it was a candidate, else against the baseline.

    ``segments``: as_of, entity_id, segment; an entity may have several. One
    fails where the model is clearly worse: its interval, at 95 % over
    all segments together (Bonferroni), lies below 0.
    """
    reference = _reference(result)
    losses = result.losses.merge(segments.drop_duplicates(), on=[c.AS_OF, c.ENTITY_ID])
    unit = [c.AS_OF, c.HORIZON] if result.spec.entity == "series" else [c.AS_OF, c.ENTITY_ID]
    counts = losses[losses[CANDIDATE] == MODEL].drop_duplicates(["segment", *unit]).groupby("segment").size()
    judged = counts[counts >= rule.segment_outcomes]
    checks = []
    for segment, n in judged.items():
        tables = loss_tables(losses[losses["segment"] == segment], (MODEL, reference))
        level = 1 - 0.05 / len(judged)
        saved, low, high = improvement_interval(tables, level=level, draws=draws, random_state=random_state)
        reason = f"{segment}: {saved:+.1%} [{low:+.1%}, {high:+.1%}] of the {reference}'s loss on {n} outcomes"
        figures = {"improvement": saved, "low": low, "high": high, "n": float(n)}
        checks.append(Check(f"segment: {segment}", high >= 0, reason, figures))
    return checks


def fast_enough(result: BacktestResult, rule: GateRule) -> Check | None:
    """Milliseconds a prediction took per entity; None where no time was taken."""
    if MODEL not in result.milliseconds:
        return None
    ours, theirs = result.milliseconds[MODEL], result.milliseconds.get(CHAMPION, np.nan)
    limit = float(np.fmin(rule.slowest_ms, max(rule.times_champion * theirs, 1.0) if theirs == theirs else np.inf))
    reason = f"{ours:.2f} ms a prediction (limit {limit:.0f})"
    return Check("speed", ours <= limit, reason, {"milliseconds": ours, "limit": limit})


def _wide(result: BacktestResult, long: pd.DataFrame) -> pd.DataFrame:
    """One row per scored pair, one column per statistic."""
    return long.pivot(index=KEY, columns=c.STATISTIC, values=c.VALUE).reindex(result.scored[MODEL].losses.index)
