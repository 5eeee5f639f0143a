"""A deal in a request: checked against the calendar and the store, and answered beside everything the store knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

import msgspec

from predictkpi.core import columns as c
from predictkpi.core.access import RowScope
from predictkpi.core.digests import digest
from predictkpi.errors import DealClosedError
from predictkpi.features.new_deals import NAN, NewDeal, NewEvent
from predictkpi.predictors.close_time.incidence_predictor import IncidencePredictor
from predictkpi.service.envelopes import curve_of, envelope
from predictkpi.service.own_fields import own_fields
from predictkpi.service.problems import FieldError, ForbiddenError, InvalidRequestError
from predictkpi.service.reasons import LanguageCode, reasons_in_order
from predictkpi.service.schemas import OwnValue
from predictkpi.service.view import EPOCH, MICROSECOND, Champion, View
from predictkpi.service.wire import Curve, Envelope

NO_STAGE = "(none)"
"""Stands for a stage that the request does not name: like any stage never heard of, it says nothing."""
NOBODY = "\0"
"""Stands for a customer of whom the caller may see nothing: no id is spelled so."""
NOTHING_SAID = "name at least the stage or when the deal was created: of a deal without both nothing is known"
JUST_BEFORE = 1
"""Microseconds before as_of at which a deal counts as opened of which nothing is known."""
_encode = msgspec.json.Encoder().encode


class Event(Protocol):
    """See `schemas.DealEventIn`."""

    at: datetime
    stage: str
    amount: float | None
    expected_close_on: datetime | None
    owner: str | None


class Activity(Protocol):
    """See `schemas.ActivityIn`."""

    at: datetime
    kind: str


class Payload(Protocol):
    """What is asked of a deal in a request, however it was read: `schemas.DealIn` says what each member means."""

    deal_id: str | None
    name: str | None
    created_at: datetime | None
    stage: str | None
    amount: float | None
    owner: str | None
    source: str | None
    product: str | None
    region: str | None
    team: str | None
    customer_id: str | None
    expected_close_on: datetime | None
    attributes: dict[str, OwnValue]

    @property
    def events(self) -> Sequence[Event]:
        """In any order."""

    @property
    def activities(self) -> Sequence[Activity]:
        """In any order."""


@dataclass(slots=True)
class PreparedDeal:
    """A checked deal, what it is called, what is odd about it, and what stands for all that is known of it."""

    deal: NewDeal
    entity_id: str
    label: str
    caveats: tuple[str, ...]
    inputs_digest: str


def prepare(payload: Payload, view: View, *, index: int = 0, pointer: str = "#") -> PreparedDeal:
    """Check a deal against the calendar and against what the store knows.

    What a CRM may lack (amount, owner, stage, creation date) is answered all the same, with a caveat. Raises `InvalidRequestError` for
    instants that cannot be, for values that are not of their attribute's kind and for a request that says nothing of the deal,
    `DealClosedError` for a deal that is won or lost, `ForbiddenError` for one outside the caller's rows.
    """
    if view.rows is not None:
        _demand_rows(payload, view, view.rows)
    if payload.stage is None and payload.created_at is None and not payload.events:
        raise InvalidRequestError([FieldError(NOTHING_SAID, f"{pointer}/{name}") for name in (c.CREATED_AT, c.STAGE)])
    instants = [view.microseconds(event.at) for event in payload.events]
    done = [(view.microseconds(activity.at), activity.kind) for activity in payload.activities]
    created = _created(payload, instants, view)
    history = sorted(zip(instants, payload.events, strict=True), key=lambda item: item[0])
    newest = history[-1][1].stage if history else None
    stage = payload.stage or newest or NO_STAGE
    wrong = _impossible_instants(payload, created, instants, done, view, pointer=pointer)
    if not wrong and newest is not None and newest != stage:
        wrong = [FieldError(f"must be the stage of the newest event ({newest!r}), got {stage!r}", f"{pointer}/stage")]
    own, misread, news = own_fields(payload.attributes, view, pointer=f"{pointer}/attributes")
    if wrong or misread:
        raise InvalidRequestError([*wrong, *misread])
    if stage.casefold() in c.CLOSED_STAGES:
        raise DealClosedError(f"the deal in the request is closed: its stage is {stage!r}")
    expected = None if payload.expected_close_on is None else view.microseconds(payload.expected_close_on)
    amount = NAN if payload.amount is None else payload.amount
    events = [_event(at, event, view, amount=amount, expected=expected, owner=payload.owner) for at, event in history]
    entity_id = payload.deal_id or f"request-{index}"
    deal = NewDeal(
        deal_id=entity_id,
        created=created,
        events=events or [NewEvent(created, stage, amount, expected, payload.owner)],
        customer_id=payload.customer_id if view.sees("customer", payload.customer_id or "") else NOBODY,
        source=payload.source,
        product=payload.product,
        region=payload.region,
        team=payload.team,
        activities=sorted(done, key=lambda item: item[0]),
        attributes=own,
    )
    said = (created, deal.events, deal.activities, own, deal.customer_id, deal.source, deal.product, deal.region, deal.team)
    return PreparedDeal(
        deal=deal,
        entity_id=entity_id,
        label=payload.name or payload.deal_id or "deal in the request",
        caveats=(*_caveats(payload, view.known_values), *news),
        inputs_digest=digest(view.data_digest, _encode(said).decode())[:16],  # the data says what its owner and its customer are like
    )


def predict(
    prepared: Sequence[PreparedDeal],
    champion: Champion,
    view: View,
    *,
    horizons: Sequence[int] | None = None,
    with_curve: bool = False,
    reasons_in: LanguageCode | None = None,
) -> list[Envelope]:
    """Predictions for prepared deals, in their order: the numbers that stored deals of which the same is known would get."""
    model = cast(IncidencePredictor, champion.predictor)
    inputs = model.features_of_new(view.snapshot, [deal.deal for deal in prepared])
    daily = model.daily(inputs)
    answers = model.predicted(inputs, horizons, daily=daily).answers()
    curves: list[Curve | None] = [None] * len(prepared)
    if with_curve:
        whole = model.predicted(inputs, model.spec.askable, daily=daily).frame()
        per_deal = len(whole) // max(len(prepared), 1)
        curves = [curve_of(whole.iloc[number * per_deal : (number + 1) * per_deal]) for number in range(len(prepared))]
    found = [
        envelope(
            answer,
            spec=model.spec,
            ref=champion.ref,
            company=view.company,
            entity_id=deal.entity_id,
            label=deal.label,
            inputs_digest=deal.inputs_digest,
            caveats=deal.caveats,
            curve=curve,
        )
        for deal, answer, curve in zip(prepared, answers, curves, strict=True)
    ]
    if reasons_in:
        explained = model.explained(inputs, daily=daily)
        for number, answered in enumerate(found):
            answered.reasons = [] if explained is None else reasons_in_order(explained.of_row(number), model, language=reasons_in)
    return found


def _demand_rows(payload: Payload, view: View, rows: RowScope) -> None:
    """A caller who is held to rows may name only the owners and teams of their own deals: predictions would tell of others' records.

    Ids of deals and customers need no look: a deal's is a label here, and of a customer outside the rows nothing is used.
    """
    stated = {c.TEAM: {payload.team}, c.OWNER: {payload.owner, *(event.owner for event in payload.events)}}
    for column, values in stated.items():
        mine = rows.members if column == rows.kind else view.visible_values[column]
        for value in values - mine - {None, ""}:
            if column == rows.kind or value in view.known_values[column]:
                raise ForbiddenError(f"only deals of {rows} may be asked for, and this one names the {column} {value!r}")


def _created(payload: Payload, instants: Sequence[int], view: View) -> int:
    """When the deal was opened, or the latest it can have been."""
    if payload.created_at is not None:
        return view.microseconds(payload.created_at)
    return min(instants) if instants else view.as_of_microseconds - JUST_BEFORE


def _event(at: int, event: Event, view: View, *, amount: float, expected: int | None, owner: str | None) -> NewEvent:
    """An event as a history has it; what it does not say is as stated for the deal."""
    own_date = event.expected_close_on
    return NewEvent(
        at=at,
        stage=event.stage,
        amount=amount if event.amount is None else event.amount,
        expected=expected if own_date is None else view.microseconds(own_date),
        owner=event.owner or owner,
    )


def _impossible_instants(
    payload: Payload, created: int, instants: Sequence[int], done: Sequence[tuple[int, str]], view: View, *, pointer: str
) -> list[FieldError]:
    as_of = view.as_of_microseconds

    def too_late(where: str) -> FieldError:
        return FieldError(f"must lie before as_of ({view.as_of.isoformat()}), up to which the data reaches", f"{pointer}/{where}")

    if payload.created_at is not None and created >= as_of:
        return [too_late("created_at")]
    wrong = []
    for position, at in enumerate(instants):
        where = f"events/{position}/at"
        if at >= as_of:
            wrong.append(too_late(where))
        if at < created:
            opened = (EPOCH + created * MICROSECOND).isoformat()
            wrong.append(FieldError(f"must not lie before created_at ({opened})", f"{pointer}/{where}"))
    return wrong + [too_late(f"activities/{position}/at") for position, (at, _) in enumerate(done) if at >= as_of]


def _caveats(payload: Payload, known: Mapping[str, frozenset[str]]) -> list[str]:
    found = []
    if payload.created_at is None:
        found.append(f"created_at is missing: its age counts from {'its first event' if payload.events else 'as_of'}")
    if payload.stage is None and not payload.events:
        found.append("stage is missing: answered from deals of all stages")
    for column, values in known.items():
        given = getattr(payload, column)
        if given is not None and given not in values:
            found.append(f"{column} {given!r} was never seen in the data and counts as unknown")
    if payload.amount is None and not any(event.amount is not None for event in payload.events):
        found.append("amount is missing")
    if known[c.OWNER] and not payload.owner and not any(event.owner for event in payload.events):
        found.append("owner is missing")
    return found
