"""All deals of a view as rows: what is known of each, and of the open ones the numbers to show first. Built once a view."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.features.event_order import in_event_order
from predictkpi.predictors.close_time.spec import LAST_DAY, QUANTILES
from predictkpi.protocol import worst
from predictkpi.service.paging import Rows
from predictkpi.service.row_schemas import DealHeadline, DealRow
from predictkpi.service.view import Champion, View

OPEN = "open"
STATE, STAGE_SINCE, CLOSED_AT, LABEL, CUSTOMER = "state", "stage_since", "closed_at", "label", "customer"
CHANCE, CHANCE_DAYS = "chance_90", 90
CHANCES = (CHANCE, "p_win", "p_slip", "expected_value")
DATES = tuple(QUANTILES)
PREDICTED = (*CHANCES, *DATES, c.STATUS, c.REASON)
FACTS = (c.CUSTOMER_ID, c.CREATED_AT, c.SOURCE, c.PRODUCT, c.REGION, c.TEAM)
NEWEST = (c.STAGE, c.AMOUNT, c.EXPECTED_CLOSE_ON, c.OWNER, STAGE_SINCE)


def deal_rows(view: View) -> Rows:
    """Every deal known as of the view, whoever asks: ``view.sees`` says what of it may be shown."""
    return cast(Rows, view.page("deal-rows", _build, knows_targets=False))


def _build(view: View) -> Rows:
    deals = view.snapshot.deals.set_index(c.DEAL_ID)
    newest = newest_states(view.snapshot.deal_events).reindex(deals.index)
    segment = view.snapshot.customers.set_index(c.CUSTOMER_ID)[c.SEGMENT]
    table = pd.concat([deals[list(FACTS)], newest[list(NEWEST)]], axis=1)
    closed = table[c.STAGE].isin(c.CLOSED_STAGES)
    table[STATE] = table[c.STAGE].where(closed, OPEN)
    table[CLOSED_AT] = table[STAGE_SINCE].where(closed)
    table[c.SEGMENT] = table[c.CUSTOMER_ID].map(segment)
    table[LABEL] = [view.label("deal", str(deal_id)) for deal_id in table.index]
    table[CUSTOMER] = [view.label("customer", of) if isinstance(of, str) else None for of in table[c.CUSTOMER_ID]]
    champion = view.champions.get("close_time")
    predicted = pd.DataFrame(columns=list(PREDICTED), dtype=float) if champion is None else _predicted(champion, view.as_of)
    predicted = predicted.reindex(table.index)
    for name in DATES:
        predicted[name] = pd.to_datetime(predicted[name])
    texts = predicted[[c.STATUS, c.REASON]].astype("str")
    rows = table.join(predicted.drop(columns=[c.STATUS, c.REASON]).join(texts)).reset_index()
    return Rows.of(rows, c.DEAL_ID)


def newest_states(events: pd.DataFrame) -> pd.DataFrame:
    """By deal_id: its newest event, and since when it has been in that stage."""
    ordered = in_event_order(events)
    came = (ordered[c.STAGE] != ordered[c.STAGE].shift()) | (ordered[c.DEAL_ID] != ordered[c.DEAL_ID].shift())
    ordered[STAGE_SINCE] = ordered[c.DS].where(came).ffill()
    return ordered.drop_duplicates(c.DEAL_ID, keep="last").set_index(c.DEAL_ID)


def _predicted(champion: Champion, as_of: pd.Timestamp) -> pd.DataFrame:
    """`PREDICTED` by deal_id; status and reason are those of the chance within `CHANCE_DAYS`."""
    frame = champion.table.frame
    soon = frame[(frame[c.HORIZON] == CHANCE_DAYS) & (frame[c.STATISTIC] == "cif_won")].set_index(c.ENTITY_ID)
    whole = champion.table.wide(LAST_DAY)
    found = whole.reindex(columns=[*CHANCES[1:], *DATES])
    for name in DATES:
        found[name] = (as_of + pd.to_timedelta(found[name].astype(float), unit="D")).dt.normalize()
    found[CHANCE] = soon[c.VALUE]
    floor = Status.BASELINE if champion.ref.kind == "baseline" else Status.FULL
    found[c.STATUS] = [worst(Status(status), floor).value for status in soon[c.STATUS].reindex(found.index)]
    found[c.REASON] = np.where(soon[c.REASON].reindex(found.index) != "", soon[c.REASON].reindex(found.index), champion.ref.reason)
    return found.rename_axis(c.DEAL_ID)


def deal_row(row: dict[str, Any]) -> DealRow:
    """One of `deal_rows` as it is shown."""
    headline = {name: row[name] for name in PREDICTED}
    shown = {name: row[name] for name in DealRow.model_fields if name != "prediction"}
    return DealRow(**shown, prediction=None if headline["chance_90"] is None else DealHeadline(**headline))
