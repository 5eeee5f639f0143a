"""Why an answer is as it is, in the reader's language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import pandas as pd
from fastapi import Query
from msgspec.structs import replace

from predictkpi.core import columns as c
from predictkpi.protocol import BASELINE, Predictor
from predictkpi.service.view import View
from predictkpi.service.wire import Envelope, Reason

LanguageCode = Literal["en", "de"]
WithReasons = Annotated[bool, Query(description="also say what speaks for and against it; see `reasons` of the answer")]
Language = Annotated[LanguageCode, Query(description="of the reasons: English or German")]


def reasons_of(predictor: Predictor, inputs: pd.DataFrame, entity_ids: Sequence[str], *, language: LanguageCode) -> dict[str, list[Reason]]:
    """By entity: its reasons by statistic, the baseline first, then by weight; empty lists where the model has none to give."""
    frame = predictor.explain(inputs)
    found: dict[str, list[Reason]] = {entity_id: [] for entity_id in entity_ids}
    rest = frame["feature"] != BASELINE
    ordered = frame.assign(rest=rest, weight=-frame["contribution"].abs()).sort_values([c.STATISTIC, "rest", "weight", "feature"])
    for row in ordered.itertuples():
        reason = Reason(
            statistic=row.statistic,
            horizon=row.horizon,
            name=row.feature,
            title=predictor.reason_title(row.feature, language),
            contribution=row.contribution,
        )
        found[row.entity_id].append(reason)
    return found


def with_reasons(answer: Envelope, view: View, *, language: LanguageCode) -> Envelope:
    """The answer for a stored entity, with the reasons for it."""
    predictor, entity_id = view.champion(answer.predictor).predictor, answer.entity_id
    inputs = predictor.inputs(view.snapshot, entity_ids=[entity_id])
    return replace(answer, reasons=reasons_of(predictor, inputs, [entity_id], language=language)[entity_id])
