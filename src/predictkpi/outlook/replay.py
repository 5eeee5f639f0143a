"""The replay: what forecasts with and without the open deals would have said in past months, and what came true.

Predictors learn once, from what was known before the first replayed month; each later month is then forecast from what was known at its own
start. They are older than those that serve. What is learnt from the replay is judged apart, see `trust`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.outlook.book import Book
from predictkpi.outlook.items import Items
from predictkpi.outlook.rest import forecast_rest, split_for
from predictkpi.outlook.trust import (
    REPLAY_COLUMNS,
)
from predictkpi.predictors.revenue.forecaster import SeriesForecaster
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

HORIZON = 6
"""Months ahead in which open deals can matter: their chances are known for half a year."""
ORIGINS = 12
_TOTAL = [c.TOTAL]


def replay(
    snapshot: Snapshot,
    *,
    revenue: SeriesForecaster,
    close_time: Predictor,
    origins: int = ORIGINS,
    on_progress: Progress | None = None,
) -> pd.DataFrame:
    """Forecasts of the company's total from ``origins`` past months, on the same day of the month as as_of: `REPLAY_COLUMNS`.

    ``revenue`` and ``close_time`` are not fitted: they learn from what was known ``origins`` months ago. One row per origin and month
    ahead that is over by as_of. ``weighted_pipeline`` is what a CRM's report shows of the open deals (see `weighted`), with the rest
    as in ``with_deals``. Raises `InsufficientDataError` where there is too little to learn from.
    """
    instants = [snapshot.as_of - pd.DateOffset(months=back) for back in range(origins, 0, -1)]
    start = snapshot.at(instants[0])
    for predictor in (revenue, close_time):
        predictor.fit(predictor.training_table(start))
    items = Items.of(snapshot)
    truth = split_for(items, snapshot.as_of, _TOTAL, horizons=HORIZON)
    came = items.frame.groupby(items.frame[c.DS].dt.to_period("M"))[c.AMOUNT].sum()
    rows = []
    for done, at in enumerate(instants):
        place = len(truth.origins) - origins + done
        ahead = min(HORIZON, origins - done)
        said = _said(snapshot.at(at), revenue, close_time)
        for step in range(ahead):
            actual = float(came.get(at.to_period("M") + step, 0.0))
            rows.append((at, step + 1, actual, *said.forecasts[:, step], said.deals[step], truth.from_open[0, place, step]))
        if on_progress:
            on_progress(done + 1, origins)
    return pd.DataFrame(rows, columns=REPLAY_COLUMNS)


@dataclass(frozen=True)
class _Said:
    """What was said of the total at one origin: ``forecasts`` ``(3, H)`` in the order of `REPLAY_COLUMNS`, and of ``deals`` ``(H,)``."""

    forecasts: Floats
    deals: Floats


def _said(past: Snapshot, revenue: SeriesForecaster, close_time: Predictor) -> _Said:
    series = revenue.answers(revenue.inputs(past, entity_ids=_TOTAL))[0].paths.mean(axis=0)[:HORIZON]
    items = Items.of(past)
    rest = forecast_rest(split_for(items, past.as_of, _TOTAL, horizons=HORIZON), horizons=HORIZON)[0]
    book = Book.of(close_time, past, items, _TOTAL, HORIZON)
    so_far = np.zeros(HORIZON)
    so_far[0] = booked_so_far(items, past.as_of)
    settled = so_far + book.backlog[0]
    deals, weighted = book.expected()[0], book.weighted(past)[0]
    return _Said(np.stack([series, settled + deals + rest, settled + weighted + rest]), deals)


def booked_so_far(items: Items, as_of: pd.Timestamp) -> float:
    """Revenue of the running month before as_of."""
    month = as_of.to_period("M").start_time
    return float(items.frame.loc[items.frame[c.DS] >= month, c.AMOUNT].sum())
