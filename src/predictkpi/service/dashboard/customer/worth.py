"""What is predicted of one customer, written out: the headline, every horizon, and the reasons as signed bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import pandas as pd

from predictkpi.errors import PredictKpiError
from predictkpi.predictors.clv.ranks import RANKED_BY
from predictkpi.predictors.clv.spec import EXPECTED_PURCHASES, MEAN, P_ALIVE, SPEC
from predictkpi.protocol import BASELINE
from predictkpi.service import wire
from predictkpi.service.customer_answers import ranked
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import current
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.reasons import LanguageCode, with_reasons
from predictkpi.service.view import View


@dataclass(frozen=True)
class HorizonRow:
    """One horizon. ``notes`` are about single numbers of it."""

    months: str
    until: str
    value: str
    likely: str
    p_alive: str
    purchases: str
    notes: list[str]


@dataclass(frozen=True)
class ReasonRow:
    """One reason; ``left`` and ``width`` of its bar in percent, zero in the middle."""

    title: str
    change: str
    tone: Literal["rise", "fall", "plain"]
    left: float
    width: float


@dataclass(frozen=True)
class Reasons:
    """From the usual customer by signed steps to this one."""

    start_title: str
    start: str
    rows: list[ReasonRow]
    end: str
    months: int


@dataclass(frozen=True)
class Worth:
    """The prediction."""

    months: int
    value: str
    likely: str
    p_alive: str
    p_alive_percent: float
    rank: str
    rank_note: str
    purchases: str
    horizons: list[HorizonRow]
    reasons: Reasons | None
    status: str
    reason: str
    version: str
    predictions: list[wire.Prediction]


@dataclass(frozen=True)
class Absent:
    """Nothing is predicted: why, in a sentence; empty where the predictor itself is not served."""

    reason: str


def worth(view: View, customer_id: str) -> Worth | Absent:
    """The API's answer with its reasons, in the language of the context."""
    if SPEC.name not in view.champions:
        return Absent("")
    try:
        answer = with_reasons(view.predict(SPEC.name, customer_id), view, language=cast(LanguageCode, current().code))
    except PredictKpiError as error:
        return Absent(str(error))
    return _written(ranked(answer, view))


def _written(answer: wire.CustomerEnvelope) -> Worth:
    at = next(prediction for prediction in answer.predictions if prediction.horizon == RANKED_BY)
    values, currency = at.values, answer.currency
    p_alive = values.get(P_ALIVE)
    return Worth(
        months=RANKED_BY,
        value=f.money(values[MEAN], currency),
        likely=_likely(at, currency),
        p_alive=f.percent(p_alive),
        p_alive_percent=round((p_alive or 0.0) * 100, 1),
        rank=f.number(answer.rank),
        rank_note=_("of {count}; among the best {share}").format(count=f.number(answer.of), share=f.percent((answer.decile or 0) / 10))
        if answer.rank
        else "",
        purchases=f.number(values.get(EXPECTED_PURCHASES), 1),
        horizons=[_horizon(prediction, currency) for prediction in answer.predictions],
        reasons=_reasons(answer.reasons or [], currency),
        status=answer.status.value,
        reason=answer.reason,
        version=answer.model.version,
        predictions=answer.predictions,
    )


def _horizon(prediction: wire.Prediction, currency: str) -> HorizonRow:
    values = prediction.values
    return HorizonRow(
        months=f.number(prediction.horizon),
        until=_until(prediction),
        value=f.money(values[MEAN], currency),
        likely=_likely(prediction, currency),
        p_alive=f.percent(values.get(P_ALIVE)),
        purchases=f.number(values.get(EXPECTED_PURCHASES), 1),
        notes=list(dict.fromkeys(prediction.notes.values())),
    )


def _until(prediction: wire.Prediction) -> str:
    return f.date(pd.Timestamp(prediction.until) - pd.Timedelta(days=1))


def _likely(prediction: wire.Prediction, currency: str) -> str:
    low, high = prediction.values.get("q10"), prediction.values.get("q90")
    return f.between(f.amount(low), f.money(high, currency)) if low is not None and high is not None else f.MISSING


def _reasons(told: Sequence[wire.Reason], currency: str) -> Reasons | None:
    told = [reason for reason in told if reason.statistic == MEAN]
    start = next((reason for reason in told if reason.name == BASELINE), None)
    if start is None:
        return None
    steps = [reason for reason in told if reason is not start]
    widest = max((abs(reason.contribution) for reason in steps), default=0.0) or 1.0
    return Reasons(
        start_title=start.title,
        start=f.money(start.contribution, currency),
        rows=[_reason(reason, widest) for reason in steps],
        end=f.money(sum(reason.contribution for reason in told), currency),
        months=start.horizon,
    )


def _reason(reason: wire.Reason, widest: float) -> ReasonRow:
    share = reason.contribution / widest * 50
    tone: Literal["rise", "fall", "plain"] = "rise" if share > 0 else "fall" if share < 0 else "plain"
    return ReasonRow(reason.title, f.signed_amount(reason.contribution), tone, round(50 + min(share, 0.0), 2), round(abs(share), 2))
