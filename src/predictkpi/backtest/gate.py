"""The gate: a model serves only if it is clearly better than its baseline and the champion, and nobody pays for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from predictkpi.backtest.checks import (
    CHAMPION,
    Check,
    GateRule,
    against_baseline,
    better_than_champion,
    fast_enough,
    keeps_promises,
    segments_hold,
)
from predictkpi.backtest.paired import DRAWS
from predictkpi.backtest.run import BacktestResult
from predictkpi.core import columns as c
from predictkpi.protocol import MODEL

NO_SEGMENTS = pd.DataFrame(
    {c.AS_OF: pd.Series(dtype="datetime64[us]"), c.ENTITY_ID: pd.Series(dtype="str"), "segment": pd.Series(dtype="str")}
)


@dataclass(frozen=True)
class GateDecision:
    """``improvement`` is the share of the baseline's loss that the model saves (.05 = 5 % better), with its 95 % interval.

    ``must_confirm``: too few outcomes for a machine to decide; a person may still promote. ``checks`` are all others that were made.
    ``is_champion_worse``: the champion's settings (the model's own, where they are equal) lose clearly against the baseline, on enough
    outcomes to say so. ``reason`` is one plain sentence.
    """

    promote: bool
    reason: str
    improvement: float
    low: float
    high: float
    n_outcomes: int
    must_confirm: bool = False
    checks: tuple[Check, ...] = ()
    is_champion_worse: bool = False

    @property
    def failed(self) -> list[Check]:
        """The checks that were not passed."""
        return [check for check in self.checks if not check.is_passed]

    def as_dict(self) -> Mapping[str, Any]:
        """For the registry and the audit log."""
        return asdict(self) | {"checks": [asdict(check) | {"figures": dict(check.figures)} for check in self.checks]}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> GateDecision:
        """Inverse of `as_dict`."""
        return cls(**{**told, "checks": tuple(Check(**check) for check in told["checks"])})


def decide(
    result: BacktestResult,
    *,
    rule: GateRule | None = None,
    segments: pd.DataFrame = NO_SEGMENTS,
    draws: int = DRAWS,
    random_state: int = 0,
) -> GateDecision:
    """Compare the model with its baseline, and with the champion's recipe where it is a candidate, on the same pairs; see `paired`.

    ``segments``: as_of, entity_id, segment, as known at each cutoff.
    What is judged, and how strictly: `GateRule` and the functions of `checks`.
    """
    rule = rule or GateRule()
    improvement, low, high = against_baseline(result, MODEL, draws=draws, random_state=random_state)
    champion_high = against_baseline(result, CHAMPION, draws=draws, random_state=random_state)[2] if CHAMPION in result.metrics else high
    others = [
        better_than_champion(result, draws=draws, random_state=random_state),
        *keeps_promises(result, rule, draws=draws, random_state=random_state),
        *segments_hold(result, segments, rule, draws=draws, random_state=random_state),
        fast_enough(result, rule),
    ]
    checks = tuple(check for check in others if check is not None)
    n, folds = result.n_outcomes, len(result.cutoffs)
    distinct = result.n_entities if result.spec.entity != "series" else n
    figures = f"{improvement:+.1%} [{low:+.1%}, {high:+.1%}] on {n} outcomes in {folds} {'fold' if folds == 1 else 'folds'}"
    must_confirm = distinct < rule.fewest_outcomes
    failed = "; ".join(check.reason for check in checks if not check.is_passed)
    if must_confirm:
        few = f"fewer than {rule.fewest_outcomes}"
        of_whom = f"{n} outcomes" if distinct == n else f"{distinct} {result.spec.entity}s"
        reason = f"Only {of_whom} to judge by ({few}): a person must confirm; so far the improvement is {figures}."
    elif low > 0 and failed:
        reason = f"The model beats the baseline (improvement {figures}) but may not serve: {failed}."
    elif low > 0:
        reason = f"The model beats the baseline: improvement {figures}."
    elif improvement > 0:
        reason = f"The model is not clearly better than the baseline: improvement {figures}."
    else:
        reason = f"The model does not beat the baseline: improvement {figures}."
    promote = low > 0 and not must_confirm and not failed
    return GateDecision(promote, reason, improvement, low, high, n, must_confirm, checks, champion_high < 0 and not must_confirm)
