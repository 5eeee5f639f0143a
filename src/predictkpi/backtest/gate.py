"""The gate: a model is promoted only if it beats its baseline on the same pairs by more than chance explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.backtest.run import CANDIDATE, BacktestResult
from predictkpi.core import columns as c
from predictkpi.protocol import BASELINE, MODEL

FEWEST_OUTCOMES = 30
DRAWS_AT_ONCE = 200
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GateDecision:
    """``improvement`` is the share of the baseline's loss that the model saves (.05 = 5 % better), with its 95 % interval.

    ``must_confirm``: too few outcomes for a machine to decide; a person may still promote. ``reason`` is one plain sentence.
    """

    promote: bool
    reason: str
    improvement: float
    low: float
    high: float
    n_outcomes: int
    must_confirm: bool = False


def decide(
    result: BacktestResult, *, model: str = MODEL, baseline: str = BASELINE, draws: int = 2000, random_state: int = 0
) -> GateDecision:
    """Compare two candidates by a paired bootstrap that draws cutoffs and entities, each with replacement (Owen, 2007).

    An entity is drawn with all its horizons, since they err together; a cutoff with all its entities, since they share what the following
    months brought. Drawing entities alone would promote whatever luck with the calendar favoured. With one cutoff only entities are drawn.
    """
    losses = _loss_tables(result.losses, model=model, baseline=baseline)
    improvement = float(_improvement(*losses.sum(axis=(1, 2))))
    drawn = _bootstrap(losses, draws=draws, rng=np.random.default_rng(random_state))
    low, high = (float(value) for value in np.quantile(drawn, [0.025, 0.975]))
    n, folds = result.n_outcomes, len(result.cutoffs)
    figures = f"{improvement:+.1%} [{low:+.1%}, {high:+.1%}] on {n} outcomes in {folds} {'fold' if folds == 1 else 'folds'}"
    must_confirm = n < FEWEST_OUTCOMES
    if must_confirm:
        reason = (
            f"Only {n} outcomes to judge by (fewer than {FEWEST_OUTCOMES}): a person must confirm; so far the improvement is {figures}."
        )
    elif low > 0:
        reason = f"The model beats the baseline: improvement {figures}."
    elif improvement > 0:
        reason = f"The model is not clearly better than the baseline: improvement {figures}."
    else:
        reason = f"The model does not beat the baseline: improvement {figures}."
    promote = low > 0 and not must_confirm
    return GateDecision(promote, reason, improvement, low, high, n, must_confirm)


def _loss_tables(losses: pd.DataFrame, *, model: str, baseline: str) -> Floats:
    """(2, n_cutoffs, n_entities): summed weighted loss of model and baseline; 0 where an entity was not scored at a cutoff."""
    weighted = losses.assign(loss=losses["loss"] * losses["weight"])
    table = weighted.pivot_table(index=[CANDIDATE, c.AS_OF], columns=c.ENTITY_ID, values="loss", aggfunc="sum", fill_value=0.0)
    return np.stack([table.loc[name].to_numpy(float) for name in (model, baseline)])


def _improvement(model: npt.ArrayLike, baseline: npt.ArrayLike) -> Floats:
    """1 - model / baseline; against a faultless baseline any loss counts as twice as bad, so that the figure stays finite."""
    ours, theirs = np.asarray(model, dtype=float), np.asarray(baseline, dtype=float)
    saved = 1.0 - ours / np.where(theirs > 0, theirs, 1.0)
    return np.where(theirs > 0, saved, np.where(ours > 0, -1.0, 0.0))


def _bootstrap(losses: Floats, *, draws: int, rng: np.random.Generator) -> Floats:
    """Improvements of ``draws`` resamples, (draws,)."""
    _, n_cutoffs, n_entities = losses.shape
    cutoffs = rng.multinomial(n_cutoffs, np.full(n_cutoffs, 1 / n_cutoffs), size=draws)
    found = np.empty((2, draws))
    for start in range(0, draws, DRAWS_AT_ONCE):
        chosen = slice(start, min(start + DRAWS_AT_ONCE, draws))
        entities = rng.multinomial(n_entities, np.full(n_entities, 1 / n_entities), size=chosen.stop - start).astype(float)
        found[:, chosen] = np.einsum("bf,kfb->kb", cutoffs[chosen].astype(float), losses @ entities.T)
    return _improvement(*found)
