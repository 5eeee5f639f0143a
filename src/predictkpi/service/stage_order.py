"""In which order deals go through their stages, learnt from the deals of a view."""

from __future__ import annotations

from typing import cast

import numpy as np

from predictkpi.core import columns as c
from predictkpi.features.deal_history import DealHistory
from predictkpi.service.view import View


def stages_in_order(view: View) -> list[str]:
    """Open stages, by the mean place at which deals first entered them; those that no deal has entered come last, by name."""
    return cast(list[str], view.page("stages-in-order", _build, knows_targets=False))


def _build(view: View) -> list[str]:
    history = DealHistory(view.snapshot)
    places = history.stage_order(np.array([history.as_of]))[0].tolist()
    known = [(place if place == place else np.inf, str(stage)) for stage, place in zip(history.stages.values.tolist(), places, strict=True)]
    return [stage for _, stage in sorted(known) if stage not in c.CLOSED_STAGES]
