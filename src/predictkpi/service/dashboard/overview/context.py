"""What the overview shows, from a view: assembled here, written out in its template."""

from __future__ import annotations

from dataclasses import dataclass

from predictkpi.core import columns as c
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.overview.cards import Card, cards
from predictkpi.service.dashboard.overview.number import Absent, Number, number
from predictkpi.service.dashboard.overview.outlook import Outlook, outlook
from predictkpi.service.dashboard.overview.rankings import Customers, Deals, customers, deals
from predictkpi.service.dashboard.overview.scoreboard import Scores, scores
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
    scores: Scores | None


def overview(view: View) -> Overview:
    """Everything on the page at /."""
    told = number(view)
    return Overview(
        facts=_facts(view),
        cards=cards(view),
        number=None if isinstance(told, Absent) else told,
        number_absent=told.reason if isinstance(told, Absent) else "",
        outlook=outlook(view),
        deals=deals(view),
        customers=customers(view),
        scores=scores(view),
    )


def _facts(view: View) -> list[Fact]:
    found = []
    for table, title, happened_at in (
        ("customers", "customers", None),
        ("orders", "orders", c.DS),
        ("deals", "deals", None),
        ("deal_events", "deal changes", c.DS),
        ("spend", "days of spend", c.DS),
    ):
        rows = view.snapshot.table(table)
        if rows.empty:
            continue
        count = rows[c.DS].nunique() if table == "spend" else len(rows)
        found.append(Fact(title, f"{count:,}", f.date(rows[happened_at].max()) if happened_at else ""))
    return found
