"""The answers of one as_of, made to add up: which series take part, and within which bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.predictors.revenue.paths import Answer
from predictkpi.predictors.revenue.point import SEASON
from predictkpi.predictors.revenue.reconcile import constraints, raised, reconciled

Floats = npt.NDArray[np.float64]
Covariance = Callable[[Sequence[str], Sequence[Floats]], Floats]

_NEWCOMER = "no complete month of revenue yet, beside others that have some: taken as nothing"


def with_newcomers(base: Sequence[Answer]) -> list[Answer]:
    """A series without a complete month, in a company that has some, is zero with `Status.PRIOR`.

    The total was forecast without it, and its dimension's other members already make up that total: anything else would be taken from them.
    """
    if not any(answer.entity_id == c.TOTAL and len(answer.history) for answer in base):
        return list(base)
    return [
        answer if len(answer.history) else replace(answer, paths=np.zeros_like(answer.paths), status=Status.PRIOR, reason=_NEWCOMER)
        for answer in base
    ]


def coherent(base: Sequence[Answer], covariance: Covariance) -> list[Answer]:
    """The same answers with paths that add up in every draw, none below zero where no month of its history was."""
    taking_part = [answer for answer in base if len(answer.history)]
    ids, histories = [answer.entity_id for answer in taking_part], [answer.history for answer in taking_part]
    rows = constraints(ids)
    if not len(rows):
        return list(base)
    errors = covariance(ids, histories)
    paths = reconciled(np.stack([answer.paths for answer in taking_part]), rows, errors)
    usual = np.array([history[-SEASON:].sum() / SEASON for history in histories])
    lowest = np.array([0.0 if (history >= 0).all() else -np.inf for history in histories])
    horizon = paths.shape[2]
    paths = raised(paths, np.tile(lowest[:, None], horizon), np.tile(usual[:, None], horizon), rows, errors)
    moved = dict(zip(ids, paths, strict=True))
    return [replace(answer, paths=moved.get(answer.entity_id, answer.paths)) for answer in base]
