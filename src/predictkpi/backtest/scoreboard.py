"""The scoreboard's figures: what one version said against what came true, beside others who spoke of the same. Pure.

Long frames in (``as_of, entity_id, horizon, statistic, value``), one row of figures per candidate and horizon out. Losses are those of
`scores`, so that a version is judged in service as it was at the gate.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.backtest.run import CANDIDATE, scale_of, wide
from predictkpi.backtest.scores import QUANTILES, Scored, score
from predictkpi.core import columns as c
from predictkpi.core.types import Spec
from predictkpi.metrics.calibration import calibration_noise_floor, calibration_table, expected_calibration_error
from predictkpi.metrics.point import wape
from predictkpi.metrics.quantile import coverage
from predictkpi.metrics.ranking import total_bias
from predictkpi.protocol import MODEL

Floats = npt.NDArray[np.float64]

ALL = 0
"""In place of a horizon: all of them together."""
MEASURES = ("loss", "error", "bias", "calibration", "calibration_floor", "coverage80", "coverage95")
SAVED = ("saved", "saved_low", "saved_high")
FIGURES = [CANDIDATE, c.HORIZON, c.N, "days", "since", "until", *MEASURES, *SAVED]
PROMISED, CAME_TRUE = "promised", "came_true"
POINTS = [PROMISED, CAME_TRUE, c.N]
DRAWS = 500
BINS = 10
FLOOR_SIMULATIONS = 50
NO_MEASURES = dict.fromkeys((*MEASURES, *SAVED), float("nan"))


def compare(
    spec: Spec, said: pd.DataFrame, rivals: Mapping[str, pd.DataFrame], outcomes: pd.DataFrame, scales: Mapping[pd.Timestamp, pd.Series]
) -> pd.DataFrame:
    """`FIGURES` of one version (candidate `MODEL`) on all it can be judged by, and of each rival on the pairs that both spoke of.

    ``outcomes``: `columns.OUTCOME_COLUMNS`; only mature ones count. ``scales``: see `run.series_scale`. ``saved`` is the share of the
    rival's loss that the version does not have, on the same pairs, with its 95 % interval over all horizons. Empty where nothing can be
    judged.
    """
    own, actual, pairs = _matched(spec, said, outcomes)
    rows = _Judge(spec, actual, scales).rows(MODEL, own, pairs)
    for name, frame in rivals.items():
        other = wide(frame)
        common = pairs.intersection(_with_headline(spec, other)).sort_values()
        rows += _Judge(spec, actual, scales).rows(name, other, common, against=own)
    return pd.DataFrame(rows, columns=FIGURES)


def calibration_points(spec: Spec, said: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """`POINTS` of a plot of what a version promised against what came true, over all that it can be judged by; ``n`` pairs are behind one.

    They are what ``calibration`` sums up. Of deals: bins of like chances, their mean chance and the share that was won. Of revenue: the
    level of each quantile, and the share of outcomes at or below it. Of customers: tenths by what was predicted, its mean and the true one.
    """
    own, actual, pairs = _matched(spec, said, outcomes)
    if not len(pairs):
        return pd.DataFrame(columns=POINTS)
    found, y = own.reindex(pairs), actual.reindex(pairs)[spec.headline].to_numpy(float)
    point = found[spec.headline].to_numpy(float)
    if spec.score == "cumulative_incidence":
        table = calibration_table(y, point, bins=BINS)
        return table.rename(columns={"predicted": PROMISED, "observed": CAME_TRUE})[POINTS]
    if spec.score == "quantiles":
        rows = [(level, float((y <= found[name].to_numpy(float)).mean()), len(y)) for name, level in QUANTILES.items() if name in found]
        return pd.DataFrame(rows, columns=POINTS)
    tenths = pd.DataFrame({PROMISED: point, CAME_TRUE: y}).groupby(_tenths(point))
    return tenths.mean().assign(**{c.N: tenths.size()}).reset_index(drop=True)[POINTS]


def _matched(spec: Spec, said: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.MultiIndex]:
    """What was said and what came true, wide, and the pairs of which both are known."""
    actual, own = wide(outcomes[outcomes[c.IS_MATURE].astype(bool)]), wide(said)
    return own, actual, _with_headline(spec, own).intersection(_with_headline(spec, actual)).sort_values()


class _Judge:
    """Figures of candidates against the same outcomes."""

    def __init__(self, spec: Spec, actual: pd.DataFrame, scales: Mapping[pd.Timestamp, pd.Series]) -> None:
        self.spec, self.actual, self.scales = spec, actual, scales

    def rows(self, name: str, predicted: pd.DataFrame, pairs: pd.MultiIndex, *, against: pd.DataFrame | None = None) -> list[dict]:
        """One row a horizon and one for `ALL`; none without a pair."""
        if not len(pairs):
            return []
        actual, found = self.actual.reindex(pairs), predicted.reindex(pairs)
        scale = scale_of(pairs, self.scales, actual[self.spec.headline])
        scored = score(self.spec, found, actual, scale)
        own = None if against is None else score(self.spec, against.reindex(pairs), actual, scale).losses
        horizons = pairs.get_level_values(c.HORIZON)
        chosen = {ALL: np.ones(len(pairs), dtype=bool)} | {int(h): np.asarray(horizons == h) for h in np.unique(horizons)}
        rows = []
        for horizon, mask in chosen.items():
            losses = scored.losses[mask]
            part = Scored(losses, scored.metrics if horizon == ALL else {})
            row = {CANDIDATE: name, c.HORIZON: horizon, c.N: int(mask.sum()), **_span(pairs[mask]), **NO_MEASURES}
            row |= {"loss": _total(losses, whole=horizon == ALL) / int(mask.sum())}
            row |= _measures(self.spec, found[mask], actual[mask], part, with_floor=against is None)
            rows.append(row if own is None else row | _saved(own[mask], losses, whole=horizon == ALL))
        return rows


def _with_headline(spec: Spec, frame: pd.DataFrame) -> pd.MultiIndex:
    index: pd.MultiIndex = frame.index[frame[spec.headline].notna()] if spec.headline in frame else frame.index[:0]
    return index


def _span(pairs: pd.MultiIndex) -> dict[str, object]:
    days = pairs.get_level_values(c.AS_OF)
    return {"days": days.nunique(), "since": days.min(), "until": days.max()}


def _weighted(losses: pd.DataFrame, *, whole: bool) -> pd.Series:
    """Over all horizons each counts by its weight (see `scores`); within one, pairs count alike."""
    return losses["loss"] * losses["weight"] if whole else losses["loss"]


def _total(losses: pd.DataFrame, *, whole: bool) -> float:
    return float(_weighted(losses, whole=whole).sum())


def _saved(own: pd.DataFrame, theirs: pd.DataFrame, *, whole: bool) -> dict[str, float]:
    """Share of the rival's loss that is saved; over all horizons with an interval from days and entities drawn anew (Owen, 2007)."""
    mine, other = _weighted(own, whole=whole), _weighted(theirs, whole=whole)
    total = float(other.sum())
    saved = 1.0 - float(mine.sum()) / total if total > 0 else float("nan")
    if not whole or not total > 0:
        return {"saved": saved}
    both = pd.DataFrame({"mine": mine, "other": other}).groupby(level=[c.AS_OF, c.ENTITY_ID]).sum()
    drawn = _drawn(both) if len(both) > 1 else np.array([])  # of one entity on one day nobody knows how much was chance
    low, high = (float(value) for value in np.nanquantile(drawn, [0.025, 0.975])) if np.isfinite(drawn).any() else (np.nan, np.nan)
    return {"saved": saved, "saved_low": low, "saved_high": high}


