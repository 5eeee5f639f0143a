"""Aalen-Johansen cumulative incidence of competing outcomes, with delayed entry.

Source: Aalen & Johansen (1978); Andersen et al., Statistical Models Based on Counting Processes (1993), IV.4. Variance of
an incidence by the delta method of Marubini & Valsecchi (1995), eq. 10.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Incidence:
    """Step functions on ``times`` (days, increasing). ``cif`` is ``(n_causes, n_times)``; survival + cif.sum(0) is 1 everywhere."""

    times: Floats
    cif: Floats
    survival: Floats
    at_risk: Floats

    def at(self, days: npt.ArrayLike) -> Floats:
        """CIF at ``days``: shape ``(n_causes, *days.shape)``; 0 before the first time, flat after the last."""
        position = self.times.searchsorted(np.asarray(days, dtype=float), side="right")
        return self.padded[:, position]

    @cached_property
    def padded(self) -> Floats:
        """``cif`` with the 0 before the first time: ``(n_causes, n_times + 1)``."""
        return np.concatenate([np.zeros((len(self.cif), 1)), self.cif], axis=1)

    def survival_at(self, days: npt.ArrayLike) -> Floats:
        """Probability of being open after ``days``."""
        return 1.0 - self.at(days).sum(axis=0)

    def conditional(self, age: npt.ArrayLike, ahead: npt.ArrayLike) -> Floats:
        """CIF at ``age + ahead`` given still open at ``age``; 0 where nobody was seen open at that age.

        Shapes broadcast; the result is ``(n_causes, *broadcast)``.
        """
        age, ahead = np.asarray(age, float), np.asarray(ahead, float)
        by_now = self.at(age)
        open_now = 1.0 - by_now.sum(axis=0)
        gained = self.at(age + ahead) - by_now
        return np.divide(gained, open_now, out=np.zeros_like(gained), where=open_now > 1e-12)


def aalen_johansen(
    duration: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weight: npt.ArrayLike | None = None,
    n_causes: int = 2,
) -> Incidence:
    """Estimate cumulative incidences.

    Parameters: ``duration`` (n,) days from origin to event or censoring; ``event`` (n,) 0 = censored, 1..n_causes = cause;
    ``entry`` (n,) days from origin at which observation began (left truncation), 0 by default; ``weight`` (n,) case weights.
    A subject is at risk on ``(entry, duration]``, except that ``entry = 0`` counts from 0 on, so that events on day 0 are kept.
    """
    duration = np.asarray(duration, dtype=float)
    event = np.asarray(event, dtype=int)
    weight = np.ones_like(duration) if weight is None else np.asarray(weight, dtype=float)
    entry = np.zeros_like(duration) if entry is None else np.asarray(entry, dtype=float)
    entry = np.where(entry <= 0, -np.inf, entry)
    times = np.unique(duration[event > 0])
    if not len(times):
        return Incidence(np.zeros(0), np.zeros((n_causes, 0)), np.zeros(0), np.zeros(0))

    def weight_from(values: Floats, side: str) -> Floats:
        order = np.argsort(values, kind="stable")
        cumulative = np.concatenate([[0.0], np.cumsum(weight[order])])
        return cumulative[np.searchsorted(values[order], times, side=side)]  # type: ignore[call-overload]

    at_risk = weight_from(entry, "left") - weight_from(duration, "left")
    position = np.searchsorted(times, duration)
    events = np.zeros((n_causes, len(times)))
    for cause in range(1, n_causes + 1):
        happened = event == cause
        np.add.at(events[cause - 1], position[happened], weight[happened])
    hazard = events / np.maximum(at_risk, 1e-12)
    after = np.cumprod(np.clip(1.0 - hazard.sum(axis=0), 0.0, 1.0))
    before = np.concatenate([[1.0], after[:-1]])
    return Incidence(times, np.cumsum(before * hazard, axis=1), after, at_risk)
