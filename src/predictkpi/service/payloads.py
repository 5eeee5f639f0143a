"""A deal in a request, turned into rows of the fact tables, so that it takes the same way to a prediction as a stored deal."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.digests import digest
from predictkpi.errors import DealClosedError
from predictkpi.service.envelopes import curve_of, envelope
from predictkpi.service.own_fields import own_field_rows
from predictkpi.service.problems import FieldError, InvalidRequestError
from predictkpi.service.reasons import LanguageCode, reasons_of
from predictkpi.service.schemas import ActivityIn, Curve, DealEventIn, DealIn, PredictionEnvelope
from predictkpi.service.view import Champion, View
from predictkpi.tables import table_schema

NO_STAGE = "(none)"
"""Stands for a stage that the request does not name: like any stage never heard of, it says nothing."""
NOTHING_SAID = "name at least the stage or when the deal was created: of a deal without both nothing is known"


@dataclass(frozen=True)
class PreparedDeal:
    """A checked deal: rows under an id of its own (the store may hold an older state under the caller's id), and what is odd about it."""

    row_id: str
    entity_id: str
    label: str
    deal: dict[str, Any]
    events: list[dict[str, Any]]
    attributes: list[dict[str, Any]]
    activities: list[dict[str, Any]]
    caveats: tuple[str, ...]
    inputs_digest: str


def prepare(payload: DealIn, view: View, *, index: int = 0, pointer: str = "#") -> PreparedDeal:
    """Check a deal against the calendar and against what the store knows.

    What a CRM may lack (amount, owner, stage, creation date) is answered all the same, with a caveat. Raises `InvalidRequestError` for
    instants that cannot be, for values that are not of their attribute's kind and for a request that says nothing of the deal,
    `DealClosedError` for a deal that is won or lost.
    """
    if payload.stage is None and payload.created_at is None and not payload.events:
        raise InvalidRequestError([FieldError(NOTHING_SAID, f"{pointer}/{name}") for name in (c.CREATED_AT, c.STAGE)])
    history = sorted(payload.events, key=lambda event: view.local(event.at))
    created = _created(payload, history, view)
    stage = payload.stage or (history[-1].stage if history else NO_STAGE)
    wrong = _impossible_instants(payload, created, view, pointer=pointer)
    if not wrong and history and history[-1].stage != stage:
        wrong = [FieldError(f"must be the stage of the newest event ({history[-1].stage!r}), got {stage!r}", f"{pointer}/stage")]
    row_id = f"request#{index}"
    own, misread, news = own_field_rows(payload.attributes, view, row_id=row_id, known_at=created, pointer=f"{pointer}/attributes")
    if wrong or misread:
        raise InvalidRequestError([*wrong, *misread])
    if stage.casefold() in c.CLOSED_STAGES:
        raise DealClosedError(f"the deal in the request is closed: its stage is {stage!r}")
    events = history or [DealEventIn(at=created, stage=stage, amount=None, expected_close_on=None, owner=None)]
    deal = {name: getattr(payload, name, None) for name in table_schema("deals").column_names}
    deal |= {c.DEAL_ID: row_id, c.CREATED_AT: created, c.KNOWN_AT: created}
    event_rows = [_event_row(payload, event, view, f"{row_id}@{number}") for number, event in enumerate(events)]
    activities = [_activity_row(activity, view, f"{row_id}@activity{number}") for number, activity in enumerate(payload.activities)]
    said = json.dumps([deal, event_rows, own, activities], default=_plain).replace(row_id, "")
    return PreparedDeal(
        row_id=row_id,
        entity_id=payload.deal_id or f"request-{index}",
        label=payload.name or payload.deal_id or "deal in the request",
        deal=deal,
        events=event_rows,
        attributes=own,
        activities=activities,
        caveats=(*_caveats(payload, view.known_values), *news),
        inputs_digest=digest(view.data_digest, said)[:16],  # the data says what its owner and its customer are like
    )


def predict(
    prepared: Sequence[PreparedDeal],
    champion: Champion,
    view: View,
    *,
    horizons: Sequence[int] | None = None,
    with_curve: bool = False,
    reasons_in: LanguageCode | None = None,
) -> list[PredictionEnvelope]:
    """Predictions for prepared deals (distinct ``row_id``), in their order, by the way every stored deal takes."""
    if not prepared:
        return []
    rows = {
        "deals": [deal.deal for deal in prepared],
        "deal_events": [event for deal in prepared for event in deal.events],
        "activities": [row for deal in prepared for row in deal.activities],
        "attributes": [row for deal in prepared for row in deal.attributes],
    }
    model, ids = champion.predictor, [deal.row_id for deal in prepared]
    snapshot = view.snapshot.with_rows({name: table_schema(name).rows(records) for name, records in rows.items()})
    answers = model.answer_for(snapshot, entity_ids=ids, horizons=horizons)
    curves: dict[Hashable, Curve] = {}
    if with_curve:
        whole = model.predict(snapshot, entity_ids=ids, horizons=model.spec.askable)
        curves = {row_id: curve_of(part) for row_id, part in whole.groupby(c.ENTITY_ID, sort=False)}
    reasons = reasons_of(model, snapshot, ids, language=reasons_in) if reasons_in else {}
    return [
        envelope(
            answer,
            spec=model.spec,
            ref=champion.ref,
            company=view.company,
            entity_id=deal.entity_id,
            label=deal.label,
            inputs_digest=deal.inputs_digest,
            caveats=deal.caveats,
            curve=curves.get(deal.row_id),
        ).model_copy(update={"reasons": reasons.get(deal.row_id)})
        for deal, answer in zip(prepared, answers, strict=True)
    ]


def _plain(value: object) -> int | str:
    """An instant by its count of nanoseconds: what it is called takes ten times as long to write."""
    return value.value if isinstance(value, pd.Timestamp) else str(value)


def _created(payload: DealIn, history: Sequence[DealEventIn], view: View) -> pd.Timestamp:
    """When the deal was opened, or the latest it can have been."""
    if payload.created_at is not None:
        return view.local(payload.created_at)
    return view.local(history[0].at) if history else view.as_of - pd.Timedelta(microseconds=1)


def _impossible_instants(payload: DealIn, created: pd.Timestamp, view: View, *, pointer: str) -> list[FieldError]:
    known = f"as_of ({view.as_of.isoformat()}), up to which the data reaches"
    if payload.created_at is not None and created >= view.as_of:
        return [FieldError(f"must lie before {known}", f"{pointer}/created_at")]
    wrong = []
    for position, event in enumerate(payload.events):
        at = view.local(event.at)
        where = f"{pointer}/events/{position}"
        if at >= view.as_of:
            wrong.append(FieldError(f"must lie before {known}", f"{where}/at"))
        if at < created:
            wrong.append(FieldError(f"must not lie before created_at ({created.isoformat()})", f"{where}/at"))
    for position, activity in enumerate(payload.activities):
        if view.local(activity.at) >= view.as_of:
            wrong.append(FieldError(f"must lie before {known}", f"{pointer}/activities/{position}/at"))
    return wrong


def _event_row(payload: DealIn, event: DealEventIn, view: View, event_id: str) -> dict[str, Any]:
    expected, at = event.expected_close_on or payload.expected_close_on, view.local(event.at)
    return {
        c.EVENT_ID: event_id,
        c.DEAL_ID: event_id.rpartition("@")[0],
        c.DS: at,
        c.STAGE: event.stage,
        c.AMOUNT: payload.amount if event.amount is None else event.amount,
        c.CURRENCY: None,
        c.EXPECTED_CLOSE_ON: view.local(expected) if expected else None,
        c.OWNER: event.owner or payload.owner,
        c.KNOWN_AT: at,
    }


def _activity_row(activity: ActivityIn, view: View, activity_id: str) -> dict[str, Any]:
    at = view.local(activity.at)
    row: dict[str, Any] = dict.fromkeys(table_schema("activities").column_names)
    return row | {
        c.ACTIVITY_ID: activity_id,
        c.DEAL_ID: activity_id.rpartition("@")[0],
        c.DS: at,
        c.KIND: activity.kind,
        c.KNOWN_AT: at,
    }


def _caveats(payload: DealIn, known: Mapping[str, frozenset[str]]) -> list[str]:
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
    if known[c.OWNER] and not any([payload.owner, *(event.owner for event in payload.events)]):
        found.append("owner is missing")
    return found
