"""The running month, completed from what is booked so far: by each series' own usual pace, its expected total, and both as they proved.

With X booked so far, s the share of a month that is usually booked by now and f what was expected of the month without knowing X, the
remainder is expected to be::

    (1 - s) ((1 - k) f + k X / s)

k = 0 where what is booked says nothing about what comes, 1 where the month goes on as it began. s, k and the spread of the remainder come
from the same position of past months: k and the spread pooled over series, and each drawn to the pool by the months it has itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import shift, start_of
from predictkpi.predictors.revenue.point import MEAN_MONTHS, SEASON, prepare
from predictkpi.predictors.revenue.table import DAY_FACTOR, HORIZON, IS_MISSING, TO_DATE, filled

Floats = npt.NDArray[np.float64]

NEWEST = 24
"""Past months that count for the pace."""
_MONTHS_TO_LEARN_PACE = 4.0
_MONTHS_TO_LEARN_WEIGHT = 24.0
_WEIGHT_UNSEEN = 0.5
_SPREAD_UNSEEN = 0.35
_SHARES = (0.01, 0.99)
_FURTHEST = 3.0
_WIDEST = 1.2
_FACTOR = 5.0
_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Booked:
    """Revenue of one series: ``y`` (n,) of its complete months, ``early`` (n,) what of it was booked by this position.

    ``so_far`` is what is booked in the running month, None where that is not known. ``days`` (n,) and ``days_ahead`` (H,) are the day
    factors of the complete months and of those ahead; ``missing`` counts months that were filled in, and ``recorded`` (n,) is ``y`` with
    nothing filled in, None where that is the same.
    """

    entity_id: str
    y: Floats
    early: Floats
    so_far: float | None
    days: Floats
    days_ahead: Floats
    missing: int = 0
    recorded: Floats | None = None

    @classmethod
    def of(cls, entity_id: str, inputs: pd.DataFrame) -> Booked:
        """From the rows of one series."""
        inputs = inputs.sort_values(c.DS)
        is_over = inputs[c.Y].notna().to_numpy()
        y, to_date = (filled(inputs, column).to_numpy(dtype=float) for column in (c.Y, TO_DATE))
        days, days_ahead = inputs[DAY_FACTOR].to_numpy(dtype=float), np.ones(HORIZON)
        ahead = ~is_over & inputs[c.DS].notna().to_numpy()
        days_ahead[: ahead.sum()] = days[ahead][:HORIZON]
        so_far = float(to_date[ahead][0]) if ahead.any() else None
        missing, recorded = int(inputs[IS_MISSING].sum()), inputs[c.Y].to_numpy(dtype=float)[is_over]
        return cls(entity_id, y[is_over], to_date[is_over], so_far, days[is_over], days_ahead, missing, recorded)

    @cached_property
    def expected(self) -> Floats:
        """What each month was expected to bring: the mean of the three before it, with the season; NaN where there are none."""
        series = prepare(self.y / self.days)
        adjusted = pd.Series(series.adjusted()).rolling(MEAN_MONTHS).mean().shift(1).to_numpy()
        season = series.season[np.arange(len(self.y)) % series.period]
        return (adjusted * season if series.log else adjusted + season) * self.days

    @cached_property
    def size(self) -> Floats:
        """Mean size of the months of the year before each month, NaN for the first three: what its surprises are measured by."""
        return pd.Series(np.abs(self.y)).rolling(SEASON, min_periods=MEAN_MONTHS).mean().shift(1).to_numpy()

    @cached_property
    def season_error(self) -> float:
        """See `Prepared.season_error`: the season that `expected` has was learnt from the same months."""
        return prepare(self.y).season_error()

    @property
    def level(self) -> float:
        """Mean size of its newest year's months."""
        return float(np.abs(self.y[-SEASON:]).mean()) if len(self.y) else 0.0

    @property
    def only_adds(self) -> bool:
        """Whether no past month was worth less at its end than at this position."""
        return bool((self.y - self.early >= 0).all())


def working_days_gone(month: pd.Timestamp, elapsed: pd.Timedelta) -> float:
    """Share of the month's working days (Monday to Friday) in its first ``elapsed``, at most its length; parts of a day count."""
    start, end = start_of(month, "M"), shift(month, 1, "M")
    now = min(start + elapsed, end)
    day = now.normalize()
    gone = float(np.busday_count(start.date(), day.date()))
    gone += (now - day) / _DAY if np.is_busday(day.date()) else 0.0
    return gone / float(np.busday_count(start.date(), end.date()))


@dataclass(frozen=True)
class Pace:
    """What is usual at one position of the month: ``share`` booked by then, ``weight`` k, ``spread`` of the remainder relative to level."""

    share: float
    weight: float
    spread: float


