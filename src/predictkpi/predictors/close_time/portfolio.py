"""What a set of open deals will bring: the distribution of won amount and of wins, from joint draws.

Each deal is won or not in each draw by its own incidence, and all deals of a draw share one shock of the level (see `level`): without it
a total's interval would be far too narrow. A deal's outcome in a draw follows from its id, the draw's number and the seed alone, so it
is the same in whatever set the deal stands, and groups add up to their total draw by draw.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from predictkpi.core import columns as c
from predictkpi.core.compiled import compiled
from predictkpi.errors import UnknownNameError
from predictkpi.features.deal_history import TO_EXPECTED
from predictkpi.features.incidence import Floats
from predictkpi.predictors.close_time.deadlines import within
from predictkpi.predictors.close_time.incidence_predictor import IncidencePredictor
from predictkpi.predictors.close_time.landmarks import uniform
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

FILTERS = (c.OWNER, c.TEAM, c.REGION, c.SEGMENT, c.STAGE)
CLOSE_MONTH = "expected_close_month"
DIMENSIONS = (*FILTERS, CLOSE_MONTH)
NONE = "(none)"
GROUP = "group"
LEVELS = {"q10": 0.1, "q50": 0.5, "q90": 0.9}
DRAWS = 2000
DEALS_AT_ONCE = 64
"""Deals drawn at a time: bounds memory, changes nothing."""


Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Draws:
    """Joint draws of each group: ``amount`` and ``wins`` are ``(n_groups, n_draws)``; their sums over groups are the total's draws."""

    groups: list[str]
    amount: Floats
    wins: Floats


