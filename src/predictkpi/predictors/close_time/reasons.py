"""What a person would call the parts of a deal that speak for or against it: features grouped into reasons, in English and German."""

from __future__ import annotations

from dataclasses import dataclass

from predictkpi.core import columns as c
from predictkpi.features.attributes import OF_CUSTOMERS, OF_DEALS
from predictkpi.features.deal_activities import ACTIVITY_NUMBERS, LAST_ACTIVITY
from predictkpi.features.deal_buyers import BUYER_NUMBERS
from predictkpi.features.deal_history import AGE, FURTHEST_STAGE, IN_STAGE, TO_EXPECTED
from predictkpi.features.deal_tallies import ACTIVITIES, STAGES
from predictkpi.protocol import BASELINE

STAGE, TIME_IN_STAGE, DEAL_AGE = "stage", "time_in_stage", "age"


@dataclass(frozen=True)
class Reason:
    """``features``: columns of a design, or of a learner's calendar, that belong to it; ``prefixes``: beginnings of such names."""

    name: str
    title: dict[str, str]
    features: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


REASONS = (
    Reason(BASELINE, {"en": "the usual open deal", "de": "der übliche offene Deal"}),
    Reason(
        STAGE,
        {"en": "stage and the way to it", "de": "Stufe und der Weg dorthin"},
        (c.STAGE, FURTHEST_STAGE, "stage_rank", "furthest_rank", "stage_changes", "regressions"),
        (f"{STAGES}.",),
    ),
    Reason(TIME_IN_STAGE, {"en": "time in the stage", "de": "Zeit in der Stufe"}, (IN_STAGE, "in_stage_then")),
    Reason(DEAL_AGE, {"en": "age of the deal", "de": "Alter des Deals"}, (AGE, "age_then")),
    Reason(
        "amount",
        {"en": "amount and its changes", "de": "Betrag und seine Änderungen"},
        ("log_amount", "amount_growth", "amount_changes"),
    ),
    Reason(
        "expected_close",
        {"en": "expected close date and how often it slipped", "de": "geplanter Abschluss und wie oft er verschoben wurde"},
        (TO_EXPECTED, "pushes", "to_expected_then"),
    ),
    Reason(
        "owner",
        {"en": "track record of owner and team", "de": "bisherige Erfolge von Verantwortlichem und Team"},
        ("owner_edge", c.TEAM),
    ),
    Reason(
        "customer",
        {"en": "the customer and its earlier deals", "de": "der Kunde und seine früheren Deals"},
        (*BUYER_NUMBERS, c.SEGMENT, c.REGION),
    ),
    Reason("source", {"en": "source of the deal", "de": "Herkunft des Deals"}, (c.SOURCE, "source_edge")),
    Reason("product", {"en": "product", "de": "Produkt"}, (c.PRODUCT,)),
    Reason(
        "activity",
        {"en": "activity, and how long nothing has happened", "de": "Aktivität, und wie lange nichts geschah"},
        (*ACTIVITY_NUMBERS, LAST_ACTIVITY, "days_since_event"),
        (f"{ACTIVITIES}.",),
    ),
    Reason(
        "calendar",
        {"en": "calendar of the coming weeks", "de": "Kalender der kommenden Wochen"},
        (
            "period", "period_days", "horizon", "business_days", "weekday", "first_weekday", "last_weekday",
            "days_to_month_end", "days_to_quarter_end", "rush_share", "rush_days",
        ),
    ),
)  # fmt: skip


def reason_of(feature: str) -> str:
    """The reason a feature belongs to; a company's own field is a reason of its own."""
    for reason in REASONS:
        if feature in reason.features or feature.startswith(reason.prefixes or ("\0",)):
            return reason.name
    return feature


def title_of(name: str, language: str = "en") -> str:
    """A reason in plain words; own fields by their name."""
    for reason in REASONS:
        if reason.name == name:
            return reason.title[language]
    return name.removeprefix(OF_DEALS).removeprefix(OF_CUSTOMERS)
