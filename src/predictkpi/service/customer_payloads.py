"""A customer in a request, turned into rows of the fact tables, so that it takes the same way to a prediction as a stored customer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from msgspec.structs import asdict

from predictkpi.core import columns as c
from predictkpi.core.digests import digest
from predictkpi.predictors.clv.ranks import RANKED_BY
from predictkpi.predictors.clv.spec import MEAN
from predictkpi.predictors.clv.table import CATEGORIES
from predictkpi.service.customer_payload_schemas import CustomerIn
from predictkpi.service.envelopes import envelope
from predictkpi.service.problems import FieldError, InvalidRequestError
from predictkpi.service.reasons import LanguageCode, reasons_of
from predictkpi.service.view import Champion, View
from predictkpi.service.wire import CustomerEnvelope, Envelope
from predictkpi.tables import table_schema


@dataclass(frozen=True)
class PreparedCustomer:
    """A checked customer: rows under an id of its own (the store may hold an older state under the caller's id), and what is odd."""

    row_id: str
    entity_id: str
    label: str
    customer: dict[str, Any]
    orders: list[dict[str, Any]]
    caveats: tuple[str, ...]
    inputs_digest: str


def prepare(payload: CustomerIn, view: View, *, index: int = 0, pointer: str = "#") -> PreparedCustomer:
    """Check a customer against the calendar; raises `InvalidRequestError` for instants that the data does not reach."""
    orders = payload.orders or []
    known = f"must lie before as_of ({view.as_of.isoformat()}), up to which the data reaches"
    wrong = [FieldError(known, f"{pointer}/orders/{place}/at") for place, order in enumerate(orders) if view.local(order.at) >= view.as_of]
    if payload.created_at is not None and view.local(payload.created_at) >= view.as_of:
        wrong.append(FieldError(known, f"{pointer}/created_at"))
    if wrong:
        raise InvalidRequestError(wrong)
    row_id = f"request#{index}"
    created = None if payload.created_at is None else view.local(payload.created_at)
    first = min((view.local(order.at) for order in orders), default=view.as_of - pd.Timedelta(microseconds=1))
    customer = {name: getattr(payload, name) or None for name in (c.NAME, *CATEGORIES)}
    customer |= {c.CUSTOMER_ID: row_id, c.CREATED_AT: created, c.KNOWN_AT: first if created is None else created}
    rows = [
        {
            c.ORDER_ID: f"{row_id}@{place}",
            c.CUSTOMER_ID: row_id,
            c.DS: view.local(order.at),
            c.AMOUNT: order.amount,
            c.PRODUCT: order.product,
        }
        for place, order in enumerate(orders)
    ]
    said = json.dumps([customer, rows], default=str).replace(row_id, "")
    return PreparedCustomer(
        row_id=row_id,
        entity_id=payload.customer_id or f"request-{index}",
        label=payload.name or payload.customer_id or "customer in the request",
        customer=customer,
        orders=[row | {c.KNOWN_AT: row[c.DS]} for row in rows],
        caveats=_caveats(payload, view),
        inputs_digest=digest(view.data_digest, said)[:16],
    )


def predict(
    prepared: Sequence[PreparedCustomer], champion: Champion, view: View, *, reasons_in: LanguageCode | None = None
) -> list[CustomerEnvelope]:
    """Predictions for prepared customers (distinct ``row_id``), in their order, by the way every stored customer takes."""
    if not prepared:
        return []
    rows = {"customers": [each.customer for each in prepared], "orders": [order for each in prepared for order in each.orders]}
    model, ids = champion.predictor, [each.row_id for each in prepared]
    snapshot = view.snapshot.with_rows({name: table_schema(name).rows(records) for name, records in rows.items()})
    answers = model.answer_for(snapshot, entity_ids=ids)
    reasons = reasons_of(model, model.inputs(snapshot, entity_ids=ids), language=reasons_in) if reasons_in else {}
    found = []
    for each, answer in zip(prepared, answers, strict=True):
        told = envelope(
            answer,
            spec=model.spec,
            ref=champion.ref,
            company=view.company,
            entity_id=each.entity_id,
            label=each.label,
            inputs_digest=each.inputs_digest,
            caveats=each.caveats,
        )
        told.reasons = reasons.get(each.row_id, []) if reasons_in else None
        found.append(_standing(told, champion, view))
    return found


def _standing(answer: Envelope, champion: Champion, view: View) -> CustomerEnvelope:
    """The answer with the rank it would have among the customers of the store."""
    means = cast(
        "np.ndarray[Any, Any]", view.page("customer-means", lambda _: np.sort(champion.table.wide(RANKED_BY)[MEAN].to_numpy(float)))
    )
    found = CustomerEnvelope(**asdict(answer))
    own = next(each.values[MEAN] for each in answer.predictions if each.horizon == RANKED_BY)
    if own is not None and len(means):
        found.rank, found.of = len(means) - int(np.searchsorted(means, own, side="right")) + 1, len(means)
        found.decile = min((found.rank - 1) * 10 // len(means) + 1, 10)
    return found


def _caveats(payload: CustomerIn, view: View) -> tuple[str, ...]:
    known = cast(dict[str, frozenset[str]], view.page("customer-values", _known_values))
    found = []
    if payload.created_at is None and not payload.orders:
        found.append("created_at is missing: the account counts as opened just now")
    for column, values in known.items():
        given = getattr(payload, column)
        if given and given not in values:
            found.append(f"{column} {given!r} was never seen in the data and counts as unknown")
    return tuple(found)


def _known_values(view: View) -> dict[str, frozenset[str]]:
    customers = view.snapshot.living("customers")
    return {column: frozenset(customers[column].dropna().unique()) for column in CATEGORIES}
