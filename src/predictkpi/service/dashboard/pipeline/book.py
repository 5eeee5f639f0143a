"""All open deals of a view as one frame, with all that the page shows, filters and sorts by. Built once a view, then only sliced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from predictkpi.core import columns as c
from predictkpi.errors import UnknownNameError
from predictkpi.service.dashboard.languages import marked
from predictkpi.service.deal_changes import WeekBefore
from predictkpi.service.deal_rows import CHANCE, OPEN, STATE, deal_rows
from predictkpi.service.deal_warnings import deal_warnings
from predictkpi.service.listing import seen
from predictkpi.service.paging import NONE
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.stage_order import stages_in_order
from predictkpi.service.view import View

FILTERS = (c.OWNER, c.TEAM, c.STAGE, c.REGION)
CHANGE, WARNED = "change", "warned"
"""Chance to be won within 90 days less that of a week ago, and whether a check found something."""

SORTS: Mapping[str, tuple[str, bool, str]] = {
    "expected": ("expected_value", False, marked("Expected value")),
    "slip": ("p_slip", False, marked("Slip risk")),
    "fall": (CHANGE, True, marked("Chance that fell most")),
    "rise": (CHANGE, False, marked("Chance that rose most")),
    "close": ("close_q50", True, marked("Close date")),
    "amount": (c.AMOUNT, False, marked("Amount")),
}
"""By name: the column, whether from the least on, and its title."""


class Asked(BaseModel):
    """What the address of the page asks for; empty text asks nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True)  # the language stands in the address too

    owner: str = ""
    team: str = ""
    stage: str = ""
    region: str = ""
    sort: str = "expected"
    warnings: bool = False
    page: int = Field(1, ge=1, le=1_000_000)

    @property
    def parameters(self) -> dict[str, str]:
        """All but the page, as an address holds it, without what is usual."""
        said = {name: getattr(self, name) for name in FILTERS} | {"sort": self.sort if self.sort != "expected" else ""}
        return {name: value for name, value in (said | {"warnings": "true" if self.warnings else ""}).items() if value}

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves deals out."""
        return bool(self.parameters.keys() - {"sort"})


def open_book(view: View, before: WeekBefore) -> pd.DataFrame:
    """One row per open deal, whoever asks, by deal_id: the columns of `deal_rows`, `CHANGE` and `WARNED`.

    Filtered columns hold `NONE` where a deal has no value.
    """
    return cast(pd.DataFrame, view.page(f"open-book {before.by}", lambda view: _book(view, before)))


def chosen(view: View, book: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    """The rows that are asked for and that the caller may see, sorted, of equals the most valuable first.

    Raises `InvalidRequestError` for a value that there is not.
    """
    _check(view, asked)
    column, ascending, _ = SORTS[asked.sort]
    kept = in_sight(view, book)
    for name in FILTERS:
        if value := getattr(asked, name):
            kept = kept[kept[name] == value]
    if asked.warnings:
        kept = kept[kept[WARNED]]
    by = {column: ascending, "expected_value": False} if column != "expected_value" else {column: ascending}
    return kept.sort_values(list(by), ascending=list(by.values()), na_position="last", kind="stable")


def in_sight(view: View, book: pd.DataFrame) -> pd.DataFrame:
    """What of the book the caller may see."""
    return book if view.rows is None else book[book.index.isin(list(view.visible["deal"]))]


def known_filters(view: View) -> dict[str, list[str]]:
    """By filter, every value that deals of the caller have, open or closed; stages in their order, of the others `NONE` last."""
    return cast(dict[str, list[str]], view.page(f"pipeline-filters {view.rows_key}", lambda _: _known(view)))


def _known(view: View) -> dict[str, list[str]]:
    rows = deal_rows(view)
    mask = seen(view, rows, "deal")
    found = {}
    for name in FILTERS:
        values = pd.Series(rows.columns[name][mask], dtype=object)
        no_choice = c.CLOSED_STAGES if name == c.STAGE else ()
        named = sorted(str(value) for value in values.dropna().unique() if value not in no_choice)
        found[name] = named + ([NONE] if values.isna().any() else [])
    place = {stage: at for at, stage in enumerate(stages_in_order(view))}
    found[c.STAGE].sort(key=lambda stage: place.get(stage, len(place)))
    return found


def _check(view: View, asked: Asked) -> None:
    known = known_filters(view)
    for name in FILTERS:
        value = getattr(asked, name)
        if value and value not in known[name]:
            raise InvalidRequestError.parameter(name, str(UnknownNameError.among(name, value, known=known[name])))
    if asked.sort not in SORTS:
        raise InvalidRequestError.parameter("sort", str(UnknownNameError.among("sort", asked.sort, known=SORTS)))


def _book(view: View, before: WeekBefore) -> pd.DataFrame:
    rows = deal_rows(view)
    book = rows.columns.take(np.flatnonzero(rows.columns[STATE] == OPEN)).frame()
    book = book.set_index(c.DEAL_ID, drop=False).rename_axis(None)
    book[CHANGE] = book[CHANCE] - before.chances.reindex(book.index)
    book[WARNED] = book.index.isin(list(deal_warnings(view)))
    for name in FILTERS:
        book[name] = book[name].fillna(NONE)
    return book
