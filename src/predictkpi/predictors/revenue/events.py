"""Known events: what a company knows of single months that no series can (a fair, a campaign, a price change), past and planned.

An event multiplies the revenue of its months by 1 + effect. A stated effect is taken as it is; another is learnt from those of its months
that are over, as the mean log ratio to the months around them, and drawn to none as if one more such month had shown nothing. Months are
forecast as if the events had not been, and the factors of the months ahead are put back. An event counts only from the day it was known on,
so that a backtest does not know of it earlier.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from predictkpi.errors import SettingsError
from predictkpi.predictors.revenue.point import SEASONAL_MONTHS, prepare

Floats = npt.NDArray[np.float64]

_AROUND = 3
_PRIOR_MONTHS = 1.0
_DAY = re.compile(r"\d{4}-\d{2}(-\d{2}.*)?")


class Event(BaseModel):
    """One event. ``months`` (``2025-09``) or ``from_month``, from which on it holds for good; ``effect`` as a share, .05 is 5 % more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    months: tuple[str, ...] = ()
    from_month: str | None = None
    effect: float | None = Field(None, gt=-1, allow_inf_nan=False)
    known_from: str | None = None

    @model_validator(mode="after")
    def _is_told(self) -> Event:
        if bool(self.months) == (self.from_month is not None):
            raise ValueError("state either months or from_month")
        if self.from_month is not None and self.effect is None:
            raise ValueError("an event for good needs its effect: months without it can no longer be seen")
        for day in (*self.months, *filter(None, (self.from_month, self.known_from))):
            if not _DAY.fullmatch(day) or pd.Timestamp(day).tz is not None:
                raise ValueError(f"{day!r} is no month or day without a time zone, like 2025-09 or 2025-09-15")
        return self

    def is_known(self, as_of: pd.Timestamp) -> bool:
        """Whether the company knew of it before ``as_of``; without ``known_from``, once it had begun."""
        first = min(pd.Timestamp(month) for month in (*self.months, *filter(None, (self.from_month,))))
        return (pd.Timestamp(self.known_from) if self.known_from else first) < as_of

    def holds(self, months: pd.DatetimeIndex) -> npt.NDArray[np.bool_]:
        """In which of the months ``(len(months),)``."""
        if self.from_month is not None:
            return np.asarray(months >= pd.Timestamp(self.from_month).replace(day=1))
        return np.asarray(months.isin([pd.Timestamp(month).replace(day=1) for month in self.months]))


def checked_events(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The events as plain values; raises `SettingsError` naming the event and what is wrong with it."""
    found = []
    for place, event in enumerate(events, start=1):
        try:
            found.append(Event.model_validate(dict(event)).model_dump(mode="json", exclude_none=True))
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, each['loc']))} {each['msg']}".strip() for each in error.errors())
            raise SettingsError(f"revenue: events, number {place} ({event.get('name', 'without a name')}): {told}") from error
    return found


def event_factors(
    events: Sequence[Mapping[str, Any]], y: Floats, months: pd.DatetimeIndex, ahead: pd.DatetimeIndex, as_of: pd.Timestamp
) -> tuple[Floats, Floats]:
    """Factors of the complete ``months`` (n,), whose revenue is ``y`` (n,), and of the months ``ahead`` (H,), as known at ``as_of``."""
    past, coming = np.ones(len(months)), np.ones(len(ahead))
    for event in (Event.model_validate(dict(each)) for each in events):
        if not event.is_known(as_of):
            continue
        inside = event.holds(months)
        effect = event.effect if event.effect is not None else _learnt(y, inside)
        past[inside] *= 1 + effect
        coming[event.holds(ahead)] *= 1 + effect
    return past, coming


def _learnt(y: Floats, inside: npt.NDArray[np.bool_]) -> float:
    """Effect of the months ``inside``, against those around them without it and without their season; 0 where none can be told."""
    if not inside.any() or not len(y) or not (y > 0).all():
        return 0.0
    usual = y.copy()
    usual[inside] = np.interp(np.flatnonzero(inside), np.flatnonzero(~inside), y[~inside]) if (~inside).any() else y[inside]
    season = prepare(usual).season[np.arange(len(y)) % 12] if len(y) >= SEASONAL_MONTHS else np.ones(len(y))
    logs = np.log(y / season)
    seen = []
    for place in map(int, np.flatnonzero(inside)):
        around = [k for k in range(max(0, place - _AROUND), min(len(y), place + _AROUND + 1)) if not inside[k]]
        if around:
            seen.append(logs[place] - float(np.median(logs[around])))
    return float(np.expm1(np.sum(seen) / (len(seen) + _PRIOR_MONTHS))) if seen else 0.0
