"""From daily cumulative incidences to the long frame of predictions. Pure; model and baseline share it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.features.deal_asof import Ints
from predictkpi.features.incidence import Floats
from predictkpi.predictors.close_time.deadlines import days_to_period_end, days_to_slip, within
from predictkpi.predictors.close_time.spec import BY_HORIZON, HORIZONS, LAST_DAY, PERIOD_CHANCES, QUANTILES

COLUMNS = [c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC, c.VALUE, c.STATUS, c.REASON]
NEVER_WON = "no deal like this was won in the history seen, so it has no close date given a win"
NO_AMOUNT = "amount is missing"
NO_EXPECTED_DATE = "the deal has no expected close date that it could slip past"
OVERDUE = "the expected close date has passed, so the deal has slipped"
FAR_DATE = f"the expected close date lies more than {LAST_DAY} days ahead: counted up to day {LAST_DAY}"
FAR_PERIOD = f"the period ends more than {LAST_DAY} days ahead: counted up to day {LAST_DAY}, as p_win is"

REMARKS = ("", NEVER_WON, NO_AMOUNT, NO_EXPECTED_DATE, OVERDUE, FAR_DATE, FAR_PERIOD)
Texts = npt.NDArray[np.object_]


def predictions(inputs: pd.DataFrame, daily: Floats, status: Texts, reason: Texts, horizons: Sequence[int] = HORIZONS) -> pd.DataFrame:
    """``entity_id, as_of, horizon, statistic, value, status, reason``, deal by deal.

    ``daily`` is ``(n, 2, LAST_DAY + 1)``; ``status`` and ``reason`` hold one entry per deal. Statistics of the whole deal stand under the
    horizon `LAST_DAY`, where it is among ``horizons``. A row says in its reason what is odd about its own statistic; a missing value is
    ``insufficient_data``, whatever the deal's status.
    """
    n = len(inputs)
    names = [(horizon, name) for horizon in horizons for name in BY_HORIZON]
    won, lost = (daily[:, cause, list(horizons)] for cause in (0, 1))
    values = [np.stack([won, lost, np.maximum(1.0 - (won + lost), 0.0)], axis=2).reshape(n, len(names))]
    remarks = [np.zeros((n, len(names)), np.int64)]
    for name, value, remark in _whole_deal(inputs, daily[:, 0, :]) if LAST_DAY in horizons else ():
        names.append((LAST_DAY, name))
        values.append(value[:, None])
        remarks.append(remark[:, None])
    flat, width = np.column_stack(values).ravel(), len(names)
    missing = np.isnan(flat)
    deal, column = np.repeat(np.arange(n), width), np.tile(np.arange(width), n)
    statuses, status_texts = pd.factorize(np.asarray(status, object))
    return pd.DataFrame(
        {
            c.ENTITY_ID: _text(inputs[c.ENTITY_ID], deal),
            c.AS_OF: inputs[c.AS_OF].to_numpy()[deal],
            c.HORIZON: np.asarray([horizon for horizon, _ in names], np.int64)[column],
            c.STATISTIC: _text([name for _, name in names], column),
            c.VALUE: flat,
            c.STATUS: _text([Status.INSUFFICIENT_DATA.value, *status_texts], np.where(missing, 0, statuses[deal] + 1)),
            c.REASON: _reasons(reason, deal, np.column_stack(remarks).ravel(), missing),
        },
        columns=COLUMNS,
    )


def _whole_deal(inputs: pd.DataFrame, won: Floats) -> Iterator[tuple[str, Floats, Ints]]:
    """Name, values ``(n,)`` and remarks (numbers in `REMARKS`) of each statistic of the whole deal; ``won`` is ``(n, LAST_DAY + 1)``."""
    n = len(won)
    yield "p_win", won[:, -1], _remarks(n)
    for name, level in QUANTILES.items():
        days = close_quantile(won, level)
        yield name, days, _remarks(n, (np.isnan(days), NEVER_WON))
    for name, freq in PERIOD_CHANCES.items():
        end = days_to_period_end(inputs, freq)
        yield name, within(won, end), _remarks(n, (end > LAST_DAY, FAR_PERIOD))
    due = days_to_slip(inputs)
    oddities = (np.isnan(due), NO_EXPECTED_DATE), (due <= 0, OVERDUE), (due > LAST_DAY, FAR_DATE)
    yield "p_slip", 1.0 - within(won, due), _remarks(n, *oddities)
    amount = inputs[c.AMOUNT].to_numpy(float)
    yield "expected_value", won[:, -1] * amount, _remarks(n, (np.isnan(amount), NO_AMOUNT))


def _remarks(n: int, *found: tuple[npt.NDArray[np.bool_], str]) -> Ints:
    """One number in `REMARKS` per deal."""
    numbers = np.zeros(n, np.int64)
    for applies, text in found:
        numbers[applies] = REMARKS.index(text)
    return numbers


def _reasons(reason: Texts, deal: Ints, remark: Ints, missing: npt.NDArray[np.bool_]) -> pd.api.extensions.ExtensionArray:
    """Per row the deal's reason and the statistic's own remark; of a missing value only why it is missing."""
    codes, texts = pd.factorize(np.asarray(reason, object))
    table = ["; ".join(filter(None, (text, odd))) for text in ("", *texts) for odd in REMARKS]
    return _text(table, np.where(missing, 0, codes[deal] + 1) * len(REMARKS) + remark)


def _text(values: Sequence[str] | pd.Series, codes: Ints) -> pd.api.extensions.ExtensionArray:
    """The values of these codes as a column of text: millions of rows of few values."""
    return pd.array(np.asarray(values, object), dtype="str").take(codes)


def close_quantile(won: Floats, level: float) -> Floats:
    """Days until a share ``level`` of all wins within `LAST_DAY` has happened: ``(n,)``, never negative; NaN where a win has no chance.

    ``won`` is ``(n, days)``, rising; within a day the chance is even.
    """
    total = won[:, -1]
    wanted = level * total
    after = np.minimum((won < wanted[:, None]).sum(axis=1), won.shape[1] - 1)
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(won))
    low, step = won[rows, before], won[rows, after] - won[rows, before]
    within_day = np.divide(wanted - low, step, out=np.zeros_like(step), where=step > 0)
    return np.where(total > 1e-9, before + np.clip(within_day, 0.0, 1.0), np.nan)
