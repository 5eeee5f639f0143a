"""The outlook: revenue of every scope and month ahead in three parts that add up in every sample path.

With R the coherent paths of the revenue predictor, P those of the open deals (their mean times the replayed yield), B what is booked, n the
forecast of business not yet created, and the replayed trust's weight w and spread s of a month ahead::

    mean = w (B + mean P + n) + (1 - w) mean R
    new = mean - B - mean P + g (R - mean R),  g² = s² - var P / var R of the scope
    paths = B + P + new

so that open deals vary as they are drawn, and the whole as much as its replayed errors. B and P add up over scopes by themselves; new is
made to, as the revenue predictor makes its paths, and raised to 0 where business not yet created has never been below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Company, Status
from predictkpi.errors import InsufficientDataError, UnknownEntityError
from predictkpi.outlook.book import Book
from predictkpi.outlook.items import Items, PastSplit
from predictkpi.outlook.rest import forecast_rest, split_for, usual_rest
from predictkpi.outlook.trust import Trust
from predictkpi.predictors.revenue.forecaster import SeriesForecaster
from predictkpi.predictors.revenue.paths import Answer
from predictkpi.predictors.revenue.reconcile import constraints, raised, reconciled
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

# The paths' own spread is never taken to come from the open deals by more than this.
_LEAST_OWN_VARIANCE = 0.1
_TOTAL_STAYS = 1e-6


@dataclass(frozen=True)
class Outlook:
    """Sample paths of each scope's revenue in the months ahead, the first being the running one as a whole.

    ``booked`` ``(scopes, H)``: booked so far, and still to come from deals won before as_of. ``from_deals`` and ``new``
    ``(scopes, draws, H)``: from deals open at as_of, and from business not yet created; the three add up to `revenue`. ``weighted``
    ``(scopes, H)``: the plain weighted pipeline, for comparison. ``book`` is None for a company without deals.
    """

    as_of: pd.Timestamp
    company: Company
    months: pd.DatetimeIndex
    answers: dict[str, Answer]
    booked: Floats
    from_deals: Floats
    new: Floats
    weighted: Floats
    trust: Trust
    book: Book | None

    @property
    def scopes(self) -> list[str]:
        """``total``, ``region=EMEA``, in the order of the arrays."""
        return list(self.answers)

    def place(self, scope: str) -> int:
        """Position of a scope; raises `UnknownEntityError` naming those there are."""
        if scope not in self.answers:
            raise UnknownEntityError(f"no revenue known before {self.as_of.isoformat()} for {scope!r}; there are: {', '.join(self.scopes)}")
        return self.scopes.index(scope)

    def revenue(self, scope: str) -> Floats:
        """Sample paths ``(draws, H)``."""
        place = self.place(scope)
        return self.booked[place] + self.from_deals[place] + self.new[place]

    def sums(self, scope: str, start: pd.Timestamp, end: pd.Timestamp) -> Floats | None:
        """Revenue in ``[start, end)``, whole months, in every path ``(draws,)``: past months as they were, later ones as drawn.

        None where the series does not reach so far back, or the months ahead so far forward.
        """
        self.place(scope)
        answer = self.answers[scope]
        past = pd.date_range(end=self.months[0], periods=len(answer.history) + 1, freq="MS", unit="us")[:-1]
        wanted = pd.date_range(start, end, freq="MS", inclusive="left")
        if not len(wanted) or wanted[-1] > self.months[-1] or wanted[0] < (past[0] if len(past) else self.months[0]):
            return None
        known = answer.history[(past >= start) & (past < end)].sum()
        ahead = (self.months >= start) & (self.months < end)
        return known + self.revenue(scope)[:, ahead].sum(axis=1)


def make_outlook(snapshot: Snapshot, *, revenue: SeriesForecaster, close_time: Predictor | None, trust: Trust, seed: int = 0) -> Outlook:
    """The outlook at as_of from two fitted predictors; ``close_time`` is None where there are no deals to predict.

    Raises `InsufficientDataError` where no series can be forecast.
    """
    answers = {
        answer.entity_id: answer for answer in revenue.answers(revenue.inputs(snapshot)) if answer.status is not Status.INSUFFICIENT_DATA
    }
    if not answers:
        raise InsufficientDataError("no complete month of revenue is known yet: there is nothing to look ahead from")
    scopes, first = list(answers), next(iter(answers.values()))
    paths = np.stack([answer.paths for answer in answers.values()])
    items = Items.of(snapshot)
    so_far = np.zeros((len(scopes), paths.shape[2]))
    so_far[:, 0] = [answer.to_date for answer in answers.values()]
    nothing = np.zeros_like(paths)
    book = Book.of(close_time, snapshot, items, scopes, paths.shape[2]) if close_time is not None else None
    if book is None:
        parts = so_far, nothing, paths - so_far[:, None]
    else:
        parts = _three_parts(paths, items, snapshot, book, so_far, scopes, trust, seed)
    weighted = book.weighted(snapshot) if book is not None else np.zeros_like(so_far)
    return Outlook(snapshot.as_of, snapshot.company, first.months, answers, *parts, weighted, trust, book)


def _three_parts(
    paths: Floats, items: Items, snapshot: Snapshot, book: Book, so_far: Floats, scopes: Sequence[str], trust: Trust, seed: int
) -> tuple[Floats, Floats, Floats]:
    horizon = paths.shape[2]
    weight, deal_yield = trust.weights(horizon), trust.yields(horizon)
    booked = so_far + book.backlog
    from_deals = book.draw(paths.shape[1], seed) * deal_yield
    expected = from_deals.mean(axis=1)
    mean = paths.mean(axis=1)
    rows = constraints(scopes)
    split = split_for(items, snapshot.as_of, scopes, horizons=horizon)
    rest = _coherent_rest(split, np.flatnonzero(weight), rows, paths)
    center = weight * (booked + expected + rest) + (1 - weight) * mean
    spread = np.maximum(trust.spreads(horizon) ** 2 - _ratio(from_deals.var(axis=1), paths.var(axis=1)), _LEAST_OWN_VARIANCE)
    new = (center - expected - booked)[:, None] + np.sqrt(spread)[:, None] * (paths - mean[:, None])
    if len(rows):
        new = reconciled(new, rows, _movable(new, scopes))
    return booked, from_deals, _never_below(new, split, rows, _movable(new, scopes))


def _movable(new: Floats, scopes: Sequence[str]) -> Floats:
    """How far each scope gives way where they have to add up ``(scopes, scopes)``: by its variance, the total (nearly) not at all."""
    size = np.maximum(new.var(axis=(1, 2)), 1e-12)
    if c.TOTAL in scopes:
        size[scopes.index(c.TOTAL)] *= _TOTAL_STAYS
    return np.diag(size)


def _coherent_rest(split: PastSplit, steps: npt.NDArray[np.int64], rows: Floats, paths: Floats) -> Floats:
    """Forecast of business not yet created in the months that are listened to ``(scopes, H)``, made to add up as the paths do."""
    rest = np.zeros((len(paths), paths.shape[2]))
    if not len(steps):
        return rest
    horizons = int(steps[-1]) + 1
    rest[:, :horizons] = forecast_rest(split, horizons=horizons)
    if not len(rows):
        return rest
    return reconciled(rest[:, None], rows, np.diag(paths.var(axis=(1, 2))))[:, 0]


def _never_below(new: Floats, split: PastSplit, rows: Floats, movable: Floats) -> Floats:
    """No path of business not yet created below 0, but where it was in the past."""
    usual = usual_rest(split)
    lowest = np.where(split.from_rest.min(axis=1, initial=0.0) >= 0, 0.0, -np.inf)
    return raised(new, lowest, usual, rows, movable) if len(rows) else np.maximum(new, lowest[:, None])


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
