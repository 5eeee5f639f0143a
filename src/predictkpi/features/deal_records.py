"""What the deals of a company share: track records of owners, sources and customers, usual amounts, the order of stages, kinds of things.

All of it is sums over deals, so it can be had from one history of all deals, or added up over parts of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.codes import Codes
from predictkpi.features.deal_asof import Ints, Rows, RunningSums
from predictkpi.features.deal_buyers import Buyers, buyer_rows
from predictkpi.features.deal_stages import StageOrder, stage_places
from predictkpi.parts import AT, COUNT, KEY, SUM, added_up, contribution, kinds_of_fields, of, of_each

if TYPE_CHECKING:
    from predictkpi.core.arrays import Columns
    from predictkpi.features.deal_history import DealHistory
    from predictkpi.snapshot import Foreign

OWNERS, SOURCES, EVERYBODY, CLOSES, AMOUNTS, ALL_AMOUNTS, PLACES = "owner", "source", "all", "closes", "amounts", "all_amounts", "places"
STAGE, ACTIVITY, OF_DEALS, OF_CUSTOMERS = "stage", "activity", "deals", "customers"


@dataclass(frozen=True)
class DealRecords:
    """See the module. The codes are those of the values that were there to be learnt from; ``own_kinds``: see `DealAttributes`."""

    stages: Codes
    owners: Codes
    sources: Codes
    buyer_codes: Codes
    activity_kinds: Codes
    own_kinds: Mapping[str, Mapping[str, str]]
    wins_by_owner: RunningSums
    wins_by_source: RunningSums
    wins: RunningSums
    buyers: Buyers
    stage_order: StageOrder

    @classmethod
    def learn(cls, history: DealHistory) -> Self:
        """From all deals of a history."""
        sums = {what: RunningSums(*rows) for what, (_, rows) in record_rows(history).items()}
        own = history.own_fields
        return cls(
            stages=history.stages,
            owners=history.owners,
            sources=history.sources,
            buyer_codes=history.buyer_codes,
            activity_kinds=history.activities.kinds,
            own_kinds={OF_DEALS: own.of_deals.kinds, OF_CUSTOMERS: own.of_customers.kinds},
            **cls._of_sums(sums),
        )

    @classmethod
    def of(cls, sums: pd.DataFrame) -> Self:
        """From the sums of what parts contributed: see `contributed`."""
        by = of_each(sums)
        stages, kinds = (_codes(of(by, what).sort_values([AT, KEY])[KEY]) for what in (STAGE, ACTIVITY))
        owners, sources = (_codes(of(by, what)[KEY]) for what in (OWNERS, SOURCES))
        buyers = _codes(of(by, CLOSES)[KEY], of(by, AMOUNTS)[KEY])
        everybody = Codes(np.array([""], object))
        codes = {OWNERS: owners, SOURCES: sources, CLOSES: buyers, AMOUNTS: buyers, PLACES: stages, EVERYBODY: everybody}
        running = {what: _running(of(by, what), codes.get(what, everybody)) for what in (*codes, ALL_AMOUNTS)}
        return cls(
            stages=stages,
            owners=owners,
            sources=sources,
            buyer_codes=buyers,
            activity_kinds=kinds,
            own_kinds={table: kinds_of_fields(by, table) for table in (OF_DEALS, OF_CUSTOMERS)},
            **cls._of_sums(running),
        )

    @staticmethod
    def _of_sums(sums: Mapping[str, RunningSums]) -> dict[str, Any]:
        return {
            "wins_by_owner": sums[OWNERS],
            "wins_by_source": sums[SOURCES],
            "wins": sums[EVERYBODY],
            "buyers": Buyers(sums[CLOSES], sums[AMOUNTS], sums[ALL_AMOUNTS]),
            "stage_order": StageOrder(sums[PLACES]),
        }


def record_rows(history: DealHistory) -> dict[str, tuple[Codes | None, Rows]]:
    """What is added up of a history's deals, by what it is of: the values of the codes (None: of all) and the rows.

    (closed, won) by owner, by source, of all, and by customer; (count, total) of first log amounts by customer and of all; (deals, places)
    by stage.
    """
    closings = rows, instant, values = history.closings()
    owner, source = history.owner[rows], history.sources_of(rows)
    closes, amounts, all_amounts = buyer_rows(history, history.buyer_codes.codes[0], closings)
    return {
        OWNERS: (history.owners, _known(owner, instant, values)),
        SOURCES: (history.sources, _known(source, instant, values)),
        EVERYBODY: (None, Rows(np.zeros(len(rows), np.int64), instant, values)),
        CLOSES: (history.buyer_codes, closes),
        AMOUNTS: (history.buyer_codes, amounts),
        ALL_AMOUNTS: (None, all_amounts),
        PLACES: (history.stages, stage_places(history)),
    }


def contributed(history: DealHistory) -> pd.DataFrame:
    """What the deals of a part of the facts contribute.

    `record_rows`; stages and kinds of activity by when they were first known. Own fields are told by `parts.fields_told`.
    """
    found = []
    for what, (codes, rows) in record_rows(history).items():
        keys = "" if codes is None else codes.text(rows.code)
        found.append(contribution(what, key=keys, at=rows.instant, count=rows.values[:, 0], total=rows.values[:, 1], rows=len(rows.code)))
    for what, codes, of_rows, known in (
        (STAGE, history.stages, history.stage, history.known),
        (ACTIVITY, history.activities.kinds, *history.activities.learnt),
    ):
        first = np.full(len(codes), np.iinfo(np.int64).max)
        np.minimum.at(first, of_rows, known)
        found.append(contribution(what, key=codes.values, at=first, rows=len(codes)))
    return added_up(found)


def own_rows(rows: Columns, foreign: Foreign | None) -> Columns:
    """Rows of the part's own deals: all of them, unless the snapshot is of a part of the facts."""
    if foreign is None or foreign.column != c.DEAL_ID:
        return rows
    return rows.take(np.array([deal not in foreign.keys for deal in rows[c.DEAL_ID].tolist()], dtype=bool))


def _known(code: Ints, instant: Ints, values: np.ndarray) -> Rows:
    return Rows(code[code >= 0], instant[code >= 0], values[code >= 0])


def _codes(*keys: pd.Series) -> Codes:
    return Codes(*(column.to_numpy(object) for column in keys))


def _running(sums: pd.DataFrame, codes: Codes) -> RunningSums:
    values = sums[[COUNT, SUM]].to_numpy(float).reshape(-1, 2)
    return RunningSums(codes.of(sums[KEY].tolist()), sums[AT].to_numpy(np.int64), values)
