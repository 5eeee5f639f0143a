"""Answers about how predictions have held up."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from predictkpi.core.types import Role
from predictkpi.service.schemas import Answer

Roles = Literal[Role.CHAMPION, Role.SERVED, Role.SHADOW]


class ScoreFigures(Answer):
    """One who predicted, judged at one horizon. A measure that does not fit what was predicted is null."""

    role: Roles = Field(
        description="`champion`: predicted for everybody and shown; `served`: answered by this API; `shadow`: by the challenger, unseen",
        examples=["champion"],
    )
    model_version: str = Field(description="the version that is judged", examples=["3"])
    candidate: str = Field(
        description="whom the measures are of: `model` is the version itself; every other stands beside it and is measured on the pairs "
        "that both spoke of: `baseline` and further baselines, each learnt from what was known on the day of the prediction, "
        "`weighted_pipeline`, `rep_date` (the rep's own close date and the CRM's chance), and for a shadow `champion`",
        examples=["baseline"],
    )
    horizon: int = Field(description="counts of time_unit after as_of; 0 for all together", examples=[30])
    n: int = Field(description="predictions judged: pairs of an entity and a day, at this horizon", examples=[715])
    days: int = Field(description="days on which they were made", examples=[4])
    since: datetime = Field(description="the first of them", examples=["2025-05-01T00:00:00"])
    until: datetime = Field(description="the last of them", examples=["2025-08-01T00:00:00"])
    loss: float | None = Field(
        description="what the gate compares: scaled CRPS (revenue), Tweedie deviance (customers), Brier score (deals); lower is better",
        examples=[0.034],
    )
    error: float | None = Field(
        description="of amounts the sum of errors over the sum of what came true; of deals the median error of the close date, in days",
        examples=[15.7],
    )
    bias: float | None = Field(description="predicted total over what came true, minus 1: .1 is 10 % too much", examples=[0.116])
    calibration: float | None = Field(
        description="how far what was promised lies from what was kept, 0 is perfect: of deals the expected calibration error, of "
        "revenue the mean distance of quantiles from their levels, of customers the error of tenths over the total",
        examples=[0.022],
    )
    calibration_floor: float | None = Field(description="what chance alone would show of it on as many pairs", examples=[0.016])
    coverage80: float | None = Field(
        description="share of outcomes within the 80 % interval; of deals the close date, if won", examples=[0.79]
    )
    coverage95: float | None = Field(description="share of outcomes within the 95 % interval", examples=[None])
    saved: float | None = Field(
        description="share of this candidate's loss that the version saves on the same pairs; null for the version itself", examples=[0.171]
    )
    saved_low: float | None = Field(description="lower end of its 95 % interval, over all horizons", examples=[0.041])
    saved_high: float | None = Field(description="upper end", examples=[0.264])


class ScorePending(Answer):
    """Predictions that are not judged."""

    role: Roles = Field(examples=["champion"])
    model_version: str = Field(examples=["3"])
    reason: str = Field(description="why not", examples=["not over yet"])
    horizon: int = Field(description="counts of time_unit; 0 where it is no matter of the horizon", examples=[180])
    n: int = Field(description="how many", examples=[179])
    due: datetime | None = Field(description="when the first of them will be judged; null where waiting does not help")


class CalibrationPoint(Answer):
    """One point of a plot of what was promised against what came true: the nearer both are, the better."""

    role: Roles = Field(examples=["champion"])
    model_version: str = Field(examples=["3"])
    promised: float = Field(
        description="of deals the mean chance to be won in a bin of like chances, of revenue the level of a quantile, of customers the "
        "mean value predicted in a tenth of them",
        examples=[0.42],
    )
    came_true: float = Field(description="the share that was won; the share at or below the quantile; the mean value", examples=[0.39])
    n: int = Field(description="predictions judged", examples=[71])


class Scoreboard(Answer):
    """One predictor's."""

    predictor: str = Field(examples=["close_time"])
    title: dict[str, str] = Field(description="by language", examples=[{"en": "Deal close time", "de": "Abschlusszeitpunkt von Deals"}])
    time_unit: Literal["month", "day"] = Field(description="unit of every horizon", examples=["day"])
    as_of: datetime = Field(description="what was known before this instant counts as come true", examples=["2026-01-01T00:00:00"])
    made_at: datetime = Field(description="when `predictkpi scoreboard` worked it out", examples=["2026-01-01T04:10:00"])
    notes: list[str] = Field(
        description="what was left out on the whole", examples=[["24 more days were predicted: of each version one day a week is judged"]]
    )
    figures: list[ScoreFigures]
    pending: list[ScorePending]
    calibration: list[CalibrationPoint] = Field(description="none from a board made before there was this part")


class ScoreboardList(Answer):
    """The newest scoreboard of each predictor; none before `predictkpi scoreboard` has run."""

    items: list[Scoreboard]
