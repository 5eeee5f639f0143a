"""Level and growth by week, month or fiscal quarter, all from the same sample paths."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq, shift, start_of
from predictkpi.errors import UnknownNameError
from predictkpi.outlook.growth import GROWTH_LEVELS, LEVELS, growth, quantiles
from predictkpi.outlook.outlook import Outlook
from predictkpi.outlook.weeks import weeks_of
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

FREQS: tuple[Freq, ...] = ("W", "M", "Q")
GROWTHS = ("previous", "year_before")
RECORDED_COLUMNS = [c.SCOPE, c.FREQ, c.DS, c.VALUE, *(f"growth_{base}" for base in GROWTHS)]
LEVEL_COLUMNS = [c.SCOPE, c.FREQ, c.DS, "mean", *LEVELS, *(f"growth_{base}_{name}" for base in GROWTHS for name in GROWTH_LEVELS)]
_YEAR: dict[Freq, int] = {"W": 52, "M": 12, "Q": 4}


def levels(outlook: Outlook, snapshot: Snapshot, scope: str, freq: Freq) -> pd.DataFrame:
    """One row per period from the running one, as a whole, to the last that the months ahead hold: `LEVEL_COLUMNS`, in currency and shares.

    Growth is on the period before and on the same one a year before (weeks: 52 before), NaN where there is no base above zero. Raises
    `UnknownNameError` for a length, `UnknownEntityError` for a scope.
    """
    known, ahead = _by_period(outlook, snapshot, scope, freq)
    whole = {**known, **ahead}
    starts = sorted(whole)
    rows = []
    for ds, paths in ahead.items():
        row: dict[str, object] = {c.SCOPE: scope, c.FREQ: freq, c.DS: ds, "mean": float(paths.mean()), **quantiles(paths)}
        for base, back in zip(GROWTHS, (1, _YEAR[freq]), strict=True):
            place = starts.index(ds) - back
            grown = growth(paths, whole[starts[place]] if place >= 0 else None) or {}
            row |= {f"growth_{base}_{name}": value for name, value in grown.items()}
        rows.append(row)
    return pd.DataFrame(rows, columns=LEVEL_COLUMNS)


def recorded(outlook: Outlook, snapshot: Snapshot, scope: str, freq: Freq) -> pd.DataFrame:
    """One row per whole period before the running one, oldest first: `RECORDED_COLUMNS`, in currency and shares.

    What `levels` grows on, with its own growth; NaN where there is no base above zero. Raises as `levels`.
    """
    known, _ = _by_period(outlook, snapshot, scope, freq)
    value = pd.Series({ds: float(paths.mean()) for ds, paths in known.items()}, dtype=float)
    found = pd.DataFrame({c.SCOPE: scope, c.FREQ: freq, c.DS: value.index, c.VALUE: value.to_numpy()})
    for base, back in zip(GROWTHS, (1, _YEAR[freq]), strict=True):
        before = found[c.VALUE].shift(back)
        found[f"growth_{base}"] = found[c.VALUE] / before.where(before > 0) - 1
    return found[RECORDED_COLUMNS]


_ByPeriod = tuple[dict[pd.Timestamp, Floats], dict[pd.Timestamp, Floats]]


def _by_period(outlook: Outlook, snapshot: Snapshot, scope: str, freq: Freq) -> _ByPeriod:
    """Past and coming periods, in order, each with its revenue in every path."""
    if freq not in FREQS:
        raise UnknownNameError.among("length of a period", freq, known=FREQS)
    outlook.place(scope)
    return _by_week(outlook, snapshot, scope) if freq == "W" else _by_month(outlook, scope, freq)


def _by_month(outlook: Outlook, scope: str, freq: Freq) -> _ByPeriod:
    fiscal = outlook.company.fiscal_year_starts
    history = outlook.answers[scope].history
    first = outlook.months[0] - pd.DateOffset(months=len(history))
    running = start_of(outlook.as_of, freq, fiscal_year_starts=fiscal)
    found: dict[pd.Timestamp, Floats] = {}
    period = start_of(first, freq, fiscal_year_starts=fiscal)
    while period <= outlook.months[-1]:
        end = shift(period, 1, freq, fiscal_year_starts=fiscal)
        sums = outlook.sums(scope, period, end)
        if sums is not None:
            found[period] = sums
        period = end
    return {ds: sums for ds, sums in found.items() if ds < running}, {ds: sums for ds, sums in found.items() if ds >= running}


def _by_week(outlook: Outlook, snapshot: Snapshot, scope: str) -> _ByPeriod:
    weeks = weeks_of(outlook, snapshot, scope)
    known = {pd.Timestamp(str(ds)): np.full(len(weeks.paths), float(value)) for ds, value in weeks.history.items()}
    return known, dict(zip(weeks.starts, weeks.paths.T, strict=True))
