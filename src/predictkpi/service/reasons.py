"""Why an answer is as it is, in the reader's language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Query

from predictkpi.core import columns as c
from predictkpi.protocol import BASELINE, Predictor
from predictkpi.service.schemas import PredictionEnvelope, Reason
from predictkpi.service.view import View
from predictkpi.snapshot import Snapshot

LanguageCode = Literal["en", "de"]
WithReasons = Annotated[bool, Query(description="also say what speaks for and against it; see `reasons` of the answer")]
Language = Annotated[LanguageCode, Query(description="of the reasons: English or German")]


def reasons_of(predictor: Predictor, snapshot: Snapshot, entity_ids: Sequence[str], *, language: LanguageCode) -> dict[str, list[Reason]]:
    """By entity: its reasons by statistic, the baseline first, then by weight; empty lists where the model has none to give."""
    frame = predictor.explain(predictor.inputs(snapshot, entity_ids=entity_ids))
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


def with_reasons(answer: PredictionEnvelope, view: View, *, language: LanguageCode) -> PredictionEnvelope:
    """The answer for a stored entity, with the reasons for it."""
    predictor, entity_id = view.champion(answer.predictor).predictor, answer.entity_id
    return answer.model_copy(update={"reasons": reasons_of(predictor, view.snapshot, [entity_id], language=language)[entity_id]})
