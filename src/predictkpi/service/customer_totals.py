"""The customers of a view together: their joint draws, made once, and what those whom a list shows will bring."""

from __future__ import annotations

from typing import cast

import numpy as np

from predictkpi.core import columns as c
from predictkpi.predictors.clv.cells import CellDraws
from predictkpi.predictors.clv.groups import CustomerBase
from predictkpi.predictors.clv.spec import SPEC
from predictkpi.service.paging import Mask, Rows
from predictkpi.service.view import View

FILTERS = (c.SEGMENT, c.REGION, c.CHANNEL)
"""By which a list may be narrowed and its total still has a range."""


def base_of(view: View) -> CustomerBase:
    """The whole cohort, whoever asks; raises what keeps it from being served."""
    champion = view.champion(SPEC.name)
    return cast(CustomerBase, view.page("customer-base", lambda v: CustomerBase.of(champion.predictor, v.snapshot, champion.table.frame)))


def cells_of(view: View) -> CellDraws:
    """Draws of those whom the caller may see, by what `FILTERS` can tell apart."""

    def draw(view: View) -> CellDraws:
        base = base_of(view)
        return CellDraws.of(base if view.rows is None else base.only(view.visible["customer"]), FILTERS)

    return cast(CellDraws, view.page(f"customer-cells {view.rows_key}", lambda _: draw(view), knows_targets=False))


def range_of(view: View, rows: Rows, kept: Mask, horizon: int) -> dict[str, float] | None:
    """Quantiles of what the kept rows will bring together; None where they are picked by anything but `FILTERS`."""
    cells = cells_of(view)
    return cells.quantiles(kept[np.searchsorted(rows.ids, cells.customer_ids)], horizon)
