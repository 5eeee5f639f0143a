"""The outlook of a view: computed once, for API and dashboard, with the same champions that the view serves."""

from __future__ import annotations

from typing import cast

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.outlook import Outlook
from predictkpi.outlook.ahead import Ahead, all_ahead, parts_by_month
from predictkpi.outlook.levels import levels, recorded
from predictkpi.outlook.moves import Moves, moved_in
from predictkpi.outlook.periods import PeriodOutlook, Periods
from predictkpi.outlook.reasons import reasons
from predictkpi.pipelines.outlook import Forecasters, as_series
from predictkpi.service.view import View

USUAL_DAYS = 7
"""How far back the dashboard looks for what moved."""


def forecasters_of(view: View) -> Forecasters:
    """The view's champions and trust; raises what keeps revenue from being served."""
    revenue, close_time = view.champion("revenue"), view.champions.get("close_time")
    refs = (revenue.ref,) if close_time is None else (revenue.ref, close_time.ref)
    return Forecasters(as_series(revenue.predictor), close_time.predictor if close_time else None, view.fingerprint.trust, refs)


def periods_of(view: View) -> Periods:
    """Named sums of the view's outlook; raises what keeps revenue from being served, `InsufficientDataError` where none is known."""
    return cast(Periods, view.page("outlook", lambda view: Periods(_outlook(view), view.snapshot)))


def moved(view: View, scope: str, period: str, *, days: int = USUAL_DAYS) -> tuple[PeriodOutlook, Moves]:
    """A named period, and what moved it since so many days ago; kept for the company's total and the usual number of days.

    Raises `UnknownEntityError` for a scope, `InsufficientDataError` where the period cannot be summed, or could not be then.
    """
    now = periods_of(view)
    now.outlook.place(scope)
    is_usual = days == USUAL_DAYS
    then = cast(Outlook, view.page("outlook-then", lambda view: _then(view, days), knows_targets=False)) if is_usual else _then(view, days)

    def found(view: View) -> tuple[PeriodOutlook, Moves]:
        return moved_in(now, then, view.snapshot.at(then.as_of), scope=scope, name=period)

    if not is_usual or scope != c.TOTAL:
        return found(view)
    kept = cast(Moves, view.page(f"moved {period}", lambda view: found(view)[1], knows_targets=False))
    return cast(PeriodOutlook, now.one(scope, period)), kept


def levels_of(view: View, scope: str, freq: Freq) -> pd.DataFrame:
    """Level and growth of a scope period by period, `LEVEL_COLUMNS`; raises as `periods_of`, `UnknownEntityError` for a scope."""
    outlook = periods_of(view).outlook
    return cast(
        pd.DataFrame, view.page(f"levels {scope} {freq}", lambda view: levels(outlook, view.snapshot, scope, freq), knows_targets=False)
    )


def recorded_of(view: View, scope: str, freq: Freq) -> pd.DataFrame:
    """What a scope has brought period by period, with its growth, `RECORDED_COLUMNS`; raises as `levels_of`."""
    outlook = periods_of(view).outlook
    return cast(
        pd.DataFrame, view.page(f"recorded {scope} {freq}", lambda view: recorded(outlook, view.snapshot, scope, freq), knows_targets=False)
    )


def ahead_of(view: View, scope: str) -> Ahead:
    """All months ahead of a scope together; raises as `levels_of`."""
    return cast(Ahead, view.page(f"ahead {scope}", lambda view: all_ahead(periods_of(view).outlook, scope), knows_targets=False))


def parts_of(view: View, scope: str) -> pd.DataFrame:
    """The months ahead of a scope in three parts, see `parts_by_month`; raises as `levels_of`."""
    return cast(
        pd.DataFrame, view.page(f"parts {scope}", lambda view: parts_by_month(periods_of(view).outlook, scope), knows_targets=False)
    )


def reasons_of_months(view: View, scope: str) -> pd.DataFrame:
    """Why each month of a scope is as it is, see `outlook.reasons`; without rows where a baseline serves, which has none to give.

    Raises as `levels_of`.
    """
    outlook = periods_of(view).outlook
    outlook.place(scope)
    explained = cast(pd.DataFrame, view.page("outlook explained", _explained, knows_targets=False))
    return reasons(outlook, explained, scope) if len(explained) else explained


def _outlook(view: View) -> Outlook:
    now = view.page("outlook-now", lambda view: forecasters_of(view).outlook(view.snapshot), knows_targets=False)
    return cast(Outlook, now)


def _explained(view: View) -> pd.DataFrame:
    revenue = forecasters_of(view).revenue
    return revenue.explain(revenue.inputs(view.snapshot))


def _then(view: View, days: int) -> Outlook:
    return forecasters_of(view).outlook(view.snapshot.at(view.as_of - pd.Timedelta(days=days)))
