"""What pages do not wait for: to hold a KPI against what was forecast, or to forecast it, takes a second, so it is done beside.

A page shows what is known so far, and asks again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, cast

import pandas as pd

from predictkpi.errors import PredictKpiError
from predictkpi.pipelines.alerts import ALERT_COLUMNS, AlertRule
from predictkpi.service.kpi_answers import NEWEST, forecast_of, watched_periods
from predictkpi.service.view import View

log = logging.getLogger(__name__)

State = Literal["known", "looking", "failed"]


@dataclass(frozen=True)
class Looked:
    """The alerts of one KPI, newest first (`ALERT_COLUMNS`), and how many periods could be judged; nothing unless ``state`` is known."""

    state: State
    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=ALERT_COLUMNS))
    judged: int = 0


class Lookout:
    """A thread for alerts and one for forecasts of the KPIs that somebody asks for, each once a view; `start` and `stop` frame them.

    Before they are started, who asks waits for the answer. ``current`` is the view in service: for one that is gone nothing more is begun.
    """

    def __init__(self, current: Callable[[], View | None] | None = None) -> None:
        self._current = current
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

    def forecast(self, view: View, kpi: str, scope: str) -> State:
        """Known where `forecast_of` answers at once, or refuses; where it would not, it is worked out from now on."""
        pool = self._forecasts
        if pool is None:
            return "known"

        def begin(view: View) -> Future[pd.DataFrame | None]:
            return self._begun(pool, f"the forecast of {kpi}, {scope},", view, partial(forecast_of, view, kpi, scope))

        asked = cast("Future[pd.DataFrame | None]", view.page(f"{kpi} forecasting {scope}", begin))
        if not asked.done():
            return "looking"
        error = asked.exception()
        if error is None:
            return "looking" if asked.result() is None else "known"
        return "known" if isinstance(error, PredictKpiError) else "failed"

    def look(self, view: View, kpi: str, *, rule: AlertRule, periods: int = NEWEST) -> Looked:
        """What is known of the alerts among the newest periods; what is not known yet is looked for from now on."""
        pool = self._pool
        if pool is None:
            return looked(watched_periods(view, kpi, rule=rule, periods=periods))

        def begin(view: View) -> Future[pd.DataFrame | None]:
            look = partial(watched_periods, view, kpi, rule=rule, periods=periods)
            return self._begun(pool, f"the alerts of {kpi}", view, look)

        looking = cast("Future[pd.DataFrame | None]", view.page(f"{kpi} looking {periods}", begin))
        if not looking.done():
            return Looked("looking")
        if looking.exception() is not None:
            return Looked("failed")
        found = looking.result()
        return Looked("looking") if found is None else looked(found)

    def _begun(self, pool: ThreadPoolExecutor, what: str, view: View, work: Callable[[], pd.DataFrame]) -> Future[pd.DataFrame | None]:
        # one that is being warmed is not in service yet, and not gone either
        begun = pool.submit(self._worked_out, view if self._is_served(view) else None, work)
        begun.add_done_callback(partial(_tell, what))
        return begun

    def _worked_out(self, served: View | None, work: Callable[[], pd.DataFrame]) -> pd.DataFrame | None:
        """What was asked for; None where a view that was served has gone meanwhile: its readers see the new one when they ask again."""
        return work() if served is None or self._is_served(served) else None

    def _is_served(self, view: View) -> bool:
        served = self._current() if self._current is not None else view
        return served is not None and served.fingerprint is view.fingerprint  # `View.within` makes copies


def _tell(what: str, ended: Future[pd.DataFrame | None]) -> None:
    """Log what failed; the page says that it did."""
    error = None if ended.cancelled() else ended.exception()
    if isinstance(error, PredictKpiError):
        log.info("%s cannot be told: %s", what, error)
    elif error is not None:
        log.error("%s cannot be told", what, exc_info=error)


def looked(found: pd.DataFrame) -> Looked:
    """The alerts among watched periods."""
    return Looked("known", found[found["is_alert"]].iloc[::-1], int((found["direction"] != "").sum()))
