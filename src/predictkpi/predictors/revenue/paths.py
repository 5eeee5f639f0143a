"""From sample paths to statistics: levels and growth of the same paths, so that they never contradict one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Statistic, Status

Floats = npt.NDArray[np.float64]

LEVELS = (0.025, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.975)
GROWTH_LEVELS = (0.10, 0.50, 0.90)
GROWTHS = {
    "mom": "on the month before",
    "qoq": "of the quarter that ends here on the quarter before",
    "yoy": "on the same month a year before",
}
# Growth needs a base above zero: beyond this share of paths without one it is not stated.
_BASES_MISSING = 0.05


def quantile_name(level: float) -> str:
    """``q10`` for .1, ``q025`` for .025."""
    return "q" + f"{level:.3f}"[2:].removesuffix("0")


LEVEL_STATISTICS = tuple(
    [Statistic(name="mean", unit="currency", description="expected revenue of the month")]
    + [
        Statistic(name=quantile_name(level), unit="currency", description=f"revenue stays below this with probability {level:g}")
        for level in LEVELS
    ]
)
GROWTH_STATISTICS = tuple(
    Statistic(
        name=f"growth_{kind}_{quantile_name(level)}",
        unit="share",
        description=f"revenue growth {meaning}, below this with probability {level:g}; .05 is +5 %",
    )
    for kind, meaning in GROWTHS.items()
    for level in GROWTH_LEVELS
)


@dataclass(frozen=True)
class Answer:
    """One series' forecast: ``paths`` (draws, H) in currency continue ``history`` (n,); ``months`` (H,) are their starts.

    ``to_date`` is what is booked so far in the first of them, the running month. ``recorded`` (n,) is what the books hold of the months
    of ``history``: 0 where that is filled in for missing records. None where the two are the same.
    """

    entity_id: str
    as_of: pd.Timestamp
    history: Floats
    paths: Floats
    months: pd.DatetimeIndex
    fiscal_year_starts: int
    status: Status
    reason: str
    to_date: float = 0.0
    recorded: Floats | None = None

    def predictions(self) -> pd.DataFrame:
        """Long predictions; only the quantiles' status where there is nothing to forecast from (value NaN)."""
        rows = list(self._levels())
        if self.status is not Status.INSUFFICIENT_DATA:
            rows += [row for kind in GROWTHS for row in self._growth(kind)]
        frame = pd.DataFrame(rows, columns=[c.HORIZON, c.STATISTIC, c.VALUE]).astype({c.HORIZON: "int64", c.VALUE: "float64"})
        frame.insert(0, c.ENTITY_ID, self.entity_id)
        frame.insert(1, c.AS_OF, self.as_of)
        return frame.assign(**{c.STATUS: self.status.value, c.REASON: self.reason})

    def _levels(self) -> Iterator[tuple[int, str, float]]:
        mean, values = self.paths.mean(axis=0), np.quantile(self.paths, LEVELS, axis=0)
        for step in range(self.paths.shape[1]):
            yield step + 1, "mean", mean[step]
            for level, value in zip(LEVELS, values[:, step], strict=True):
                yield step + 1, quantile_name(level), value

    def _growth(self, kind: str) -> Iterator[tuple[int, str, float]]:
        for step, growth in self.growth_paths(kind).items():
            for level, value in zip(GROWTH_LEVELS, np.quantile(growth, GROWTH_LEVELS), strict=True):
                yield step, f"growth_{kind}_{quantile_name(level)}", value

    def growth_paths(self, kind: str) -> dict[int, Floats]:
        """Growth in every path by horizon; horizons whose base is not covered by history or may be zero are absent."""
        draws, horizon = self.paths.shape
        whole = np.concatenate([np.broadcast_to(self.history, (draws, len(self.history))), self.paths], axis=1)
        width, lag = {"mom": (1, 1), "qoq": (3, 3), "yoy": (1, 12)}[kind]
        found = {}
        for step in range(1, horizon + 1):
            end = len(self.history) + step
            if end - width - lag < 0 or (kind == "qoq" and not self._ends_quarter(step)):
                continue
            base, now = whole[:, end - lag - width : end - lag].sum(axis=1), whole[:, end - width : end].sum(axis=1)
            positive = base > 0
            if positive.mean() >= 1 - _BASES_MISSING:
                found[step] = now[positive] / base[positive] - 1
        return found

    def _ends_quarter(self, step: int) -> bool:
        return (self.months[step - 1].month - self.fiscal_year_starts + 1) % 3 == 0
