"""Pages of many rows: filter, sort, and a cursor that goes on behind the last row seen, also when the data has changed since.

A cursor holds the sort and the key of the last row, not a position: rows that come or go between two pages shift nothing. With the ids as
the sort (the default of every list) a walk over all pages sees every row once; by any other field a row whose value changes meanwhile may
be seen twice or not at all.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
import pandas as pd
from fastapi import Request, Response

from predictkpi.core.arrays import Columns, Texts, is_missing, is_text
from predictkpi.service.problems import InvalidRequestError

Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]
NONE = "(none)"
"""In a filter: the rows without a value."""


@dataclass(frozen=True)
class Page:
    """Which rows are shown: their positions in order; ``total`` fit the filters; ``next`` is the cursor of what follows, if anything."""

    positions: Positions
    total: int
    next: str | None


@dataclass(frozen=True)
class Rows:
    """Rows of a view, ascending by ``id_column``, whose texts are unique; orders are worked out once."""

    id_column: str
    columns: Columns
    _orders: dict[str, Positions] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: pd.DataFrame, id_column: str) -> Rows:
        """From a frame, one row an id."""
        columns = Columns.of(frame)
        return cls(id_column, columns.take(np.argsort(columns[id_column], kind="stable")))

    @property
    def ids(self) -> Texts:
        """All ids, ascending."""
        return self.columns[self.id_column]

    def place(self, row_id: str) -> int | None:
        """Where the row of that id stands; None where there is none."""
        place = int(np.searchsorted(self.ids, row_id))
        return place if place < len(self.columns) and self.ids[place] == row_id else None

    def dicts(self, positions: Positions) -> list[dict[str, Any]]:
        """These rows in plain Python; missing values are None."""
        taken = self.columns.take(positions)
        return [dict(zip(taken, row, strict=True)) for row in zip(*(plain(taken[name]) for name in taken), strict=True)]

    def among(self, wanted: Mapping[str, Collection[str]]) -> Mask:
        """Rows whose text in each named column is one of the wanted; no wanted texts ask nothing."""
        kept = np.ones(len(self.columns), bool)
        for name, values in wanted.items():
            if values:
                kept &= np.isin(np.where(is_missing(self.columns[name]), NONE, self.columns[name]), list(values))
        return kept

    def between(self, name: str, least: float | None, most: float | None) -> Mask:
        """Rows whose number lies between these, both included; one without a number does not, where either is given."""
        kept = np.ones(len(self.columns), bool)
        if least is not None:
            kept &= self.columns[name] >= least
        if most is not None:
            kept &= self.columns[name] <= most
        return kept

    def page(self, kept: Mask, *, sort: str, cursor: str | None, limit: int) -> Page:
        """The next rows of the kept by ``sort``: a column, with ``-`` before it from the largest on; missing values come last.

        Raises `InvalidRequestError` for a cursor that is none, or is of another sort.
        """
        order = self._order(sort)
        rest = kept if cursor is None else kept & self._behind(sort, cursor)
        found = order[rest[order]][: limit + 1]
        shown = found[:limit]
        more = self._cursor(sort, int(shown[-1])) if len(found) > limit else None
        return Page(shown, int(kept.sum()), more)

    def _order(self, sort: str) -> Positions:
        if sort not in self._orders:
            values = self.columns[sort.removeprefix("-")]
            codes = pd.factorize(values, sort=True)[0]
            ranks = np.where(codes < 0, len(values), -codes if sort.startswith("-") else codes)
            self._orders[sort] = np.argsort(ranks, kind="stable")
        return self._orders[sort]

    def _behind(self, sort: str, cursor: str) -> Mask:
        """Which rows come after the row of the cursor."""
        values = self.columns[sort.removeprefix("-")]
        value, last_id = _read(cursor, sort, values)
        missing, later_id = is_missing(values), self.ids > last_id
        if value is None:
            return np.asarray(missing & later_id)
        comparable = np.where(missing, value, values) if is_text(values) else values
        ahead = comparable < value if sort.startswith("-") else comparable > value
        return np.asarray(missing | ahead | (~missing & (comparable == value) & later_id), dtype=bool)

    def _cursor(self, sort: str, place: int) -> str:
        value = self.columns[sort.removeprefix("-")][place]
        if isinstance(value, np.datetime64):
            value = None if np.isnat(value) else int(value.astype("datetime64[us]").astype(np.int64))
        elif value is not None and not isinstance(value, str):
            value = None if math.isnan(value) else float(value)
        return pack(sort, value, self.ids[place])


def plain(values: npt.NDArray[Any]) -> list[Any]:
    """An array in plain Python: instants as `datetime`, missing values as None."""
    return [None if gone else value for gone, value in zip(is_missing(values).tolist(), values.tolist(), strict=True)]


def pack(*said: object) -> str:
    """A cursor that holds these: opaque, and fit for an address."""
    return base64.urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode()).rstrip(b"=").decode()


def unpack(cursor: str, *kinds: type) -> list[Any]:
    """What a cursor holds, of these kinds, integers within 63 bits; `InvalidRequestError` for one that this service did not make."""
    try:
        said = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _damaged() from error
    if not isinstance(said, list) or ([type(each) for each in said] != list(kinds) and kinds):
        raise _damaged()
    if any(isinstance(each, int) and abs(each) >= 2**62 for each in said):
        raise _damaged()
    return said


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """Name the next page in the header ``Link`` of RFC 8288, as an address on this service."""
    if cursor is not None:
        asked = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        response.headers["Link"] = f'<{request.url.path}?{urlencode([*asked, ("cursor", cursor)])}>; rel="next"'


def _read(cursor: str, sort: str, values: npt.NDArray[Any]) -> tuple[Any, str]:
    """The value, as one of ``values``, and the id that a cursor names; `InvalidRequestError` for one that this service did not make."""
    said = unpack(cursor)
    if len(said) != 3 or not isinstance(said[0], str) or not isinstance(said[2], str):
        raise _damaged()
    made_for, value, last_id = said
    if made_for != sort:
        raise InvalidRequestError.parameter("cursor", f"is of a list sorted by {made_for!r:.80}: keep the same sort from page to page")
    if value is None:
        return None, last_id
    if is_text(values):
        fits = isinstance(value, str)
    else:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and -(2**62) < value < 2**62
    if not fits:
        raise _damaged()
    return (np.datetime64(int(value), "us") if values.dtype.kind == "M" else value), last_id


def _damaged() -> InvalidRequestError:
    return InvalidRequestError.parameter("cursor", "is no cursor of this list: take it from `next` of the page before")
