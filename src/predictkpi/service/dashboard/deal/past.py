"""What was predicted of a deal that has closed since, as the store has it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Role
from predictkpi.errors import StoreError
from predictkpi.predictors.close_time.spec import LAST_DAY
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard import rep_dates
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.row_schemas import DealFacts
from predictkpi.store import Store

DAYS_BEFORE = (0, 30, 60, 90)
"""The newest prediction before the close is shown, and the newest ones so many days earlier."""


@dataclass(frozen=True)
class Foreseen:
    """What was said on one day. ``verdict``: how the close lay to the range of a deal that was won."""

    on: str
    days: str
    p_win: str
    p_win_percent: float
    range: str
    verdict: str
    version: str


@dataclass(frozen=True)
class Past:
    """The predictions, the newest first; ``note`` says why there is none."""

    rows: list[Foreseen]
    note: str


def past(facts: DealFacts, store: Store) -> Past:
    """Of the batches that the champions of their days wrote."""
    closed_at = pd.Timestamp(facts.closed_at)
    try:
        made = store.predicted_days("close_time")
        rows = [_foreseen(facts, store, closed_at, *which) for which in _chosen(made, closed_at)]
    except StoreError as error:
        return Past([], str(error))
    found = [row for row in rows if row is not None]
    return Past(found, "" if found else _("Nothing was kept of what was predicted of it: `predictkpi score` keeps it from now on."))


def _chosen(made: pd.DataFrame, closed_at: pd.Timestamp) -> list[tuple[str, pd.Timestamp]]:
    """Version and day of the batches to look into."""
    made = made[(made[c.ROLE] == Role.CHAMPION.value) & (made[c.AS_OF] <= closed_at)].sort_values(c.AS_OF, kind="stable")
    found: dict[pd.Timestamp, str] = {}
    for days in DAYS_BEFORE:
        by_then = made[made[c.AS_OF] <= closed_at - pd.Timedelta(days=days)]
        if len(by_then):
            found[by_then[c.AS_OF].iloc[-1]] = str(by_then[c.MODEL_VERSION].iloc[-1])
    return [(version, as_of) for as_of, version in found.items()]


def _foreseen(facts: DealFacts, store: Store, closed_at: pd.Timestamp, version: str, as_of: pd.Timestamp) -> Foreseen | None:
    """None where the batch does not hold the deal: it was not open then."""
    held = store.read_predictions(predictor="close_time", model_version=version, as_of=as_of, entity_ids=[facts.deal_id])
    whole = held[held[c.HORIZON] == LAST_DAY].set_index(c.STATISTIC)[c.VALUE]
    if "p_win" not in whole.index:
        return None
    low, high = (_day(as_of, whole.get(name)) for name in ("close_q10", "close_q90"))
    p_win = float(whole["p_win"])
    return Foreseen(
        on=f.date(as_of),
        days=f.days((closed_at - as_of) / pd.Timedelta(days=1)),
        p_win=f.percent(p_win),
        p_win_percent=round(p_win * 100, 1) if f.is_number(p_win) else 0.0,
        range=rep_dates.span(low, high),
        verdict=_verdict(closed_at, low, high) if facts.state == c.WON else "",
        version=version,
    )


def _day(as_of: pd.Timestamp, days: float | None) -> pd.Timestamp | None:
    return (as_of + pd.Timedelta(days=float(days))).normalize() if days is not None and f.is_number(days) else None


def _verdict(closed_at: pd.Timestamp, low: pd.Timestamp | None, high: pd.Timestamp | None) -> str:
    if low is None or high is None:
        return ""
    if closed_at.normalize() < low:
        return _("closed earlier")
    return _("closed later") if closed_at.normalize() > high else _("closed within it")
