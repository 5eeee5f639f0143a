"""A customer's answer, with its place among all."""

from __future__ import annotations

from typing import cast

import pandas as pd
from msgspec.structs import asdict

from predictkpi.predictors.clv.ranks import DECILE, RANK, ranks
from predictkpi.predictors.clv.spec import SPEC
from predictkpi.service import wire
from predictkpi.service.view import View


def ranked(answer: wire.Envelope, view: View) -> wire.CustomerEnvelope:
    """A customer's answer with rank and decile in the whole cohort."""
    table = cast(pd.DataFrame, view.page("customer-ranks", lambda view: ranks(view.champion(SPEC.name).table.frame)))
    found = wire.CustomerEnvelope(**asdict(answer))
    if answer.entity_id in table.index:
        found.rank, found.decile = (int(table.at[answer.entity_id, name]) for name in (RANK, DECILE))
        found.of = len(table)
    return found
