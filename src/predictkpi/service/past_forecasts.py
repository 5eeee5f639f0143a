"""What was said of months that are over by now, before they were: the stored predictions of revenue, else the replay of past months.

A view is made of facts alone; what was predicted is read from the store when it is first asked for, and kept with the view. The registry
is read through its memory: a page is not kept waiting for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import start_of
from predictkpi.core.types import Role
from predictkpi.errors import PredictKpiError, RegistryError
from predictkpi.outlook.trust import SERIES
from predictkpi.pipelines.outlook import kept_replay
from predictkpi.pipelines.scoreboard import days_of, learnt_until
from predictkpi.service.registry_memory import Known, RegistryMemory
from predictkpi.service.view import View
from predictkpi.store import Store

T = TypeVar("T")

REVENUE = "revenue"
LEAD = "lead"
LEVELS = ("mean", "q10", "q90")
GROWTHS = tuple(f"growth_{kind}_{name}" for kind in ("mom", "yoy") for name in ("q10", "q50", "q90"))
COLUMNS = [c.DS, LEAD, c.AS_OF, c.MODEL_VERSION, *LEVELS, *GROWTHS]
Source = Literal["stored", "replay", "none"]


@dataclass(frozen=True)
class PastForecasts:
    """``rows``: `COLUMNS`, one a month that is over and lead: how many months before it began its own month was the running one.

    ``source``: predictions that champions stored; the replay, which knows the total's mean alone; or none. ``trouble`` says why the
    store or the registry could not be asked.
    """

    rows: pd.DataFrame
    source: Source = "none"
    trouble: str = ""


def past_forecasts(store: Store, memory: RegistryMemory, view: View, scope: str) -> PastForecasts:
    """Of a scope; one day of each month speaks, that which the scoreboard judges."""
    try:
        return cast(PastForecasts, view.page(f"past forecasts {scope}", lambda view: _found(store, memory, view, scope)))
    except PredictKpiError as error:
        return PastForecasts(pd.DataFrame(columns=COLUMNS), trouble=str(error))


def _found(store: Store, memory: RegistryMemory, view: View, scope: str) -> PastForecasts:
    rows = _stored(store, memory, view, scope)
    if len(rows):
        return PastForecasts(rows, "stored")
    rows = _replayed(memory, view) if scope == c.TOTAL else rows
    return PastForecasts(rows, "replay" if len(rows) else "none")


def _stored(store: Store, memory: RegistryMemory, view: View, scope: str) -> pd.DataFrame:
    learnt = _known(memory.known(("learnt", REVENUE), lambda: learnt_until(memory.registry, [REVENUE])))
    spec = view.champion(REVENUE).predictor.spec
    days, _, _ = days_of(store, spec, learnt, until=view.as_of)
    days = days[days[c.ROLE] == Role.CHAMPION].sort_values(c.AS_OF, kind="stable")
    days = days[~days[c.AS_OF].dt.to_period("M").duplicated()]
    said = [
        store.read_predictions(predictor=REVENUE, model_version=version, as_of=as_of, entity_ids=[scope])
        for version, as_of in zip(days[c.MODEL_VERSION], days[c.AS_OF], strict=True)
    ]
    if not any(map(len, said)):
        return pd.DataFrame(columns=COLUMNS)
    keys = [c.AS_OF, c.MODEL_VERSION, c.HORIZON]
    long = pd.concat([rows for rows in said if len(rows)], ignore_index=True)
    wide = long[long[c.STATISTIC].isin([*LEVELS, *GROWTHS])].pivot(index=keys, columns=c.STATISTIC, values=c.VALUE)
    return _of_months_over(wide.reset_index(), view)


def _replayed(memory: RegistryMemory, view: View) -> pd.DataFrame:
    def read() -> pd.DataFrame:
        found = kept_replay(memory.registry, view.as_of)
        return pd.DataFrame() if found is None else found

    replayed = _known(memory.known(("replay", view.as_of.isoformat()), read))
    if replayed.empty:
        return pd.DataFrame(columns=COLUMNS)
    return _of_months_over(replayed.rename(columns={SERIES: "mean"}).assign(**{c.MODEL_VERSION: ""}), view)


def _known(found: Known[T]) -> T:
    if found.value is None:
        raise RegistryError(found.trouble)
    return found.value


def _of_months_over(rows: pd.DataFrame, view: View) -> pd.DataFrame:
    """``rows`` with ``as_of, horizon``: by month and lead, those months that were over at the view's as_of."""
    lead = rows[c.HORIZON].astype(int) - 1
    months = rows[c.AS_OF].dt.to_period("M").dt.start_time
    ds = pd.Series([start + pd.DateOffset(months=ahead) for start, ahead in zip(months, lead, strict=True)], index=rows.index)
    rows = rows.assign(**{c.DS: ds, LEAD: lead})
    return rows[rows[c.DS] < start_of(view.as_of, "M")].reindex(columns=COLUMNS).sort_values([c.DS, LEAD], ignore_index=True)
