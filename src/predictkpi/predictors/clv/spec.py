"""What the CLV predictor promises, for the model and its baseline alike."""

from __future__ import annotations

from predictkpi.core.types import Spec, Statistic

MEAN = "mean"
DISCOUNTED = "discounted"
ANNUAL_DISCOUNT = 0.1
"""Rate at which money a year from now is worth less, unless a setting says otherwise."""
QUANTILES = {"q10": 0.1, "q50": 0.5, "q90": 0.9}
P_ALIVE = "p_alive"
EXPECTED_PURCHASES = "expected_purchases"
MARGIN = "margin"
"""Last of `STATISTICS`; left out where the company gives no margin."""

SPEC = Spec(
    name="clv",
    title={"en": "Customer lifetime value", "de": "Kundenwert"},
    entity="customer",
    horizons=(3, 6, 12, 24),
    time_unit="month",
    statistics=(
        Statistic(name=MEAN, unit="currency", description="expected net revenue from as_of to the horizon, after refunds, undiscounted"),
        Statistic(
            name=DISCOUNTED,
            unit="currency",
            description="mean at its present value, at the annual rate that the model is set to (10 % unless it is set otherwise)",
            is_detail=True,
        ),
        Statistic(name="q10", unit="currency", description="net revenue that is exceeded with probability .9"),
        Statistic(name="q50", unit="currency", description="net revenue that is exceeded with probability .5"),
        Statistic(name="q90", unit="currency", description="net revenue that is exceeded with probability .1"),
        Statistic(
            name=P_ALIVE,
            unit="probability",
            description="still a customer at as_of; for an account without an order: becomes one by the horizon",
        ),
        Statistic(name=EXPECTED_PURCHASES, unit="count", description="expected days with a positive net order, to the horizon"),
        Statistic(
            name=MARGIN,
            unit="currency",
            description="the part of mean that is margin; left out where no order has the own field margin",
        ),
    ),
    headline=MEAN,
    score="mean",
)
STATISTICS = tuple(statistic.name for statistic in SPEC.statistics)
