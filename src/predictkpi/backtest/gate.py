"""The gate: a model is promoted only if it beats its baseline on the same pairs by more than chance explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.backtest.run import CANDIDATE, BacktestResult
from predictkpi.core import columns as c

FEWEST_OUTCOMES = 30
FEW_ENTITIES = 30


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
    result: BacktestResult, *, model: str = "model", baseline: str = "baseline", draws: int = 2000, random_state: int = 0
) -> GateDecision:
    """Compare two candidates by a paired bootstrap.

    Whole clusters are drawn: an entity with all its horizons and folds, since they err together; where there are fewer than
    30 entities (revenue series) an entity within a fold, since otherwise nothing would be left to draw from.
    """
    sums = _cluster_sums(result.losses, model=model, baseline=baseline)
    improvement = _improvement(*sums.sum(axis=0))
    drawn = _bootstrap(sums, draws=draws, rng=np.random.default_rng(random_state))
    low, high = (float(value) for value in np.quantile(drawn, [0.025, 0.975]))
    n, folds = result.n_outcomes, len(result.cutoffs)
    figures = f"{improvement:+.1%} [{low:+.1%}, {high:+.1%}] on {n} outcomes in {folds} folds"
    must_confirm = n < FEWEST_OUTCOMES
    if must_confirm:
        reason = f"Only {n} outcomes to judge by (fewer than {FEWEST_OUTCOMES}): a person must confirm; so far the loss changes by {figures}."
    elif low > 0:
        reason = f"The model beats the baseline: improvement {figures}."
    elif improvement > 0:
        reason = f"The model is not clearly better than the baseline: improvement {figures}."
    else:
        reason = f"The model does not beat the baseline: improvement {figures}."
    promote = low > 0 and not must_confirm
    return GateDecision(promote, reason, improvement, low, high, n, must_confirm)


def _cluster_sums(losses: pd.DataFrame, *, model: str, baseline: str) -> npt.NDArray[np.float64]:
    """(n_clusters, 2): summed weighted loss of model and baseline."""
    few = losses[c.ENTITY_ID].nunique() < FEW_ENTITIES
    cluster = [c.AS_OF, c.ENTITY_ID] if few else [c.ENTITY_ID]
    weighted = losses.assign(loss=losses["loss"] * losses["weight"])
    return weighted.pivot_table(index=cluster, columns=CANDIDATE, values="loss", aggfunc="sum")[[model, baseline]].to_numpy(float)


def _improvement(model: float, baseline: float) -> float:
    """1 - model / baseline; against a faultless baseline any loss counts as twice as bad, so that the figure stays finite."""
    if baseline > 0:
        return float(1.0 - model / baseline)
    return 0.0 if model <= 0 else -1.0


def _bootstrap(sums: npt.NDArray[np.float64], *, draws: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    n = len(sums)
    improvements = np.empty(draws)
    for draw in range(draws):
        model, baseline = sums[rng.integers(n, size=n)].sum(axis=0)
        improvements[draw] = _improvement(model, baseline)
    return improvements
