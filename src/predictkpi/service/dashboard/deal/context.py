"""What the page of a deal shows."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.deal.ahead import Ahead, ahead
from predictkpi.service.dashboard.deal.history import Happened, Stay, history, stays
from predictkpi.service.dashboard.deal.past import Past, past
from predictkpi.service.dashboard.deal.reasons import Why, why
from predictkpi.service.dashboard.deal.week import SinceThen, since_then
from predictkpi.service.dashboard.languages import current, in_words, sentence
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.links import page_of
from predictkpi.service.deal_facts import facts_of
from predictkpi.service.deal_rows import OPEN
from predictkpi.service.deal_warnings import deal_warnings
from predictkpi.service.reasons import with_reasons
from predictkpi.service.row_schemas import DealFacts
from predictkpi.service.state import Serving
from predictkpi.service.view import View


@dataclass(frozen=True)
class Warned:
    """What a check found: its name, what it says of this deal, and what to do."""

    title: str
    detail: str
    way_out: str


@dataclass(frozen=True)
class Fact:
    """One thing that is known, with a link where there is more of it."""

    title: str
    text: str
    href: str = ""


@dataclass(frozen=True)
class Closed:
    """How a deal ended."""

    is_won: bool
    on: str
    after: str
    amount: str
    ordered: str


@dataclass(frozen=True)
class DealPage:
    """The whole page. An open deal has ``ahead`` where a model serves; a closed one has ``closed`` and maybe ``past``."""

    deal_id: str
    name: str
    is_open: bool
    facts: list[Fact]
    own_fields: list[Fact]
    activities: list[Fact]
    warnings: list[Warned]
    ahead: Ahead | None
    why: list[Why]
    week: SinceThen | None
    closed: Closed | None
    past: Past | None
    stays: list[Stay]
    has_usual: bool
    history: list[Happened]
    api: list[str]


def deal(view: View, deal_id: str, *, serving: Serving, with_numbers: bool) -> DealPage:
    """The page of a deal; raises `UnknownEntityError`. ``with_numbers``: for who may see the company's own numbers."""
    facts = facts_of(view, deal_id)
    is_open = facts.state == OPEN
    is_predicted = is_open and "close_time" in view.champions
    answer = None
    if is_predicted:
        answer = with_reasons(view.predict("close_time", deal_id, with_curve=True), view, language="de" if current().code == "de" else "en")
    address = f"/v1/deals/{quote(deal_id, safe='/')}"
    predicted = [f"{address}/close-time?curve=true&reasons=true", f"{address}/close-time/changes"] if is_predicted else []
    shown_stays = stays(view, facts, with_numbers=with_numbers)
    return DealPage(
        deal_id=deal_id,
        name=facts.label,
        is_open=is_open,
        facts=_facts(view, facts),
        own_fields=[Fact(name, _value(value)) for name, value in sorted(facts.attributes.items())],
        activities=[Fact(kind, f.number(count)) for kind, count in facts.activities.items()],
        warnings=[
            Warned(in_words(one.check.title), sentence(one.detail), sentence(one.check.way_out))
            for one in deal_warnings(view).get(deal_id, ())
        ],
        ahead=ahead(view, facts, answer) if answer else None,
        why=why(answer) if answer else [],
        week=since_then(view, facts, serving) if is_predicted else None,
        closed=None if is_open else _closed(view, facts),
        past=None if is_open else past(facts, serving.store),
        stays=shown_stays,
        has_usual=any(stay.usual for stay in shown_stays),
        history=history(facts),
        api=[address, *predicted],
    )


def _facts(view: View, facts: DealFacts) -> list[Fact]:
    """What the CRM says of it now; what it leaves open is left out."""
    sees = facts.customer_id is not None and view.sees("customer", facts.customer_id)
    customer = page_of("customers", facts.customer_id) if facts.customer_id and sees else ""
    said = [
        Fact(_("Customer"), facts.customer or facts.customer_id or "", customer),
        Fact(_("Owner"), facts.owner or ""),
        Fact(_("Stage"), facts.stage or "" if facts.state == OPEN else ""),
        Fact(_("Amount"), f.money(facts.amount, facts.currency)),
        Fact(_("Team"), facts.team or ""),
        Fact(_("Region"), facts.region or ""),
        Fact(_("Segment"), facts.segment or ""),
        Fact(_("Product"), facts.product or ""),
        Fact(_("Source"), facts.source or ""),
        Fact(_("Created"), f.date(pd.Timestamp(facts.created_at)) if facts.created_at else ""),
    ]
    return [fact for fact in said if fact.text]


def _closed(view: View, facts: DealFacts) -> Closed:
    on = pd.Timestamp(facts.closed_at) if facts.closed_at else None
    first = [pd.Timestamp(instant) for instant in (facts.created_at, *(event.at for event in facts.events)) if instant]
    after = f.days((on - min(first)) / pd.Timedelta(days=1)) if on is not None else ""
    ordered = f.money(facts.ordered, view.company.currency) if facts.ordered else ""
    return Closed(facts.state == c.WON, f.date(on), after, f.money(facts.amount, view.company.currency), ordered)


def _value(value: object) -> str:
    """A company's own field as it is."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, float):
        return f.number(value, 0 if value.is_integer() else 2)
    return f.date(value) if isinstance(value, pd.Timestamp) else str(value)
