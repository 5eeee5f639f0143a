"""What the page shows, from a view: assembled here, written out in templates."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import InsufficientDataError
from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.cards import Card, cards
from predictkpi.service.dashboard.number import Absent, Number, number
from predictkpi.service.dashboard.outlook import Outlook, outlook
from predictkpi.service.dashboard.rankings import Customers, Deals, customers, deals
from predictkpi.service.dashboard.scoreboard import Scores, scores
from predictkpi.service.view import View


@dataclass(frozen=True)
class ModelChip:
    """Which version of a predictor is served. ``kind``: model, baseline, missing (not trained) or impossible (too little data)."""

    predictor: str
    title: str
    version: str
    kind: str
    reason: str

    @property
    def told(self) -> str:
        """The kind in words."""
        return {"missing": "not trained", "impossible": "too little data"}.get(self.kind, self.kind)


@dataclass(frozen=True)
class Fact:
    """How far one table reaches."""

    name: str
    count: str
    newest: str


@dataclass(frozen=True)
class Overview:
    """The whole page."""

    company: str
    currency: str
    as_of: str
    last_day: str
    facts: list[Fact]
    models: list[ModelChip]
    cards: list[Card]
    number: Number | None
    number_absent: str
    outlook: Outlook | None
    deals: Deals | None
    customers: Customers | None
    scores: Scores | None

    @property
    def notices(self) -> list[ModelChip]:
        """Models whose state the reader must know of."""
        return [chip for chip in self.models if chip.kind != "model"]

    def chip(self, predictor: str) -> ModelChip:
        """The chip of one predictor."""
        return next(chip for chip in self.models if chip.predictor == predictor)


def overview(view: View) -> Overview:
    """Everything on the page at /."""
    told = number(view)
    return Overview(
        company=view.company.name,
        currency=view.company.currency,
        as_of=f.date(view.as_of),
        last_day=f.date(view.as_of - pd.Timedelta(days=1)),
        facts=_facts(view),
        models=[_chip(view, name) for name in predictor_names()],
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


def _chip(view: View, name: str) -> ModelChip:
    title = predictor_class(name).spec.title["en"]
    champion = view.champions.get(name)
    if champion is None:
        error = view.missing[name]
        return ModelChip(name, title, "", "impossible" if isinstance(error, InsufficientDataError) else "missing", str(error))
    return ModelChip(name, title, champion.ref.version, champion.ref.kind, champion.ref.reason)
