"""Median time until something happens, with cases still open counted as such, and a 95 % interval. Pure.

The interval is Woodruff's: the estimated curve is read off where it crosses the level plus and minus 1.96 standard errors of
its height at the median. The standard error is Greenwood's where cases can only end; with competing outcomes and late entry it is the
infinitesimal jackknife: one influence per case. Sources: Woodruff (1952), J. Am. Stat. Assoc. 47; Greenwood (1926); Efron (1982), The
Jackknife, the Bootstrap and Other Resampling Plans, 6.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from predictkpi.features.incidence import Floats, Incidence, aalen_johansen
from predictkpi.kpis.shares import Z_95

Ints = npt.NDArray[np.integer[Any]]
_TINY = 1e-12


class Median(NamedTuple):
    """``value`` days with its interval, NaN where it has no bound, and the ``n`` cases in which it happened."""

    value: float
    low: float
    high: float
    n: int


NO_MEDIAN = (np.nan, np.nan, np.nan)


def median_among(duration: Floats, cause: Ints, *, entry: Floats) -> Median:
    """Median days to cause 1 among the cases that end in it: where its incidence reaches half of its final value.

    ``cause`` is 0 while open, else 1 or a competing 2. A case is under observation from ``entry`` days on.
    """
    n = int((cause == 1).sum())
    if n == 0:
        return Median(*NO_MEDIAN, 0)
    # Seen for the first time as it ended: there is no span at risk, and the case's own row must vouch for the time before.
    entry = np.where(entry < duration, entry, 0.0)
    incidence = aalen_johansen(duration, cause, entry=entry)
    if (incidence.survival[:-1] <= 0).any():
        # With late entry the few cases seen at an early age may all end; what came after would then weigh nothing.
        return Median(*NO_MEDIAN, n)
    curve = incidence.cif[0] / incidence.cif[0, -1]
    at = int(np.searchsorted(curve, 0.5 - _TINY))
    late = _influence(incidence, duration, cause, entry, at=len(curve) - 1)
    error = (_influence(incidence, duration, cause, entry, at=at) - curve[at] * late) / incidence.cif[0, -1]
    return Median(*_read_off(incidence.times, curve, at, float(np.sqrt(error @ error))), n)


def median_until(duration: Floats, ended: Ints) -> Median:
    """Median days until a case ends (Kaplan-Meier); no value where fewer than half are seen to end. ``ended`` is 0 or 1."""
    n = int(ended.sum())
    if n == 0:
        return Median(*NO_MEDIAN, 0)
    incidence = aalen_johansen(duration, ended, n_causes=1)
    curve = incidence.cif[0]
    if curve[-1] < 0.5 - _TINY:
        return Median(*NO_MEDIAN, n)
    at = int(np.searchsorted(curve, 0.5 - _TINY))
    before = np.concatenate([[1.0], incidence.survival[:at]])
    hazard = np.diff(curve[: at + 1], prepend=0.0) / before
    is_last = hazard >= 1.0 - _TINY  # nobody is left: the curve is certain to be at its top
    growth = hazard / np.where(is_last, np.inf, incidence.at_risk[: at + 1] * (1.0 - hazard))
    error = float(incidence.survival[at] * np.sqrt(growth.sum()))
    return Median(*_read_off(incidence.times, curve, at, error), n)


def _read_off(times: Floats, curve: Floats, at: int, error: float) -> tuple[float, float, float]:
    room = Z_95 * error
    low = np.searchsorted(curve, 0.5 - room - _TINY)
    high = np.searchsorted(curve, 0.5 + room - _TINY)
    return (
        float(times[at]),
        float(min(times[low], times[at])) if room < 0.5 else np.nan,
        float(times[high]) if high < len(times) else np.nan,
    )


def _influence(incidence: Incidence, duration: Floats, cause: Ints, entry: Floats, *, at: int) -> Floats:
    """What each case adds to the incidence of cause 1 at ``times[at]``: its derivative by the case's weight."""
    times, cif = incidence.times, incidence.cif[0]
    before = np.concatenate([[1.0], incidence.survival[:-1]])
    step = np.diff(cif, prepend=0.0)
    hazard = np.diff(incidence.cif.sum(axis=0), prepend=0.0) / np.maximum(before, _TINY)
    ahead = np.where(np.arange(len(times)) <= at, cif[at] - cif, 0.0)
    # Whoever ends early leaves fewer to follow: each ending at u takes its share of all that the curve gains after u.
    lost = ahead / np.maximum(1.0 - hazard, _TINY)
    in_play = np.arange(len(times)) <= at
    at_risk = np.where(in_play, (step - hazard * lost) / incidence.at_risk, 0.0)
    passed = np.concatenate([[0.0], np.cumsum(at_risk)])
    first = np.where(entry <= 0, 0, np.searchsorted(times, entry, side="right"))
    end = np.searchsorted(times, duration, side="right")
    own = np.minimum(np.searchsorted(times, duration), len(times) - 1)
    gain = np.where(cause == 1, before[own], 0.0) - lost[own]
    ended = (cause > 0) & in_play[own]
    return np.where(ended, gain / incidence.at_risk[own], 0.0) - (passed[end] - passed[np.minimum(first, end)])
