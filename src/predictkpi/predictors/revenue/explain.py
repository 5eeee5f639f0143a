"""Why a month is forecast as it is: level, trend, season, days, events, what other series teach, what is booked, and agreement with them.

Each step is what the forecast gains when it is taken, in currency, so that the steps of a month add up to its mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from predictkpi.predictors.revenue.point import SEASON, point_path, prepare
from predictkpi.predictors.revenue.shared import SharedMember
from predictkpi.protocol import BASELINE

Floats = npt.NDArray[np.float64]

TREND, SEASONAL, DAYS, EVENTS = "trend", "season", "working_days", "events"
SHARED, DRAWS, BOOKED, AGREEMENT = "other_series", "draws", "booked_so_far", "agreement"
STEPS = (BASELINE, TREND, SEASONAL, DAYS, EVENTS, SHARED, DRAWS, BOOKED, AGREEMENT)
TITLES = {
    BASELINE: {"en": "level of the last year", "de": "Niveau des letzten Jahres"},
    TREND: {"en": "trend", "de": "Trend"},
    SEASONAL: {"en": "season", "de": "Saison"},
    DAYS: {"en": "working days and holidays", "de": "Arbeits- und Feiertage"},
    EVENTS: {"en": "known events", "de": "bekannte Ereignisse"},
    SHARED: {"en": "what the other series teach", "de": "was die anderen Reihen lehren"},
    DRAWS: {"en": "mean of the sample paths", "de": "Mittel der gezogenen Pfade"},
    BOOKED: {"en": "what is booked in the running month", "de": "was im laufenden Monat gebucht ist"},
    AGREEMENT: {"en": "agreement with the other series", "de": "Abgleich mit den anderen Reihen"},
}


@dataclass(frozen=True)
class Explained:
    """Means of a series' months ahead on the way to its answer, all ``(H,)`` in currency.

    ``history`` (n,) is without days and events, whose factors are ``days`` and ``events``; ``shared`` is what the series have in common;
    ``completed`` less ``drawn`` is what the running month's bookings change, and ``final`` the answer.
    """

    history: Floats
    days: Floats
    events: Floats
    shared: SharedMember
    drawn: Floats
    completed: Floats
    final: Floats

    def steps(self) -> dict[str, Floats]:
        """Each of `STEPS` ``(H,)``; they add up to ``final``."""
        level, adjusted, path = _taken_apart(self.history, len(self.final))
        blended = self.shared.blended(prepare(self.history), path) if len(self.history) else path
        on_days = path * self.days
        found = {
            BASELINE: np.full(len(path), level),
            TREND: adjusted - level,
            SEASONAL: path - adjusted,
            DAYS: on_days - path,
            EVENTS: on_days * (self.events - 1),
            SHARED: (blended - path) * self.days * self.events,
            DRAWS: self.drawn - blended * self.days * self.events,
            BOOKED: self.completed - self.drawn,
        }
        return found | {AGREEMENT: self.final - self.completed}


def _taken_apart(history: Floats, horizon: int) -> tuple[float, Floats, Floats]:
    """Mean of the last year without its season, the point path without its season, and the point path."""
    if not len(history):
        return 0.0, np.zeros(horizon), np.zeros(horizon)
    series = prepare(history)
    path = point_path(series, horizon)
    season = series.season[(len(history) + np.arange(horizon)) % series.period]
    return float(series.adjusted()[-SEASON:].mean()), path / season if series.log else path - season, path
