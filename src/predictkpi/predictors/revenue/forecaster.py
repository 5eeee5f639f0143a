"""What the revenue model and its baseline share: the series they forecast, the ladder, the outcomes and the artifact folder."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import future_periods, horizon_end
from predictkpi.core.types import Readiness, Spec, Status
from predictkpi.errors import ArtifactError, InsufficientDataError
from predictkpi.predictors.revenue.coherence import NEWCOMER, NOTHING, Part, coherent
from predictkpi.predictors.revenue.parts import BookingParts
from predictkpi.predictors.revenue.paths import GROWTH_STATISTICS, LEVEL_STATISTICS, Answer
from predictkpi.predictors.revenue.point import MEAN_MONTHS, MODEL_MONTHS, SEASONAL_MONTHS
from predictkpi.predictors.revenue.running import Booked, Pace, completed, paces
from predictkpi.predictors.revenue.scopes import Crossed
from predictkpi.predictors.revenue.table import (
    FISCAL_YEAR_STARTS,
    HORIZON,
    IS_ASKED,
    IS_MISSING,
    filled,
    series_inputs,
    training_series,
)
from predictkpi.protocol import Predictor, worst
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

_STATE = "state.json"

REVENUE_SPEC = Spec(
    name="revenue",
    title={"en": "Revenue growth", "de": "Umsatzwachstum"},
    entity="series",
    horizons=tuple(range(1, HORIZON + 1)),
    time_unit="month",
    statistics=LEVEL_STATISTICS + GROWTH_STATISTICS,
    headline="mean",
    score="quantiles",
)


@dataclass(frozen=True)
class _Company:
    """All series as known at one instant, and how far the running month of each usually is by then."""

    series: list[Booked]
    pace: Mapping[str, Pace]
    has_months: bool

    @classmethod
    def of(cls, known: pd.DataFrame, as_of: pd.Timestamp) -> Self:
        series = [Booked.of(str(key), group) for key, group in known.groupby(c.ENTITY_ID)]
        return cls(series, paces(series, as_of), any(each.entity_id == c.TOTAL and len(each.y) for each in series))

    def is_new(self, series: Booked) -> bool:
        return self.has_months and not len(series.y)


class SeriesForecaster(Predictor):
    """A predictor of monthly revenue series. Horizon 1 is the running month that holds ``as_of``, as a whole: forecast from the complete
    months before it, and completed from what is booked in it.

    `inputs` and `training_table` are long: one row per series and month, columns ``entity_id, as_of, ds, y, to_date, is_missing,
    day_factor, fiscal_year_starts, is_asked`` (``y`` in the reporting currency, net of refunds; ``to_date`` what of it was booked before
    the same position of the month as that of ``as_of``; a month that ``is_missing`` is filled in; ``day_factor`` see `series_inputs`). The
    running month and those ahead come last, with an empty ``y``. Series that were not asked for are there too, unflagged: the others add
    up with them. The training table repeats all for every origin of the backtests, each as known at that origin.
    """

    spec: ClassVar[Spec] = REVENUE_SPEC
    format: ClassVar[str]
    origins: int
    crossed: Crossed

    def readiness(self, snapshot: Snapshot) -> Readiness:
        """Complete months of the total against the two years a season needs."""
        inputs = series_inputs(snapshot, crossed=self.crossed)
        months = int(inputs.loc[inputs[c.ENTITY_ID] == c.TOTAL, c.Y].notna().sum())
        status, reason = ladder(months)
        return Readiness(status=status, have={"months": months}, need={"months": SEASONAL_MONTHS}, reason=reason)

    def training_table(self, snapshot: Snapshot) -> pd.DataFrame:
        """See the class."""
        return training_series(snapshot, self.origins, crossed=self.crossed)

    def inputs(self, snapshot: Snapshot, *, entity_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """See the class. ``entity_ids`` are names of series: ``total``, ``region=EMEA``, ``region=EMEA&segment=SMB``."""
        return series_inputs(snapshot, entity_ids, crossed=self.crossed)

    @property
    def parts(self) -> BookingParts:
        """See `Predictor.parts`."""
        return BookingParts(crossed=self.crossed, origins=self.origins)

    def predict_inputs(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """Statistics of the sample paths of each series and horizon."""
        answers = self.answers(inputs)
        columns = [c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC, c.VALUE, c.STATUS, c.REASON]
        if not answers:
            return pd.DataFrame(columns=columns)
        return pd.concat([answer.predictions() for answer in answers], ignore_index=True)[columns]

    def answers(self, inputs: pd.DataFrame) -> list[Answer]:
        """The sample paths behind `predict_inputs`, one `Answer` per series asked for; all series of an ``as_of`` add up in every path."""
        return [answer for _, _, answer in self._answered(inputs)]

    def _answered(self, inputs: pd.DataFrame) -> list[tuple[Booked, Part, Answer]]:
        """Each series asked for, its own answer, and the one that adds up with all others; sorted by series, then by ``as_of``."""
        found = []
        for as_of, known in inputs.groupby(c.AS_OF):
            starts, instant = int(known[FISCAL_YEAR_STARTS].iloc[0]), cast(pd.Timestamp, as_of)
            company = _Company.of(known, instant)
            series = company.series
            parts = [self._part(each, instant, starts, company) for each in series]
            asked = set(known.loc[known[IS_ASKED].astype(bool), c.ENTITY_ID])
            answered = zip(series, parts, coherent(parts, self._covariance), strict=True)
            found += [each for each in answered if each[0].entity_id in asked]
        return sorted(found, key=lambda each: (each[2].entity_id, each[2].as_of))

    def outcomes(self, later: Snapshot, *, as_of: pd.Timestamp) -> pd.DataFrame:
        """Actual revenue of the months, statistic "mean"; NaN while the month is not over, or where its records are missing."""
        as_of = pd.Timestamp(as_of)
        cohort = sorted(series_inputs(later.at(as_of), crossed=self.crossed)[c.ENTITY_ID].unique())
        known = series_inputs(later, crossed=self.crossed).dropna(subset=[c.Y])
        actual = known.set_index([c.ENTITY_ID, c.DS])[c.Y].mask(known[IS_MISSING].to_numpy())
        rows = []
        for horizon, month in enumerate(future_periods(as_of, HORIZON, "M"), start=1):
            over = month + pd.offsets.MonthBegin(1) <= later.as_of
            mature = horizon_end(as_of, horizon, "month") <= later.as_of
            for entity_id in cohort:
                value = float(actual.get((entity_id, month), 0.0)) if over else float("nan")
                rows.append((entity_id, as_of, horizon, "mean", value, mature))
        return pd.DataFrame(rows, columns=c.OUTCOME_COLUMNS).sort_values([c.ENTITY_ID, c.HORIZON], ignore_index=True)

    def fit(self, table: pd.DataFrame) -> Self:
        """Learn the intervals from rolling origins inside the table; raises `InsufficientDataError` for a table without rows."""
        if not len(table):
            raise InsufficientDataError("no orders: there is no revenue series to learn from")
        self._learn(table)
        return self

    def save(self, folder: Path) -> None:
        """One JSON file."""
        state = {"format": self.format, "settings": self._settings(), "learned": self._learned()}
        (folder / _STATE).write_text(json.dumps(state, indent=1, allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See `Predictor.load`."""
        try:
            state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
            if state["format"] != cls.format:
                raise ArtifactError(f"{folder}: holds {state['format']!r}, not {cls.format!r}")
            loaded = cls(**state["settings"])
            loaded._restore(state["learned"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{folder}: not a saved {cls.__name__}: {error}") from error
        return loaded

    def histories(self, inputs: pd.DataFrame) -> list[Floats]:
        """The months that each series' own answer is made of, days and events taken out."""
        found = []
        for as_of, known in inputs.groupby(c.AS_OF):
            company = _Company.of(known, cast(pd.Timestamp, as_of))
            found += [self._history(each, *self._factors(each, cast(pd.Timestamp, as_of)), company) for each in company.series]
        return found

    def _history(self, series: Booked, past: Floats, ahead: Floats, company: _Company) -> Floats:
        pace, so_far = company.pace.get(series.entity_id), series.so_far or 0.0
        return np.array([so_far / pace.share / ahead[0]]) if company.is_new(series) and pace and so_far > 0 else series.y / past

    def _part(self, series: Booked, as_of: pd.Timestamp, starts: int, company: _Company) -> Part:
        """A series' own answer. In a company that has complete months, one without is answered as if it had one, at the company's pace."""
        is_new, so_far, pace = company.is_new(series), series.so_far or 0.0, company.pace.get(series.entity_id)
        past, ahead = self._factors(series, as_of)
        history = self._history(series, past, ahead, company)
        paths, status, reason = self._paths(series.entity_id, history)
        paths = paths * ahead
        if is_new:
            status, reason = Status.PRIOR, NEWCOMER if len(history) else NOTHING
            paths = paths if len(history) else np.zeros_like(paths)
        if series.missing:
            status = worst(status, Status.LIMITED)
            told = f"{series.missing} months without any order of the company: taken as missing records and filled in"
            reason = "; ".join(part for part in (reason, told) if part)
        drawn = paths.mean(axis=0)
        if pace is not None and series.so_far is not None:
            paths = completed(paths, series, pace, carried=self._carried(history))
        months = future_periods(as_of, HORIZON, "M")
        answer = Answer(series.entity_id, as_of, series.y, paths, months, starts, status, reason, so_far, series.recorded)
        return Part(answer, history, series.only_adds, drawn)

    def _factors(self, series: Booked, as_of: pd.Timestamp) -> tuple[Floats, Floats]:
        """What is known of single complete months (n,) and months ahead (H,): taken out before a forecast, and put back. Here nothing."""
        return np.ones(len(series.y)), np.ones(HORIZON)

    @abstractmethod
    def _paths(self, entity_id: str, history: Floats) -> tuple[Floats, Status, str]:
        """Sample paths (draws, H), the rung and its reason."""

    @abstractmethod
    def _carried(self, history: Floats) -> float:
        """The part of an error of the first month that stays in the later ones."""

    @abstractmethod
    def _covariance(self, entity_ids: Sequence[str], histories: Sequence[Floats]) -> Floats:
        """Covariance (n, n) of the paths' errors one month ahead, in currency²."""

    @abstractmethod
    def _learn(self, table: pd.DataFrame) -> None: ...

    @abstractmethod
    def _settings(self) -> dict[str, Any]: ...

    @abstractmethod
    def _learned(self) -> dict[str, Any]: ...

    @abstractmethod
    def _restore(self, learned: dict[str, Any]) -> None: ...


def ladder(months: int) -> tuple[Status, str]:
    """The rung that so many complete months give, and why, in one sentence."""
    if months >= SEASONAL_MONTHS:
        return Status.FULL, ""
    if months >= MODEL_MONTHS:
        return Status.LIMITED, f"{months} complete months: no season can be learnt below {SEASONAL_MONTHS}"
    if months >= MEAN_MONTHS:
        return Status.BASELINE, f"{months} complete months: damped mean instead of a model below {MODEL_MONTHS}"
    if months >= 1:
        return Status.PRIOR, f"{months} complete months: their mean, with a spread that is assumed and not measured"
    return Status.INSUFFICIENT_DATA, "no complete month of revenue yet"


def series_by_origin(table: pd.DataFrame) -> dict[str, dict[pd.Timestamp, pd.Series]]:
    """Training rows as ``entity_id -> as_of -> y`` (indexed by ``ds``, complete months only)."""
    found: dict[str, dict[pd.Timestamp, pd.Series]] = {}
    known = table[table[c.Y].notna()]
    for key, group in known.groupby([c.ENTITY_ID, c.AS_OF]):
        found.setdefault(str(key[0]), {})[cast(pd.Timestamp, key[1])] = filled(group.set_index(c.DS).sort_index(), c.Y)
    return found
