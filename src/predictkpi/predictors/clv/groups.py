"""What groups of customers will bring: totals from joint draws, which share one factor on the level of all.

The draws of a customer's quantiles run through the same random numbers for everybody. Shuffled by the customer's id they are independent
of the others', with nothing lost: each customer keeps their own distribution, in whatever group they are, and groups add up draw by draw.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import UnknownNameError
from predictkpi.features import rfm
from predictkpi.features.event_order import in_event_order
from predictkpi.features.purchase_days import Floats
from predictkpi.predictors.clv.forecast import Positions
from predictkpi.predictors.clv.level import DEFAULT_SPREAD, Level
from predictkpi.predictors.clv.model import horizon_days
from predictkpi.predictors.clv.spec import DISCOUNTED, EXPECTED_PURCHASES, MEAN, QUANTILES, SPEC
from predictkpi.predictors.clv.table import CATEGORIES
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

Drawn = npt.NDArray[np.floating[Any]]
"""Draws in whatever precision they come; their sums are in double."""
DIMENSIONS = (*CATEGORIES, c.OWNER)
NONE = "(none)"
GROUP = "group"
DRAWS, DRAWS_OF_MANY, MANY = 1024, 256, 100_000
"""Draws of a cohort, and of one of more than so many customers: there each of them weighs little, and the common level nearly all."""
SUMMED = (MEAN, DISCOUNTED, EXPECTED_PURCHASES)
"""Statistics whose total is the sum of the customers'."""
TOTAL_COLUMNS = [GROUP, c.HORIZON, "customers", "without_order", MEAN, *QUANTILES, DISCOUNTED, EXPECTED_PURCHASES]


@runtime_checkable
class DrawsSpend(Protocol):
    """A predictor whose customers' net revenue can be drawn."""

    def spend_draws(self, inputs: pd.DataFrame, *, days: Floats, draws: int | None = None) -> Iterator[tuple[Positions, Drawn]]:
        """``(positions, (n, n_days, draws))``, chunk by chunk; rows of one as_of, ``days`` rise; who is left out brings nothing."""
        ...

    def level_spreads(self, days: Floats) -> Floats:
        """Standard deviation of the log of everybody's common factor over each of ``days``: ``(n_days,)``."""
        ...


def drawing(predictor: Predictor) -> DrawsSpend:
    """The predictor, if its spend can be drawn; `TypeError` otherwise."""
    if not isinstance(predictor, DrawsSpend):
        raise TypeError(f"totals of customers need joint draws, which {type(predictor).__name__} does not give")
    return predictor


@dataclass(frozen=True)
class GroupDraws:
    """Joint draws of each group's net revenue, ``(n_groups, n_horizons, n_draws)``; their sums over groups are the total's draws."""

    groups: list[str]
    revenue: Floats


