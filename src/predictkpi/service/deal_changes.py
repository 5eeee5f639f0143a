"""What has moved open deals since a week ago, for API and dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pandas as pd

from predictkpi.errors import StoreError
from predictkpi.pipelines.changes import Then, answered_then, change_since
from predictkpi.predictors.close_time.changes import HORIZON, Week, chances
from predictkpi.protocol import Predictor
from predictkpi.service.deal_schemas import ChangeParts, DealChange
from predictkpi.service.envelopes import model_of
from predictkpi.service.state import Serving
from predictkpi.service.view import View


@dataclass(frozen=True)
class WeekBefore:
    """The chance of every deal open a week ago to be won within `HORIZON` days, as answered then; index deal_id.

    ``by`` is the version that says so, empty where nothing is known; ``note`` what a reader must know of it.
    """

    chances: pd.Series
    by: str
    note: str

    @classmethod
    def unknown(cls, note: str) -> WeekBefore:
        """No chance of then is known."""
        return cls(pd.Series(dtype=float), "", note)


def week_of(view: View) -> Week:
    """The week that ends at the view's as_of."""
    return cast(Week, view.page("week", lambda view: Week.before(view.snapshot), knows_targets=False))


def change_of_week(view: View, serving: Serving, deal_id: str) -> DealChange:
    """What has moved an open deal's chance to be won.

    Raises `NoChampionError` and its like, `UnknownEntityError` or `DealClosedError` for any other deal, and what the store raises.
    """
    champion = view.champion("close_time")
    view.demand("deal", deal_id)
    found = change_since(_answered_then(view, serving), deal_id, week_of(view), predictor=champion.predictor)
    change = found.change
    parts = None
    if change.before is not None and change.data is not None and change.time is not None and change.model is not None:
        parts = ChangeParts(data=change.data, time=change.time, model=change.model)
    return DealChange(
        entity_id=deal_id,
        label=view.label("deal", deal_id),
        as_of=change.as_of,
        since=change.since,
        horizon=HORIZON,
        now=change.now,
        before=change.before,
        change=None if change.before is None else change.now - change.before,
        parts=parts,
        model=model_of(champion.ref),
        version_before=found.version_before,
        notes=list(found.notes),
    )


def week_before(view: View, serving: Serving) -> WeekBefore:
    """The chances of a week ago of all deals at once; where they cannot be had, why."""
    champion = view.champions.get("close_time")
    if champion is None:
        return WeekBefore.unknown("")
    try:
        then = _answered_then(view, serving)
    except StoreError as error:
        return WeekBefore.unknown(str(error))
    answering, by = (then.previous, str(then.version)) if then.previous else (champion.predictor, champion.ref.version)
    found = cast(
        pd.Series, view.page(f"chances a week ago by {by}", lambda view: chances(answering, week_of(view).then), knows_targets=False)
    )
    return WeekBefore(found, by, then.note)


def _answered_then(view: View, serving: Serving) -> Then:
    """Who answered a week ago; the version of then is loaded once a view."""
    ref = view.champion("close_time").ref

    def load(version: str) -> Predictor:
        def read(_: View) -> Predictor:
            return serving.registry.version(ref.predictor, version)[0]

        return cast(Predictor, view.page(f"close_time version {version}", read, knows_targets=False))

    return answered_then(serving.store, load, week_of(view), ref=ref)
