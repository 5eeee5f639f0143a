"""What the overview shows, from a view: assembled here, written out in its template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from predictkpi.core import columns as c
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.kpi_words import Alerts
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.overview.cards import Card, cards
from predictkpi.service.dashboard.overview.number import Absent, Number, number
from predictkpi.service.dashboard.overview.outlook import Outlook, outlook
from predictkpi.service.dashboard.overview.rankings import Customers, Deals, customers, deals
from predictkpi.service.dashboard.overview.trust import Trusted, trusted
from predictkpi.service.kpi_answers import Rules
from predictkpi.service.view import View


@dataclass(frozen=True)
class Fact:
    """How far one table reaches."""

    name: str
    count: str
    newest: str


@dataclass(frozen=True)
class Overview:
    """The whole page."""

    facts: list[Fact]
    cards: list[Card]
    number: Number | None
    number_absent: str
    outlook: Outlook | None
    deals: Deals | None
    customers: Customers | None
    trusted: Trusted | None
    alerts: Mapping[str, Alerts] = field(default_factory=dict)
    """By name of the KPI; empty before they are looked for."""


def overview(view: View, rules: Rules | None = None) -> Overview:
    """Everything on the page at /; ``rules`` are the company's, those that are shipped where it has none."""
    rules = rules or Rules()
    told = number(view, rules.bands)
    return Overview(
        facts=_facts(view),
        cards=cards(view, rules),
        number=None if isinstance(told, Absent) else told,
        number_absent=told.reason if isinstance(told, Absent) else "",
        outlook=outlook(view),
        deals=deals(view),
        customers=customers(view),
        trusted=trusted(view),
    )


def _facts(view: View) -> list[Fact]:
    found = []
    for table, title, happened_at in (
        ("customers", _("customers"), None),
        ("orders", _("orders"), c.DS),
        ("deals", _("deals"), None),
        ("deal_events", _("deal changes"), c.DS),
        ("spend", _("days of spend"), c.DS),
    ):
        rows = view.snapshot.table(table)
        if rows.empty:
            continue
        count = rows[c.DS].nunique() if table == "spend" else len(rows)
        found.append(Fact(title, f.number(count), f.date(rows[happened_at].max()) if happened_at else ""))
    return found
