"""From daily cumulative incidences to the long frame of predictions. Pure; model and baseline share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns, Texts
from predictkpi.core.compiled import compiled
from predictkpi.core.types import Status
from predictkpi.features.deal_asof import Ints, microseconds
from predictkpi.features.deal_history import TO_EXPECTED
from predictkpi.features.incidence import Floats
from predictkpi.predictors.close_time.deadlines import chance_within, days_to_period_ends, to_end_of_day
from predictkpi.predictors.close_time.spec import BY_HORIZON, HORIZONS, LAST_DAY, PERIOD_CHANCES, QUANTILES
from predictkpi.protocol import EntityAnswer

COLUMNS = [c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC, c.VALUE, c.STATUS, c.REASON]
NEVER_WON = "no deal like this was won in the history seen, so it has no close date given a win"
NO_AMOUNT = "amount is missing"
NO_EXPECTED_DATE = "the deal has no expected close date that it could slip past"
OVERDUE = "the expected close date has passed, so the deal has slipped"
FAR_DATE = f"the expected close date lies more than {LAST_DAY} days ahead: counted up to day {LAST_DAY}"
FAR_PERIOD = f"the period ends more than {LAST_DAY} days ahead: counted up to day {LAST_DAY}, as p_win is"

WHOLE_DEAL = ("p_win", *QUANTILES, *PERIOD_CHANCES, "p_slip", "expected_value")
CHANCELESS = 1e-9
"""At or below this chance to win, nothing is said of when."""
_LEVELS = np.array([*QUANTILES.values()])
REMARKS = ("", NEVER_WON, NO_AMOUNT, NO_EXPECTED_DATE, OVERDUE, FAR_DATE, FAR_PERIOD)
_, _NEVER_WON, _NO_AMOUNT, _NO_EXPECTED_DATE, _OVERDUE, _FAR_DATE, _FAR_PERIOD = range(len(REMARKS))


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
        names = _names(tuple(horizons))
        values, remarks = np.empty((len(inputs), len(names))), np.zeros((len(inputs), len(names)), np.int64)
        _by_horizon(daily, _days(tuple(horizons)), values)
        if LAST_DAY in horizons:
            first = len(names) - len(WHOLE_DEAL)
            of_deal = microseconds(inputs[c.AS_OF]), inputs.floats(TO_EXPECTED), inputs.floats(c.AMOUNT)
            ends = days_to_period_ends(inputs, PERIOD_CHANCES.values())
            _whole_deal(daily, *of_deal, ends, _LEVELS, values[:, first:], remarks[:, first:])
        return cls(names, values, remarks, inputs[c.ENTITY_ID], inputs[c.AS_OF], status, reason)

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
        horizons, names = zip(*self.names, strict=True) if self.names else ((), ())
        answers = []
        for deal, values in enumerate(self.values.tolist()):
            statuses, reasons = [self.status[deal]] * len(names), [self.reason[deal]] * len(names)
            remarks = self.remarks[deal]
            for place in remarks.nonzero()[0].tolist():
                reasons[place] = _joined(self.reason[deal], REMARKS[remarks[place]])
                if values[place] != values[place]:
                    statuses[place], reasons[place] = Status.INSUFFICIENT_DATA.value, REMARKS[remarks[place]]
            answers.append(EntityAnswer(self.entity_id[deal], _timestamp(self.as_of[deal]), horizons, names, values, statuses, reasons))
        return answers


@lru_cache(maxsize=64)
def _timestamp(instant: np.datetime64) -> pd.Timestamp:
    return pd.Timestamp(instant)


@lru_cache(maxsize=64)
def _days(horizons: tuple[int, ...]) -> Ints:
    return np.array(horizons, np.int64)


@lru_cache(maxsize=64)
def _names(horizons: tuple[int, ...]) -> list[tuple[int, str]]:
    """(horizon, statistic) of every column; those of the whole deal stand last. Do not modify."""
    names = [(horizon, name) for horizon in horizons for name in BY_HORIZON]
    return names + [(LAST_DAY, name) for name in WHOLE_DEAL] if LAST_DAY in horizons else names


@compiled
def _by_horizon(daily: Floats, horizons: Ints, values: Floats) -> None:
    """Fill in `BY_HORIZON` of each horizon."""
    for deal in range(len(daily)):
        for number in range(len(horizons)):
            won, lost = daily[deal, 0, horizons[number]], daily[deal, 1, horizons[number]]
            values[deal, 3 * number], values[deal, 3 * number + 1] = won, lost
            values[deal, 3 * number + 2] = max(1.0 - (won + lost), 0.0)


@compiled
def _whole_deal(
    daily: Floats, at: Ints, ahead: Floats, amount: Floats, ends: Floats, levels: Floats, values: Floats, remarks: Ints
) -> None:
    """Fill in `WHOLE_DEAL`, ``(n, len(WHOLE_DEAL))`` each, from ``daily`` ``(n, 2, LAST_DAY + 1)``.

    ``at`` in microseconds; ``ahead`` days to the rep's date; ``ends`` ``(n, n_periods)`` days to the ends of calendar periods.
    """
    slip = 1 + len(levels) + ends.shape[1]
    for deal in range(len(daily)):
        won = daily[deal, 0]
        values[deal, 0] = won[-1]
        for place in range(len(levels)):
            values[deal, 1 + place] = day_of_share(won, levels[place])
            if won[-1] <= CHANCELESS:
                remarks[deal, 1 + place] = _NEVER_WON
        for place in range(ends.shape[1]):
            values[deal, 1 + len(levels) + place] = chance_within(won, ends[deal, place])
            if ends[deal, place] > LAST_DAY:
                remarks[deal, 1 + len(levels) + place] = _FAR_PERIOD
        due = to_end_of_day(at[deal], ahead[deal])
        values[deal, slip] = 1.0 - chance_within(won, due)
        if due != due:
            remarks[deal, slip] = _NO_EXPECTED_DATE
        elif due <= 0:
            remarks[deal, slip] = _OVERDUE
        elif due > LAST_DAY:
            remarks[deal, slip] = _FAR_DATE
        values[deal, slip + 1] = won[-1] * amount[deal]
        if amount[deal] != amount[deal]:
            remarks[deal, slip + 1] = _NO_AMOUNT


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
    return _close_quantile(won, levels)


@compiled
def _close_quantile(won: Floats, levels: Floats) -> Floats:
    found = np.empty((len(won), len(levels)))
    for deal in range(len(won)):
        for place in range(len(levels)):
            found[deal, place] = day_of_share(won[deal], levels[place])
    return found


@compiled
def day_of_share(won: Floats, level: float) -> float:
    """`close_quantile` of one deal."""
    if not won[-1] > CHANCELESS:
        return np.nan
    wanted = level * won[-1]
    after = min(np.searchsorted(won, wanted), len(won) - 1)
    before = max(after - 1, 0)
    step = won[after] - won[before]
    return before + min(max((wanted - won[before]) / step, 0.0), 1.0) if step > 0 else float(before)
