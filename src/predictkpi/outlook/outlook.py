"""The outlook: revenue of every scope and month ahead in three parts that add up in every sample path.

With R the coherent paths of the revenue predictor, P those of the open deals (their mean times the replayed yield), B what is booked, n the
forecast of business not yet created, and the replayed trust's weight w and spread s of a month ahead::

    mean = w (B + mean P + n) + (1 - w) mean R
    new = mean - B - mean P + g (R - mean R),  g² = s² - var P / var R of the scope
    paths = B + P + new

so that open deals vary as they are drawn, and the whole as much as its replayed errors. B and P add up over scopes by themselves; new is
made to, as the revenue predictor makes its paths, and raised to 0 where business not yet created has never been below. Where w = 0 the
paths are R itself, and new is what B and P leave of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Company, Status
from predictkpi.errors import InsufficientDataError, UnknownEntityError, UnknownNameError
from predictkpi.kpis.deals import deal_table
from predictkpi.outlook.book import Book
from predictkpi.outlook.items import Items, PastSplit
from predictkpi.outlook.rest import forecast_rest, split_for, usual_rest
from predictkpi.outlook.trust import Trust
from predictkpi.predictors.revenue.forecaster import SeriesForecaster
from predictkpi.predictors.revenue.paths import Answer
from predictkpi.predictors.revenue.reconcile import constraints, raised, reconciled
from predictkpi.predictors.revenue.scopes import dimensions_of, entity_id_of, scope_of, series_by
from predictkpi.predictors.revenue.table import with_members
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

    def chosen(self, scopes: Sequence[str] | None, by: str | None) -> list[str]:
        """The scopes named, the total by default, or with ``by`` the members of a dimension (``region``, ``region,segment``).

        Raises `UnknownEntityError` or `UnknownNameError` for what is not there.
        """
        if by is None:
            names = list(dict.fromkeys(scopes or [c.TOTAL]))
            for name in names:
                self.place(name)
            return names
        members = series_by(self.scopes, by)
        if not members:
            raise UnknownNameError.among("dimension", by, known={dimensions_of(name) for name in self.scopes} - {""})
        return members

    def revenue(self, scope: str) -> Floats:
        """Sample paths ``(draws, H)``."""
        place = self.place(scope)
        return self.booked[place] + self.from_deals[place] + self.new[place]

    def sums(self, scope: str, start: pd.Timestamp, end: pd.Timestamp) -> Floats | None:
        """Revenue in ``[start, end)``, whole months, in every path ``(draws,)``: past months as recorded, later ones as drawn.

        None where the company's records do not reach so far back, or the months ahead so far forward; before the first order of a scope
        there was none.
        """
        place, answer = self.place(scope), self.answers[scope]
        first, last = _months_from(self.months[0], start), _months_from(self.months[0], end)
        longest = max(len(other.history) for other in self.answers.values())
        if last <= first or last > len(self.months) or first < -longest:
            return None
        recorded = answer.history if answer.recorded is None else answer.recorded
        known = recorded[max(len(recorded) + first, 0) : max(len(recorded) + min(last, 0), 0)].sum()
        ahead = slice(max(first, 0), max(last, 0))
        paths = self.booked[place, ahead] + self.from_deals[place, :, ahead] + self.new[place, :, ahead]
        return np.asarray(known + paths.sum(axis=1))


def _months_from(first: pd.Timestamp, month: pd.Timestamp) -> int:
    return (month.year - first.year) * 12 + month.month - first.month


def make_outlook(snapshot: Snapshot, *, revenue: SeriesForecaster, close_time: Predictor | None, trust: Trust, seed: int = 0) -> Outlook:
    """The outlook at as_of from two fitted predictors; ``close_time`` is None where there are no deals to predict.

    Raises `InsufficientDataError` where no series can be forecast.
    """
    answers = {
        answer.entity_id: answer for answer in revenue.answers(revenue.inputs(snapshot)) if answer.status is not Status.INSUFFICIENT_DATA
    }
    if not answers:
        raise InsufficientDataError("no complete month of revenue is known yet: there is nothing to look ahead from")
    if close_time is not None:
        answers |= _only_in_deals(answers, snapshot)
    scopes, first = list(answers), next(iter(answers.values()))
    paths = np.stack([answer.paths for answer in answers.values()])
    items = Items.of(snapshot)
    so_far = np.zeros((len(scopes), paths.shape[2]))
    so_far[:, 0] = [answer.to_date for answer in answers.values()]
    if close_time is None:
        plain = paths - so_far[:, None]
        nothing = np.zeros_like(so_far)
        return Outlook(snapshot.as_of, snapshot.company, first.months, answers, so_far, np.zeros_like(paths), plain, nothing, trust, None)
    book = Book.of(close_time, snapshot, items, scopes, paths.shape[2])
    split = split_for(items, snapshot.as_of, scopes, horizons=paths.shape[2])
    parts = _three_parts(list(answers.values()), paths, split, book, so_far, trust, seed)
    return Outlook(snapshot.as_of, snapshot.company, first.months, answers, *parts, book.weighted(snapshot), trust, book)


def _only_in_deals(answers: dict[str, Answer], snapshot: Snapshot) -> dict[str, Answer]:
    """Scopes that have had no order yet, but have an open or won deal: nothing is forecast of them but what their deals bring."""
    deals = deal_table(snapshot)
    rows = with_members(deals[[c.CUSTOMER_ID, c.PRODUCT, c.TEAM]], snapshot)
    kinds = dict.fromkeys(tuple(scope_of(scope)) for scope in answers)
    first = next(iter(answers.values()))
    reason = "no revenue yet: only its deals are counted"
    found = {}
    for dimensions in filter(None, kinds):
        for members in rows[list(dimensions)].drop_duplicates().to_numpy().tolist():
            scope = entity_id_of(dict(zip(dimensions, members, strict=True)))
            if scope not in answers:
                found[scope] = replace(
                    first,
                    entity_id=scope,
                    history=np.zeros(0),
                    paths=np.zeros_like(first.paths),
                    status=Status.PRIOR,
                    reason=reason,
                    to_date=0.0,
                    recorded=None,
                )
    return found


def _three_parts(
    answers: Sequence[Answer], paths: Floats, split: PastSplit, book: Book, so_far: Floats, trust: Trust, seed: int
) -> tuple[Floats, Floats, Floats]:
    horizon, scopes = paths.shape[2], [answer.entity_id for answer in answers]
    weight, deal_yield = trust.weights(horizon), trust.yields(horizon)
    booked = so_far + book.backlog
    from_deals = book.draw(paths.shape[1], seed) * deal_yield
    mean, rows = paths.mean(axis=1), constraints(scopes)
    from_deals = np.where(weight > 0, 1.0, _within(from_deals, mean - booked, scopes)) * from_deals
    expected = from_deals.mean(axis=1)
    rest = _coherent_rest(split, np.flatnonzero(weight), rows, paths)
    center = weight * (booked + expected + rest) + (1 - weight) * mean
    spread = np.maximum(trust.spreads(horizon) ** 2 - _ratio(from_deals.var(axis=1), paths.var(axis=1)), _LEAST_OWN_VARIANCE)
    new = (center - expected - booked)[:, None] + np.sqrt(spread)[:, None] * (paths - mean[:, None])
    if len(rows):
        new = reconciled(new, rows, _movable(new, scopes))
    floor = _floor(answers, paths, booked[:, None] + from_deals, split)
    raised_new = raised(new, floor, usual_rest(split), rows, _movable(new, scopes)) if len(rows) else np.maximum(new, floor)
    return booked, from_deals, np.where(weight > 0, raised_new, paths - booked[:, None] - from_deals)


def _within(from_deals: Floats, left: Floats, scopes: Sequence[str]) -> Floats:
    """Factor ``(H,)`` that brings open deals down to what the company's forecast leaves for them; 1 where it leaves enough."""
    total = scopes.index(c.TOTAL) if c.TOTAL in scopes else 0
    expected = from_deals[total].mean(axis=0)
    return np.clip(np.divide(np.maximum(left[total], 0.0), expected, out=np.ones_like(expected), where=expected > 0), 0.0, 1.0)


def _floor(answers: Sequence[Answer], paths: Floats, settled: Floats, split: PastSplit) -> Floats:
    """The least that business not yet created may be ``(scopes, draws, H)``: never below 0 where it never was.

    Nor may it take revenue below what the revenue predictor's own paths keep to: 0, and what is booked so far in the running month.
    """
    never = split.from_rest.min(axis=1, initial=0.0) >= 0
    is_positive = np.array([bool((answer.history >= 0).all()) for answer in answers])
    own = np.tile(np.where(is_positive, 0.0, -np.inf)[:, None], paths.shape[2])
    so_far = np.array([answer.to_date for answer in answers])
    keeps = is_positive & (paths[:, :, 0].min(axis=1) >= so_far * (1 - 1e-9))
    own[keeps, 0] = np.maximum(so_far[keeps], 0.0)
    return np.maximum(np.where(never, 0.0, -np.inf)[:, None], own[:, None] - settled)


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


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
