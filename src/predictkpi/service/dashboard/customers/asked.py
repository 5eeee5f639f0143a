"""What the list of customers is asked for: all of it stands in the address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlencode

import numpy as np

from predictkpi.core.arrays import is_missing
from predictkpi.errors import UnknownNameError
from predictkpi.predictors.clv.ranks import RANKED_BY
from predictkpi.predictors.clv.spec import MEAN, SPEC
from predictkpi.service.customer_rows import AT_RISK, LAST, REVENUE, STILL_ACTIVE, customer_rows
from predictkpi.service.customer_totals import FILTERS
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import marked
from predictkpi.service.deal_rows import LABEL
from predictkpi.service.listing import seen
from predictkpi.service.paging import NONE, Mask, Rows
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.view import View

PATH, CSV_PATH = "/customers", "/customers.csv"
_ORDERS = {
    "value": (f"-{MEAN}", marked("Value, highest first")),
    "at_risk": (f"-{AT_RISK}", marked("At risk, most first")),
    "p_alive": (STILL_ACTIVE, marked("Still active, least likely first")),
    "revenue": (f"-{REVENUE}", marked("Net revenue so far, highest first")),
    "last_order": (f"-{LAST}", marked("Last order, newest first")),
    "silent": (LAST, marked("Last order, longest ago first")),
    "name": (LABEL, marked("Name")),
}
_PREDICTED = ("value", "at_risk", "p_alive")
"""Sorts that need predictions."""


@dataclass(frozen=True)
class Asked:
    """Empty texts ask nothing; an empty ``sort`` is the first there is."""

    segment: str = ""
    region: str = ""
    channel: str = ""
    horizon: int = RANKED_BY
    sort: str = ""
    q: str = ""
    page: int = 1

    def query(self, **changes: Any) -> str:
        """What stands behind the address, with ``?`` before it; what is as usual is left out."""
        usual, told = Asked(), replace(self, **changes)
        said = {name: value for name, value in vars(told).items() if value != getattr(usual, name)}
        return f"?{urlencode(said)}" if said else ""

    @property
    def wanted(self) -> dict[str, list[str]]:
        """Members by filter, as `Rows.among` takes them."""
        return {name: [getattr(self, name)] for name in FILTERS if getattr(self, name)}


@dataclass(frozen=True)
class Option:
    """One choice of a field."""

    value: str
    title: str
    is_chosen: bool


def sorts_of(view: View) -> list[str]:
    """The orders in which this view's customers can be listed, the usual one first."""
    has_predictions = SPEC.name in view.champions
    return [name for name in _ORDERS if has_predictions or name not in _PREDICTED]


def checked(view: View, asked: Asked) -> Asked:
    """The same with its sort said; `InvalidRequestError` names the values there are for one that is none."""
    sorts = sorts_of(view)
    asked = replace(asked, sort=asked.sort or sorts[0])
    if asked.sort not in sorts:
        raise _unknown("sort", asked.sort, sorts)
    if asked.horizon not in SPEC.horizons:
        raise InvalidRequestError.parameter("horizon", f"no horizon {asked.horizon}: {SPEC.horizons_in_words}")
    for name, values in members_of(view).items():
        if getattr(asked, name) and getattr(asked, name) not in values:
            raise _unknown(name, getattr(asked, name), values)
    return asked


def kept_of(view: View, rows: Rows, asked: Asked) -> Mask:
    """Which rows the caller may see and asks for."""
    return seen(view, rows, SPEC.entity) & rows.among(asked.wanted) & _found(view, rows, asked.q)


def order_of(asked: Asked) -> str:
    """The column of `customer_rows`, with ``-`` where it falls."""
    return _ORDERS[asked.sort][0]


def options_of(view: View, asked: Asked) -> dict[str, list[Option]]:
    """The choices of every field, by its name."""
    found = {}
    for name, values in members_of(view).items():
        chosen = getattr(asked, name)
        found[name] = _options({"": _("All")} | {value: _named(value) for value in values}, chosen)
    months = {str(horizon): _("{count} months").format(count=horizon) for horizon in SPEC.horizons}
    found["horizon"] = _options(months, str(asked.horizon))
    found["sort"] = _options({name: _(_ORDERS[name][1]) for name in sorts_of(view)}, asked.sort)
    return found


def members_of(view: View) -> Mapping[str, Sequence[str]]:
    """By filter: what the customers whom the caller may see have there, sorted; `NONE` last where some have nothing."""

    def find(view: View) -> dict[str, list[str]]:
        rows = customer_rows(view)
        mine = rows.columns.take(seen(view, rows, SPEC.entity))
        found = {}
        for name in FILTERS:
            missing = is_missing(mine[name])
            found[name] = [*map(str, np.unique(mine[name][~missing].astype(str))), *([NONE] if missing.any() else [])]
        return found

    return cast(dict[str, list[str]], view.page(f"customer-members {view.rows_key}", lambda _: find(view)))


def _found(view: View, rows: Rows, text: str) -> Mask:
    """Rows whose name or id holds the text, whatever its case."""
    wanted = text.strip().casefold()
    if not wanted:
        return np.ones(len(rows.columns), bool)

    def fold(_view: View) -> list[str]:
        return [f"{name}\n{row_id}".casefold() for name, row_id in zip(rows.columns[LABEL], rows.ids, strict=True)]

    folded = cast(list[str], view.page("customer-names-folded", fold))
    return np.fromiter((wanted in name for name in folded), bool, len(folded))


def _options(titles: Mapping[str, str], chosen: str) -> list[Option]:
    return [Option(value, title, value == chosen) for value, title in titles.items()]


def _named(member: str) -> str:
    return _("(none)") if member == NONE else member


def _unknown(name: str, value: str, known: Sequence[str]) -> InvalidRequestError:
    return InvalidRequestError.parameter(name, str(UnknownNameError.among(name, value, known=known)))
