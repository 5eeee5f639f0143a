"""Bookings added up over parts of the facts: series are made of their sums, by month and members."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.deal_asof import microseconds
from predictkpi.parts import AT, COUNT, KEY, SUM, WHAT, Own, Parts, added_up, contribution, of, of_each
from predictkpi.predictors.revenue.fits import fitted_elsewhere
from predictkpi.predictors.revenue.point import fit_of, prepare, take_fitted
from predictkpi.predictors.revenue.scopes import DIMENSIONS, Crossed
from predictkpi.predictors.revenue.table import HORIZON, ORDERS, TO_DATE, Bookings, inputs_from, origin_instants
from predictkpi.snapshot import Snapshot

MONTHS, TO_DATES, DAYS, FIRST = "months", "to_date", "days", "first"


class BookingParts(Parts[Bookings]):
    """By customer: accounts, orders, and the deals that the orders come from. Settings: see `SeriesForecaster`."""

    key = c.CUSTOMER_ID
    own = (
        Own("customers", on=c.CUSTOMER_ID),
        Own("orders", on=c.CUSTOMER_ID),
        Own("deals", on=c.DEAL_ID, through=("orders", c.DEAL_ID)),
    )
    are_whole = False

    def __init__(self, *, crossed: Crossed, origins: int) -> None:
        self.crossed, self.origins = crossed, origins

    def contributed(self, part: Snapshot) -> pd.DataFrame:
        """The part's bookings by month and members, and by day."""
        return _sums_of(Bookings.of(part))

    def shared(self, sums: pd.DataFrame, company: Snapshot) -> Bookings:
        """All bookings."""
        return _bookings_of(sums)

    def inputs(self, part: Snapshot, shared: Bookings) -> pd.DataFrame:
        """See `table.inputs_from`; the part is not read."""
        return inputs_from(shared, part, crossed=self.crossed)

    def counted(self, part: Snapshot, shared: Bookings) -> pd.DataFrame:
        """The part's bookings as known at each origin."""
        found = []
        for instant in origin_instants(part.as_of, self.origins):
            sums = _sums_of(Bookings.of(part.at(instant)))
            found.append(sums.assign(**{WHAT: instant.isoformat() + " " + sums[WHAT]}))
        return added_up(found)

    def fit_ahead(self, predictor: Any, inputs: pd.DataFrame, engine: Any) -> None:
        """The point paths of a model's series; a baseline fits none."""
        if predictor.kind != "model":
            return
        fits = [fit_of(prepare(history), HORIZON) for history in predictor.histories(inputs)]
        take_fitted(fitted_elsewhere([fit for fit in fits if fit is not None], engine))

    def training_rows(self, part: Snapshot, shared: Bookings, counts: pd.DataFrame) -> pd.DataFrame:
        """See `table.training_series`; the part is not read."""
        found = []
        for instant in origin_instants(part.as_of, self.origins):
            at_instant = f"{instant.isoformat()} "
            mine = counts[counts[WHAT].str.startswith(at_instant)]
            then = _bookings_of(mine.assign(**{WHAT: mine[WHAT].str.removeprefix(at_instant)}))
            found.append(inputs_from(then, part.at(instant), crossed=self.crossed))
        return pd.concat([*[frame for frame in found if len(frame)], self.inputs(part, shared)], ignore_index=True)


def _sums_of(booked: Bookings) -> pd.DataFrame:
    if booked.first is None:
        return added_up([])
    by_members = booked.months
    keys = [json.dumps(members) for members in by_members[list(DIMENSIONS)].itertuples(index=False)]
    at, n = microseconds(by_members[c.DS]), len(keys)
    return added_up(
        [
            contribution(MONTHS, key=keys, at=at, count=by_members[ORDERS].to_numpy(), total=by_members[c.Y].to_numpy(), rows=n),
            contribution(TO_DATES, key=keys, at=at, total=by_members[TO_DATE].to_numpy(), rows=n),
            contribution(DAYS, at=microseconds(booked.days.index), total=booked.days.to_numpy(), rows=len(booked.days)),
            contribution(FIRST, at=int(microseconds(booked.first.to_datetime64()))),
        ]
    )


def _bookings_of(sums: pd.DataFrame) -> Bookings:
    by = of_each(sums)
    months, days, first = of(by, MONTHS), of(by, DAYS), of(by, FIRST)[AT]
    to_date = of(by, TO_DATES).set_index([KEY, AT])[SUM]
    members = pd.DataFrame([json.loads(key) for key in months[KEY]], columns=list(DIMENSIONS))
    values: Mapping[str, np.ndarray] = {
        c.DS: months[AT].to_numpy("datetime64[us]"),
        c.Y: months[SUM].to_numpy(),
        TO_DATE: to_date.reindex(pd.MultiIndex.from_frame(months[[KEY, AT]])).to_numpy(),
        ORDERS: months[COUNT].to_numpy(),
    }
    by_day = pd.Series(days[SUM].to_numpy(), index=pd.DatetimeIndex(days[AT].to_numpy("datetime64[us]")))
    return Bookings(members.assign(**values), by_day, pd.Timestamp(int(first.min()), unit="us") if len(first) else None)
