"""The answers of one as_of, made to add up: which series take part, and within which bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from predictkpi.predictors.revenue.paths import Answer
from predictkpi.predictors.revenue.point import SEASON
from predictkpi.predictors.revenue.reconcile import constraints, raised, reconciled

Floats = npt.NDArray[np.float64]
Covariance = Callable[[Sequence[str], Sequence[Floats]], Floats]

NEWCOMER = "no complete month of revenue yet: the running month at the company's pace, and as much in later ones"
NOTHING = "no complete month of revenue yet, and nothing booked in the running one: taken as nothing"


@dataclass(frozen=True)
class Part:
    """A series' own answer; ``history`` (n,) is what its errors are judged by; ``only_adds``: no past month fell after this position.

    ``drawn`` (H,) is the mean of its paths before the running month was completed.
    """

    answer: Answer
    history: Floats
    only_adds: bool
    drawn: Floats

    @property
    def lowest(self) -> Floats:
        """No path below this, (H,): zero where no month of the history was, and what is booked so far where months only add to it."""
        booked, horizon = self.answer.to_date, self.answer.paths.shape[1]
        if (self.answer.history < 0).any():
            return np.full(horizon, -np.inf)
        first = booked if self.only_adds else 0.0 if booked >= 0 else -np.inf
        return np.concatenate([[first], np.zeros(horizon - 1)])

    @property
    def usual(self) -> Floats:
        """The mean month of the last year, on top of what is booked in the first: these add up, and lie within the bounds. (H,)"""
        path = np.full(self.answer.paths.shape[1], self.answer.history[-SEASON:].sum() / SEASON)
        path[0] += self.answer.to_date
        return path


def coherent(parts: Sequence[Part], covariance: Covariance) -> list[Answer]:
    """The same answers with paths that add up in every draw, within their bounds.

    A series without anything to go by is zero: the total was forecast without it, and its dimension's other members make up that total.
    """
    known = [part for part in parts if len(part.history)]
    ids = [part.answer.entity_id for part in known]
    rows = constraints(ids)
    if not len(rows):
        return [part.answer for part in parts]
    errors = covariance(ids, [part.history for part in known])
    paths = reconciled(np.stack([part.answer.paths for part in known]), rows, errors)
    usual = reconciled(np.stack([part.usual for part in known])[:, None], rows, errors)[:, 0]
    paths = raised(paths, np.stack([part.lowest for part in known]), usual, rows, errors)
    moved = dict(zip(ids, paths, strict=True))
    return [replace(part.answer, paths=moved.get(part.answer.entity_id, part.answer.paths)) for part in parts]
