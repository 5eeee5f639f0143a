"""From daily cumulative incidences to the long frame of predictions. Pure; model and baseline share it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns, Texts
from predictkpi.core.types import Status
from predictkpi.features.deal_asof import Ints
from predictkpi.features.incidence import Floats
from predictkpi.predictors.close_time.deadlines import days_to_period_ends, days_to_slip, within
from predictkpi.predictors.close_time.spec import BY_HORIZON, HORIZONS, LAST_DAY, PERIOD_CHANCES, QUANTILES
from predictkpi.protocol import AnswerRow, EntityAnswer

COLUMNS = [c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC, c.VALUE, c.STATUS, c.REASON]
NEVER_WON = "no deal like this was won in the history seen, so it has no close date given a win"
NO_AMOUNT = "amount is missing"
NO_EXPECTED_DATE = "the deal has no expected close date that it could slip past"
OVERDUE = "the expected close date has passed, so the deal has slipped"
FAR_DATE = f"the expected close date lies more than {LAST_DAY} days ahead: counted up to day {LAST_DAY}"
FAR_PERIOD = f"the period ends more than {LAST_DAY} days ahead: counted up to day {LAST_DAY}, as p_win is"

WHOLE_DEAL = ("p_win", *QUANTILES, *PERIOD_CHANCES, "p_slip", "expected_value")
_CLOSES, _PERIODS = slice(1, 1 + len(QUANTILES)), slice(1 + len(QUANTILES), -2)
_SLIP, _WORTH = -2, -1
_LEVELS = np.array([*QUANTILES.values()])
REMARKS = ("", NEVER_WON, NO_AMOUNT, NO_EXPECTED_DATE, OVERDUE, FAR_DATE, FAR_PERIOD)


@dataclass(frozen=True)
class Predicted:
    """Every statistic of every deal, one row a deal: ``values`` and ``remarks`` (numbers in `REMARKS`) are ``(n, len(names))``.

    ``names`` are (horizon, statistic); ``entity_id``, ``as_of``, ``status`` and ``reason`` hold one entry per deal. A statistic says in
    its reason what is odd about it; a missing value is ``insufficient_data``, whatever the deal's status.
    """

    names: list[tuple[int, str]]
    values: Floats
    remarks: Ints
    entity_id: Texts
    as_of: npt.NDArray[np.datetime64]
    status: Texts
    reason: Texts

    @classmethod
    def of(cls, inputs: Columns, daily: Floats, status: Texts, reason: Texts, horizons: Sequence[int] = HORIZONS) -> Self:
        """From ``daily`` ``(n, 2, LAST_DAY + 1)``; those of the whole deal stand under the horizon `LAST_DAY`, where it is asked for."""
        n = len(inputs)
        names = [(horizon, name) for horizon in horizons for name in BY_HORIZON]
        values, remarks = np.empty((n, len(names) + len(WHOLE_DEAL))), np.zeros((n, len(names) + len(WHOLE_DEAL)), np.int64)
        won, lost = (daily[:, cause, list(horizons)] for cause in (0, 1))
        for place, part in enumerate((won, lost, np.maximum(1.0 - (won + lost), 0.0))):
            values[:, place : len(names) : len(BY_HORIZON)] = part
        if LAST_DAY in horizons:
            _whole_deal(inputs, daily[:, 0, :], values[:, len(names) :], remarks[:, len(names) :])
            names += [(LAST_DAY, name) for name in WHOLE_DEAL]
        of_deals = inputs[c.ENTITY_ID], inputs[c.AS_OF], status, reason
        return cls(names, values[:, : len(names)], remarks[:, : len(names)], *of_deals)

    def frame(self) -> pd.DataFrame:
        """`COLUMNS`, deal by deal."""
        n, width = self.values.shape
        flat = self.values.ravel()
        missing = np.isnan(flat)
        deal, column = np.repeat(np.arange(n), width), np.tile(np.arange(width), n)
        statuses, status_texts = pd.factorize(self.status)
        return pd.DataFrame(
            {
                c.ENTITY_ID: _text(self.entity_id, deal),
                c.AS_OF: self.as_of[deal],
                c.HORIZON: np.asarray([horizon for horizon, _ in self.names], np.int64)[column],
                c.STATISTIC: _text([name for _, name in self.names], column),
                c.VALUE: flat,
                c.STATUS: _text([Status.INSUFFICIENT_DATA.value, *status_texts], np.where(missing, 0, statuses[deal] + 1)),
                c.REASON: _reasons(self.reason, deal, self.remarks.ravel(), missing),
            },
            columns=COLUMNS,
        )

    def answers(self) -> list[EntityAnswer]:
        """The same in plain Python, deal by deal."""
        return [
            EntityAnswer(self.entity_id[deal], pd.Timestamp(self.as_of[deal]), tuple(self._rows(deal)))
            for deal in range(len(self.entity_id))
        ]

    def _rows(self, deal: int) -> Iterator[AnswerRow]:
        status, reason = self.status[deal], self.reason[deal]
        for (horizon, name), value, remark in zip(self.names, self.values[deal].tolist(), self.remarks[deal].tolist(), strict=True):
            if value == value:
                yield AnswerRow(horizon, name, value, status, _joined(reason, REMARKS[remark]))
            else:
                yield AnswerRow(horizon, name, value, Status.INSUFFICIENT_DATA.value, REMARKS[remark])


def _whole_deal(inputs: Columns, won: Floats, values: Floats, remarks: Ints) -> None:
    """Fill in the statistics of the whole deal, ``(n, len(WHOLE_DEAL))`` each; ``won`` is ``(n, LAST_DAY + 1)``."""
    p_win, amount, due = won[:, -1], inputs.floats(c.AMOUNT), days_to_slip(inputs)
    ends = np.concatenate([days_to_period_ends(inputs, PERIOD_CHANCES.values()), due[:, None]], axis=1)
    quantiles, by_ends = close_quantile(won, _LEVELS), within(won, ends)
    values[:, 0], values[:, _CLOSES], values[:, _PERIODS] = p_win, quantiles, by_ends[:, :-1]
    values[:, _SLIP], values[:, _WORTH] = 1.0 - by_ends[:, -1], p_win * amount
    for place, applies, remark in (
        (_CLOSES, np.isnan(quantiles), NEVER_WON),
        (_PERIODS, ends[:, :-1] > LAST_DAY, FAR_PERIOD),
        (_SLIP, np.isnan(due), NO_EXPECTED_DATE),
        (_SLIP, due <= 0, OVERDUE),
        (_SLIP, due > LAST_DAY, FAR_DATE),
        (_WORTH, np.isnan(amount), NO_AMOUNT),
    ):
        remarks[:, place][applies] = REMARKS.index(remark)


def _reasons(reason: Texts, deal: Ints, remark: Ints, missing: npt.NDArray[np.bool_]) -> pd.api.extensions.ExtensionArray:
    """Per row the deal's reason and the statistic's own remark; of a missing value only why it is missing."""
    codes, texts = pd.factorize(np.asarray(reason, object))
    table = [_joined(text, odd) for text in ("", *texts) for odd in REMARKS]
    return _text(table, np.where(missing, 0, codes[deal] + 1) * len(REMARKS) + remark)


def _joined(reason: str, odd: str) -> str:
    return f"{reason}; {odd}" if reason and odd else reason or odd


def _text(values: Sequence[str] | Texts, codes: Ints) -> pd.api.extensions.ExtensionArray:
    """The values of these codes as a column of text: millions of rows of few values."""
    return pd.array(np.asarray(values, object), dtype="str").take(codes)


def close_quantile(won: Floats, levels: Floats) -> Floats:
    """Days until a share of all wins within `LAST_DAY` has happened: ``(n, len(levels))``, never negative; NaN where a win has no chance.

    ``won`` is ``(n, days)``, rising; within a day the chance is even.
    """
    wanted = levels * won[:, -1:]
    after = np.minimum((won[:, None, :] < wanted[:, :, None]).sum(axis=2), won.shape[1] - 1)
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(won))[:, None]
    low = won[rows, before]
    step = won[rows, after] - low
    within_day = np.divide(wanted - low, step, out=np.zeros_like(step), where=step > 0)
    return np.where(won[:, -1:] > 1e-9, before + np.minimum(np.maximum(within_day, 0.0), 1.0), np.nan)