@dataclass(frozen=True)
class OpenDeals:
    """Open deals with their win incidences: ``inputs`` as of `Predictor.inputs`, ``won`` ``(n, LAST_DAY + 1)``, caveats ``(n,)``."""

    inputs: pd.DataFrame
    won: Floats
    status: npt.NDArray[np.object_]
    reason: npt.NDArray[np.object_]
    spread: float

    @classmethod
    def of(cls, predictor: Predictor, snapshot: Snapshot) -> OpenDeals:
        """All deals open at the snapshot's as_of, as a fitted close-time predictor sees them."""
        if not isinstance(predictor, IncidencePredictor):
            raise TypeError(f"a portfolio needs daily incidences, which {type(predictor).__name__} does not give")
        inputs = predictor.features(snapshot)
        won = predictor.daily(inputs)[:, 0, :]
        return cls(inputs.frame(), won, *predictor.caveats(inputs), spread=predictor.level_spread_)

    def where(self, wanted: Mapping[str, Collection[str]]) -> OpenDeals:
        """Those whose value of each named dimension is one of the wanted; `UnknownNameError` lists the values there are."""
        kept = np.ones(len(self.inputs), bool)
        for dimension, values in wanted.items():
            found = self.members(dimension)
            for value in values:
                if value not in set(found):
                    raise UnknownNameError.among(f"open deal with the {dimension}", value, known=set(found))
            kept &= found.isin(list(values)).to_numpy(bool)
        return self._kept(kept)

    def only(self, deal_ids: Collection[str]) -> OpenDeals:
        """Those of these ids."""
        return self._kept(self.inputs[c.ENTITY_ID].isin(list(deal_ids)).to_numpy(bool))

    def _kept(self, kept: npt.NDArray[np.bool_]) -> OpenDeals:
        inputs = self.inputs[kept].reset_index(drop=True)
        return replace(self, inputs=inputs, won=self.won[kept], status=self.status[kept], reason=self.reason[kept])

    def members(self, dimension: str) -> pd.Series:
        """Each deal's member of a dimension, `NONE` where it has none."""
        if dimension not in DIMENSIONS:
            raise UnknownNameError.among("dimension", dimension, known=DIMENSIONS)
        if dimension != CLOSE_MONTH:
            return self.inputs[dimension].astype(object).fillna(NONE).astype(str)
        ahead = pd.to_timedelta(self.inputs[TO_EXPECTED].to_numpy(float), unit="D").round("s")
        return (self.inputs[c.AS_OF] + ahead).dt.strftime("%Y-%m").astype(object).fillna(NONE).astype(str)

    def chance(self, days: float) -> Floats:
        """Each deal's chance to be won before ``days`` after as_of: ``(n,)``."""
        return within(self.won, np.full(len(self.inputs), days))

    def draw(self, days: float, *, by: str | None = None, draws: int = DRAWS, seed: int = 0) -> Draws:
        """Joint draws of won amount and wins before ``days`` after as_of, by group; a deal without an amount brings wins only."""
        members = self.members(by) if by else pd.Series(c.TOTAL, index=self.inputs.index)
        codes, groups = pd.factorize(members, sort=True)
        amount = self.inputs[c.AMOUNT].fillna(0.0).to_numpy(float)
        found = Draws([str(group) for group in groups], np.zeros((len(groups), draws)), np.zeros((len(groups), draws)))
        for code in range(len(groups)):
            for part, is_won in self._won(np.flatnonzero(codes == code), days, draws, seed):
                found.wins[code] += is_won.sum(axis=0)
                found.amount[code] += amount[part] @ is_won
        return found

    def draw_periods(self, ends: Floats, belongs: Floats, *, draws: int = DRAWS, seed: int = 0) -> Floats:
        """Joint draws of the amount won in each of the periods that end ``ends`` days after as_of: ``(scopes, draws, len(ends))``.

        ``ends`` rise; ``belongs`` ``(scopes, n)`` is 1 where a deal counts in a scope. The same draws as `draw`: up to an end they add up
        to its.
        """
        brings = np.ascontiguousarray(belongs.T * self.inputs[c.AMOUNT].fillna(0.0).to_numpy(float)[:, None])
        odds, shock = self._odds(np.asarray(ends, float)), self._shocks(draws)
        # in a draw above it even the largest shock wins nothing: no logarithm is needed there
        luckless = expit(odds[:, -1] + shock.max()) * (1.0 + 1e-9)
        found = np.zeros((draws, len(ends), len(belongs)))
        for part, drawn in self._luck(np.arange(len(self.inputs)), draws, seed):
            _add_wins(found, drawn, luckless[part], odds[part], shock, brings[part])
        return np.ascontiguousarray(found.transpose(2, 0, 1))

    def _won(self, rows: Ints, days: float, draws: int, seed: int) -> Iterator[tuple[Ints, Floats]]:
        """A few deals at a time, and whether each is won before ``days`` in each draw ``(deals, draws)``, as 0 or 1."""
        odds, shock = self._odds(np.array([days])), self._shocks(draws)
        for part, drawn in self._luck(rows, draws, seed):
            with np.errstate(divide="ignore"):
                yield part, (np.log(drawn) - np.log1p(-drawn) - shock < odds[part]).astype(float)

    def _odds(self, ends: Floats) -> Floats:
        """Logarithms of each deal's odds to be won before each end, where no shock is ``(n, ends)``."""
        with np.errstate(divide="ignore"):
            chance = np.stack([self.chance(days) for days in ends], axis=1)
            # the logistic of a normal shock is flatter on average: steeper odds keep each deal's chance what it is
            return np.asarray((np.log(chance) - np.log1p(-chance)) * np.sqrt(1.0 + np.pi * self.spread**2 / 8.0))

    def _shocks(self, draws: int) -> Floats:
        """What all odds of a draw are shifted by ``(draws,)``."""
        return self.spread * np.asarray([NormalDist().inv_cdf((i + 0.5) / draws) for i in range(draws)])

    def _luck(self, rows: Ints, draws: int, seed: int) -> Iterator[tuple[Ints, Floats]]:
        """A few deals at a time, and what each has drawn ``(deals, draws)``, from 0 to 1: it is won where its chance is above that."""
        key = pd.util.hash_array(self.inputs[c.ENTITY_ID].to_numpy(object)).astype(np.uint64)
        for part in np.split(rows, range(DEALS_AT_ONCE, len(rows), DEALS_AT_ONCE)):
            yield part, uniform(key[part][:, None], np.arange(draws)[None, :], seed)

    def portfolio(self, days: float, *, by: str | None = None, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
        """One row per group, sorted, and last the total.

        Columns: ``group, open_deals, open_amount, without_amount`` (deals), ``weighted_amount`` (chance x amount), and mean, q10, q50,
        q90 of the won ``amount`` and of the ``wins`` before ``days`` after as_of. Empty where no deal is open.
        """
        if not len(self.inputs):
            return pd.DataFrame(columns=[GROUP, *BOOK, *(f"{what}_{name}" for what in ("amount", "wins") for name in ("mean", *LEVELS))])
        drawn = self.draw(days, by=by, draws=draws, seed=seed)
        amount = self.inputs[c.AMOUNT]
        book = pd.DataFrame(
            {"open_deals": 1, "open_amount": amount, "without_amount": amount.isna(), "weighted_amount": amount * self.chance(days)}
        )
        table = book.groupby((self.members(by) if by else pd.Series(c.TOTAL, index=book.index)).to_numpy()).sum().loc[drawn.groups]
        if by:
            table.loc[c.TOTAL] = book.sum()
        for what, by_group in (("amount", drawn.amount), ("wins", drawn.wins)):
            whole = np.vstack([by_group, by_group.sum(axis=0)]) if by else by_group
            table[f"{what}_mean"] = whole.mean(axis=1)
            for name, level in LEVELS.items():
                table[f"{what}_{name}"] = np.quantile(whole, level, axis=1, method="inverted_cdf")
        return table.astype({"open_deals": int, "without_amount": int}).rename_axis(GROUP).reset_index()


BOOK = ("open_deals", "open_amount", "without_amount", "weighted_amount")


@compiled
def _add_wins(found: Floats, drawn: Floats, luckless: Floats, odds: Floats, shock: Floats, brings: Floats) -> None:
    """Add to ``found`` ``(draws, ends, scopes)`` what each deal ``brings`` ``(deals, scopes)`` in the period in which a draw wins it."""
    for deal in range(len(drawn)):
        for draw in range(len(shock)):
            luck = drawn[deal, draw]
            if luck < luckless[deal]:
                least = np.log(luck) - np.log1p(-luck) - shock[draw]  # in odds, so that no period needs a logistic of its own
                if least < odds[deal, -1]:
                    period = 0
                    while least >= odds[deal, period]:
                        period += 1
                    for scope in range(brings.shape[1]):
                        found[draw, period, scope] += brings[deal, scope]
