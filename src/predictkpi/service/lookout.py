"""What pages do not wait for: to hold a KPI against what was forecast, or to forecast it, takes a second, so it is done beside.

A page shows what is known so far, and asks again.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, cast

import pandas as pd

from predictkpi.pipelines.alerts import ALERT_COLUMNS, AlertRule
from predictkpi.service.kpi_answers import NEWEST, forecast_of, watched_periods
from predictkpi.service.view import View

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Looked:
    """The alerts of one KPI, newest first (`ALERT_COLUMNS`), and how many periods could be judged; nothing unless ``state`` is known."""

    state: Literal["known", "looking", "failed"]
    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=ALERT_COLUMNS))
    judged: int = 0


class Lookout:
    """A thread for alerts and one for forecasts of the KPIs that somebody asks for, each once a view; `start` and `stop` frame them.

    Before they are started, who asks waits for the answer.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._forecasts: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Nothing is looked for until somebody asks."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="predictkpi-alerts")
        self._forecasts = ThreadPoolExecutor(1, thread_name_prefix="predictkpi-kpi-forecasts")

    def stop(self) -> None:
        """Wait for the KPI under way; the others are given up."""
        for pool in (self._pool, self._forecasts):
            if pool is not None:
                pool.shutdown(cancel_futures=True)

    def has_forecast(self, view: View, kpi: str, scope: str) -> bool:
        """Whether `forecast_of` answers at once; where it would not, it is worked out from now on."""
        pool = self._forecasts
        if pool is None:
            return True
        asked = view.page(f"{kpi} forecasting {scope}", lambda view: pool.submit(forecast_of, view, kpi, scope))
        return cast("Future[pd.DataFrame]", asked).done()

    def look(self, view: View, kpi: str, *, rule: AlertRule, periods: int = NEWEST) -> Looked:
        """What is known of the alerts among the newest periods; what is not known yet is looked for from now on."""
        pool = self._pool
        if pool is None:
            return looked(watched_periods(view, kpi, rule=rule, periods=periods))
        asked = view.page(f"{kpi} looking {periods}", lambda view: pool.submit(watched_periods, view, kpi, rule=rule, periods=periods))
        looking = cast("Future[pd.DataFrame]", asked)
        if not looking.done():
            return Looked("looking")
        error = looking.exception()
        if error is None:
            return looked(looking.result())
        log.error("the alerts of %s cannot be told", kpi, exc_info=error)
        return Looked("failed")


def looked(found: pd.DataFrame) -> Looked:
    """The alerts among watched periods."""
    return Looked("known", found[found["is_alert"]].iloc[::-1], int((found["direction"] != "").sum()))
