"""Why an answer is as it is, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterable
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

_TOLD = (c.STATISTIC, c.HORIZON, "feature", "contribution")


def reasons_in_order(told: Iterable[tuple[str, int, str, float]], predictor: Predictor, *, language: LanguageCode) -> list[Reason]:
    """Statistic, horizon, feature and contribution of one entity as its reasons: by statistic, the baseline first, then by weight."""
    ordered = sorted(told, key=lambda row: (row[0], row[2] != BASELINE, -abs(row[3]), row[2]))
    return [
        Reason(statistic=statistic, horizon=horizon, name=name, title=predictor.reason_title(name, language), contribution=contribution)
        for statistic, horizon, name, contribution in ordered
    ]


def reasons_of(predictor: Predictor, inputs: pd.DataFrame, *, language: LanguageCode) -> dict[str, list[Reason]]:
    """By entity of the inputs: its reasons, as `reasons_in_order`; nothing of one that the model has none to give for."""
    found = predictor.explain(inputs)
    return {
        str(entity_id): reasons_in_order(zip(*(rows[name].tolist() for name in _TOLD), strict=True), predictor, language=language)
        for entity_id, rows in found.groupby(c.ENTITY_ID, sort=False)
    }


def with_reasons(answer: Envelope, view: View, *, language: LanguageCode) -> Envelope:
    """The answer for a stored entity, with the reasons for it."""
    predictor, entity_id = view.champion(answer.predictor).predictor, answer.entity_id
    found = reasons_of(predictor, predictor.inputs(view.snapshot, entity_ids=[entity_id]), language=language)
    return replace(answer, reasons=found.get(entity_id, []))