def _drawn(both: pd.DataFrame) -> Floats:
    """Shares saved in `DRAWS` resamples: a day is drawn with all its entities, an entity with all its horizons."""
    rng = np.random.default_rng(0)
    day, days = pd.factorize(both.index.get_level_values(c.AS_OF))
    entity, entities = pd.factorize(both.index.get_level_values(c.ENTITY_ID))
    losses, saved = both.to_numpy(float), np.full(DRAWS, np.nan)
    for draw in range(DRAWS):
        of_entity = rng.poisson(1.0, len(entities))[entity] if len(entities) > 1 else 1
        weight = np.ones(len(both)) * of_entity * (rng.poisson(1.0, len(days))[day] if len(days) > 1 else 1)
        mine, other = weight @ losses
        saved[draw] = 1.0 - mine / other if other > 0 else np.nan
    return saved


def _measures(spec: Spec, predicted: pd.DataFrame, actual: pd.DataFrame, scored: Scored, *, with_floor: bool) -> dict[str, float]:
    y, point = actual[spec.headline].to_numpy(float), predicted[spec.headline].to_numpy(float)
    found = {"bias": total_bias(y, point)}
    if spec.score == "cumulative_incidence":
        found |= {"calibration": expected_calibration_error(y, point, bins=BINS)}
        if with_floor:
            found |= {"calibration_floor": calibration_noise_floor(point, bins=BINS, simulations=FLOOR_SIMULATIONS)}
        return found | _close_dates(spec, predicted, actual)
    found |= {"error": wape(y, point), "coverage80": _coverage(y, predicted, "q10", "q90")}
    if spec.score == "quantiles":
        return found | {"coverage95": _coverage(y, predicted, "q025", "q975"), **_quantile_calibration(y, predicted)}
    return found | {"calibration": _decile_calibration(y, point)}


def _close_dates(spec: Spec, predicted: pd.DataFrame, actual: pd.DataFrame) -> dict[str, float]:
    """Median error of the close date in days, and how often its 80 % interval held, among deals that were won."""
    names = ("close_q10", "close_q50", "close_q90")
    if "close_q50" not in actual or not set(names) <= set(predicted):
        return {}
    low, middle, high = (predicted[name].to_numpy(float) for name in names)
    days = actual["close_q50"].to_numpy(float)
    known = ~np.isnan(days) & ~np.isnan(middle)
    if not known.any():
        return {}
    error = float(np.median(np.abs(days - middle)[known]))
    return {"error": error, "coverage80": coverage(days[known], low[known], high[known])}


def _coverage(y: Floats, predicted: pd.DataFrame, low: str, high: str) -> float:
    return coverage(y, predicted[low], predicted[high]) if {low, high} <= set(predicted) else float("nan")


def _quantile_calibration(y: Floats, predicted: pd.DataFrame) -> dict[str, float]:
    """Mean distance between each level and the share of outcomes at or below its quantile, and what chance alone would show."""
    levels = {name: level for name, level in QUANTILES.items() if name in predicted}
    if len(levels) < 2:
        return {}
    off = [abs(float((y <= predicted[name].to_numpy(float)).mean()) - level) for name, level in levels.items()]
    chance = [np.sqrt(2.0 * level * (1.0 - level) / (np.pi * len(y))) for level in levels.values()]
    return {"calibration": float(np.mean(off)), "calibration_floor": float(np.mean(chance))}


def _decile_calibration(y: Floats, point: Floats) -> float:
    """Sum over tenths of the prediction of |predicted - came true|, over what came true in all."""
    total = float(y.sum())
    if total <= 0:
        return float("nan")
    return float(np.abs(np.bincount(_tenths(point), weights=point - y)).sum()) / total


def _tenths(point: Floats) -> npt.NDArray[np.int64]:
    """From the lowest predictions (0) to the highest (9)."""
    return (pd.Series(point).rank(method="first").to_numpy(int) - 1) * BINS // len(point)