@dataclass(frozen=True)
class CustomerBase:
    """The cohort with its predictions, and how many ``draws`` of it are made: a power of two, the same for all its parts.

    ``inputs`` as of `Predictor.inputs`, and ``owner``; ``predicted`` (n, n_horizons) by each of `SUMMED`; ``status`` and ``reason`` the
    same shape.
    """

    inputs: pd.DataFrame
    predicted: Mapping[str, Floats]
    status: npt.NDArray[np.object_]
    reason: npt.NDArray[np.object_]
    predictor: DrawsSpend
    draws: int = DRAWS

    @classmethod
    def of(cls, predictor: Predictor, snapshot: Snapshot, predictions: pd.DataFrame | None = None) -> CustomerBase:
        """Everybody in the cohort at the snapshot's as_of, also accounts without an order.

        ``predictions`` spares the work where the fitted predictor's own for this snapshot are at hand.
        """
        drawn = drawing(predictor)
        inputs = predictor.inputs(snapshot)
        found = predictor.predict_inputs(inputs) if predictions is None else predictions
        ids = inputs[c.ENTITY_ID]

        def wide(statistic: str, column: str) -> npt.NDArray[np.object_]:
            chosen = found[found[c.STATISTIC] == statistic].pivot(index=c.ENTITY_ID, columns=c.HORIZON, values=column)
            return chosen.reindex(index=ids, columns=list(SPEC.horizons)).to_numpy(object)

        predicted = {name: wide(name, c.VALUE).astype(np.float64) for name in SUMMED}
        owner = ids.map(owners(snapshot)).astype(object).fillna("")
        return cls(inputs.assign(**{c.OWNER: owner}), predicted, wide(MEAN, c.STATUS), wide(MEAN, c.REASON), drawn, draws_of(len(inputs)))

    def where(self, wanted: Mapping[str, Collection[str]]) -> CustomerBase:
        """Those whose value of each named dimension is one of the wanted; `UnknownNameError` lists the values there are."""
        kept = np.ones(len(self.inputs), bool)
        for dimension, values in wanted.items():
            found = self.members(dimension)
            for value in values:
                if value not in set(found):
                    raise UnknownNameError.among(f"customer with the {dimension}", value, known=set(found))
            kept &= found.isin(list(values)).to_numpy(bool)
        return self._kept(kept)

    def only(self, customer_ids: Collection[str]) -> CustomerBase:
        """Those of these ids."""
        return self._kept(self.inputs[c.ENTITY_ID].isin(list(customer_ids)).to_numpy(bool))

    def _kept(self, kept: npt.NDArray[np.bool_]) -> CustomerBase:
        return replace(
            self,
            inputs=self.inputs[kept].reset_index(drop=True),
            predicted={name: values[kept] for name, values in self.predicted.items()},
            status=self.status[kept],
            reason=self.reason[kept],
        )

    def members(self, dimension: str | None) -> pd.Series:
        """Each customer's member of a dimension, `NONE` without one; without a dimension everybody is in the total."""
        if dimension is None:
            return pd.Series(c.TOTAL, index=self.inputs.index, dtype=object)
        if dimension not in DIMENSIONS:
            raise UnknownNameError.among("dimension", dimension, known=DIMENSIONS)
        found = self.inputs[dimension].astype(object).fillna("").astype(str)
        return found.where(found != "", NONE)

    def draw(self, *, by: str | None = None) -> GroupDraws:
        """Joint draws of net revenue by group. Each customer's have the mean that is predicted, unless not one of them brings anything."""
        codes, groups = pd.factorize(self.members(by), sort=True)
        return GroupDraws([str(group) for group in groups], self.draw_by_code(codes, len(groups)))

    def draw_by_code(self, codes: npt.NDArray[np.intp], n_groups: int) -> Floats:
        """The same ``(n_groups, n_horizons, n_draws)`` for the groups that ``codes`` (n,) name."""
        draws = self.draws
        found = np.zeros((n_groups, len(SPEC.horizons), draws))
        if len(self.inputs):
            days = horizon_days(self.inputs[c.AS_OF].iloc[0])
            ids, mean = self.inputs[c.ENTITY_ID].to_numpy(object), self.predicted[MEAN]
            for rows, drawn in self.predictor.spend_draws(self.inputs, days=days, draws=draws):
                simulated = drawn.mean(axis=-1, dtype=float)
                scale = np.divide(mean[rows], simulated, out=np.ones_like(simulated), where=simulated > 0)
                add_by_code(found, codes[rows], shuffled(drawn, ids[rows]) * scale[..., None])
            found *= np.stack([shocks(spread, draws) for spread in self.predictor.level_spreads(days)])
        return found

    def totals(self, *, by: str | None = None) -> pd.DataFrame:
        """One row per group and horizon, groups sorted and last the total; columns `TOTAL_COLUMNS`. Empty without customers.

        Among ``customers``, ``without_order`` have none yet. ``mean``, ``discounted`` and ``expected_purchases`` are sums of what is
        predicted for each; the quantiles are those of the total, from joint draws.
        """
        drawn = self.draw(by=by)
        codes = pd.Categorical(self.members(by), categories=drawn.groups).codes
        counted = np.column_stack([np.ones(len(self.inputs)), self.inputs[rfm.ORDERS] <= 0])
        sums = [_by_code(values, codes, len(drawn.groups)) for values in (counted, *(self.predicted[name] for name in SUMMED))]
        quantiles = [drawn.revenue]
        names = drawn.groups
        if by is not None and names:
            sums = [np.vstack([values, values.sum(axis=0)]) for values in sums]
            quantiles.append(drawn.revenue.sum(axis=0, keepdims=True))
            names = [*names, c.TOTAL]
        levels = quantiles_of(np.concatenate(quantiles))
        each = len(SPEC.horizons)
        columns = {GROUP: np.repeat(np.array(names, object), each), c.HORIZON: np.tile(SPEC.horizons, len(names))}
        columns |= {name: np.repeat(sums[0][:, at].astype(int), each) for at, name in enumerate(("customers", "without_order"))}
        columns |= {name: values.reshape(-1) for name, values in zip(SUMMED, sums[1:], strict=True)}
        columns |= {name: level.reshape(-1) for name, level in zip(QUANTILES, levels, strict=True)}
        return pd.DataFrame(columns)[TOTAL_COLUMNS]


