"""What a person would call the parts of a customer's history that make a value high or low, in English and German."""

from __future__ import annotations

from dataclasses import dataclass

from predictkpi.features import rfm
from predictkpi.features.purchase_rhythm import WINDOWS
from predictkpi.predictors.clv.table import CATEGORIES
from predictkpi.protocol import BASELINE

NO_ORDER, ONLY_REFUNDS = "no_order", "only_refunds"
MEAN_GROSS, KEPT, LAG = "mean_gross", "kept", "lag"
"""Gross value of a purchase, the share of it that refunds left, and days from the opening of the account to the first purchase."""
SPENT_PER = "spent_per_"
"""Before a window in days: value of a purchase within it."""


@dataclass(frozen=True)
class Reason:
    """``parts``: columns of `explain.taken_apart` that belong to it; a reason without any is that of one kind of customer."""

    name: str
    title: dict[str, str]
    parts: tuple[str, ...] = ()


REASONS = (
    Reason(
        "often",
        {"en": "how often and how evenly the customer buys", "de": "wie oft und wie gleichmäßig der Kunde kauft"},
        (
            rfm.FREQUENCY, rfm.RECENCY, rfm.ORDERS, "gap", "gap_spread", "last_gap", "pace_trend",
            *(f"purchases_{days}" for days in WINDOWS),
        ),
    ),
    Reason(
        "lately",
        {"en": "how long ago the last purchase was", "de": "wie lange der letzte Kauf her ist"},
        ("days_since_last", LAG),
    ),
    Reason(
        "much",
        {"en": "how much a purchase is worth", "de": "wie viel ein Kauf wert ist"},
        (
            MEAN_GROSS, rfm.MONETARY_VALUE, rfm.LARGEST, "log_mean_value", "log_first_value", "log_last_value", "value_trend",
            "log_largest", *(f"{SPENT_PER}{days}" for days in WINDOWS),
        ),
    ),
    Reason(
        "season",
        {"en": "the same season a year ago", "de": "dieselbe Jahreszeit vor einem Jahr"},
        ("season_purchases", "log_season_spend"),
    ),
    Reason("refunds", {"en": "what was sent back", "de": "was zurückgegeben wurde"}, (KEPT, "refunded_share")),
    Reason("who", {"en": "segment, region, industry and channel", "de": "Segment, Region, Branche und Kanal"}, CATEGORIES),
)  # fmt: skip
OTHERS = (
    Reason(BASELINE, {"en": "the usual customer", "de": "der übliche Kunde"}),
    Reason(NO_ORDER, {"en": "no order yet", "de": "noch keine Bestellung"}),
    Reason(ONLY_REFUNDS, {"en": "no purchase, only refunds", "de": "kein Kauf, nur Rückgaben"}),
)


def title_of(name: str, language: str = "en") -> str:
    """A reason in plain words; what is no reason of ours by its name."""
    for reason in (*OTHERS, *REASONS):
        if reason.name == name:
            return reason.title[language]
    return name