def paces(series: Sequence[Booked], as_of: pd.Timestamp) -> dict[str, Pace]:
    """Of every series at this position of the month; none at a month's start, where nothing is booked, or without a complete month.

    The company's pace is drawn to the working days that are gone, each series' own to the company's and to the pool of all.
    """
    elapsed = as_of - start_of(as_of, "M")
    total = next((each for each in series if each.entity_id == c.TOTAL), series[0])
    if elapsed == pd.Timedelta(0) or not len(total.y):
        return {}
    gone = float(np.clip(working_days_gone(as_of, elapsed), *_SHARES))
    company = _share(total, gone)
    shares = [_share(each, company) for each in series]
    seen = [_surprises(each, share) for each, share in zip(series, shares, strict=True)]
    weight = _weight(seen, _WEIGHT_UNSEEN)
    spread = _spread(seen, [weight] * len(seen), _SPREAD_UNSEEN * np.sqrt(1 - company))
    found = {}
    for each, share, surprises in zip(series, shares, seen, strict=True):
        own = _weight([surprises], weight)
        found[each.entity_id] = Pace(share, own, _spread([surprises], [own], spread) * each.season_error)
    return found


def _share(series: Booked, prior: float) -> float:
    y, early = series.y[-NEWEST:], series.early[-NEWEST:]
    if not len(y) or y.sum() <= 0:
        return prior
    usual = _MONTHS_TO_LEARN_PACE * float(y.mean())
    return float(np.clip((early.sum() + prior * usual) / (y.sum() + usual), *_SHARES))


def _surprises(series: Booked, share: float) -> tuple[Floats, Floats, float]:
    """By past month, how far its pace and its remainder, as if for a whole month, were from what was expected, relative to size; 1 - s."""
    y, early, expected, size = (values[-NEWEST:] for values in (series.y, series.early, series.expected, series.size))
    known = np.isfinite(expected) & (size > 0)
    y, early, expected, size = y[known], early[known], expected[known], size[known]
    return (early / share - expected) / size, ((y - early) / (1 - share) - expected) / size, 1 - share


def _weight(seen: Sequence[tuple[Floats, Floats, float]], prior: float) -> float:
    """Least squares of the remainder's surprise on the pace's, with a prior that counts as so many months."""
    pace, rest = (np.clip(np.concatenate([each[k] for each in seen]), -_FURTHEST, _FURTHEST) for k in (0, 1))
    if not np.any(pace):
        return prior
    own = _MONTHS_TO_LEARN_WEIGHT * float(np.mean(pace**2))
    return float(np.clip((pace @ rest + prior * own) / (pace @ pace + own), 0.0, 1.0))


def _spread(seen: Sequence[tuple[Floats, Floats, float]], weights: Sequence[float], prior: float) -> float:
    """Root mean square of what is left of the remainder, relative to level, with a prior that counts as so many months."""
    left = np.concatenate([part * (rest - weight * pace) for (pace, rest, part), weight in zip(seen, weights, strict=True)])
    left = np.clip(left, -_FURTHEST, _FURTHEST)
    return float(np.sqrt((left @ left + _MONTHS_TO_LEARN_PACE * prior**2) / (len(left) + _MONTHS_TO_LEARN_PACE)))


def completed(paths: Floats, series: Booked, pace: Pace, *, carried: float) -> Floats:
    """Paths (draws, H) of a month that runs: the first month begins with what is booked, and its surprise shifts the later ones.

    ``carried``: the part of an error of the first month that stays in the later ones. Draw d keeps its rank, so that series move together
    as they did.
    """
    first = paths[:, 0]
    positive = bool((first > 0).all())
    share, weight, so_far = pace.share, pace.weight, series.so_far or 0.0
    rest = (1 - share) * ((1 - weight) * first.mean() + weight * so_far / share)
    size = min(pace.spread * series.level, float(first.std())) if series.level else float(first.std()) * (1 - share)
    place = _standard(np.log(first) if positive else first)
    if series.only_adds:
        rest = max(rest, 0.0)
        wide = min(np.sqrt(np.log1p((size / rest) ** 2)), _WIDEST) if rest > 0 else 0.0
        drawn = np.exp(wide * place)
        month = so_far + rest * drawn / drawn.mean()
    else:
        month = so_far + rest + size * place
    return np.concatenate([month[:, None], _shifted(paths[:, 1:], first, month, carried)], axis=1)


def _shifted(later: Floats, before: Floats, after: Floats, carried: float) -> Floats:
    if (before > 0).all() and (after > 0).all() and (later > 0).all():
        return later * (np.clip(after / before, 1 / _FACTOR, _FACTOR) ** carried)[:, None]
    moved = later + carried * (after - before)[:, None]
    return np.maximum(moved, 0.0) if (later >= 0).all() else moved


def _standard(values: Floats) -> Floats:
    size = float(values.std())
    return (values - values.mean()) / size if size > 0 else np.zeros_like(values)
