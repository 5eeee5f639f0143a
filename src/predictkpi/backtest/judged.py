"""Which days of all that was predicted are judged, and what of them cannot be judged yet: with its reason and when it will be. Pure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq, horizon_end, period_start
from predictkpi.core.types import Spec

PENDING = [c.REASON, c.HORIZON, c.N, "due"]
NOT_OVER = "not over yet"
OTHER_HORIZON = "asked for at a horizon that is not judged"
NOT_FOLLOWED = "not among those whose outcome the store follows: unknown to it on that day, or closed by then"
NO_OUTCOME = "what came true is not known: its records are missing"
MOST_DAYS = {"month": 24, "day": 52}
"""Newest months or weeks of which one day each is judged."""
MOST_ENTITIES = 20_000
FREQS: dict[str, Freq] = {"month": "M", "day": "W"}
IN_WORDS = {"month": "month", "day": "week"}


def choose_days(days: pd.DataFrame, spec: Spec) -> tuple[pd.DataFrame, int]:
    """Rows of ``model_version, role, as_of`` that are judged, and how many of their days are left out.

    One day a calendar month (for predictors that count in days: a week) for each version in each role: the one that most of them
    share, so that they can be compared, and of those the first, so that it stays the one. Neighbouring days say nearly the same.
    """
    if not len(days):
        return days, 0
    period = period_start(days[c.AS_OF], FREQS[spec.time_unit])
    newest = np.sort(period.unique())[-MOST_DAYS[spec.time_unit] :]
    kept = [_chosen(rows) for start, rows in days.groupby(period) if start in newest]
    chosen = pd.concat(kept, ignore_index=True)
    return chosen, int(days[c.AS_OF].nunique() - chosen[c.AS_OF].nunique())


def _chosen(rows: pd.DataFrame) -> pd.DataFrame:
    """Of one period: days, those with most versions first, until each version in each role has one."""
    counts = rows.groupby(c.AS_OF).size()
    order = sorted(counts.index, key=lambda day: (-counts[day], day))
    who = pd.MultiIndex.from_frame(rows[[c.MODEL_VERSION, c.ROLE]])
    taken: set[tuple[str, str]] = set()
    parts = []
    for day in order:
        is_new = (rows[c.AS_OF] == day).to_numpy() & ~np.array([key in taken for key in who])
        taken |= set(who[is_new])
        parts.append(rows[is_new])
    return pd.concat(parts)


def left_out(cohort: pd.Series) -> pd.Index:
    """Entities of a day that are not judged, so that about `MOST_ENTITIES` are: ids hash below a threshold or not, alike on every day."""
    entities = pd.Index(cohort.unique())
    hashes = pd.util.hash_array(entities.to_numpy(object)).astype(float) / 2.0**64
    return entities[hashes >= MOST_ENTITIES / max(len(entities), 1)]


def pending(spec: Spec, said: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """`PENDING`: predictions (entity and horizon) that are not judged, by reason and horizon; ``due``: when the first of them will be.

    A reason without a due date will not go away by waiting.
    """
    keys = [c.AS_OF, c.ENTITY_ID, c.HORIZON]
    told = said[(said[c.STATISTIC] == spec.headline) & said[c.VALUE].notna()][keys]
    known = outcomes[outcomes[c.STATISTIC] == spec.headline][[*keys, c.VALUE, c.IS_MATURE]]
    rows = told.merge(known, on=keys, how="left")
    followed = rows[c.IS_MATURE].notna()
    mature = rows[c.IS_MATURE].fillna(False).astype(bool)
    is_other = ~rows[c.HORIZON].isin(spec.horizons)
    reason = np.select(
        [is_other, ~followed, ~mature, rows[c.VALUE].isna()], [OTHER_HORIZON, NOT_FOLLOWED, NOT_OVER, NO_OUTCOME], default=""
    )
    rows = rows.assign(**{c.REASON: reason})
    rows = rows[rows[c.REASON] != ""]
    found = rows.groupby([c.REASON, c.HORIZON])[c.AS_OF].agg(["size", "min"]).reset_index()
    due = [
        horizon_end(as_of, int(horizon), spec.time_unit) if reason == NOT_OVER else pd.NaT
        for reason, horizon, as_of in zip(found[c.REASON], found[c.HORIZON], found["min"], strict=True)
    ]
    return found.rename(columns={"size": c.N}).assign(due=pd.Series(due, dtype="datetime64[us]"))[PENDING]
