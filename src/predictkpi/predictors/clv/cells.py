"""Totals of any filter from one round of draws: customers that no filter can tell apart are drawn together, and a filter adds them up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.purchase_days import Floats
from predictkpi.predictors.clv.groups import CustomerBase, quantiles_of
from predictkpi.predictors.clv.spec import QUANTILES, SPEC

MOST_CELLS = 1000
"""Combinations of members that are kept apart: 33 MB of draws. Where there are more, only the whole can be told."""


@dataclass(frozen=True)
class CellDraws:
    """``codes`` (n,): the cell of each of ``customer_ids``; ``revenue`` (n_cells, n_horizons, n_draws): joint draws of each cell's sum."""

    customer_ids: npt.NDArray[np.object_]
    codes: npt.NDArray[np.intp]
    revenue: Floats

    @classmethod
    def of(cls, base: CustomerBase, dimensions: Sequence[str]) -> CellDraws:
        """A cell holds those who share their member of each of the dimensions."""
        codes, cells = pd.MultiIndex.from_arrays([base.members(dimension) for dimension in dimensions]).factorize()
        if len(cells) > MOST_CELLS:
            codes, cells = np.zeros_like(codes), cells[:1]
        ids = base.inputs[c.ENTITY_ID].to_numpy(object)
        return cls(ids, codes, base.draw_by_code(codes, len(cells)))

    def quantiles(self, kept: npt.NDArray[np.bool_], horizon: int) -> dict[str, float] | None:
        """Of the sum over ``kept`` (n,), by name; None where they are no whole cells, as after a search by name."""
        cells = np.unique(self.codes[kept])
        if not len(cells) or kept.sum() != np.isin(self.codes, cells).sum():
            return None
        levels = quantiles_of(self.revenue[cells].sum(axis=0))[:, SPEC.horizons.index(horizon)]
        return dict(zip(QUANTILES, map(float, levels), strict=True))
