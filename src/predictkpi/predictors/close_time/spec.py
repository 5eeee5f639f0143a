"""What the close-time predictor promises, and the time grid it thinks in."""

from __future__ import annotations

from predictkpi.core.periods import Freq
from predictkpi.core.types import Spec, Statistic

HORIZONS = (7, 14, 30, 60, 90, 180)
PERIOD_ENDS = (1, 2, 3, 5, 7, 10, 14, 18, 21, 25, 30, 38, 45, 60, 75, 90, 120, 150, 180)
"""Ends, in days after the landmark, of the periods the hazard is constant in; every horizon is one of them."""
LAST_DAY = PERIOD_ENDS[-1]
CAUSES = ("won", "lost")

FULL_FROM = 300
"""Closed deals from which the boosted hazard takes part; below, the landmark curves stand alone."""
LIMITED_FROM = 40
"""Closed deals from which landmark curves by stage are drawn; below, one curve for all."""

BY_HORIZON = ("cif_won", "cif_lost", "p_open")
QUANTILES = {"close_q10": 0.1, "close_q50": 0.5, "close_q90": 0.9}
PERIOD_CHANCES: dict[str, Freq] = {"p_won_by_month_end": "M", "p_won_by_quarter_end": "Q", "p_won_by_fiscal_year_end": "Y"}
_PERIODS = ("calendar month", "fiscal quarter", "fiscal year")

SPEC = Spec(
    name="close_time",
    title={"en": "Deal close time", "de": "Abschlusszeitpunkt von Deals"},
    entity="deal",
    horizons=HORIZONS,
    time_unit="day",
    any_horizon=True,
    statistics=(
        Statistic(name="cif_won", unit="probability", description="won within the horizon, given that the deal is open at as_of"),
        Statistic(name="cif_lost", unit="probability", description="lost within the horizon, given that the deal is open at as_of"),
        Statistic(name="p_open", unit="probability", description="still open after the horizon: 1 - cif_won - cif_lost", is_detail=True),
        Statistic(name="p_win", unit="probability", description="won in the end: within 180 days"),
        *(
            Statistic(
                name=name, unit="days", description=f"{level:.0%} quantile of the days from as_of to the close, given a win in 180 days"
            )
            for name, level in QUANTILES.items()
        ),
        *(
            Statistic(
                name=name,
                unit="probability",
                description=f"won before the {period} that holds as_of ends; an end beyond {LAST_DAY} days counts as day {LAST_DAY}",
                is_detail=True,
            )
            for name, period in zip(PERIOD_CHANCES, _PERIODS, strict=True)
        ),
        Statistic(
            name="p_slip",
            unit="probability",
            description="not won by the end of the day the rep expects: lost, open or won later; 1 once that day has passed",
        ),
        Statistic(name="expected_value", unit="currency", description="p_win x amount"),
    ),
    headline="cif_won",
    score="cumulative_incidence",
)
