"""The usual deal in a request, read without pydantic: in a tenth of the time, and only where nothing is odd about it.

`read_deal` accepts less than `schemas.DealIn`, and what it accepts it reads alike; a test compares the two on payloads of all shapes. What
it does not accept is for `DealIn` to take, or to say what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct

from predictkpi.service.instants import FIRST_YEAR, LAST_YEAR
from predictkpi.service.payloads import NO_STAGE, Payload, predict, prepare
from predictkpi.service.schemas import MAX_TEXT
from predictkpi.service.view import View

Instant = Annotated[str, Meta(max_length=40)]
Amount = Annotated[float, Meta(ge=0, lt=1e15)]
Required = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=200)]
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d(T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?)?")
"""Ways to write an instant that both readers take, for the same one."""


class FastEvent(Struct, forbid_unknown_fields=True):
    """`schemas.DealEventIn`; instants become `datetime` in `read_deal`."""

    at: Instant
    stage: Required
    amount: Amount | None = None
    expected_close_on: Instant | None = None
    owner: Text | None = None


class FastActivity(Struct, forbid_unknown_fields=True):
    """`schemas.ActivityIn`."""

    at: Instant
    kind: Required


class FastDeal(Struct, forbid_unknown_fields=True):
    """`schemas.DealIn`."""

    deal_id: Required | None = None
    name: Annotated[str, Meta(max_length=400)] | None = None
    created_at: Instant | None = None
    stage: Required | None = None
    amount: Amount | None = None
    owner: Text | None = None
    source: Text | None = None
    product: Text | None = None
    region: Text | None = None
    team: Text | None = None
    customer_id: Text | None = None
    expected_close_on: Instant | None = None
    attributes: Annotated[dict[Text, bool | float | Annotated[str, Meta(max_length=MAX_TEXT)] | None], Meta(max_length=1000)] = {}
    events: Annotated[list[FastEvent], Meta(max_length=1000)] = []
    activities: Annotated[list[FastActivity], Meta(max_length=1000)] = []


_DECODER = msgspec.json.Decoder(FastDeal)


def read_deal(body: bytes) -> Payload | None:
    """A deal out of JSON; None where `schemas.DealIn` is to be asked."""
    try:
        return _plain(_DECODER.decode(body))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def convert_deal(parsed: Any) -> Payload | None:
    """A deal out of parsed JSON; None where `schemas.DealIn` is to be asked."""
    try:
        return _plain(msgspec.convert(parsed, FastDeal))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def warm_up(view: View) -> None:
    """Ask about a deal, with reasons, so that what has to be compiled or laid out for a deal in a request is so before the first comes."""
    if "close_time" in view.champions:
        deal = prepare(cast(Payload, FastDeal(stage=NO_STAGE)), view)
        predict([deal], view.champion("close_time"), view, reasons_in="en")


def _plain(deal: Any) -> Payload:
    """The deal with its instants read; `ValueError` for text that would have to be stripped or is no Unicode, and for odd instants."""
    texts = (deal.deal_id, deal.name, deal.stage, deal.owner, deal.source, deal.product, deal.region, deal.team, deal.customer_id)
    _check_plain(texts)
    deal.created_at, deal.expected_close_on = _instant(deal.created_at), _instant(deal.expected_close_on)
    for event in deal.events:
        _check_plain((event.stage, event.owner))
        event.at, event.expected_close_on = _instant(event.at), _instant(event.expected_close_on)
    for activity in deal.activities:
        _check_plain((activity.kind,))
        activity.at = _instant(activity.at)
    if deal.attributes:
        _check_plain(deal.attributes)
        for value in deal.attributes.values():
            if isinstance(value, str):
                _check_plain((value,))
            elif value is not None and not isinstance(value, bool) and not abs(value) < 1e15:
                raise ValueError(value)
    return deal  # type: ignore[no-any-return]


def _check_plain(texts: Iterable[str | None]) -> None:
    for text in texts:
        if text is not None:
            text.encode()  # a ValueError for half of a surrogate pair, which parsed JSON may hold and no answer can repeat
            if text != text.strip():
                raise ValueError(text)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    is_usual = len(text) == 19 and text[4::3] == "--T::" and text[11:13] < "24"  # of the rest, fromisoformat takes digits alone
    if not is_usual and not _PLAIN.fullmatch(text):
        raise ValueError(text)
    instant = datetime.fromisoformat(text)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(text)
    return instant