def quantiles_of(draws: Floats) -> Floats:
    """`QUANTILES` of totals: ``(n_quantiles, ..., n_horizons)`` of ``(..., n_horizons, n_draws)``."""
    levels = np.quantile(draws, list(QUANTILES.values()), axis=-1, method="inverted_cdf")
    # a level that is surer of the longer horizon must not make more time bring less
    return np.asarray(np.maximum.accumulate(levels, axis=-1))


def draws_of(customers: int) -> int:
    """How many draws a cohort of so many customers gets."""
    return DRAWS if customers <= MANY else DRAWS_OF_MANY


def owners(snapshot: Snapshot) -> pd.Series:
    """Whom each customer with a deal belongs to, by customer_id: the owner of the newest deal, as known before as_of."""
    deals = snapshot.deals.sort_values([c.CREATED_AT, c.DEAL_ID], na_position="first").dropna(subset=[c.CUSTOMER_ID])
    newest = deals.drop_duplicates(c.CUSTOMER_ID, keep="last").set_index(c.CUSTOMER_ID)[c.DEAL_ID]
    events = snapshot.deal_events
    events = in_event_order(events[events[c.DEAL_ID].isin(newest)])
    owner = events.drop_duplicates(c.DEAL_ID, keep="last").set_index(c.DEAL_ID)[c.OWNER]
    return newest.map(owner)


def joint(draws: Drawn, ids: npt.NDArray[np.object_], level: Level | None) -> Floats:
    """Draws ``(n, n_horizons, n_draws)`` of customers ``ids``, made joint: every customer's `shuffled`, and all times the level's shock.

    The shock is lognormal with mean 1 and the level's spread (`DEFAULT_SPREAD` where there is no level): the same in a draw for everybody.
    """
    return shuffled(draws, ids) * shocks(level.spread if level else DEFAULT_SPREAD, draws.shape[-1])


def shuffled(draws: Drawn, ids: npt.NDArray[np.object_]) -> Drawn:
    """Draws ``(n, n_horizons, n_draws)``, each customer's in an order of their own.

    The shuffle is ``position -> order[(a * position + b) mod n_draws]`` with odd ``a``, both from the id's hash, and one random ``order``
    for all: draws come in an order with a pattern (Sobol points, or rising), which ``a`` and ``b`` alone would carry over from customer to
    customer. ``n_draws`` is a power of two.
    """
    n_draws = draws.shape[-1]
    if n_draws & (n_draws - 1):
        raise ValueError(f"{n_draws} draws: must be a power of two, so that an odd step visits each of them once")
    key = pd.util.hash_array(ids).astype(np.uint64)
    step, start = (key >> np.uint64(1)) | np.uint64(1), key >> np.uint64(32)
    at = (step[:, None] * np.arange(n_draws, dtype=np.uint64) + start[:, None]) % np.uint64(n_draws)
    order = np.random.default_rng(0).permutation(n_draws)
    return np.take_along_axis(draws, order[at.astype(np.intp)][:, None, :], axis=-1)


def shocks(spread: float, n: int) -> Floats:
    """Lognormal factors ``(n,)`` of mean 1 at evenly spaced probabilities, rising."""
    normal = np.array([NormalDist().inv_cdf((number + 0.5) / n) for number in range(n)])
    factors = np.exp(spread * normal)
    return factors / factors.mean()


def add_by_code(sums: Floats, codes: npt.NDArray[np.integer], values: Floats) -> None:
    """Add ``values`` (n, ...) to the rows of ``sums`` (n_codes, ...) that ``codes`` (n,) name."""
    for code in np.unique(codes):
        sums[code] += values[codes == code].sum(axis=0)


def _by_code(values: Floats, codes: npt.NDArray[np.integer], n: int) -> Floats:
    sums = np.zeros((n, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums
