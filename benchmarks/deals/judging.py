"""Scores of daily cumulative incidences on landmarks: (n, 2, days) against what came true, with deals as the independent units.

A (landmark, horizon) pair counts only where the horizon ends by the data's end. That end is known for every deal beforehand and has
nothing to do with what it will do (administrative censoring), so pairs need no weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.metrics.calibration import calibration_noise_floor, expected_calibration_error
from predictkpi.metrics.survival import brier, integrated_losses

Floats = npt.NDArray[np.float64]
DRAWS = 1000


@dataclass(frozen=True)
class Landmarks:
    """Rows to predict and what became of them: ``rows`` as a training table has them, ``deal`` (n,) codes of the deals."""

    rows: pd.DataFrame
    deal: npt.NDArray[np.int64]

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Landmarks:
        """Landmarks of a table with ``entity_id, duration, event, observed_days``."""
        return cls(rows.reset_index(drop=True), pd.factorize(rows[c.ENTITY_ID])[0].astype(np.int64))

    @property
    def duration(self) -> Floats:
        """Days to the close, or to the data's end."""
        return self.rows["duration"].to_numpy(float)

    @property
    def observed(self) -> Floats:
        """Days from the landmark to the data's end."""
        return self.rows["observed_days"].to_numpy(float)

    @property
    def is_won(self) -> npt.NDArray[np.bool_]:
        """Won before the data's end."""
        return self.rows["event"].to_numpy() == 1

    def won_by(self, horizons: tuple[int, ...]) -> Floats:
        """Won within each horizon: (n, n_horizons) of 0 and 1; NaN where the horizon ends after the data."""
        days = np.asarray(horizons)
        happened = (self.is_won[:, None] & (self.duration[:, None] < days)).astype(float)
        return np.where(self.observed[:, None] >= days, happened, np.nan)

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Landmarks:
        """Some of the landmarks."""
        return Landmarks.of(self.rows[mask])


def brier_sums(landmarks: Landmarks, won: Floats, horizons: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Summed Brier loss and number of mature pairs by deal and horizon: two arrays (n_deals, n_horizons). ``won`` is (n, days)."""
    losses = brier(won[:, list(horizons)], landmarks.won_by(horizons))
    return _by_deal(landmarks.deal, np.nan_to_num(losses)), _by_deal(landmarks.deal, (~np.isnan(losses)).astype(float))


def _by_deal(deal: npt.NDArray[np.int64], values: Floats) -> Floats:
    sums = np.zeros((int(deal.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, deal, values)
    return sums


def integrated(sums: Floats, counts: Floats, horizons: tuple[int, ...], weight: Floats | None = None) -> Floats:
    """Integrated Brier score of each set of deal weights (m, n_deals); horizons no pair is mature at are left out: (m,)."""
    weight = np.ones((1, len(sums))) if weight is None else weight
    total, number = weight @ sums, weight @ counts
    kept = number[0] > 0
    mean = total[:, kept] / np.maximum(number[:, kept], 1.0)
    return integrated_losses(mean, np.asarray(horizons)[kept])


def deal_weights(n_deals: int, *, seed: int = 0, draws: int = DRAWS) -> Floats:
    """How often each deal is drawn: every deal once in row 0, then ``draws`` resamples with replacement."""
    drawn = np.random.default_rng(seed).multinomial(n_deals, np.full(n_deals, 1 / n_deals), size=draws)
    return np.concatenate([np.ones((1, n_deals)), drawn])


def saved(ours: Floats, reference: Floats) -> dict[str, float]:
    """Share of the reference's loss that is saved, with 95 % limits, from `integrated` on the same `deal_weights`."""
    shares = 1.0 - ours / reference
    low, high = np.quantile(shares[1:], [0.025, 0.975])
    return {"saved": float(shares[0]), "low": float(low), "high": float(high)}


def probability_scores(landmarks: Landmarks, won: Floats, horizon: int) -> dict[str, float]:
    """Calibration and portfolio error of P(won by ``horizon``) on mature landmarks; at most one landmark a deal should be given.

    ``portfolio_error``: predicted over actual wins, minus 1; ``portfolio_allowed``: the larger of 10 % and two standard deviations of
    the number of wins (Poisson-binomial by the predictions), as a share of the actual number.
    """
    happened = landmarks.won_by((horizon,))[:, 0]
    mature = ~np.isnan(happened)
    y, p = happened[mature], won[mature, horizon]
    wins = max(float(y.sum()), 1.0)
    return {
        "deals": float(mature.sum()),
        "calibration_error": expected_calibration_error(y, p),
        "noise_floor": calibration_noise_floor(p),
        "portfolio_error": float(p.sum()) / wins - 1.0,
        "portfolio_allowed": max(0.1, 2.0 * float(np.sqrt((p * (1.0 - p)).sum())) / wins),
    }


def date_quantiles(landmarks: Landmarks, won: Floats, levels: tuple[float, ...]) -> Floats:
    """Days to the close given a win before the data's end: (n, n_levels); NaN where the curve gives no chance of one.

    Only deals won by the data's end can be judged, so each curve is asked the same question: its quantiles are those of the wins it puts
    before that end, not of wins in 180 days, most of which nobody could have seen.
    """
    last = won.shape[1] - 1
    at = np.minimum(landmarks.observed, last)
    rows, below = np.arange(len(won)), np.floor(at).astype(int)
    above = np.minimum(below + 1, last)
    cap = won[rows, below] + (at - below) * (won[rows, above] - won[rows, below])
    found = np.full((len(won), len(levels)), np.nan)
    for number, level in enumerate(levels):
        wanted = level * cap
        after = np.maximum((won < wanted[:, None]).sum(axis=1), 1)
        after = np.minimum(after, last)
        low, step = won[rows, after - 1], won[rows, after] - won[rows, after - 1]
        within = np.divide(wanted - low, step, out=np.zeros_like(step), where=step > 0)
        found[:, number] = np.where(cap > 1e-9, np.minimum(after - 1 + np.clip(within, 0.0, 1.0), at), np.nan)
    return found


def date_scores(landmarks: Landmarks, quantiles: Floats) -> dict[str, float]:
    """Among deals won before the data's end: coverage and mean width of the 80 % interval, absolute error of q50, in days.

    ``quantiles`` are q10, q50, q90 of `date_quantiles`. Landmarks without any are left out and counted (``undated``).
    """
    judged = landmarks.is_won & ~np.isnan(quantiles).any(axis=1)
    days, (low, middle, high) = landmarks.duration[judged], quantiles[judged].T
    return {
        "landmarks": float(judged.sum()),
        "undated": float((landmarks.is_won & ~judged).sum()),
        "coverage80": float(((days >= low) & (days <= high)).mean()),
        "width80": float((high - low).mean()),
        "error": float(np.abs(days - middle).mean()),
    }


def date_error_sums(landmarks: Landmarks, middle: Floats, among: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Summed absolute errors of the date and their number by deal, (n_deals, 1) each, for paired comparison on the same landmarks."""
    error = np.where(among, np.abs(landmarks.duration - middle), 0.0)
    return _by_deal(landmarks.deal, error[:, None]), _by_deal(landmarks.deal, among.astype(float)[:, None])
