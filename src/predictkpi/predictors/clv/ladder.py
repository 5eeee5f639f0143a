"""Which rung a CLV answer stands on: by the company's history, by the horizon, and by the customer. Shared by model and baseline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Readiness, Status
from predictkpi.features import rfm
from predictkpi.predictors.clv.spec import MARGIN, MEAN, SPEC, STATISTICS
from predictkpi.predictors.clv.table import HISTORY_DAYS, MARGIN_SHARE, OPENED_LATE

Floats = npt.NDArray[np.float64]

NEEDED = {"repeat_customers": 100, "history_days": 137}
FEWEST_REPEAT_CUSTOMERS = 10
FEWEST_HISTORY_DAYS = 90
# a horizon longer than this share of the history is an extrapolation
HORIZON_PER_HISTORY = 1.0 / 1.5
EARLY = "an order is dated before the account was opened: counted from the first order"
AT_A_LOSS = "the orders so far cost more than they brought"
MONTH_DAYS = 365.25 / 12.0
_ORDER = list(Status)


def company_readiness(table: pd.DataFrame) -> Readiness:
    """The rung of a whole CLV table."""
    have = {
        "customers_with_purchase": int((table[rfm.PURCHASES] > 0).sum()),
        "repeat_customers": int((table[rfm.FREQUENCY] > 0).sum()),
        "history_days": int(table[HISTORY_DAYS].max()) if len(table) else 0,
    }
    need = {"customers_with_purchase": 1, **NEEDED}
    repeat, days = have["repeat_customers"], have["history_days"]
    counts = f"{repeat} customers bought more than once, in {days} days"
    if not have["customers_with_purchase"]:
        return Readiness(status=Status.INSUFFICIENT_DATA, have=have, need=need, reason="no customer has bought anything yet")
    if repeat < FEWEST_REPEAT_CUSTOMERS or days < FEWEST_HISTORY_DAYS:
        return Readiness(status=Status.PRIOR, have=have, need=need, reason=f"mostly general experience: only {counts}")
    if repeat < NEEDED["repeat_customers"] or days < NEEDED["history_days"]:
        return Readiness(status=Status.LIMITED, have=have, need=need, reason=f"few repeat customers or little history: {counts}")
    return Readiness(status=Status.FULL, have=have, need=need, reason="")


class Verdicts:
    """Status and reasons for each row of an inputs frame and each horizon; the worst status holds, every reason is kept.

    What is odd about one statistic alone is a note on that one, and lowers no status.
    """

    def __init__(self, inputs: pd.DataFrame) -> None:
        self._shape = (len(inputs), len(SPEC.horizons))
        self._rung = np.zeros(self._shape, dtype=np.int8)
        self._reasons: list[tuple[npt.NDArray[np.bool_], str]] = []
        self.notes: list[tuple[str, npt.NDArray[np.bool_], str]] = [
            (MEAN, inputs[OPENED_LATE].to_numpy(dtype=float) > 0, EARLY),
            (MARGIN, inputs[MARGIN_SHARE].to_numpy(dtype=float) < 0, AT_A_LOSS),
        ]
        """Statistic, whose it is (n,), and what is to be said of it."""
        needed = np.array(SPEC.horizons) * MONTH_DAYS / HORIZON_PER_HISTORY
        self._too_far = inputs[HISTORY_DAYS].to_numpy(dtype=float)[:, None] < needed - 1.0

    def company(self, readiness: Readiness) -> None:
        """What holds for everybody."""
        if readiness.status is not Status.FULL:
            self.rows(np.ones(self._shape[0], dtype=bool), readiness.status, readiness.reason)

    def horizons(self) -> None:
        """Horizons that reach further than the history bears."""
        self._add(self._too_far, Status.LIMITED, "the horizon is longer than two thirds of the history")

    def rows(self, mask: npt.NDArray[np.bool_], status: Status, reason: str) -> None:
        """What holds for the customers in ``mask`` (n,)."""
        self._add(np.broadcast_to(mask[:, None], self._shape), status, reason)

    def _add(self, mask: npt.NDArray[np.bool_], status: Status, reason: str) -> None:
        if mask.any():
            self._rung = np.where(mask, np.maximum(self._rung, _ORDER.index(status)), self._rung).astype(np.int8)
            self._reasons.append((mask, reason))

    def codes(self) -> tuple[npt.NDArray[np.int64], list[str], list[str]]:
        """Code of each (row, horizon), and by code its status and its reason."""
        pattern = np.zeros(self._shape, dtype=np.int64)
        for bit, (mask, _) in enumerate(self._reasons):
            pattern |= mask.astype(np.int64) << bit
        combined = pattern * len(_ORDER) + self._rung
        values, code = np.unique(combined, return_inverse=True)
        statuses = [_ORDER[int(value) % len(_ORDER)].value for value in values]
        reasons = [
            "; ".join(reason for bit, (_, reason) in enumerate(self._reasons) if int(value) // len(_ORDER) >> bit & 1) for value in values
        ]
        return code.reshape(self._shape), statuses, reasons


def long_predictions(inputs: pd.DataFrame, values: Floats, verdicts: Verdicts) -> pd.DataFrame:
    """``values`` (n, n_horizons, n_statistics) in the order of the spec, as the long frame of the protocol.

    The margin, the last of them, is left out where it is missing.
    """
    has_margin = np.isfinite(values[:, :, -1])
    if not has_margin.any():
        values = values[:, :, :-1]
    n, n_horizons, n_statistics = values.shape
    code, statuses, reasons = verdicts.codes()
    per_row = np.repeat(code.reshape(-1), n_statistics)
    each = np.repeat(np.arange(n), n_horizons * n_statistics)

    def tiled(names: Sequence[str], position: npt.NDArray[np.int64]) -> pd.Series:
        return pd.Series(names, dtype="str").take(position).reset_index(drop=True)

    found = pd.DataFrame(
        {
            c.ENTITY_ID: inputs[c.ENTITY_ID].astype("str").take(each).reset_index(drop=True),
            c.AS_OF: inputs[c.AS_OF].take(each).reset_index(drop=True),
            c.HORIZON: np.tile(np.repeat(np.array(SPEC.horizons), n_statistics), n),
            c.STATISTIC: tiled(STATISTICS, np.tile(np.arange(n_statistics), n * n_horizons)),
            c.VALUE: values.reshape(-1),
            c.STATUS: tiled(statuses, per_row),
            c.REASON: tiled(reasons, per_row),
        }
    )
    for statistic, mask, note in verdicts.notes:
        at = STATISTICS.index(statistic)
        if at < n_statistics and mask.any():
            rows = ((np.flatnonzero(mask)[:, None] * n_horizons + np.arange(n_horizons)) * n_statistics + at).ravel()
            told = found[c.REASON].iloc[rows]
            found.loc[rows, c.REASON] = (told + "; " + note).where(told != "", note)
    return found if has_margin.all() or not has_margin.any() else found[found[c.VALUE].notna()].reset_index(drop=True)
